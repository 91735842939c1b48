"""`warp`: the pixels that a `Frame` shows, sampled once, from the decoded photo straight to the final size.

H height, W width, C channels. Three ways, chosen by the frame: nothing to do, an antialiased resize (windows that are
not turned), or one OpenCV warp, after a box filter where the window shrinks the photo much.
"""

import math
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.seeds import sample_generators
from satsuma.vision.frame import (
    IDENTITY,
    Frame,
    Matrix,
    before_the_horizon,
    finest_steps,
    is_affine,
    matrix_product,
    whole_frame,
)
from satsuma.vision.settings import refuse_generator
from satsuma.vision.warp_batch import warp_batch

# photo pixels for one of the window, and what PSNR to the true mean came of it (mean of photos of pets)
TWO_TAPS_FROM = 1.6  # from here one bilinear sample is below 38.5 dB, two are 43 and take twice as long
LEAST_AFTER_HALVING = 1.2  # a window's step over halved pixels: at 1 they blur it to 38 dB, from here it is 40
FINE_FROM = 2.0  # beyond, an antialiased resize goes to twice the size, whose squares of four are averaged
ALIGNED = 0.06  # pixels of the window by which a resize may be off; what it cannot meet so closely is warped
LARGEST_SIDE = 32_000  # OpenCV's warps take up to 32,767
CV2_BORDERS = {
    "reflection": cv2.BORDER_REFLECT,
    "border": cv2.BORDER_REPLICATE,
    "zeros": cv2.BORDER_CONSTANT,
}
INDEX_MODES = ("P", "I", "I;16")  # of PIL images whose pixels are names rather than amounts: palettes, masks


def warp(
    pixels: np.ndarray, frame: Frame, *, shrink: int = 1, nearest: bool = False, out: np.ndarray | None = None
) -> np.ndarray:
    """What `frame` shows of a photo: uint8 [H W C], the photo decoded at 1/`shrink` → uint8 [frame.height width C].

    A picture decoded at 1/`shrink` has a pixel more where the photo's side is no multiple of it. [H W] gives [H W].
    `nearest`: exact choice of one pixel, for masks of any dtype. A frame that shows the photo as it is gives `pixels`
    itself, or a view of it. With `out` the result is written there.
    """
    matrix = frame.matrix
    size = (frame.height, frame.width)
    if shrink == 1 and matrix == IDENTITY and size == (frame.photo_height, frame.photo_width):
        shown = pixels
    else:
        if shrink > 1:
            matrix = matrix_product((1 / shrink, 0, 0, 0, 1 / shrink, 0, 0, 0, 1), matrix)
        shown = chosen(pixels, matrix, size, frame.border) if nearest else turned(pixels, matrix, size, frame.border)
        if shown.ndim < pixels.ndim:  # OpenCV drops a single channel
            shown = shown[..., None]
    if out is None:
        return shown
    np.copyto(out, shown)
    return out


# windows that lie upright, mirrored or on their side


def turned(pixels: np.ndarray, matrix: Matrix, size: tuple[int, int], border: str) -> np.ndarray:
    """Windows without tilt are resized upright, then mirrored or laid on their side; others are sampled."""
    a, b, c, d, e, f = matrix[:6]
    sideways = a == 0 and e == 0 and b != 0 and d != 0
    if not is_affine(matrix) or matrix[8] != 1 or not (sideways or (b == 0 and d == 0 and a != 0 and e != 0)):
        return sampled(pixels, matrix, size, border)
    if sideways:
        return cv2.transpose(turned(pixels, (b, 0.0, c, 0.0, d, f, 0.0, 0.0, 1.0), size[::-1], border))
    left, top = c if a > 0 else c + a * size[1], f if e > 0 else f + e * size[0]
    shown = resized(pixels, abs(a), left, abs(e), top, size, border)
    if a < 0 or e < 0:
        shown = cv2.flip(shown, -1 if a < 0 and e < 0 else 1 if a < 0 else 0)
    return shown


