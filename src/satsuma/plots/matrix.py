"""Confusion matrices that can be read at 2 classes and at 100, in light and in dark. K classes."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.plots.cells import draw_cells
from satsuma.plots.text_table import drawable
from satsuma.plots.theme import BLUE, FAINT, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_WRITTEN = 16  # classes up to which each cell has its number
MOST_TICKS = 50  # names along a side; of more classes every n-th is written
LONGEST = 22  # letters of a class's name


def plot_matrix(counts: np.ndarray, names: Sequence[str], *, normalize: bool = False) -> "Figure":
    """A confusion matrix, int [K K], rows what is, columns what was said. Right answers are blue, wrong ones orange.

    Blue is by the row's share. Orange is by the largest confusion, so that few mistakes among many right answers are
    seen. `normalize`: the numbers, and orange, are percent of the row.
    """
    from satsuma.plots.figure import ShownFigure

    k = len(names)
    side = 2.8 + min(7.4, 0.42 * k if k <= MOST_WRITTEN else 2.6 + 0.13 * k)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    right, wrong = int(np.trace(counts)), int(counts.sum() - np.trace(counts))
    figure = ShownFigure(
        figsize=(side + 0.3, side), title=f"confusion matrix of {k} classes: {right} right, {wrong} wrong"
    )
    axes = figure.add_subplot()
    axes.grid(visible=False)
    shown = shares if normalize else counts
    written = k <= MOST_WRITTEN
    for part, scale, colour in (
        (np.diag(np.diag(shares)), 1.0, BLUE),
        (shown * ~np.eye(k, dtype=bool), None, ORANGE),
    ):
        draw_cells(axes, part, colour, most=scale, strongest=0.55 if written else 1.0)
    if written:
        write_numbers(axes, counts, shares if normalize else None)
    dress_matrix(axes, names)
    worst = int((counts * ~np.eye(k, dtype=bool)).max(initial=0))
    most = f"{float((shares * ~np.eye(k, dtype=bool)).max(initial=0)):.0%} of a row" if normalize else f"{worst:,}"
    legend = f"blue: right; orange: confused, at most {most}" if wrong else "blue: right; none is confused"
    figure.suptitle(legend, fontsize=9, color=FAINT, x=0.02, ha="left")
    return figure


def write_numbers(axes: Any, counts: np.ndarray, shares: np.ndarray | None) -> None:
    """A number in each cell that is not 0: counts, or percent of the row."""
    size = 9 if len(counts) <= 10 else 7.5
    for i, j in zip(*np.nonzero(counts), strict=True):
        text = f"{counts[i, j]:,}" if shares is None else whole_percent(float(shares[i, j]))
        weight = "bold" if i == j else "normal"
        axes.text(j, i, text, ha="center", va="center", fontsize=size, color=INK, weight=weight)


def whole_percent(share: float) -> str:
    """A share as a whole number of percent; what is not all or nothing does not look so.

    >>> whole_percent(1.0), whole_percent(0.999), whole_percent(0.25), whole_percent(0.001)
    ('100', '>99', '25', '<1')
    """
    if 0.995 <= share < 1:
        return ">99"
    return "<1" if 0 < share <= 0.005 else f"{100 * share:.0f}"


def dress_matrix(axes: Any, names: Sequence[str]) -> None:
    """Names along the sides, as many as can be read; square cells; the first class at the top left."""
    k = len(names)
    step = max(1, math.ceil(k / MOST_TICKS))
    places = list(range(0, k, step))
    texts = [short_name(names[i]) for i in places]
    size = 9 if k <= MOST_WRITTEN else 7.5 if k <= 40 else 6.5
    upright = max(map(len, texts)) * len(texts) > 34 and max(map(len, texts)) > 1
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), xlabel="said", ylabel="is", aspect="equal")
    axes.set_xticks(places, texts, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(places, texts, fontsize=size)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
        text.set_color(INK)
    axes.tick_params(length=2 if k > MOST_WRITTEN else 0)
    axes.spines[["top", "right"]].set_visible(True)
    for spine in axes.spines.values():
        spine.set_color(axes.spines["left"].get_edgecolor())


def short_name(name: str) -> str:
    """A name that fits along a side."""
    name = drawable(" ".join(name.split()))
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
