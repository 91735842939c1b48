"""Figures that show themselves in a notebook and save as PNG or SVG. Imported on first use, as matplotlib is."""

import io
import threading
import warnings
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from satsuma.plots.theme import FAINT, INK, PALETTE_CSS, PAPER, RULE, SERIES, standing_alone, themed_svg

DRAWING = threading.RLock()  # matplotlib's settings are of the whole process: one picture at a time


class ShownFigure(Figure):
    """A `Figure` in the house's theme, without pyplot's global state.

    `title`: what the picture shows, for those who hear the page read. A notebook shows it as SVG, which follows light
    and dark; `savefig` writes any format of matplotlib's, SVG with both themes in it.
    """

    def __init__(self, *, figsize: tuple[float, float] = (6, 3.4), title: str = "a figure", **more: Any) -> None:
        super().__init__(figsize=figsize, layout=more.pop("layout", "constrained"), facecolor=PAPER, **more)
        self.title = title

    def add_subplot(self, *args: Any, **kwargs: Any) -> Any:
        axes = super().add_subplot(*args, **kwargs)
        if isinstance(axes, Axes):
            dress(axes)
        return axes

    def svg(self) -> str:
        """The picture as a piece of HTML, whose colours are those of the page around it."""
        text = io.StringIO()
        with (
            DRAWING,
            matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "satsuma"}),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page has its own fonts
            super().savefig(text, format="svg", transparent=True, metadata={"Date": None})
        return themed_svg(text.getvalue(), self.title)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Write the figure to a file or buffer; an SVG file follows the reader's light or dark."""
        if isinstance(fname, str | Path) and Path(fname).suffix.lower() == ".svg" and not kwargs:
            Path(fname).write_text(standing_alone(self.svg()), encoding="utf-8")
        else:
            super().savefig(fname, **kwargs)

    def _repr_html_(self) -> str:
        return f"<style>{PALETTE_CSS}</style>{self.svg()}"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def dress(axes: Axes) -> None:
    """The theme of one plot: two faint axes, a faint grid behind the lines, the theme's colours in turn."""
    axes.set_prop_cycle(cycler(color=SERIES))
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(color=RULE, labelcolor=FAINT, labelsize=9)
    axes.grid(color=RULE, linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    axes.title.set_color(INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(10)
