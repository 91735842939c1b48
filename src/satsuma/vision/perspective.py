"""`Warp`: changes of perspective. H height, W width."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from satsuma.errors import spelled_class
from satsuma.vision.frame import Frame, Matrix, matrix_product, view_of
from satsuma.vision.geometry import drawn, refuse_pad_mode
from satsuma.vision.settings import check_number, check_share
from satsuma.vision.warp import placed_alone


@spelled_class
@dataclass(frozen=True, slots=True)
class Warp:
    """A change of perspective, as if seen from a little to the side, or from above.

    `magnitude`: by how much of half a side the corners move, at most. `symmetric`: opposite sides change by as much
    in opposite ways, each direction with probability `p`; else all four corners move, each by draws of its own.
    """

    training_only = True

    magnitude: float = 0.2
    p: float = 0.5
    symmetric: bool = True
    pad_mode: str = "reflection"

    def __post_init__(self) -> None:
        check_share(self, "p")
        refuse_pad_mode(self.pad_mode, "Warp")
        check_number(self, "magnitude", below=1.0, what="a share of half a side")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None:
            return frame
        corners = self.symmetric_corners(rng) if self.symmetric else self.free_corners(rng)
        if corners is None:
            return frame
        half_w, half_h = frame.width / 2, frame.height / 2
        to_unit = (1 / half_w, 0.0, -1.0, 0.0, 1 / half_h, -1.0, 0.0, 0.0, 1.0)
        from_unit = (half_w, 0.0, half_w, 0.0, half_h, half_h, 0.0, 0.0, 1.0)
        matrix = matrix_product(from_unit, matrix_product(unit_square_from(corners), to_unit))
        return view_of(frame, matrix, frame.height, frame.width, self.pad_mode)

    def symmetric_corners(self, rng: np.random.Generator) -> tuple[tuple[float, float], ...] | None:
        x, y = (drawn(rng, -self.magnitude, self.magnitude) if rng.random() < self.p else 0.0 for _ in "xy")
        if x == y == 0:
            return None
        return (-1 - y, -1 - x), (1 + y, -1 + x), (1 - y, 1 - x), (-1 + y, 1 + x)

    def free_corners(self, rng: np.random.Generator) -> tuple[tuple[float, float], ...] | None:
        if rng.random() >= self.p:
            return None
        moves = [drawn(rng, -self.magnitude, self.magnitude) / 2 for _ in range(8)]
        square = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return tuple((x + moves[2 * k], y + moves[2 * k + 1]) for k, (x, y) in enumerate(square))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


def unit_square_from(corners: tuple[tuple[float, float], ...]) -> Matrix:
    """The homography that takes four corners (clockwise from the upper left) to those of the square -1..1."""
    rows, values = [], []
    for (x, y), (to_x, to_y) in zip(corners, ((-1, -1), (1, -1), (1, 1), (-1, 1)), strict=True):
        rows += [(x, y, 1, 0, 0, 0, -to_x * x, -to_x * y), (0, 0, 0, x, y, 1, -to_y * x, -to_y * y)]
        values += [to_x, to_y]
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return a, b, c, d, e, f, g, h, 1.0
