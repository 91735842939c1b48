"""Convolution as one matrix product: every window of the picture is a column, every kernel a row.

The columns are known as *im2col*. Source: Chellapilla, Puri and Simard 2006, "High Performance Convolutional Neural
Networks for Document Processing".

Shapes: B batch, C channels in, H height, W width, O channels out, kh kw the kernel, h w the picture that comes out,
G groups.
"""

import torch
from torch import Tensor

from satsuma.ladder.tensors.init import start_bias, start_weight
from satsuma.ladder.tensors.windows import padded, pair, windows


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    *,
    groups: int = 1,
) -> Tensor:
    """Each kernel slid over the picture, its sum of products noted: [B C H W] to [B O h w].

    weight: [O C/G kh kw], bias: [O]. `h = (H + 2 padding - kh) // stride + 1`, and w likewise.
    """
    kernel_size = (weight.shape[2], weight.shape[3])
    patches = windows(padded(x, pair(padding), 0.0), kernel_size, pair(stride))  # [B C h w kh kw]
    b, _, h, w, _, _ = patches.shape
    columns = patches.permute(0, 1, 4, 5, 2, 3).reshape(b, groups, -1, h * w)  # [B G C/G*kh*kw h*w]
    kernels = weight.reshape(groups, len(weight) // groups, -1)  # [G O/G C/G*kh*kw]
    out = (kernels @ columns).reshape(b, -1, h, w)  # [B O h w]
    return out if bias is None else out + bias[:, None, None]


class Conv2d:
    """Each kernel [C kh kw] slid over the picture, its sum of products noted: [B C H W] to [B O h w].

    `h = (H + 2 padding - kh) // stride + 1`, and w likewise. groups: kernels see only their own share of the channels;
    with `groups=C` each sees one (a depthwise convolution).

    >>> Conv2d(2, 3, 5, stride=2, padding=2)(torch.zeros(7, 2, 28, 28)).shape
    torch.Size([7, 3, 14, 14])
    """

    training = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.weight = start_weight(torch.empty(out_channels, in_channels // groups, *self.kernel_size))  # [O C/G kh kw]
        self.bias = start_bias(self.weight) if bias else None  # [O]

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)  # [B O h w]