def resized(
    pixels: np.ndarray, step_x: float, left: float, step_y: float, top: float, size: tuple[int, int], border: str
) -> np.ndarray:
    """An upright window whose pixels are `step_x` × `step_y` of the photo's, its corner at (`left`, `top`)."""
    height, width = size
    columns = shown_range(left, step_x, width, pixels.shape[1], border)
    rows = shown_range(top, step_y, height, pixels.shape[0], border)
    inside = None
    if columns and rows:
        left, top = left + columns[0] * step_x, top + rows[0] * step_y
        inside = resized_inside(pixels, step_x, left, step_y, top, (rows[1] - rows[0], columns[1] - columns[0]))
    if inside is None or columns is None or rows is None:
        matrix = (step_x, 0.0, left, 0.0, step_y, top, 0.0, 0.0, 1.0)
        return sampled(pixels, matrix, size, border, two_taps_from=1.0)
    margins = (rows[0], height - rows[1], columns[0], width - columns[1])
    return cv2.copyMakeBorder(inside, *margins, CV2_BORDERS[border]) if any(margins) else inside


def shown_range(start: float, step: float, n: int, length: int, border: str) -> tuple[int, int] | None:
    """Which of `n` window pixels, each `step` long from `start`, lie on 0..`length`.

    None if an edge cuts a pixel, or if more is to be filled than those that are shown could be mirrored to.
    """
    first, last = max(0.0, -start / step), min(float(n), (length - start) / step)
    whole_first, whole_last = round(first), round(last)
    if abs(first - whole_first) > ALIGNED or abs(last - whole_last) > ALIGNED or whole_last <= whole_first:
        return None
    if border == "reflection" and max(whole_first, n - whole_last) > whole_last - whole_first:
        return None
    return whole_first, whole_last


def resized_inside(
    pixels: np.ndarray, step_x: float, left: float, step_y: float, top: float, size: tuple[int, int]
) -> np.ndarray | None:
    """`resized` for a window inside the photo; None if the antialiased resize cannot meet its place closely enough."""
    height, width = size
    if step_x == 1 and step_y == 1 and left == int(left) and top == int(top):
        return pixels[int(top) : int(top) + height, int(left) : int(left) + width]
    fine_x, fine_y = (2 if step > FINE_FROM else 1 for step in (step_x, step_y))
    step_x, step_y, height, width = step_x / fine_x, step_y / fine_y, height * fine_y, width * fine_x
    extra_x, first_x = whole_start(left, step_x)
    extra_y, first_y = whole_start(top, step_y)
    if first_x < 0 or first_y < 0:
        return None
    last_x = min(pixels.shape[1], first_x + math.ceil((width + extra_x + 1) * step_x) + 1)
    last_y = min(pixels.shape[0], first_y + math.ceil((height + extra_y + 1) * step_y) + 1)
    part = pixels[first_y:last_y, first_x:last_x]
    shown = antialiased(part, (height + extra_y, width + extra_x), step_y, step_x)[extra_y:, extra_x:]
    if shown.ndim < pixels.ndim:
        shown = shown[..., None]
    return box_filtered(shown, (0, width), (0, height), fine_x, fine_y) if fine_x * fine_y > 1 else shown


def whole_start(start: float, step: float) -> tuple[int, int]:
    """How many window pixels to begin early so that the first begins at a whole photo pixel, and at which; -1 if none.

    PyTorch's resize knows no crop by parts of a pixel; a few columns more, thrown away, bring it there.
    """
    best, found = ALIGNED * step, (0, -1)
    for extra in range(1 if start >= step else 0, 24):  # one early anyway, as the filter reaches beyond the crop
        begin = start - extra * step
        off = abs(begin - round(begin))
        if begin < -best:
            break
        if off < best:
            best, found = off, (extra, max(0, round(begin)))
        if off < best / 8 or off < 0.01:
            break
    return found


