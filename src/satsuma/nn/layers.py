"""Small pieces that several models share."""

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """Adds normal noise of deviation `std` while training, nothing in evaluation; any shape, float.

    Small noise on the inputs smooths what is learnt, much as weight decay does.
    Source: Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization".

    >>> GaussianNoise(0.1).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        if std < 0:
            raise ValueError(f"GaussianNoise: std={std}; expected 0 or more")
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.std == 0:
            return x  # [B ...]
        return x + self.std * torch.randn_like(x)  # [B ...]

    def extra_repr(self) -> str:
        return f"std={self.std}"


def refuse_small(x: Tensor, network: str, least_size: int) -> None:
    """`ValueError` for pictures [B C H W] of which nothing would be left after the network's strides."""
    height, width = x.shape[-2:]
    if min(height, width) < least_size:
        raise ValueError(
            f"{network} needs pictures of at least {least_size}×{least_size} pixels, got {height}×{width}: make them "
            f"larger, item_tfms=Resize({least_size}) or more, or take another network"
        )


def conv_bn_relu(in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU: [B C H W] to [B out_channels H/stride W/stride] (rounded up).

    The convolution has no bias: the normalisation would subtract it again.

    >>> conv_bn_relu(2, 3, stride=2)(torch.zeros(5, 2, 7, 7)).shape
    torch.Size([5, 3, 4, 4])
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
