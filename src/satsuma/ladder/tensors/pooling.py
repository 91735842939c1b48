"""Pooling: many pixels to one, by their largest or their mean.

Shapes: B batch, C channels, H height, W width, kh kw the window, h w the picture that comes out.
"""

import torch
from torch import Tensor

from satsuma.ladder.tensors.windows import missing_pixels, padded, pair, windows


class MaxPool2d:
    """The largest number of each window, [B C H W] to [B C h w]; windows side by side unless `stride` is given.

    Of equal numbers the first in reading order gets the whole gradient, as in torch. ceil_mode: a last window that is
    not full counts too.

    >>> MaxPool2d(2)(torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]))
    tensor([[[[8., 6.]]]])
    """

    training = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.ceil_mode = ceil_mode

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        more = missing_below_and_right(x, self.kernel_size, self.stride, self.padding) if self.ceil_mode else (0, 0)
        framed = padded(x, self.padding, -torch.inf, more)
        patches = windows(framed, self.kernel_size, self.stride)  # [B C h w kh kw]
        return patches.flatten(4).max(-1).values  # [B C h w]


class AvgPool2d:
    """The mean of each window, [B C H W] to [B C h w]; windows side by side unless `stride` is given.

    The zeros of the padding count as numbers, as in torch, unless count_include_pad is False. ceil_mode: a last window
    that is not full counts too.

    >>> AvgPool2d(2)(torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]))
    tensor([[[[4.5000, 4.5000]]]])
    """

    training = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        more = missing_below_and_right(x, self.kernel_size, self.stride, self.padding) if self.ceil_mode else (0, 0)
        patches = windows(padded(x, self.padding, 0.0, more), self.kernel_size, self.stride)  # [B C h w kh kw]
        if self.count_include_pad and more == (0, 0):
            return patches.mean((4, 5))  # [B C h w]
        counted = padded(torch.ones_like(x[:1, :1]), self.padding, float(self.count_include_pad))
        counts = windows(padded(counted, (0, 0), 0.0, more), self.kernel_size, self.stride).sum((4, 5))  # [1 1 h w]
        return patches.sum((4, 5)) / counts  # [B C h w]


def missing_below_and_right(
    x: Tensor, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """How many rows and columns the last windows on pictures [B C H W] want if one that is not full counts too."""
    return (
        missing_pixels(x.shape[2], size[0], stride[0], padding[0]),
        missing_pixels(x.shape[3], size[1], stride[1], padding[1]),
    )


class AdaptiveAvgPool2d:
    """The mean of each share of the picture, of `output_size` shares by height and width: [B C H W] to [B C h w].

    >>> AdaptiveAvgPool2d(1)(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[2.]]]])
    """

    training = True

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        self.output_size = pair(output_size)

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        means = [part.mean((2, 3)) for part in shares_of_picture(x, self.output_size)]  # [B C] each
        return torch.stack(means, 2).reshape(*x.shape[:2], *self.output_size)  # [B C h w]


class AdaptiveMaxPool2d:
    """The largest number of each share of the picture, `output_size` by height and width: [B C H W] to [B C h w].

    >>> AdaptiveMaxPool2d(1)(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[3.]]]])
    """

    training = True

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        self.output_size = pair(output_size)

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        largest = [part.flatten(2).max(-1).values for part in shares_of_picture(x, self.output_size)]  # [B C] each
        return torch.stack(largest, 2).reshape(*x.shape[:2], *self.output_size)  # [B C h w]


def shares_of_picture(x: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """The picture [B C H W] in `size` parts by height and width, row by row; they overlap where they do not fit."""
    height, width = x.shape[2:]
    rows = [slice(i * height // size[0], -(-(i + 1) * height // size[0])) for i in range(size[0])]
    columns = [slice(j * width // size[1], -(-(j + 1) * width // size[1])) for j in range(size[1])]
    return [x[:, :, row, column] for row in rows for column in columns]


class AdaptiveConcatPool2d:
    """The largest and the mean of each share of the picture, in this order: [B C H W] to [B 2*C size size].

    The largest tells whether a feature is there at all, the mean how much of it.
    Source: Howard and Gugger 2020, "fastai: A Layered API for Deep Learning".

    >>> AdaptiveConcatPool2d()(torch.tensor([[[[1.0, 3.0]]]])).flatten()
    tensor([3., 2.])
    """

    training = True

    def __init__(self, size: int = 1) -> None:
        self.size = pair(size)

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        pooled = AdaptiveMaxPool2d(self.size)(x), AdaptiveAvgPool2d(self.size)(x)
        return torch.cat(pooled, 1)  # [B 2*C size size]
