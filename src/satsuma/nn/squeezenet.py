"""SqueezeNet: few channels where it counts, so that 1.2 million parameters do what AlexNet's 60 million did.

Source: Iandola and others 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size";
version 1.1 of the authors' repository, which needs 2.4 times less arithmetic. Parameter names and shapes are
torchvision's, so its weight files load as they are.

Shapes: B batch, C channels, H height, W width, K classes.
"""

import torch
from torch import Tensor, nn

from satsuma.errors import spelled
from satsuma.nn.layers import refuse_small


class Fire(nn.Module):
    """1×1 to squeeze the channels, then 1×1 and 3×3 side by side: [B in_planes H W] to [B 2*expand H W]."""

    def __init__(self, in_planes: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_planes, squeeze, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))  # [B squeeze H W]
        point = self.expand1x1_activation(self.expand1x1(x))  # [B expand H W]
        area = self.expand3x3_activation(self.expand3x3(x))  # [B expand H W]
        return torch.cat([point, area], 1)  # [B 2*expand H W]


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1: [B in_channels H W] to [B classes] logits. H and W of at least 17, else ValueError.

    dropout: share of the last feature map dropped in training, before the 1×1 convolution that is the classifier.
    """

    n_features = 512  # channels of `forward_features`
    least_size = 17  # pixels of a side

    def __init__(self, *, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.classes, self.in_channels, self.dropout = classes, in_channels, dropout
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 3, stride=2),  # [B 64 H/2 W/2], all sizes but for the borders
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # [B 64 H/4 W/4]
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # [B 128 H/8 W/8]
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # [B 256 H/16 W/16]
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),  # [B 512 H/16 W/16]
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Conv2d(512, classes, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )
        initialise_squeezenet(self)

    def forward_features(self, x: Tensor) -> Tensor:
        refuse_small(x, "SqueezeNet", self.least_size)
        return self.features(x)  # type: ignore[no-any-return]  # [B 512 H/16 W/16]

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.forward_features(x)).flatten(1)  # type: ignore[no-any-return]  # [B K]


def initialise_squeezenet(model: SqueezeNet) -> None:
    """torchvision's start, in place: He uniform for convolutions, a small normal for the classifier, biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if module is model.classifier[1]:
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@spelled
def squeezenet1_1(classes: int = 1000, in_channels: int = 3, *, dropout: float = 0.5) -> SqueezeNet:
    """SqueezeNet 1.1: 1.2 million parameters at 1000 classes. [B C H W] to [B classes] logits.

    >>> sum(p.numel() for p in squeezenet1_1().parameters())
    1235496
    """
    return SqueezeNet(classes=classes, in_channels=in_channels, dropout=dropout)
