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


def padded(x: Tensor, padding: tuple[int, int], value: float, more: tuple[int, int] = (0, 0)) -> Tensor:
    """A frame of `value` around the pictures: [B C H W] to [B C H+2*padding[0] W+2*padding[1]].

    more: rows below and columns on the right that are added to the frame.

    >>> import torch
    >>> padded(torch.ones(1, 1, 1, 1), (0, 1), 7.0)
    tensor([[[[7., 1., 7.]]]])
    """
    top, left = padding
    if top == left == 0 and more == (0, 0):
        return x
    b, c, height, width = x.shape
    framed = x.new_full((b, c, height + 2 * top + more[0], width + 2 * left + more[1]), value)
    framed[:, :, top : top + height, left : left + width] = x  # gradients flow back through the copy
    return framed


def missing_pixels(length: int, size: int, stride: int, padding: int) -> int:
    """How many pixels the last window wants if one that is not full counts too, as long as it begins in the picture.

    >>> missing_pixels(8, 3, 2, 0), missing_pixels(7, 3, 2, 0)
    (1, 0)
    """
    steps = -((size - length - 2 * padding) // stride)  # rounded up
    if steps * stride >= length + padding:
        steps -= 1
    return max(0, steps * stride + size - length - 2 * padding)


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
