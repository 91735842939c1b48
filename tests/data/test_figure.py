"""Figures show themselves in a notebook, and take names as they are."""

import numpy as np

from satsuma.data.show import grid


def test_a_figure_shows_itself_as_a_picture() -> None:
    figure = grid([np.zeros((5, 7))], ["a"], nrows=1, ncols=1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_class_names_are_no_formulas() -> None:
    figure = grid([np.zeros((5, 7))], [r"$\frac{1$ <b>"], nrows=1, ncols=1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
