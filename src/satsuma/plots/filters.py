"""Weights as pictures in one mosaic. O pictures of h w."""

import math

import numpy as np

from satsuma.plots.figure import ShownFigure
from satsuma.plots.theme import BLUE, FAINT, INK, ORANGE

MOST = 256  # pictures in one mosaic
WIDTH = 6.5  # inches


def plot_filters(pictures: np.ndarray, *, title: str) -> ShownFigure:
    """Signed weights [O h w] from blue (negative) over white (0) to orange, on one scale; [O h w 3] as colours.

    Colours are stretched picture by picture. Beyond 256 pictures the rest is left out, and the figure says so.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shown = pictures[:MOST]
    outputs, height, width = shown.shape[:3]
    columns = mosaic_columns(outputs, height, width)
    rows = -(-outputs // columns)
    told = title if len(pictures) == outputs else f"{title}: {outputs} of {len(pictures):,}"
    tall = max(0.6, 0.88 * WIDTH * rows * height / (columns * width))
    figure = ShownFigure(figsize=(WIDTH, min(tall, 12.0) + 0.6), title=told)
    axes = figure.add_subplot()
    axes.grid(False)
    axes.set_axis_off()
    axes.set_title(told, fontsize=10, color=INK, parse_math=False, loc="left")
    if shown.ndim == 4:
        axes.imshow(mosaic(stretched(shown), columns), interpolation="nearest", aspect="equal")
        return figure
    signed = LinearSegmentedColormap.from_list("signed", [BLUE, "#ffffff", ORANGE])  # draws nothing for NaN
    top = float(np.abs(shown).max()) or 1.0
    aspect = "equal" if height > 1 else "auto"
    image = axes.imshow(
        mosaic(shown, columns), cmap=signed, vmin=-top, vmax=top, interpolation="nearest", aspect=aspect
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.ax.tick_params(labelsize=8, labelcolor=FAINT)
    bar.outline.set_visible(False)
    return figure


def mosaic_columns(outputs: int, height: int, width: int) -> int:
    """How many pictures stand in a row, so that the whole is about half again as wide as high."""
    if height == 1 and width > 1:
        return 1
    ideal = max(1, min(outputs, round(math.sqrt(1.6 * outputs * height / width))))
    near = range(max(1, round(0.75 * ideal)), round(1.3 * ideal) + 1)
    return min(near, key=lambda columns: (-(-outputs // columns) * columns - outputs, abs(columns - ideal)))


def stretched(pictures: np.ndarray) -> np.ndarray:
    """Each picture [h w 3] from its lowest to its highest value, 0..1."""
    low = pictures.min((1, 2, 3), keepdims=True)
    span: np.ndarray = pictures.max((1, 2, 3), keepdims=True) - low
    found: np.ndarray = (pictures - low) / np.where(span > 0, span, 1)
    return found


def mosaic(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures [O h w] or [O h w 3] in rows as one, with gaps that hold nothing (NaN, or of colours no alpha)."""
    outputs, height, width = pictures.shape[:3]
    rows, gap = -(-outputs // columns), 0 if height == 1 else max(1, round(height / 16))
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    whole = np.zeros((*size, 4), np.float32) if pictures.ndim == 4 else np.full(size, np.nan, np.float32)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[top : top + height, left : left + width, ...] = with_alpha(picture) if pictures.ndim == 4 else picture
    return whole


def with_alpha(picture: np.ndarray) -> np.ndarray:
    """[h w 3] as [h w 4], all of it opaque."""
    return np.concatenate([picture, np.ones_like(picture[:, :, :1])], 2)
