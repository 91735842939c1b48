"""The windows that a kernel sees as it slides over a picture.

Shapes: B batch, C channels, H height, W width, kh kw the window, h w how many windows fit.
"""

from torch import Tensor


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """One number for height and width, or one for each.

    >>> pair(3), pair((3, 5))
    ((3, 3), (3, 5))
    """
    return (value, value) if isinstance(value, int) else value


def padded(x: Tensor, padding: tuple[int, int], value: float) -> Tensor:
    """A frame of `value` around the pictures: [B C H W] to [B C H+2*padding[0] W+2*padding[1]].

    >>> import torch
    >>> padded(torch.ones(1, 1, 1, 1), (0, 1), 7.0)
    tensor([[[[7., 1., 7.]]]])
    """
    top, left = padding
    if top == left == 0:
        return x
    b, c, height, width = x.shape
    framed = x.new_full((b, c, height + 2 * top, width + 2 * left), value)
    framed[:, :, top : top + height, left : left + width] = x  # gradients flow back through the copy
    return framed


def windows(x: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Every window of `size`, `stride` apart: [B C H W] to [B C h w kh kw]. A view: windows overlap in memory.

    >>> import torch
    >>> windows(torch.arange(4.0).reshape(1, 1, 1, 4), (1, 2), (1, 1))
    tensor([[[[[[0., 1.]],
    <BLANKLINE>
              [[1., 2.]],
    <BLANKLINE>
              [[2., 3.]]]]]])
    """
    return x.unfold(2, size[0], stride[0]).unfold(3, size[1], stride[1])
