"""A confusion matrix as a table whose cells say how warm they are. K classes."""

import math
from dataclasses import dataclass

import numpy as np

from satsuma.inspect.scores import row_shares

MOST_CLASSES = 40  # of a table that people can read
WARMTHS = 6  # as fragments.css has colours


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How often class `row` was said to be class `column`. `style`: the colour's class; "" for never."""

    row: int
    column: int
    count: int
    text: str
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The rows and columns that are shown: all classes, or those that are confused most; `left_out` are not."""

    classes: tuple[int, ...]
    cells: tuple[tuple[Cell, ...], ...]
    left_out: int


def matrix_of(counts: np.ndarray, *, shares: bool) -> Matrix:
    """The table of counts int64 [K K], or of shares of each row."""
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    kept = np.arange(len(counts))
    if len(counts) > MOST_CLASSES:
        busiest = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_CLASSES]
        kept = np.sort(busiest)
    values = row_shares(counts) if shares else counts.astype(np.float64)
    highest = float((values * ~np.eye(len(counts), dtype=bool)).max(initial=0))
    most_right = float(values.diagonal().max(initial=0))
    rows = tuple(
        tuple(cell_of(counts, values, int(i), int(j), most_right if i == j else highest, shares) for j in kept)
        for i in kept
    )
    return Matrix(classes=tuple(kept.tolist()), cells=rows, left_out=len(counts) - len(kept))


def cell_of(counts: np.ndarray, values: np.ndarray, row: int, column: int, highest: float, shares: bool) -> Cell:
    count, value = int(counts[row, column]), float(values[row, column])
    if not count:
        return Cell(row=row, column=column, count=0, text="", style="")
    warmth = max(1, math.ceil(WARMTHS * math.sqrt(value / highest)))
    kind = "right" if row == column else "wrong"
    return Cell(
        row=row,
        column=column,
        count=count,
        text=share_text(value) if shares else f"{count:,}",
        style=f"heat-{kind}-{warmth}",
    )


def share_text(share: float) -> str:
    """A share in a narrow cell.

    >>> share_text(0.004), share_text(0.12), share_text(1.0), share_text(0.999)
    ('<1%', '12%', '100%', '>99%')
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