def antialiased(pixels: np.ndarray, size: tuple[int, int], step_y: float, step_x: float) -> np.ndarray:
    """A resize by exactly these steps, uint8 [H W] or [H W C] → `size`: bilinear up, a triangle as wide as needed down.

    PyTorch's kernel: a quarter of the time of OpenCV's INTER_AREA, and nearer to the true mean.
    """
    if not pixels.flags.writeable:
        pixels = pixels.copy()  # PyTorch warns of memory that must not be written
    grey = pixels.ndim == 2 or pixels.shape[2] == 1
    if grey:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)  # for one channel the kernel is slow
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    shown: Tensor = torch.ops.aten._upsample_bilinear2d_aa(planes, list(size), False, 1 / step_y, 1 / step_x)
    result: np.ndarray = shown[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(result[..., 0]) if grey else result


# windows that are turned, sheared or seen in perspective


def sampled(
    pixels: np.ndarray, matrix: Matrix, size: tuple[int, int], border: str, two_taps_from: float = TWO_TAPS_FROM
) -> np.ndarray:
    """One bilinear warp by `matrix` (window → `pixels`), after a box filter where it shrinks by 2 or more."""
    if not is_affine(matrix):
        matrix = before_the_horizon(matrix, size[0], size[1])
    step_x, step_y = finest_steps(matrix, size[0], size[1])
    factor_x, factor_y = halvings(step_x / LEAST_AFTER_HALVING), halvings(step_y / LEAST_AFTER_HALVING)
    columns, rows = needed(matrix, size, pixels.shape, factor_x, factor_y)
    while (columns[1] - columns[0]) / factor_x > LARGEST_SIDE:
        factor_x *= 2
    while (rows[1] - rows[0]) / factor_y > LARGEST_SIDE:
        factor_y *= 2
    if factor_x > 1 or factor_y > 1:
        columns, rows = needed(matrix, size, pixels.shape, factor_x, factor_y)
        part = box_filtered(pixels, columns, rows, factor_x, factor_y)
    else:
        part = pixels[rows[0] : rows[1], columns[0] : columns[1]]
    place = (1 / factor_x, 0.0, -columns[0] / factor_x, 0.0, 1 / factor_y, -rows[0] / factor_y, 0.0, 0.0, 1.0)
    two_taps = max(step_x / factor_x, step_y / factor_y) > two_taps_from
    return warped(part, matrix_product(place, matrix), size, border, two_taps)


def halvings(step: float) -> int:
    """The largest power of two up to `step`; 1 if that is less."""
    factor = 1
    while factor * 2 <= step:
        factor *= 2
    return factor


def warped(part: np.ndarray, matrix: Matrix, size: tuple[int, int], border: str, two_taps: bool) -> np.ndarray:
    """OpenCV's warp. Three channels travel as four, for which it has a kernel that is more than twice as fast."""
    colour = part.ndim == 3 and part.shape[2] == 3
    if colour:
        part = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)
    if two_taps:  # half a pixel apart on the diagonal
        one, two = (one_warp(part, matrix, size, border, shift) for shift in (-0.2, 0.2))
        shown = cv2.addWeighted(one, 0.5, two, 0.5, 0.0)
    else:
        shown = one_warp(part, matrix, size, border, 0.0)
    return cv2.cvtColor(shown, cv2.COLOR_RGBA2RGB) if colour else shown


def one_warp(part: np.ndarray, matrix: Matrix, size: tuple[int, int], border: str, shift: float) -> np.ndarray:
    """OpenCV counts from the centre of the first pixel, frames from its corner."""
    a, b, c, d, e, f, g, h, i = matrix
    along = 0.5 + shift
    c, f, i = c + along * (a + b), f + along * (d + e), i + along * (g + h)
    place = np.array(((a - g / 2, b - h / 2, c - i / 2), (d - g / 2, e - h / 2, f - i / 2), (g, h, i)))
    flags, mode = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, CV2_BORDERS[border]
    if is_affine(matrix):
        return cv2.warpAffine(part, place[:2], size[::-1], flags=flags, borderMode=mode)
    return cv2.warpPerspective(part, place, size[::-1], flags=flags, borderMode=mode)


