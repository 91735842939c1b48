"""A table as a picture, for a slide or a message."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from satsuma.plots.theme import FAINT, INK, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTER, LINE = 0.085, 0.24  # inches of a letter's width, and of a row


def plot_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> "Figure":
    """Text in columns; `right`: which columns stand to the right."""
    from satsuma.plots.figure import ShownFigure

    widths = [max(len(line[i]) for line in (header, *rows)) + 3 for i in range(len(header))]
    total, height = sum(widths), len(rows) + 2.5
    figure = ShownFigure(figsize=(max(total, len(title) + 2) * LETTER, height * LINE), title=title, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, max(total, len(title) + 2)), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(1, 0.8, drawable(title), color=INK, fontsize=10, weight="bold", va="center", parse_math=False)
    for i, line in enumerate((header, *rows)):
        left = 0
        for text, width, to_right in zip(line, widths, right, strict=True):
            x, side = (left + width - 1, "right") if to_right else (left + 1, "left")
            colour = FAINT if i == 0 else INK
            axes.text(x, i + 1.8, drawable(text), color=colour, fontsize=9, ha=side, va="center", parse_math=False)
            left += width
        axes.axhline(i + 2.3, color=RULE, linewidth=0.6)
    return figure


def drawable(text: str) -> str:
    """A text that can be drawn: names that are no UTF-8 hold surrogates."""
    return text.encode("utf-8", "replace").decode()
