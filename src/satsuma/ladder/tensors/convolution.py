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
        self.groups = groups
        self.weight = start_weight(torch.empty(out_channels, in_channels // groups, *self.kernel_size))  # [O C/G kh kw]
        self.bias = start_bias(self.weight) if bias else None  # [O]

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        patches = windows(padded(x, self.padding, 0.0), self.kernel_size, self.stride)  # [B C h w kh kw]
        b, _, h, w, _, _ = patches.shape
        columns = patches.permute(0, 1, 4, 5, 2, 3).reshape(b, self.groups, -1, h * w)  # [B G C/G*kh*kw h*w]
        kernels = self.weight.reshape(self.groups, len(self.weight) // self.groups, -1)  # [G O/G C/G*kh*kw]
        out = (kernels @ columns).reshape(b, -1, h, w)  # [B O h w]
        return out if self.bias is None else out + self.bias[:, None, None]
