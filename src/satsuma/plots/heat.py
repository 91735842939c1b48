"""A photo beside the same photo under its heat map."""

import numpy as np

from satsuma.plots.figure import ShownFigure
from satsuma.plots.theme import INK


def plot_heat(picture: np.ndarray, covered: np.ndarray, *, said: str, why: str) -> ShownFigure:
    """A picture [H W 3] and the one with heat over it, uint8; `said`: the answer, `why`: what the heat speaks for."""
    height, width = picture.shape[:2]
    figure = ShownFigure(figsize=(6.4, min(6.0, 3.1 * height / width) + 0.5), title=f"{said}; {why}")
    for place, (image, text) in enumerate(((picture, said), (covered, why)), 1):
        axes = figure.add_subplot(1, 2, place)
        axes.imshow(image, interpolation="nearest" if max(height, width) < 96 else "auto")
        axes.set_title(text.encode("utf-8", "replace").decode(), fontsize=9, color=INK, parse_math=False)
        axes.set_axis_off()
    return figure
