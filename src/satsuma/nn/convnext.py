"""ConvNeXt: a convolutional network with the manners of a transformer.

Source: Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, "A ConvNet for the 2020s". Parameter names and shapes are
timm's, so its weight files load as they are; the sizes below "tiny" are timm's own. Stochastic depth is left out.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from satsuma.errors import spelled
from satsuma.nn.layers import refuse_small


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels of each pixel: [B C H W] to the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # [B C H W]


class PixelMLP(nn.Module):
    """Two linear layers on each pixel's channels: [B H W C], or with 1×1 convolutions [B C H W], to the same shape."""

    def __init__(self, planes: int, *, convolutions: bool) -> None:
        super().__init__()
        self.fc1: nn.Module = nn.Conv2d(planes, 4 * planes, 1) if convolutions else nn.Linear(planes, 4 * planes)
        self.act = nn.GELU()
        self.fc2: nn.Module = nn.Conv2d(4 * planes, planes, 1) if convolutions else nn.Linear(4 * planes, planes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]


class ConvNeXtBlock(nn.Module):
    """A depthwise 7×7, then a perceptron on each pixel, scaled, beside a shortcut: [B planes H W] to the same shape."""

    def __init__(self, planes: int, *, conv_mlp: bool) -> None:
        super().__init__()
        self.planes, self.conv_mlp = planes, conv_mlp
        self.conv_dw = nn.Conv2d(planes, planes, 7, padding=3, groups=planes)
        self.norm = LayerNorm2d(planes, eps=1e-6) if conv_mlp else nn.LayerNorm(planes, eps=1e-6)
        self.mlp = PixelMLP(planes, convolutions=conv_mlp)
        self.gamma = nn.Parameter(torch.full((planes,), 1e-6))  # starts each block as nearly its shortcut alone

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv_dw(x)  # [B planes H W]
        if self.conv_mlp:
            found = self.mlp(self.norm(found))  # [B planes H W]
        else:
            found = self.mlp(self.norm(found.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)  # [B planes H W]
        return found * self.gamma.reshape(1, -1, 1, 1) + x  # type: ignore[no-any-return]  # [B planes H W]


class ConvNeXtStage(nn.Module):
    """Half the size but for the first stage, then blocks: [B in_planes H W] to [B planes H/2 W/2]."""

    def __init__(self, in_planes: int, planes: int, blocks: int, *, conv_mlp: bool) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if in_planes != planes:
            self.downsample = nn.Sequential(LayerNorm2d(in_planes, eps=1e-6), nn.Conv2d(in_planes, planes, 2, stride=2))
        self.blocks = nn.Sequential(*[ConvNeXtBlock(planes, conv_mlp=conv_mlp) for _ in range(blocks)])

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.downsample(x))  # type: ignore[no-any-return]


class ConvNeXtHead(nn.Module):
    """Average over the picture, normalisation, one linear layer: [B planes H W] to [B classes]."""

    def __init__(self, planes: int, classes: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(planes, eps=1e-6)
        self.fc = nn.Linear(planes, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.mean((2, 3), keepdim=True)).flatten(1)  # [B planes]
        return self.fc(x)  # type: ignore[no-any-return]  # [B K]


class ConvNeXt(nn.Module):
    """A 4×4 stem, four stages, an average over the picture, one linear layer: [B in_channels H W] to [B classes].

    layers: how many blocks in each stage. widths: their channels. conv_mlp: the perceptrons as 1×1 convolutions, as in
    timm's small sizes: the same mathematics with weights of another shape. H and W of at least 32.
    Raises ValueError for another number of stages, and in `forward` for smaller pictures.
    """

    least_size = 32  # pixels of a side

    def __init__(
        self,
        *,
        layers: Sequence[int],
        widths: Sequence[int],
        conv_mlp: bool = False,
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(layers) != 4 or len(widths) != 4:
            raise ValueError(
                f"ConvNeXt: layers={tuple(layers)}, widths={tuple(widths)}; expected four numbers each, as (3, 3, 9, 3)"
            )
        self.layers, self.widths, self.conv_mlp = tuple(layers), tuple(widths), conv_mlp
        self.classes, self.in_channels, self.n_features = classes, in_channels, widths[3]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 4, stride=4), LayerNorm2d(widths[0], eps=1e-6)
        )  # [B widths[0] H/4 W/4]
        before = (widths[0], *widths[:3])
        self.stages = nn.Sequential(
            *[ConvNeXtStage(before[i], widths[i], layers[i], conv_mlp=conv_mlp) for i in range(4)]
        )
        self.head = ConvNeXtHead(widths[3], classes)
        initialise_convnext(self)

    def forward_features(self, x: Tensor) -> Tensor:
        refuse_small(x, "ConvNeXt", self.least_size)
        return self.stages(self.stem(x))  # type: ignore[no-any-return]  # [B widths[3] H/32 W/32]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x))  # type: ignore[no-any-return]  # [B K]


def initialise_convnext(model: nn.Module) -> None:
    """The paper's start, in place: a normal of deviation 0.02, cut off at 2, for matrices and kernels, biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@spelled
def convnext_atto(classes: int = 1000, in_channels: int = 3) -> ConvNeXt:
    """ConvNeXt-Atto: 3.7 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ConvNeXt(
        layers=(2, 2, 6, 2), widths=(40, 80, 160, 320), conv_mlp=True, classes=classes, in_channels=in_channels
    )


@spelled
def convnext_femto(classes: int = 1000, in_channels: int = 3) -> ConvNeXt:
    """ConvNeXt-Femto: 5.2 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ConvNeXt(
        layers=(2, 2, 6, 2), widths=(48, 96, 192, 384), conv_mlp=True, classes=classes, in_channels=in_channels
    )


@spelled
def convnext_pico(classes: int = 1000, in_channels: int = 3) -> ConvNeXt:
    """ConvNeXt-Pico: 9.0 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ConvNeXt(
        layers=(2, 2, 6, 2), widths=(64, 128, 256, 512), conv_mlp=True, classes=classes, in_channels=in_channels
    )


@spelled
def convnext_nano(classes: int = 1000, in_channels: int = 3) -> ConvNeXt:
    """ConvNeXt-Nano: 15.6 million parameters at 1000 classes. [B C H W] to [B classes] logits."""
    return ConvNeXt(
        layers=(2, 2, 8, 2), widths=(80, 160, 320, 640), conv_mlp=True, classes=classes, in_channels=in_channels
    )


@spelled
def convnext_tiny(classes: int = 1000, in_channels: int = 3) -> ConvNeXt:
    """ConvNeXt-Tiny: 28.6 million parameters at 1000 classes. [B C H W] to [B classes] logits.

    >>> sum(p.numel() for p in convnext_tiny().parameters())
    28589128
    """
    return ConvNeXt(layers=(3, 3, 9, 3), widths=(96, 192, 384, 768), classes=classes, in_channels=in_channels)