def needed(
    matrix: Matrix, size: tuple[int, int], shape: tuple[int, ...], factor_x: int, factor_y: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(first, stop) column and row of a picture of `shape` that a window samples, mirroring at its edges counted."""
    height, width = size
    a, b, c, d, e, f, g, h, i = matrix
    corners = [(x, y, g * x + h * y + i) for x, y in ((0, 0), (width, 0), (0, height), (width, height))]
    xs = [(a * x + b * y + c) / depth for x, y, depth in corners]
    ys = [(d * x + e * y + f) / depth for x, y, depth in corners]
    return span(min(xs), max(xs), shape[1], factor_x), span(min(ys), max(ys), shape[0], factor_y)


def span(low: float, high: float, length: int, factor: int) -> tuple[int, int]:
    """The pixels of 0..`length` needed to sample `low`..`high`, a multiple of `factor` where there are enough."""
    low, high = low - 2 * factor, high + 2 * factor
    if low < 0:
        low, high = 0, max(high, -low)
    if high > length:
        low, high = min(low, 2 * length - high), length
    start = min(max(0, math.floor(low)), length - 1)
    stop = min(length, max(math.ceil(high), start + 1))
    missing = -(stop - start) % factor
    more = min(missing, length - stop)
    return max(0, start - (missing - more)), stop + more


def box_filtered(
    pixels: np.ndarray, columns: tuple[int, int], rows: tuple[int, int], factor_x: int, factor_y: int
) -> np.ndarray:
    """The mean of each `factor_y` × `factor_x` pixels of a part of the picture; the last of a row may lack some.

    The factors are powers of two, as OpenCV halves ten times as fast as it takes any other mean.
    """
    part = pixels[rows[0] : rows[1], columns[0] : columns[1]]
    below, beside = -part.shape[0] % factor_y, -part.shape[1] % factor_x
    if below or beside:
        part = cv2.copyMakeBorder(part, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    while factor_x > 1 or factor_y > 1:
        by_x, by_y = min(2, factor_x), min(2, factor_y)
        size = (part.shape[1] // by_x, part.shape[0] // by_y)
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        factor_x, factor_y = factor_x // by_x, factor_y // by_y
    return part[..., None] if part.ndim < pixels.ndim else part


# masks


def chosen(pixels: np.ndarray, matrix: Matrix, size: tuple[int, int], border: str) -> np.ndarray:
    """The pixel in which each window pixel's centre lies, exactly, whatever the dtype."""
    height, width = size
    a, b, c, d, e, f, g, h, i = matrix
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    if is_affine(matrix) and b == 0 and d == 0:
        at_x, at_y = (a * x + c) / i, (e * y + f) / i  # [W], [H 1]
    else:
        depth = g * x + h * y + i
        at_x, at_y = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth  # [H W]
    columns, rows = np.floor(at_x).astype(np.int64), np.floor(at_y).astype(np.int64)
    shown: np.ndarray = pixels[bordered(rows, pixels.shape[0], border), bordered(columns, pixels.shape[1], border)]
    if border == "zeros":
        outside = (columns < 0) | (columns >= pixels.shape[1]) | (rows < 0) | (rows >= pixels.shape[0])
        shown[outside] = 0
    return shown


def bordered(index: np.ndarray, length: int, border: str) -> np.ndarray:
    """Indices that may leave 0..`length` - 1 → those that stand in for them."""
    if border != "reflection":
        return index.clip(0, length - 1)
    index = index % (2 * length)
    mirrored: np.ndarray = np.minimum(index, 2 * length - 1 - index)
    return mirrored


# a geometry transform by itself


def placed_alone(transform: Any, picture: Any, rng: Any = None) -> Any:
    """`transform` (with a method `place`) applied to a PIL image, uint8 [H W] or [H W C], or a batch float [B C H W].

    Palettes, and arrays of another dtype than uint8, are masks: nearest. For a batch `rng` is a `torch.Generator` and
    each picture has its own draws; else it is NumPy's.
    """
    if isinstance(picture, Tensor):
        return placed_batch(transform, picture, rng)
    name = type(transform).__name__
    if not isinstance(picture, np.ndarray | Image.Image):
        got = type(picture).__name__
        raise TypeError(
            f"{name}: expected a PIL image, an array [H W] or [H W C], or a batch [B C H W], got {got}; "
            f"read a file by read_image(path)"
        )
    refuse_generator(transform, rng, batch=False)
    pixels = np.asarray(picture)
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ValueError(f"{name}: a picture is [H W] or [H W C], of one pixel or more, got {list(pixels.shape)}")
    frame: Frame = transform.place(whole_frame(pixels.shape[0], pixels.shape[1]), rng)
    if not isinstance(picture, Image.Image):
        return warp(pixels, frame, nearest=pixels.dtype != np.uint8)
    if picture.mode == "1":
        return placed_alone(transform, picture.convert("L"), rng).convert("1")
    shown = warp(pixels, frame, nearest=picture.mode in INDEX_MODES)
    made = Image.frombytes(picture.mode, (frame.width, frame.height), shown.tobytes())
    if picture.mode == "P":
        made.putpalette(picture.getpalette() or [])
    return made


def placed_batch(transform: Any, batch: Tensor, rng: torch.Generator | None) -> Tensor:
    if batch.ndim != 4:
        kind = type(transform).__name__
        raise ValueError(f"{kind}: a batch of pictures is [B C H W], got {list(batch.shape)}")
    if not batch.is_floating_point():
        kind = type(transform).__name__
        raise TypeError(f"{kind}: a batch is float, in 0..1, got {batch.dtype}; use batch.float() / 255")
    refuse_generator(transform, rng, batch=True)
    whole = whole_frame(*batch.shape[2:])
    return warp_batch(batch, [transform.place(whole, draws) for draws in sample_generators(rng, len(batch))])
