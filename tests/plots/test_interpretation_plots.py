"""The pictures of an interpretation: readable at 2, 10, 37 and 120 classes, in the theme's colours, in strict pages."""

import re

import numpy as np
import pytest
from tests.inspect.made import made_predictions

from satsuma.inspect.interpretation import Interpretation
from satsuma.plots.calibration import plot_reliability
from satsuma.plots.matrix import MOST_TICKS, plot_matrix
from satsuma.plots.residuals import plot_residual_panels

HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


def counts_of(k, n):
    return Interpretation(made_predictions("category", n, k)).confusion_matrix()


def outside_variables(svg):
    """Colours that do not follow the page."""
    return set(HEX.findall(re.sub(r"var\([^)]*\)", "", svg))) - {"#000000"}


@pytest.mark.parametrize("k", [2, 10, 37, 120])
def test_a_confusion_matrix_of_any_size(k):
    counts = counts_of(k, 50 * k)
    names = [f"class {i}" for i in range(k)]
    figure = plot_matrix(counts, names)
    svg = figure.svg()
    assert "style=" not in svg
    assert not outside_variables(svg)
    assert len(svg) < (150_000 if k <= 37 else 600_000)
    wrong = int(counts.sum() - np.trace(counts))
    assert f"confusion matrix of {k} classes: {np.trace(counts)} right, {wrong} wrong" in svg
    axes = figure.axes[0]
    written = sorted(int(text.get_text().replace(",", "")) for text in axes.texts)
    assert written == (sorted(counts[counts > 0].tolist()) if k <= 10 else [])
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert ticks[0] == "class 0"
    assert len(ticks) <= MOST_TICKS
    assert len(ticks) == k or k > MOST_TICKS


def test_numbers_are_percent_of_the_row_where_asked():
    figure = plot_matrix(np.array([[199, 1], [5, 15]]), ["a", "b"], normalize=True)
    assert [text.get_text() for text in figure.axes[0].texts] == [">99", "<1", "25", "75"]
    assert "at most 25% of a row" in figure.svg()


def test_names_are_text_and_are_cut():
    svg = plot_matrix(np.eye(3, dtype=int), ["<script>", r"$\frac{1$", "x" * 60]).svg()
    assert "<script" not in svg
    assert "x" * 60 not in svg
    assert "none is confused" in svg


def test_names_in_other_scripts_raise_no_warning(recwarn):
    plot_matrix(np.eye(2, dtype=int), ["犬", "猫"]).svg()
    assert not [str(w.message) for w in recwarn if "Glyph" in str(w.message)]


def test_a_matrix_without_a_sample_can_be_drawn():
    assert plot_matrix(np.zeros((3, 3), dtype=int), ["a", "b", "c"]).svg().startswith("<svg")


def test_strong_colours_mean_many():
    figure = plot_matrix(np.array([[8, 1, 0], [4, 8, 0], [0, 0, 12]]), ["a", "b", "c"])
    faces = [(patch.get_facecolor(), patch.get_path()) for patch in figure.axes[0].artists or figure.axes[0].patches]
    orange = [(face[3], len(path.vertices)) for face, path in faces if face[0] > face[2]]
    assert len(orange) == 2  # two amounts, two opacities
    assert max(orange)[0] > 2 * min(orange)[0]


@pytest.mark.parametrize("n", [0, 5, 20_000])
def test_residuals_of_any_number_of_samples(n):
    rng = np.random.default_rng(0)
    targets = rng.normal(0, 1, (n, 2)).astype(np.float32)
    figure = plot_residual_panels(targets, targets + 1, ["a", "b"])
    svg = figure.svg()
    assert not outside_variables(svg)
    assert len(svg) < 500_000
    assert len(figure.axes) == 4


def test_residuals_that_are_not_finite_are_left_out():
    targets = np.array([[1.0], [np.nan], [3.0]], dtype=np.float32)
    said = np.array([[1.0], [2.0], [np.inf]], dtype=np.float32)
    assert plot_residual_panels(targets, said, ["a"]).svg().startswith("<svg")


def test_the_reliability_diagram_leaves_out_empty_bins():
    counts = np.array([0, 3, 0, 9])
    nan = np.nan
    figure = plot_reliability(counts, np.array([nan, 0.4, nan, 0.9]), np.array([nan, 0.5, nan, 1.0]), 0.1, "answers")
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "came true"]
    assert line.get_xydata().tolist() == [[0.4, 0.5], [0.9, 1.0]]
    assert not outside_variables(figure.svg())
