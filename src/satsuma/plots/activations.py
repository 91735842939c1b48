"""Figures of what goes through a model's layers."""

from collections.abc import Mapping, Sequence
from typing import Any

from satsuma.plots.figure import ShownFigure
from satsuma.plots.theme import BLUE, FAINT, INK, ORANGE, RULE, SERIES

Curves = Mapping[str, Sequence[float]]  # a line a layer


def plot_layers(
    names: Sequence[str], means: Sequence[float], stds: Sequence[float], dead: Sequence[float | None]
) -> ShownFigure:
    """Layers from top to bottom: mean with one deviation to each side, and the share of dead units (None: no ReLU)."""
    places = range(len(names))
    figure = ShownFigure(
        figsize=(7, 1.3 + 0.24 * len(names)),
        title="mean and deviation of each layer's outputs, and the share of ReLU units that are always 0",
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.errorbar(means, places, xerr=stds, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=1.2, markersize=4)
    left.axvline(0, color=FAINT, linewidth=0.8)
    left.set_yticks(list(places), names, parse_math=False)
    left.set_xlabel("mean ± deviation")
    left.set_ylim(len(names) - 0.4, -0.6)
    right.barh(list(places), [0.0 if share is None else 100 * share for share in dead], color=ORANGE, height=0.6)
    for place, share in enumerate(dead):
        if share is not None:
            right.annotate(f"{share:.0%}", (100 * share, place), (3, 0), textcoords="offset points", va="center",
                           fontsize=8, color=INK)  # fmt: skip
    right.set_xlim(0, 118)
    right.set_xticks([0, 50, 100])
    right.set_xlabel("dead units, %")
    right.tick_params(left=False)
    return figure


def plot_activation_stats(
    steps: Sequence[int], means: Curves, stds: Curves, near_zero: Curves, dead: Curves
) -> ShownFigure:
    """Four plots: mean, deviation and share near 0 of each layer by step, and share of dead units by epoch."""
    figure = ShownFigure(figsize=(9, 6), title="mean, deviation, share near 0 and dead units of each layer by step")
    axes = figure.subplots(2, 2)
    colours = dict(zip(means, line_colours(len(means)), strict=True))
    for place, (label, curves) in zip(
        (axes[0, 0], axes[0, 1], axes[1, 0]),
        (("mean", means), ("deviation", stds), ("near 0, %", near_zero)),
        strict=True,
    ):
        for name, values in curves.items():
            factor = 100 if curves is near_zero else 1
            place.plot(steps, [factor * v for v in values], color=colours[name], linewidth=1.2, label=name)
        place.set(xlabel="step", ylabel=label)
    draw_dead(axes[1, 1], dead, colours)
    shown = list(colours) if len(colours) <= 12 else [list(colours)[i * (len(colours) - 1) // 5] for i in range(6)]
    lines, labels = axes[0, 0].get_legend_handles_labels()
    picked = [(line, name) for line, name in zip(lines, labels, strict=True) if name in shown]
    if picked:
        figure.legend(*zip(*picked, strict=True), loc="outside lower center", ncols=min(4, len(picked)), frameon=False,
                      fontsize=8, labelcolor=INK)  # fmt: skip
    return figure


def draw_dead(axes: Any, dead: Curves, colours: Mapping[str, str]) -> None:
    """The share of dead units by epoch, a line a ReLU layer."""
    from matplotlib.ticker import MaxNLocator

    for name, values in dead.items():
        axes.plot([100 * v for v in values], color=colours[name], marker="o", markersize=3, linewidth=1.2)
    if not dead:
        axes.annotate("no ReLU layers", (0.5, 0.5), xycoords="axes fraction", ha="center", color=FAINT)
    axes.set(xlabel="epoch", ylabel="dead ReLU units, %")
    axes.set_ylim(-1, max([5.0, *(110 * v for values in dead.values() for v in values)]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def line_colours(n: int) -> list[str]:
    """The theme's colours for few lines; for many, the first layers' from the last's by how far along they are."""
    if n <= len(SERIES):
        return list(SERIES[:n])
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    path = LinearSegmentedColormap.from_list("depth", [BLUE, RULE, ORANGE])
    return [to_hex(path(i / (n - 1))) for i in range(n)]
