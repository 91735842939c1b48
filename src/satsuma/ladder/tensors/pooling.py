"""Pooling: many pixels to one, by their largest or their mean.

Shapes: B batch, C channels, H height, W width, kh kw the window, h w the picture that comes out.
"""

import torch
from torch import Tensor

from satsuma.ladder.tensors.windows import padded, pair, windows


class MaxPool2d:
    """The largest number of each window, [B C H W] to [B C h w]; windows side by side unless `stride` is given.

    Of equal numbers the first in reading order gets the whole gradient, as in torch.

    >>> MaxPool2d(2)(torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]))
    tensor([[[[8., 6.]]]])
    """

    training = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        patches = windows(padded(x, self.padding, -torch.inf), self.kernel_size, self.stride)  # [B C h w kh kw]
        return patches.flatten(4).max(-1).values  # [B C h w]


class AvgPool2d:
    """The mean of each window, [B C H W] to [B C h w]; windows side by side unless `stride` is given.

    The zeros of the padding count as numbers, as in torch.

    >>> AvgPool2d(2)(torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]))
    tensor([[[[4.5000, 4.5000]]]])
    """

    training = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        patches = windows(padded(x, self.padding, 0.0), self.kernel_size, self.stride)  # [B C h w kh kw]
        return patches.mean((4, 5))  # [B C h w]


class AdaptiveAvgPool2d:
    """The mean of each channel over the whole picture: [B C H W] to [B C 1 1].

    >>> AdaptiveAvgPool2d(1)(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[2.]]]])
    """

    training = True

    def __init__(self, output_size: int) -> None:
        if output_size != 1:
            raise ValueError(f"AdaptiveAvgPool2d: output_size={output_size}; only 1, the whole picture, is written out")

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        return x.mean((2, 3), keepdim=True)  # [B C 1 1]


class AdaptiveMaxPool2d:
    """The largest number of each channel over the whole picture: [B C H W] to [B C 1 1].

    >>> AdaptiveMaxPool2d(1)(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[3.]]]])
    """

    training = True

    def __init__(self, output_size: int) -> None:
        if output_size != 1:
            raise ValueError(f"AdaptiveMaxPool2d: output_size={output_size}; only 1, the whole picture, is written out")

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        return x.flatten(2).max(-1).values[:, :, None, None]  # [B C 1 1]


class AdaptiveConcatPool2d:
    """The largest and the mean of each channel over the whole picture, in this order: [B C H W] to [B 2*C 1 1].

    The largest tells whether a feature is there at all, the mean how much of it.
    Source: Howard and Gugger 2020, "fastai: A Layered API for Deep Learning".

    >>> AdaptiveConcatPool2d()(torch.tensor([[[[1.0, 3.0]]]])).flatten()
    tensor([3., 2.])
    """

    training = True

    def __init__(self, size: int = 1) -> None:
        if size != 1:
            raise ValueError(f"AdaptiveConcatPool2d: size={size}; only 1, the whole picture, is written out")

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        largest, mean = x.flatten(2).max(-1).values, x.mean((2, 3))  # [B C] each
        return torch.cat((largest, mean), 1)[:, :, None, None]  # [B 2*C 1 1]
