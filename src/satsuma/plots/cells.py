"""Squares of one of the theme's colours, stronger where there is more: amounts that follow light and dark."""

from typing import Any

import numpy as np

WEAKEST = 0.07  # the opacity that the smallest amounts come near to
LEVELS = 16  # of opacity: all squares of one are one shape, which keeps pictures of many classes small
SQUARE = (1, 2, 2, 2, 79)  # matplotlib's codes of a path: move, three lines, close


def draw_cells(
    axes: Any,
    amounts: np.ndarray,
    colour: str,
    *,
    most: float | None = None,
    strongest: float = 1.0,
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """A square for each amount [rows columns] above 0; its opacity goes up to `strongest` at `most` (the largest).

    Square (row i, column j) is centred on (x=j, y=i); with `extent` (left, right, low, high) all fill that instead.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = np.nonzero(amounts > 0)
    if not len(rows):
        return
    values = amounts[rows, columns].astype(np.float64)
    levels = np.ceil(np.minimum(values / (most or float(values.max())), 1.0) * LEVELS).astype(int)  # 1..LEVELS
    left, low, width, height = -0.5, -0.5, 1.0, 1.0
    if extent is not None:
        left, low = extent[0], extent[2]
        width, height = (extent[1] - left) / amounts.shape[1], (extent[3] - low) / amounts.shape[0]
    x, y = left + columns * width, low + rows * height
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    squares = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)  # [cells 5 2]
    for level in np.unique(levels):
        opacity = WEAKEST + (strongest - WEAKEST) * level / LEVELS
        own = squares[levels == level].reshape(-1, 2)
        path = Path(own, np.tile(SQUARE, len(own) // len(SQUARE)))
        axes.add_artist(PathPatch(path, facecolor=colour, alpha=opacity, linewidth=0))
