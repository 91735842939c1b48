"""What a regression said against what is. N samples, n numbers each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.plots.cells import draw_cells
from satsuma.plots.theme import BLUE, FAINT, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 4  # numbers of a sample that are drawn
MOST_DOTS = 1500  # samples up to which each has a dot; of more their density is drawn
GRID = 60  # squares along a side of a density


def plot_residual_panels(targets: np.ndarray, said: np.ndarray, names: Sequence[str]) -> "Figure":
    """Two plots for each of the first n numbers of targets and answers, float [N n]: said against is, and the
    residuals (target less what was said) around 0.
    """
    from satsuma.plots.figure import ShownFigure

    n = min(len(names), MOST_PANELS)
    figure = ShownFigure(figsize=(7.6, 0.3 + 3.1 * n), title="what was said against what is, and the residuals")
    panels = figure.subplots(n, 2, squeeze=False)
    for (against, around), k in zip(panels, range(n), strict=True):
        draw_against(against, targets[:, k].astype(np.float64), said[:, k].astype(np.float64))
        left = targets[:, k].astype(np.float64) - said[:, k]
        around.hist(left[np.isfinite(left)], bins=40, color=BLUE)
        around.axvline(0, color=ORANGE, linewidth=1.5)
        around.set(xlabel="target less what was said", ylabel="samples")
        if len(names) > 1:
            against.set_title(names[k], fontsize=9, color=FAINT, loc="left")
    return figure


def draw_against(axes: Any, target: np.ndarray, said: np.ndarray) -> None:
    """Dots, or for many samples their density, around the line on which what is said is what is."""
    there = np.isfinite(target) & np.isfinite(said)
    target, said = target[there], said[there]
    low = float(min(target.min(initial=0), said.min(initial=0))) if not len(target) else min(target.min(), said.min())
    high = max(target.max(), said.max()) if len(target) else 1.0
    room = 0.03 * (high - low) or 1.0
    low, high = float(low - room), float(high + room)
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.2)
    if len(target) <= MOST_DOTS:
        axes.scatter(target, said, s=8, color=BLUE, alpha=0.6, linewidths=0)
    else:
        counts = np.histogram2d(said, target, bins=GRID, range=((low, high), (low, high)))[0]
        draw_cells(axes, np.log1p(counts), BLUE, extent=(low, high, low, high))
        axes.set_title("stronger: more samples", fontsize=8, color=GREY, loc="right")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="is", ylabel="said")
