"""Pictures at other places than their pixels': made smaller or larger, or looked at through a grid of points.

Shapes: B batch, C channels, H height, W width, h w the picture that comes out.
"""

import torch
from torch import Tensor


def resize_weights(length: int, size: int, like: Tensor) -> Tensor:
    """What each of `size` new pixels takes of each of `length` old ones, [size length]: a triangle, its sum 1.

    The triangle is two old pixels wide, or two new ones where these are larger, so that no old pixel is left out.

    >>> resize_weights(4, 2, torch.zeros(()))
    tensor([[0.4286, 0.4286, 0.1429, 0.0000],
            [0.0000, 0.1429, 0.4286, 0.4286]])
    """
    scale = length / size
    old = torch.arange(length, dtype=like.dtype, device=like.device) + 0.5  # [length], the pixels' centres
    new = (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) * scale  # [size]
    weights = (1 - (old - new[:, None]).abs() / max(scale, 1.0)).clamp_min(0)  # [size length]
    return weights / weights.sum(1, keepdim=True)


def interpolate(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures at another size, [B C H W] to [B C *size]: bilinear, averaged where they shrink.

    >>> interpolate(torch.tensor([[[[0.0, 4.0]]]]), (1, 4))
    tensor([[[[0., 1., 3., 4.]]]])
    """
    down, across = resize_weights(x.shape[2], size[0], x), resize_weights(x.shape[3], size[1], x)
    return down @ x @ across.T  # [B C h w]


def grid_sample(x: Tensor, grid: Tensor, padding_mode: str = "zeros") -> Tensor:
    """The pictures [B C H W] at the points of `grid` [B h w 2], each (x, y) from -1 to 1, edge to edge: [B C h w].

    Between four pixels their mean by nearness. padding_mode: what lies outside, "zeros", "border" or "reflection".

    >>> grid_sample(torch.tensor([[[[0.0, 4.0]]]]), torch.tensor([[[[0.0, 0.0]]]]))
    tensor([[[[2.]]]])
    """
    height, width = x.shape[2:]
    column = unfolded(((grid[..., 0] + 1) * width - 1) / 2, width, padding_mode)  # [B h w], 0 at the first pixel
    row = unfolded(((grid[..., 1] + 1) * height - 1) / 2, height, padding_mode)
    left, top = column.floor(), row.floor()
    total = torch.zeros_like(x[:, :, :1, :1])  # [B C 1 1]
    for right in (0, 1):
        for below in (0, 1):
            i, j = top + below, left + right  # [B h w]
            share = (1 - (row - i).abs()) * (1 - (column - j).abs())
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            place = (i.clamp(0, height - 1) * width + j.clamp(0, width - 1)).long()  # [B h w]
            pixels = x.flatten(2).gather(2, place.flatten(1)[:, None].expand(-1, x.shape[1], -1))  # [B C h*w]
            total = total + pixels.reshape(*x.shape[:2], *place.shape[1:]) * (share * inside)[:, None]
    return total  # [B C h w]


def unfolded(place: Tensor, length: int, padding_mode: str) -> Tensor:
    """Places outside 0..length-1 brought back: to the edge, or mirrored at it; any shape.

    >>> unfolded(torch.tensor([-1.0, 1.0, 5.0]), 3, "border")
    tensor([0., 1., 2.])
    """
    if padding_mode == "reflection":
        place = (place + 0.5).abs()
        turns, rest = (place / length).floor(), place % length
        place = torch.where(turns % 2 == 0, rest, length - rest) - 0.5
    return place if padding_mode == "zeros" else place.clamp(0, length - 1)
