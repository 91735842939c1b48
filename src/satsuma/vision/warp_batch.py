"""`warp_batch`: frames of pictures that are a float batch already, on any device. B batch, C channels, H, W."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from satsuma.vision.frame import IDENTITY, Frame, finest_steps


def warp_batch(batch: Tensor, frames: Sequence[Frame]) -> Tensor:
    """What `frames[b]` shows of each picture: [B C H W], any float → [B C height width]; all frames of one size.

    Shifts by whole pixels and mirror images are exact; the rest is bilinear, averaged first where it shrinks.
    """
    if not len(batch):
        return batch
    sizes = {(f.height, f.width) for f in frames}
    if len(sizes) > 1:
        raise ValueError(f"the pictures of a batch become of different sizes: {sorted(sizes)}")
    if all(f.matrix == IDENTITY for f in frames) and sizes == {tuple(batch.shape[2:])}:
        return batch
    if all(f == frames[0] for f in frames) and is_plain_resize(frames[0]):
        return F.interpolate(batch, size=sizes.pop(), mode="bilinear", antialias=True)
    parts = [moved_pixels(x, f) if moves_pixels(f) else resampled(x, f) for x, f in zip(batch, frames, strict=True)]
    return torch.stack(parts)


def is_plain_resize(frame: Frame) -> bool:
    """Whether the window is the whole photo, upright."""
    a, b, c, d, e, f, g, h, _ = frame.matrix
    if any((b, c, d, f, g, h)):
        return False
    return near(a * frame.width, frame.photo_width) and near(e * frame.height, frame.photo_height)


def near(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6 * b


def moves_pixels(frame: Frame) -> bool:
    """Whether each pixel of the window is one of the photo's."""
    a, b, c, d, e, f, g, h, i = frame.matrix
    unit = {abs(a), abs(b)} == {0, 1} == {abs(d), abs(e)} and abs(a) == abs(e)
    return unit and g == h == 0 and i == 1 and c == int(c) and f == int(f)


def moved_pixels(picture: Tensor, frame: Frame) -> Tensor:
    """[C H W] → [C height width], by indexing."""
    a, b, c, d, e, f = frame.matrix[:6]
    device = picture.device
    x = torch.arange(frame.width, device=device) + 0.5
    y = (torch.arange(frame.height, device=device) + 0.5)[:, None]
    columns, rows = (a * x + b * y + c).floor().long(), (d * x + e * y + f).floor().long()
    _, height, width = picture.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    moved = picture[:, bordered_index(rows, height, frame.border), bordered_index(columns, width, frame.border)]
    return moved * inside if frame.border == "zeros" else moved


def bordered_index(index: Tensor, length: int, border: str) -> Tensor:
    if border != "reflection":
        return index.clamp(0, length - 1)
    index = index % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index)


def resampled(picture: Tensor, frame: Frame) -> Tensor:
    """[C H W] → [C height width]: the mean of whole blocks where the window shrinks by 2 or more, then bilinear."""
    step_x, step_y = finest_steps(frame.matrix, frame.height, frame.width)
    across, down = max(1, int(step_x + 0.02)), max(1, int(step_y + 0.02))
    if across > 1 or down > 1:
        picture = F.avg_pool2d(picture[None], (down, across), ceil_mode=True, count_include_pad=False)[0]
    matrix = torch.tensor(frame.matrix, dtype=torch.float64, device=picture.device).view(3, 3)
    x = torch.arange(frame.width, dtype=torch.float64, device=picture.device) + 0.5
    y = (torch.arange(frame.height, dtype=torch.float64, device=picture.device) + 0.5)[:, None]
    at_x, at_y, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)  # [H W] each
    _, height, width = picture.shape
    # without align_corners -1 and 1 are the picture's outer edges, about which reflection mirrors
    grid = torch.stack((2 * at_x / depth / across / width - 1, 2 * at_y / depth / down / height - 1), 2)[None]
    kind = torch.float64 if picture.dtype == torch.float64 else torch.float32  # CPUs give NaN in half precision
    shown = F.grid_sample(picture[None].to(kind), grid.to(kind), padding_mode=frame.border, align_corners=False)
    return shown[0].to(picture.dtype)
