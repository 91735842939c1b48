"""The *Errors* page: the confusion matrix, whose cells open their samples, and the samples by loss and by class."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from satsuma.workbench.confusions import MOST_CLASSES, matrix_of

HERE = "/open/shapes-1/errors"


def places(page: str) -> list[int]:
    """The validation samples that a page shows, in their order."""
    return [int(i) for i in re.findall(r'data-half="1" data-i="(\d+)"', page)]


@pytest.fixture
def found(browser: Any) -> Any:
    """The run's predictions of the validation half."""
    browser.page(HERE)
    return browser.bench.subject("shapes-1").predictions(1)


def test_the_matrix_counts_every_sample_and_its_cells_open_them(browser: Any, found: Any) -> None:
    page = browser.page(HERE)
    cells = re.findall(
        r'href="([^"]*true=(\d)&amp;said=(\d)[^"]*)#samples" data-cell="[^"]*" aria-label="[^"]*: (\d+)"', page
    )
    assert sum(int(n) for *_, n in cells) == len(found) == 15
    for address, true, said, n in cells:
        shown = places(browser.page(address.replace("&amp;", "&")))
        wanted = np.flatnonzero((found.targets == int(true)) & (found.decided == int(said)))
        assert sorted(shown) == wanted.tolist()
        assert len(shown) == int(n)


def test_shares_are_of_the_row(browser: Any) -> None:
    page = browser.page(f"{HERE}?by=share")
    shares = [
        [int(s) for s in re.findall(r">(\d+)%</a>", row)]
        for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", page, re.S)
    ]
    assert [sum(row) for row in shares if row] == pytest.approx([100] * sum(map(bool, shares)), abs=1)


def test_samples_come_by_loss_and_by_view(browser: Any, found: Any) -> None:
    assert places(browser.page(HERE)) == np.argsort(-found.losses, kind="stable").tolist()
    wrong = places(browser.page(f"{HERE}?view=incorrect"))
    assert sorted(wrong) == np.flatnonzero(found.targets != found.decided).tolist()
    right = places(browser.page(f"{HERE}?view=correct"))
    assert sorted(right) == np.flatnonzero(found.targets == found.decided).tolist()
    margins = np.sort(found.outputs, 1)
    assert places(browser.page(f"{HERE}?view=uncertain"))[0] == int(np.argmin(margins[:, -1] - margins[:, -2]))


def test_a_class_has_its_own_samples(browser: Any, found: Any) -> None:
    shown = places(browser.page(f"{HERE}?label=pole"))
    assert sorted(shown) == np.flatnonzero(found.targets == found.vocab.index("pole")).tolist()
    assert places(browser.page(f"{HERE}?label=no such class")) == places(browser.page(HERE))


def test_the_training_half_can_be_looked_at_too(browser: Any) -> None:
    page = browser.page(f"{HERE}?half=0")
    assert len(re.findall(r'data-half="0" data-i="', page)) == 36
    assert not places(page)


def test_names_are_text(browser: Any) -> None:
    page = browser.page(HERE)
    assert "<b>" not in page
    assert "&lt;b&gt;box" in page
    assert "<img src=x" not in page


def test_the_curve_is_drawn_when_it_is_asked_for(browser: Any) -> None:
    svg = browser.json(f"{HERE}/figure?half=1")["svg"]
    assert svg.startswith("<svg")
    assert "style=" not in svg
    assert browser.get(f"{HERE}/figure?half=7").status_code == 404


def test_data_without_a_run_have_no_errors(pictures: Path, open_in_browser: Callable[[Path], Any]) -> None:
    assert open_in_browser(pictures).get("/open/shapes/errors", accept="text/html").status_code == 404


def test_a_matrix_of_many_classes_shows_those_that_are_confused() -> None:
    counts = np.eye(100, dtype=np.int64) * 5
    counts[97, 3] = 2
    shown = matrix_of(counts, shares=False)
    assert len(shown.classes) == MOST_CLASSES
    assert shown.left_out == 60
    assert {3, 97} <= set(shown.classes)


def test_a_cell_is_the_warmer_the_more_it_holds() -> None:
    shown = matrix_of(np.array([[9, 1, 0], [4, 3, 0], [0, 0, 0]]), shares=False)
    assert [[cell.style for cell in row] for row in shown.cells] == [
        ["heat-right-6", "heat-wrong-3", ""],
        ["heat-wrong-6", "heat-right-4", ""],
        ["", "", ""],
    ]
    assert [[cell.text for cell in row] for row in matrix_of(np.array([[9, 1], [0, 0]]), shares=True).cells] == [
        ["90%", "10%"],
        ["", ""],
    ]


# --- other targets ----------------------------------------------------------------------------------------------------


def trained_on_table(folder: Path, rows: list[tuple[str, str]], *, delim: str = "") -> Path:
    """A run on pictures that a table names, one epoch."""
    from satsuma.cli.train import TrainOptions, run_train

    rng = np.random.default_rng(0)
    data = folder / "table"
    data.mkdir()
    for name, _ in rows:
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(data / name)
    (data / "labels.csv").write_text("file,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    options = TrainOptions(epochs=1, batch_size=8, lr="0.01", device="cpu", workers=0, label="label", label_delim=delim)
    learn = run_train(data, options, name="table-1", runs_dir=folder / "runs")
    assert learn.run_dir is not None
    return learn.run_dir


def test_several_labels_have_scores_by_label(tmp_path: Path, open_in_browser: Callable[[Path], Any]) -> None:
    rows = [(f"{i}.png", ("sea", "sky", "sea sky")[i % 3]) for i in range(20)]
    browser = open_in_browser(trained_on_table(tmp_path, rows, delim=" "))
    page = browser.page("/open/table-1/errors")
    assert 'id="matrix"' not in page
    assert "average precision" in page
    assert len(places(page)) == 4
    found = browser.bench.subject("table-1").predictions(1)
    shown = places(browser.page("/open/table-1/errors?label=sea"))
    assert sorted(shown) == np.flatnonzero(found.targets[:, found.vocab.index("sea")]).tolist()
    browser.page("/open/table-1/clean")
    answer = browser.send("/open/table-1/clean/edit", {"action": "relabel", "samples": [[0, 0]], "labels": ["sky"]})
    assert answer.status_code == 200, answer.text
    assert browser.bench.subject("table-1").journal.edits().labels.popitem()[1] in (("sky",), "sky")


def test_a_regression_has_its_largest_residuals(tmp_path: Path, open_in_browser: Callable[[Path], Any]) -> None:
    rows = [(f"{i}.png", f"{i / 7:.3f}") for i in range(20)]
    browser = open_in_browser(trained_on_table(tmp_path, rows))
    page = browser.page("/open/table-1/errors")
    found = browser.bench.subject("table-1").predictions(1)
    assert found.kind == "regression"
    assert 'id="matrix"' not in page
    assert places(page) == np.argsort(-found.losses, kind="stable").tolist()
    assert browser.json("/open/table-1/errors/figure?half=1")["svg"].startswith("<svg")
    browser.page("/open/table-1/clean")
    sent = {"action": "relabel", "samples": [[0, 0]], "labels": ["2.5"]}
    assert browser.send("/open/table-1/clean/edit", sent).status_code == 200
    refused = browser.send("/open/table-1/clean/edit", {**sent, "labels": ["much"]})
    assert refused.status_code == 400
    assert "much" in refused.json()["error"]
