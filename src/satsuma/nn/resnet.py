"""Residual networks: each block adds what it finds to what it was given.

Source: He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image Recognition". Parameter names and shapes are
torchvision's, so its weight files (and timm's of these names) load as they are.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from satsuma.errors import nearest, spelled


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut: [B in_planes H W] to [B planes H/stride W/stride]."""

    expansion = 1

    def __init__(self, in_planes: int, planes: int, *, stride: int = 1) -> None:
        super().__init__()
        self.in_planes, self.planes, self.stride = in_planes, planes, stride
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut_projection(in_planes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)  # [B planes H/stride W/stride]
        x = self.relu(self.bn1(self.conv1(x)))  # [B planes H/stride W/stride]
        x = self.bn2(self.conv2(x))
        x += shortcut
        return self.relu(x)  # type: ignore[no-any-return]  # [B planes H/stride W/stride]


class Bottleneck(nn.Module):
    """1×1 to narrow, 3×3, 1×1 to widen, beside a shortcut: [B in_planes H W] to [B 4*planes H/stride W/stride].

    The stride is on the 3×3 convolution, as in torchvision ("ResNet v1.5"), not on the first 1×1 as in the paper.
    """

    expansion = 4

    def __init__(self, in_planes: int, planes: int, *, stride: int = 1) -> None:
        super().__init__()
        self.in_planes, self.planes, self.stride = in_planes, planes, stride
        self.conv1 = nn.Conv2d(in_planes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut_projection(in_planes, 4 * planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)  # [B 4*planes H/stride W/stride]
        x = self.relu(self.bn1(self.conv1(x)))  # [B planes H W]
        x = self.relu(self.bn2(self.conv2(x)))  # [B planes H/stride W/stride]
        x = self.bn3(self.conv3(x))
        x += shortcut
        return self.relu(x)  # type: ignore[no-any-return]  # [B 4*planes H/stride W/stride]


def shortcut_projection(in_planes: int, out_planes: int, stride: int) -> nn.Sequential | None:
    """A 1×1 convolution where the shortcut has to change its shape; None where it can be the input itself."""
    if stride == 1 and in_planes == out_planes:
        return None
    return nn.Sequential(
        nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_planes),
    )


def resnet_block(block: str) -> type[BasicBlock] | type[Bottleneck]:
    """The block's class by its name; ValueError for another name."""
    if block == "basic":
        return BasicBlock
    if block == "bottleneck":
        return Bottleneck
    raise ValueError(f"ResNet: block={block!r}: {nearest(block, ('basic', 'bottleneck'))}")


class ResNet(nn.Module):
    """A stem, four stages of blocks with 64, 128, 256 and 512 planes, an average over the picture, one linear layer.

    [B in_channels H W] to [B classes] logits. block: "basic" or "bottleneck". layers: how many blocks in each stage.
    small_images: a 3×3 stem that keeps the size and no pooling, for pictures of about 32×32, where the usual stem would
    throw most of the picture away. zero_init_residual: start each block as its shortcut alone (Goyal and others 2017,
    "Accurate, Large Minibatch SGD"). Raises ValueError for another block or number of stages.
    """

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
        super().__init__()
        widening = resnet_block(block).expansion
        if len(layers) != 4:
            raise ValueError(f"ResNet: layers={tuple(layers)}; expected four numbers of blocks, as (2, 2, 2, 2)")
        self.block, self.layers, self.classes, self.in_channels = block, tuple(layers), classes, in_channels
        self.small_images, self.zero_init_residual = small_images, zero_init_residual

        kernel_size, stride = (3, 1) if small_images else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = resnet_stage(block, 64, 64, layers[0], stride=1)
        self.layer2 = resnet_stage(block, 64 * widening, 128, layers[1], stride=2)
        self.layer3 = resnet_stage(block, 128 * widening, 256, layers[2], stride=2)
        self.layer4 = resnet_stage(block, 256 * widening, 512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.n_features = 512 * widening  # channels of `forward_features`
        self.fc = nn.Linear(self.n_features, classes)
        initialise_resnet(self, zero_init_residual=zero_init_residual)

    def forward_features(self, x: Tensor) -> Tensor:
        """What the body finds, before the average over the picture: [B n_features H/32 W/32]."""
        x = self.relu(self.bn1(self.conv1(x)))  # [B 64 H/2 W/2]        small_images: [B 64 H W]
        x = self.maxpool(x)  # [B 64 H/4 W/4], from here on e is 1 (basic) or 4 (bottleneck)
        x = self.layer1(x)  # [B 64e H/4 W/4]
        x = self.layer2(x)  # [B 128e H/8 W/8]
        x = self.layer3(x)  # [B 256e H/16 W/16]
        return self.layer4(x)  # type: ignore[no-any-return]  # [B 512e H/32 W/32]

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.forward_features(x)).flatten(1)  # [B 512e]
        return self.fc(x)  # type: ignore[no-any-return]  # [B K]


def resnet_stage(block: str, in_planes: int, planes: int, blocks: int, *, stride: int) -> nn.Sequential:
    """`blocks` blocks in a row, of which the first has the stride and the change of width."""
    build = resnet_block(block)
    parts: list[nn.Module] = [build(in_planes, planes, stride=stride)]
    for _ in range(1, blocks):
        parts.append(build(planes * build.expansion, planes))
    return nn.Sequential(*parts)


def initialise_resnet(model: nn.Module, *, zero_init_residual: bool) -> None:
    """torchvision's start, in place: He normal by outgoing connections for convolutions, 1 and 0 for norms."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)


@spelled
def resnet18(
    classes: int = 1000, in_channels: int = 3, *, small_images: bool = False, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-18: 11.7 million parameters at 1000 classes. [B C H W] to [B classes] logits.

    >>> sum(p.numel() for p in resnet18().parameters())
    11689512
    """
    return ResNet(
        block="basic",
        layers=(2, 2, 2, 2),
        classes=classes,
        in_channels=in_channels,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


@spelled
def resnet34(
    classes: int = 1000, in_channels: int = 3, *, small_images: bool = False, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-34: 21.8 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ResNet(
        block="basic",
        layers=(3, 4, 6, 3),
        classes=classes,
        in_channels=in_channels,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


@spelled
def resnet50(
    classes: int = 1000, in_channels: int = 3, *, small_images: bool = False, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-50: 25.6 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ResNet(
        block="bottleneck",
        layers=(3, 4, 6, 3),
        classes=classes,
        in_channels=in_channels,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )
