"""`Frame`: which part of a photo a picture shows, and how it lies there. All geometry of a sample is one such value.

Coordinates are (x, y) in pixels; (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5). A matrix is
nine numbers, row by row; matrices act on columns (x, y, 1).
"""

import math
from dataclasses import dataclass

import numpy as np

Matrix = tuple[float, float, float, float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
BORDERS = ("reflection", "border", "zeros")
CODEC_STEPS = (8, 4, 2)  # how much smaller JPEG decoders make a picture at little cost
STEP_SLACK = 1.02  # a decoded picture may be this much coarser than the window: it costs below 0.1 dB
LEAST_DEPTH = 0.1  # of a perspective: how near, relative to the centre, a corner may come to the horizon


@dataclass(frozen=True, slots=True)
class Frame:
    """A window of `height` × `width` pixels onto a photo of `photo_height` × `photo_width`.

    `matrix` is the homography from coordinates in the window to coordinates in the whole, upright photo. `border` says
    what lies outside the photo: "reflection" (mirrored at its edges), "border" (the nearest edge pixel) or
    "zeros" (black).
    """

    height: int
    width: int
    photo_height: int
    photo_width: int
    matrix: Matrix = IDENTITY
    border: str = "reflection"


def whole_frame(height: int, width: int) -> Frame:
    """The window that is the photo itself."""
    return Frame(height, width, height, width)


def matrix_product(a: Matrix, b: Matrix) -> Matrix:
    """The map that does `b`, then `a`."""
    a0, a1, a2, a3, a4, a5, a6, a7, a8 = a
    b0, b1, b2, b3, b4, b5, b6, b7, b8 = b
    return (
        a0 * b0 + a1 * b3 + a2 * b6, a0 * b1 + a1 * b4 + a2 * b7, a0 * b2 + a1 * b5 + a2 * b8,
        a3 * b0 + a4 * b3 + a5 * b6, a3 * b1 + a4 * b4 + a5 * b7, a3 * b2 + a4 * b5 + a5 * b8,
        a6 * b0 + a7 * b3 + a8 * b6, a6 * b1 + a7 * b4 + a8 * b7, a6 * b2 + a7 * b5 + a8 * b8,
    )  # fmt: skip


def is_affine(matrix: Matrix) -> bool:
    return matrix[6] == 0 and matrix[7] == 0


def view_of(frame: Frame, matrix: Matrix, height: int, width: int, border: str | None = None) -> Frame:
    """The frame of a new window of `height` × `width` whose coordinates `matrix` maps to those of `frame`'s window.

    This is how geometry composes: no pixel is touched. `border` counts if nothing but "reflection" was said before.
    """
    composed = matrix_product(frame.matrix, matrix)
    if not is_affine(composed):
        composed = before_the_horizon(composed, height, width)
    kept = border if border is not None and frame.border == "reflection" else frame.border
    return Frame(height, width, frame.photo_height, frame.photo_width, composed, kept)


def before_the_horizon(matrix: Matrix, height: int, width: int) -> Matrix:
    """`matrix` with its perspective weakened until no corner of the window comes near the horizon or behind it.

    Scaled so that the depth in the middle of the window is 1; a depth of 0 is the horizon.
    """
    a, b, c, d, e, f, g, h, i = matrix
    depth = g * width / 2 + h * height / 2 + i
    if depth <= 0:  # the middle itself is behind the horizon: nothing of it can be kept
        return (a / i, b / i, c / i, d / i, e / i, f / i, 0.0, 0.0, 1.0) if i else IDENTITY
    a, b, c, d, e, f, g, h = (v / depth for v in (a, b, c, d, e, f, g, h))
    fall = (abs(g) * width + abs(h) * height) / 2
    weaker = min(1.0, (1 - LEAST_DEPTH) / fall) if fall else 1.0
    g, h = g * weaker, h * weaker
    return a, b, c, d, e, f, g, h, 1 - g * width / 2 - h * height / 2


def finest_steps(matrix: Matrix, height: int, width: int) -> tuple[float, float]:
    """How many photo pixels, along the photo's x and y, make one pixel of the window where it magnifies most.

    For a perspective the least over the window's corners; below 1 the window magnifies.
    """
    if is_affine(matrix):
        a, b, _, d, e, _, _, _, i = matrix
        area = abs(a * e - b * d)
        return area / math.hypot(d, e) / i if area else 0.0, area / math.hypot(a, b) / i if area else 0.0
    a, b, c, d, e, f, g, h, i = matrix
    steps_x, steps_y = [], []
    for x, y in ((0, 0), (width, 0), (0, height), (width, height)):
        depth = g * x + h * y + i
        px, py = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth
        ja, jb, jd, je = a - px * g, b - px * h, d - py * g, e - py * h  # the Jacobian, times the depth
        area = abs(ja * je - jb * jd)
        steps_x.append(area / math.hypot(jd, je) / depth if area else 0.0)
        steps_y.append(area / math.hypot(ja, jb) / depth if area else 0.0)
    return min(steps_x), min(steps_y)


def codec_shrink(frame: Frame) -> int:
    """1, 2, 4 or 8: how much smaller the photo may be decoded so that the window still loses nothing."""
    step = min(finest_steps(frame.matrix, frame.height, frame.width))
    for shrink in CODEC_STEPS:
        if step * STEP_SLACK >= shrink:
            return shrink
    return 1


def mapped(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [N 2] as (x, y) → [N 2] float64, by a homography [3 3]."""
    given = np.asarray(points, np.float64)
    if given.ndim != 2 or given.shape[1] != 2:
        raise ValueError(f"points are [N 2], x and y of each, got {list(given.shape)}")
    homogeneous = given @ matrix[:, :2].T + matrix[:, 2]
    result: np.ndarray = homogeneous[:, :2] / homogeneous[:, 2:]
    return result


def points_onto_photo(points: np.ndarray, frame: Frame) -> np.ndarray:
    """Points [N 2] (x, y) of the window → where they lie in the photo, float64 [N 2]."""
    return mapped(points, np.array(frame.matrix).reshape(3, 3))


def points_into_frame(points: np.ndarray, frame: Frame) -> np.ndarray:
    """Points [N 2] (x, y) of the photo → where they lie in the window, float64 [N 2]; they may lie outside it."""
    return mapped(points, np.linalg.inv(np.array(frame.matrix).reshape(3, 3)))
