"""Whether stated probabilities come true: the reliability diagram."""

from typing import TYPE_CHECKING

import numpy as np

from satsuma.plots.theme import BLUE, FAINT, GREY, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_reliability(
    counts: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray, error: float, of: str
) -> "Figure":
    """For each bin [bins] of stated probability how often it came true; below, how many answers it holds.

    On the line, what is said with 80% is right in 80 of 100; below it the model is too sure. An orange bar is the gap.
    """
    from matplotlib.colors import to_rgba

    from satsuma.plots.figure import ShownFigure

    figure = ShownFigure(figsize=(4.6, 5.0), title=f"reliability diagram, expected calibration error {error:.4f}")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    n = len(counts)
    middles, there = (np.arange(n) + 0.5) / n, counts > 0
    top.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="what is said comes true")
    few = np.minimum(counts[there] / max(0.02 * counts.sum(), 1), 1)  # bins of few answers are drawn faintly
    gaps = [to_rgba(ORANGE, 0.25 + 0.75 * weight) for weight in few]
    top.vlines(confidence[there], accuracy[there], confidence[there], colors=gaps, linewidth=3)
    top.plot([], [], color=ORANGE, linewidth=3, label="gap, faint where answers are few")
    top.plot(confidence[there], accuracy[there], color=BLUE, linewidth=0.8, label="came true")
    top.scatter(confidence[there], accuracy[there], s=8 + 22 * few, color=BLUE, linewidths=0, zorder=3)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that came true")
    top.legend(frameon=False, labelcolor=INK, fontsize=8, loc="upper left")
    top.set_title(f"expected calibration error {error:.4f}", fontsize=9, color=FAINT, loc="left")
    below.bar(middles, counts, width=0.9 / n, color=BLUE)
    below.set(xlabel="stated probability", ylabel=of)
    return figure
