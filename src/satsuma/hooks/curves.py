"""Curves of a training run, as matplotlib figures."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from satsuma.plots.curves import thinned
from satsuma.plots.theme import BLUE, INK, ORANGE

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure


def plot_line(columns: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str) -> "ShownFigure":
    """Lines over 0, 1, 2, ..., one for each named column."""
    from matplotlib.ticker import MaxNLocator

    from satsuma.plots.figure import ShownFigure

    figure = ShownFigure(title=f"{ylabel or ', '.join(columns)} by {xlabel}")
    axes = figure.add_subplot()
    for name, values in columns.items():
        marker = "o" if len(values) <= 30 else None
        axes.plot(*thinned(values), label=name, marker=marker, markersize=4)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if columns and not ylabel:
        axes.legend(frameon=False, labelcolor=INK)
    return figure


def plot_curves(losses: Sequence[float], places: Sequence[float], valid: Sequence[float]) -> "ShownFigure":
    """Training loss by step, raw and smoothed, and validation loss at the steps `places`."""
    from satsuma.plots.figure import ShownFigure

    figure = ShownFigure(title="loss by step, in training and in validation")
    axes = figure.add_subplot()
    axes.plot(*thinned(losses), color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(*thinned(usual_smoothing(losses)), color=BLUE, label="training (smoothed)")
    axes.plot(places, valid, color=ORANGE, marker="o", markersize=4, label="validation")
    axes.set(xlabel="step", ylabel="loss", ylim=loss_limits(losses, valid))
    axes.legend(frameon=False, labelcolor=INK)
    return figure


def loss_limits(losses: Sequence[float], valid: Sequence[float]) -> tuple[float, float | None]:
    """From 0 (or the lowest loss) to the highest that counts; the top fiftieth of training, its spikes, does not."""
    usual = sorted(losses)[: max(1, math.ceil(len(losses) * 0.98))]
    finite = [value for value in (*usual, *valid) if math.isfinite(value)]
    top = max(finite, default=0.0)
    return min(0.0, *finite, 0.0), top * 1.05 if top > 0 else None


def usual_smoothing(losses: Sequence[float]) -> list[float]:
    """Losses as curves show them: smoothed over about a thirtieth of the run, or three steps."""
    return smoothed(losses, keep=1 - min(0.3, 30 / max(1, len(losses))))


def smoothed(values: Sequence[float], *, keep: float) -> list[float]:
    """Exponential average, corrected for its start."""
    average, out = 0.0, []
    for i, value in enumerate(values, 1):
        average = keep * average + (1 - keep) * value
        out.append(average / (1 - keep**i))
    return out
