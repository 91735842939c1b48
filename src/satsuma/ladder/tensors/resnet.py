"""Residual networks: each block adds what it finds to what it was given.

Source: He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image Recognition". Parameters are named as in
torchvision, so its weight files fit.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.activations import relu
from satsuma.ladder.tensors.convolution import Conv2d
from satsuma.ladder.tensors.init import kaiming_normal_
from satsuma.ladder.tensors.linear import Identity, Linear
from satsuma.ladder.tensors.model import Sequential, named_layers
from satsuma.ladder.tensors.normalisation import BatchNorm2d
from satsuma.ladder.tensors.pooling import AdaptiveAvgPool2d, MaxPool2d


class BasicBlock:
    """Two 3×3 convolutions beside a shortcut: [B in_planes H W] to [B planes H/stride W/stride]."""

    training = True
    expansion = 1

    def __init__(self, in_planes: int, planes: int, *, stride: int = 1) -> None:
        self.conv1 = Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(planes)
        self.downsample = shortcut_projection(in_planes, planes, stride)

    def __call__(self, x: Tensor) -> Tensor:  # [B in_planes H W]
        shortcut = x if self.downsample is None else self.downsample(x)  # [B planes H/stride W/stride]
        x = relu(self.bn1(self.conv1(x)))  # [B planes H/stride W/stride]
        x = self.bn2(self.conv2(x))
        return relu(x + shortcut)  # [B planes H/stride W/stride]


class Bottleneck:
    """1×1 to narrow, 3×3, 1×1 to widen, beside a shortcut: [B in_planes H W] to [B 4*planes H/stride W/stride].

    The stride is on the 3×3 convolution, as in torchvision ("ResNet v1.5"), not on the first 1×1 as in the paper.
    """

    training = True
    expansion = 4

    def __init__(self, in_planes: int, planes: int, *, stride: int = 1) -> None:
        self.conv1 = Conv2d(in_planes, planes, 1, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = BatchNorm2d(4 * planes)
        self.downsample = shortcut_projection(in_planes, 4 * planes, stride)

    def __call__(self, x: Tensor) -> Tensor:  # [B in_planes H W]
        shortcut = x if self.downsample is None else self.downsample(x)  # [B 4*planes H/stride W/stride]
        x = relu(self.bn1(self.conv1(x)))  # [B planes H W]
        x = relu(self.bn2(self.conv2(x)))  # [B planes H/stride W/stride]
        x = self.bn3(self.conv3(x))
        return relu(x + shortcut)  # [B 4*planes H/stride W/stride]


def shortcut_projection(in_planes: int, out_planes: int, stride: int) -> Sequential | None:
    """A 1×1 convolution where the shortcut has to change its shape; None where it can be the input itself."""
    if stride == 1 and in_planes == out_planes:
        return None
    return Sequential(Conv2d(in_planes, out_planes, 1, stride=stride, bias=False), BatchNorm2d(out_planes))


class ResNet:
    """A stem, four stages of blocks with 64, 128, 256 and 512 planes, an average over the picture, one linear layer.

    [B in_channels H W] to [B classes] logits. block: "basic" or "bottleneck". layers: how many blocks in each stage.
    small_images: a 3×3 stem that keeps the size and no pooling, for pictures of about 32×32.
    zero_init_residual: start each block as its shortcut alone (Goyal and others 2017, "Accurate, Large Minibatch SGD").

    >>> model = ResNet(block="basic", layers=(1, 1, 1, 1), classes=37, small_images=True)
    >>> model(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 37])
    """

    training = True

    def __init__(
        self,
        *,
        block: str,
        layers: Sequence[int],
        classes: int = 1000,
        in_channels: int = 3,
        small_images: bool = False,
        zero_init_residual: bool = False,
    ) -> None:
        e = Bottleneck.expansion if block == "bottleneck" else BasicBlock.expansion
        kernel_size, stride = (3, 1) if small_images else (7, 2)
        self.conv1 = Conv2d(in_channels, 64, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.maxpool = Identity() if small_images else MaxPool2d(3, stride=2, padding=1)
        self.layer1 = resnet_stage(block, 64, 64, layers[0], stride=1)
        self.layer2 = resnet_stage(block, 64 * e, 128, layers[1], stride=2)
        self.layer3 = resnet_stage(block, 128 * e, 256, layers[2], stride=2)
        self.layer4 = resnet_stage(block, 256 * e, 512, layers[3], stride=2)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(512 * e, classes)
        initialise_resnet(self, zero_init_residual=zero_init_residual)

    def __call__(self, x: Tensor) -> Tensor:  # [B in_channels H W]
        x = relu(self.bn1(self.conv1(x)))  # [B 64 H/2 W/2]        small_images: [B 64 H W]
        x = self.maxpool(x)  # [B 64 H/4 W/4], from here on e is 1 (basic) or 4 (bottleneck)
        x = self.layer1(x)  # [B 64e H/4 W/4]
        x = self.layer2(x)  # [B 128e H/8 W/8]
        x = self.layer3(x)  # [B 256e H/16 W/16]
        x = self.layer4(x)  # [B 512e H/32 W/32]
        return self.fc(self.avgpool(x).flatten(1))  # [B K]


def resnet_stage(block: str, in_planes: int, planes: int, blocks: int, *, stride: int) -> Sequential:
    """`blocks` blocks in a row, of which the first has the stride and the change of width."""
    build = Bottleneck if block == "bottleneck" else BasicBlock
    first = build(in_planes, planes, stride=stride)
    return Sequential(first, *[build(planes * build.expansion, planes) for _ in range(1, blocks)])


@torch.no_grad()
def initialise_resnet(model: Any, *, zero_init_residual: bool) -> None:
    """torchvision's start, in place: He normal by outgoing connections for convolutions; norms are 1 and 0 already."""
    for _, layer in named_layers(model):
        if isinstance(layer, Conv2d):
            kaiming_normal_(layer.weight, mode="fan_out")
    if zero_init_residual:
        for _, layer in named_layers(model):
            if isinstance(layer, BasicBlock):
                layer.bn2.weight.zero_()
            elif isinstance(layer, Bottleneck):
                layer.bn3.weight.zero_()
