"""Layers without weights of their own as functions: what a `forward` calls in passing.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from satsuma.ladder.tensors.noise import Dropout
from satsuma.ladder.tensors.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """`Dropout`, any shape; nothing happens unless `training`."""
    return Dropout(p)(x) if training else x


def max_pool2d(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    *,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest number of each window, [B C H W] to [B C h w]."""
    return MaxPool2d(kernel_size, stride, padding, ceil_mode=ceil_mode)(x)


def avg_pool2d(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, [B C H W] to [B C h w]."""
    return AvgPool2d(kernel_size, stride, padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)(x)


def adaptive_avg_pool2d(x: Tensor, output_size: int | tuple[int, int]) -> Tensor:
    """The mean of each share of the picture, [B C H W] to [B C h w]."""
    return AdaptiveAvgPool2d(output_size)(x)


def adaptive_max_pool2d(x: Tensor, output_size: int | tuple[int, int]) -> Tensor:
    """The largest number of each share of the picture, [B C H W] to [B C h w]."""
    return AdaptiveMaxPool2d(output_size)(x)


def one_hot(numbers: Tensor, num_classes: int = -1) -> Tensor:
    """Class numbers int64 [B ...] as rows of zeros with a single one: int64 [B ... K].

    >>> one_hot(torch.tensor([1, 0]), 3)
    tensor([[0, 1, 0],
            [1, 0, 0]])
    """
    classes = int(numbers.max()) + 1 if num_classes == -1 else num_classes
    return (numbers.unsqueeze(-1) == torch.arange(classes, device=numbers.device)).long()


def pad(x: Tensor, pad: Sequence[int], value: float = 0.0) -> Tensor:
    """A frame of `value`; pad: how much (left, right) of the last dimension, then of the one before it, and so on.

    >>> pad(torch.ones(1, 1), (1, 0, 0, 1))
    tensor([[0., 1.],
            [0., 0.]])
    """
    ends = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]  # by dimension
    framed = x.new_full([before + n + after for n, (before, after) in zip(x.shape, ends, strict=True)], value)
    framed[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, ends, strict=True))] = x
    return framed


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along `dim` made 1 long.

    >>> normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length: Tensor = torch.linalg.vector_norm(x, p, dim, keepdim=True)
    return x / length.clamp_min(eps)


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`LayerNorm` with a scale and a shift from elsewhere: [B ... D], the shape stays."""
    over = tuple(range(-len(normalized_shape), 0))
    out = (x - x.mean(over, keepdim=True)) / (x.var(over, correction=0, keepdim=True) + eps).sqrt()
    out = out if weight is None else out * weight
    return out if bias is None else out + bias
