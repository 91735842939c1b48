"""MobileNetV3: depthwise convolutions and channel gates, for phones and other small processors.

Source: Howard and others 2019, "Searching for MobileNetV3". Parameter names and shapes are timm's
(`mobilenetv3_large_100`), whose weights are to be had as safetensors; torchvision's have other names.

Shapes: B batch, C channels, H height, W width, K classes.
"""

import math

from torch import Tensor, nn

from satsuma.errors import spelled

# the blocks of each stage: kernel size, widened channels, channels out, stride, gate, activation
Row = tuple[int, int, int, int, bool, str]
LARGE: tuple[tuple[Row, ...], ...] = (
    ((3, 64, 24, 2, False, "relu"), (3, 72, 24, 1, False, "relu")),  # [B 24 H/4 W/4]
    ((5, 72, 40, 2, True, "relu"), (5, 120, 40, 1, True, "relu"), (5, 120, 40, 1, True, "relu")),  # [B 40 H/8 W/8]
    (
        (3, 240, 80, 2, False, "hard_swish"),
        (3, 200, 80, 1, False, "hard_swish"),
        (3, 184, 80, 1, False, "hard_swish"),
        (3, 184, 80, 1, False, "hard_swish"),
    ),  # [B 80 H/16 W/16]
    ((3, 480, 112, 1, True, "hard_swish"), (3, 672, 112, 1, True, "hard_swish")),  # [B 112 H/16 W/16]
    (
        (5, 672, 160, 2, True, "hard_swish"),
        (5, 960, 160, 1, True, "hard_swish"),
        (5, 960, 160, 1, True, "hard_swish"),
    ),  # [B 160 H/32 W/32]
)


class ChannelGate(nn.Module):
    """Each channel times a number from 0 to 1 that depends on all channels' means: [B C H W] to the same shape.

    Source: Hu, Shen and Sun 2018, "Squeeze-and-Excitation Networks".
    """

    def __init__(self, planes: int) -> None:
        super().__init__()
        narrow = nearest_eight(planes / 4)
        self.conv_reduce = nn.Conv2d(planes, narrow, 1)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_expand = nn.Conv2d(narrow, planes, 1)
        self.gate = nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)  # [B C 1 1]
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(means))))  # type: ignore[no-any-return]


class SeparableBlock(nn.Module):
    """The first block: a depthwise 3×3, then 1×1, beside a shortcut: [B planes H W] to the same shape."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(planes, planes, 3, padding=1, groups=planes, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_pw = nn.Conv2d(planes, planes, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        found = self.act1(self.bn1(self.conv_dw(x)))  # [B planes H W]
        return self.bn2(self.conv_pw(found)) + x  # type: ignore[no-any-return]  # [B planes H W]


class InvertedResidual(nn.Module):
    """1×1 to widen, a depthwise convolution, a gate, 1×1 to narrow: [B in_planes H W] to [B planes H/stride W/stride].

    Beside a shortcut where the shape stays. No activation at the narrow end, where it would lose too much.
    """

    def __init__(self, in_planes: int, row: Row) -> None:
        super().__init__()
        kernel_size, wide, planes, stride, gated, activation = row
        self.conv_pw = nn.Conv2d(in_planes, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.act1 = nn.ReLU(inplace=True) if activation == "relu" else nn.Hardswish(inplace=True)
        self.conv_dw = nn.Conv2d(
            wide, wide, kernel_size, stride=stride, padding=kernel_size // 2, groups=wide, bias=False
        )
        self.bn2 = nn.BatchNorm2d(wide)
        self.act2 = nn.ReLU(inplace=True) if activation == "relu" else nn.Hardswish(inplace=True)
        self.se = ChannelGate(wide) if gated else nn.Identity()
        self.conv_pwl = nn.Conv2d(wide, planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes)
        self.has_shortcut = stride == 1 and in_planes == planes

    def forward(self, x: Tensor) -> Tensor:
        found = self.act1(self.bn1(self.conv_pw(x)))  # [B wide H W]
        found = self.act2(self.bn2(self.conv_dw(found)))  # [B wide H/stride W/stride]
        found = self.bn3(self.conv_pwl(self.se(found)))  # [B planes H/stride W/stride]
        if self.has_shortcut:
            found += x
        return found  # type: ignore[no-any-return]


class PointwiseConv(nn.Module):
    """1×1 convolution, normalisation, activation: [B in_planes H W] to [B planes H W]."""

    def __init__(self, in_planes: int, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_planes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.act1 = nn.Hardswish(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act1(self.bn1(self.conv(x)))  # type: ignore[no-any-return]  # [B planes H W]


class MobileNetV3(nn.Module):
    """MobileNetV3-Large at width 1: [B in_channels H W] to [B classes] logits.

    dropout: share of the last 1280 features dropped in training.
    """

    n_features = 960  # channels of `forward_features`

    def __init__(self, *, classes: int = 1000, in_channels: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.classes, self.in_channels, self.dropout = classes, in_channels, dropout
        self.conv_stem = nn.Conv2d(in_channels, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = nn.Hardswish(inplace=True)
        stages, planes = [nn.Sequential(SeparableBlock(16))], 16
        for rows in LARGE:
            stage = nn.Sequential()
            for row in rows:
                stage.append(InvertedResidual(planes, row))
                planes = row[2]
            stages.append(stage)
        self.blocks = nn.Sequential(*stages, nn.Sequential(PointwiseConv(planes, self.n_features)))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = nn.Conv2d(self.n_features, 1280, 1)
        self.act2 = nn.Hardswish(inplace=True)
        self.drop = nn.Dropout(dropout)
        self.classifier = nn.Linear(1280, classes)
        initialise_mobilenet(self)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_stem(x)))  # [B 16 H/2 W/2]
        return self.blocks(x)  # type: ignore[no-any-return]  # [B 960 H/32 W/32]

    def forward(self, x: Tensor) -> Tensor:
        x = self.global_pool(self.forward_features(x))  # [B 960 1 1]
        x = self.act2(self.conv_head(x)).flatten(1)  # [B 1280]
        return self.classifier(self.drop(x))  # type: ignore[no-any-return]  # [B K]


def nearest_eight(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, but never more than a tenth below it.

    >>> nearest_eight(18), nearest_eight(30)
    (24, 32)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def initialise_mobilenet(model: nn.Module) -> None:
    """timm's start, in place: He normal by outgoing connections for convolutions, uniform for the classifier."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            outgoing = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / outgoing))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


@spelled
def mobilenetv3_large_100(classes: int = 1000, in_channels: int = 3, *, dropout: float = 0.2) -> MobileNetV3:
    """MobileNetV3-Large: 5.5 million parameters at 1000 classes. [B C H W] to [B classes] logits.

    >>> sum(p.numel() for p in mobilenetv3_large_100().parameters())
    5483032
    """
    return MobileNetV3(classes=classes, in_channels=in_channels, dropout=dropout)
