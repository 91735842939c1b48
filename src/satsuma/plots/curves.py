"""Curves of several runs over each other, and long curves drawn with few points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.plots.theme import INK, SERIES

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure

MOST_POINTS = 1000  # of a line; a screen shows no more
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values [N] over places [N]. `marked`: with a mark at each, as for what is known once an epoch."""

    places: Sequence[float] | np.ndarray
    values: Sequence[float] | np.ndarray
    marked: bool = False


def thinned(values: Sequence[float], most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Places [M] and values [M] of a line over 0, 1, 2, ... with at most about `most` points.

    Of each stretch its lowest and its highest value, so that no spike is lost. NaN counts only where all are NaN.

    >>> thinned([3.0, 1.0, 2.0, 9.0], most=2)
    (array([0., 2.]), array([1., 9.]))
    """
    line = np.asarray(values, dtype=np.float64)
    if len(line) <= most:
        return np.arange(len(line), dtype=np.float64), line
    starts = np.linspace(0, len(line), max(1, most // 2), endpoint=False).astype(np.int64)
    ends = np.append(starts[1:], len(line))
    low, high = np.fmin.reduceat(line, starts), np.fmax.reduceat(line, starts)
    places = np.stack([starts, (starts + ends) / 2], axis=1)
    return places.reshape(-1), np.stack([low, high], axis=1).reshape(-1)


def plot_overlaid(
    runs: Mapping[str, Sequence[Curve]], *, xlabel: str, ylabel: str, top: float | None = None
) -> "ShownFigure":
    """The lines of several runs in one plot; the lines of one run share a colour, a dash and a mark.

    `top`: the highest value that is shown, where the lines leave the frame.
    """
    from matplotlib.ticker import MaxNLocator

    from satsuma.plots.figure import ShownFigure

    figure = ShownFigure(title=f"{ylabel} by {xlabel} of {', '.join(runs)}")
    axes = figure.add_subplot()
    shown = []
    for number, lines in enumerate(runs.values()):
        colour = SERIES[number % len(SERIES)]
        style: dict[str, Any] = {"color": colour, "linestyle": DASHES[number // len(SERIES) % len(DASHES)]}
        for line in lines:
            mark: dict[str, Any] = {"marker": MARKERS[number % len(MARKERS)], "markersize": 4.5} if line.marked else {}
            (drawn,) = axes.plot(line.places, line.values, alpha=1.0 if line.marked else 0.45, **style, **mark)
        shown.append(drawn if lines else axes.plot([], [], **style)[0])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(None, top))
    if shown:
        axes.legend(shown, [plain(name) for name in runs], frameon=False, labelcolor=INK)
    return figure


def plain(name: str) -> str:
    """A name as matplotlib's legend shows it unchanged: no formula, and no name that it hides."""
    drawable = name.encode("utf-8", "replace").decode().replace("$", r"\$")
    return f" {drawable}" if drawable.startswith("_") else drawable
