"""A small convolutional network: quick on a CPU, and enough for digits.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from torch import nn

from satsuma.nn.layers import conv_bn_relu


def small_cnn(in_channels: int = 1, classes: int = 10, *, width: int = 16, dropout: float = 0.0) -> nn.Sequential:
    """Three convolutions, of which two halve the picture, then an average over what is left: [B C H W] to [B K] logits.

    in_channels: C. width: channels of the first convolution; the next have two and four times as many (24,000
    parameters at 16). dropout: share of the last features dropped in training. Any H and W of at least 8.

    >>> import torch
    >>> small_cnn()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return nn.Sequential(
        *conv_bn_relu(in_channels, width, kernel_size=5, stride=2),  # [B width H/2 W/2]
        *conv_bn_relu(width, 2 * width, kernel_size=3, stride=2),  # [B 2*width H/4 W/4]
        *conv_bn_relu(2 * width, 4 * width, kernel_size=3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),  # [B 4*width]
        *([nn.Dropout(dropout)] if dropout else []),
        nn.Linear(4 * width, classes),
    )
