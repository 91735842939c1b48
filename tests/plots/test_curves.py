"""Curves drawn with few points lose no spike, and runs over each other can be told apart."""

import numpy as np
import pytest

from satsuma.plots.curves import Curve, plot_overlaid, thinned


def test_a_short_line_stays_as_it_is() -> None:
    places, values = thinned([3.0, 1.0, 2.0])
    assert places.tolist() == [0, 1, 2]
    assert values.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("n", [1001, 5003, 100_003])
def test_a_long_line_has_few_points_and_all_extremes(n: int) -> None:
    values = np.random.default_rng(0).normal(size=n)
    values[n // 3], values[-1] = 50.0, -50.0
    places, few = thinned(values)
    assert len(few) == len(places) <= 1000
    assert few.max() == 50.0
    assert few.min() == -50.0
    assert (np.diff(places) > 0).all()
    assert places[np.argmax(few)] == pytest.approx(n // 3, abs=n / 500)


def test_nan_is_kept_only_where_there_is_nothing_else() -> None:
    values = np.ones(2000)
    values[:1000] = np.nan
    values[7] = 3.0
    few = thinned(values, most=20)[1]
    assert few[0] == few[1] == 3.0
    assert np.isnan(few[2:10]).all()
    assert (few[10:] == 1.0).all()


def test_runs_differ_by_colour_dash_or_mark_and_names_are_shown_as_they_are() -> None:
    names = [f"run {i}" for i in range(6)] + ["_hidden $x$ <b>", "a\udc80"]
    lines = {name: [Curve(places=[1, 2], values=[1.0, i], marked=True)] for i, name in enumerate(names)}
    svg = plot_overlaid(lines, xlabel="epoch", ylabel="loss").svg()
    assert "_hidden $x$ &lt;b&gt;" in svg
    axes = plot_overlaid(lines, xlabel="epoch", ylabel="loss").axes[0]
    styles = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert len(styles) == len(names)
    assert len(axes.get_legend().get_texts()) == len(names)


def test_a_run_without_values_has_its_name_all_the_same() -> None:
    axes = plot_overlaid({"a": [], "b": [Curve(places=[1], values=[1.0])]}, xlabel="epoch", ylabel="loss").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
