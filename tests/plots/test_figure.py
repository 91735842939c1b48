"""Figures show themselves in a notebook, and take names as they are."""

import re
import xml.etree.ElementTree

import numpy as np

from satsuma.data.show import grid
from satsuma.hooks.curves import plot_curves, plot_line
from satsuma.plots.matrix import plot_matrix
from satsuma.plots.theme import COLOURS


def test_a_figure_shows_itself_as_a_picture() -> None:
    figure = grid([np.zeros((5, 7))], ["a"], nrows=1, ncols=1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_class_names_are_no_formulas() -> None:
    figure = grid([np.zeros((5, 7))], [r"$\frac{1$ <b>"], nrows=1, ncols=1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_picture_in_a_page_follows_its_colours_and_holds_no_styles() -> None:
    svg = plot_curves([1.0, 0.5, 0.2], [1, 2], [0.7, 0.4]).svg()  # type: ignore[attr-defined]
    assert "style=" not in svg
    assert "<style" not in svg  # a strict policy of the page forbids both
    assert f"var(--blue,{COLOURS['blue'][0]})" in svg
    assert "loss by step" in re.search(r'aria-label="([^"]*)"', svg)[1]  # type: ignore[index]


def test_two_pictures_in_one_page_share_no_names() -> None:
    pictures = [plot_line({"a": values}, xlabel="epoch", ylabel="").svg() for values in ([1.0, 2.0], [2.0, 1.0])]  # type: ignore[attr-defined]
    first, second = (set(re.findall(r'\bid="([^"]+)"', svg)) for svg in pictures)
    assert first
    assert not first & second


def test_a_saved_svg_holds_both_themes(tmp_path) -> None:
    plot_line({"a": [1.0, 2.0]}, xlabel="epoch", ylabel="").savefig(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in text
    assert COLOURS["blue"][1] in text


def test_a_title_is_text_and_never_markup() -> None:
    svg = plot_line({"a": [1.0]}, xlabel="<script>", ylabel="").svg()  # type: ignore[attr-defined]
    assert "<script" not in svg


def test_an_svg_can_be_opened_whatever_a_name_holds(tmp_path) -> None:
    names = ("\x1b[31m", "a\x00b", "caf\udce9", "\ufffe", "犬")
    figure = plot_matrix(np.eye(5, dtype=int), names)
    figure.title = "of \x1b"
    figure.savefig(tmp_path / "matrix.svg")
    text = (tmp_path / "matrix.svg").read_text(encoding="utf-8")
    xml.etree.ElementTree.fromstring(text)
    assert "犬" in text
