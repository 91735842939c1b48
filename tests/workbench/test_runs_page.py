"""*Runs* lists what was trained with its results, and compares."""

import json
import shutil
from html import unescape
from pathlib import Path

import pytest


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A folder of three runs: the trained one, one of another rate and batch, one whose name is markup."""
    folder = tmp_path / "runs"
    for name in ("shapes-1", "shapes-2", "<i>third & last"):
        shutil.copytree(trained, folder / name)
    other = folder / "shapes-2"
    recipe = json.loads((other / "recipe.json").read_text())
    recipe["fits"][0]["arguments"]["lr_max"] = 0.5
    recipe["ends"][0]["cause"] = "interrupted"
    (other / "recipe.json").write_text(json.dumps(recipe))
    lines = [json.loads(line) for line in (other / "history.jsonl").read_text().splitlines()]
    for line in lines:
        line |= {"accuracy": 0.125, "train_loss": 9.5} if line["kind"] == "epoch" else {}
    (other / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (other / "train.py").write_text((other / "train.py").read_text().replace("import torch", "import torch  # <b>"))
    return folder


def test_all_runs_are_listed_with_state_and_results(runs: Path, open_in_browser) -> None:
    browser = open_in_browser(runs)
    html = browser.page("/runs")
    found = {run["title"]: run for run in browser.json("/runs/now")["runs"]}
    assert found.keys() == {"shapes-1", "shapes-2", "<i>third & last"}
    assert "<i>" not in html
    assert "&lt;i&gt;third &amp; last" in html
    assert found["shapes-1"]["state"] == "done"
    assert found["shapes-2"]["state"] == "interrupted"
    last = json.loads((runs / "shapes-1" / "history.jsonl").read_text().splitlines()[-1])
    assert found["shapes-1"]["results"][0] == [f"{last['accuracy']:.4f}", last["accuracy"]]
    assert found["shapes-2"]["results"][0][1] == 0.125
    for run in found.values():
        assert run["epochs"] == "2"
        assert f'href="/open/{run["name"]}/run"' in html
        assert "state_" not in run["state_text"]
        assert browser.page(f"/open/{run['name']}/run")


def test_a_run_that_trains_says_so_and_new_runs_appear(runs: Path, open_in_browser) -> None:
    import os

    from satsuma.learner.run_lock import locked_folder

    browser = open_in_browser(runs)
    handle = locked_folder(runs / "shapes-1")
    try:
        assert [r["name"] for r in browser.json("/runs/now")["runs"] if r["state"] == "trains"] == ["shapes-1"]
    finally:
        os.close(handle)
    assert [r["name"] for r in browser.json("/runs/now")["runs"] if r["state"] == "trains"] == []
    shutil.copytree(runs / "shapes-1", runs / "shapes-4")
    assert len(browser.json("/runs/now")["runs"]) == 4


def test_a_run_that_has_only_just_begun_or_is_damaged_is_listed_too(runs: Path, open_in_browser) -> None:
    (runs / "shapes-1" / "history.jsonl").unlink()
    (runs / "shapes-2" / "recipe.json").write_text("{")
    browser = open_in_browser(runs)
    assert len(browser.json("/runs/now")["runs"]) == 3
    for name in ("shapes-1", "shapes-2"):
        browser.page(f"/open/{name}/run")
        assert browser.json(f"/open/{name}/run/now")["state"] == "cut_off" or name == "shapes-1"
    assert "cannot be read" in browser.page("/compare?run=shapes-1&run=shapes-2")


def test_runs_are_compared(runs: Path, open_in_browser) -> None:
    browser = open_in_browser(runs)
    html = unescape(browser.page("/compare?run=shapes-1&run=shapes-2"))
    assert "fit_one_cycle(n_epoch=2, lr_max=0.01)" in html
    assert "fit_one_cycle(n_epoch=2, lr_max=0.5)" in html
    assert "data.bs" not in html  # it is the same in both
    rows = [row for row in html.split("<tr>") if row.startswith('<th scope="row">accuracy')]
    first, second = rows[0].split("<td>")[1:]
    assert "★" in first
    assert "★" not in second
    assert '<span class="added">+import torch  # <b>\n</span>' in html
    for place in range(2):
        figure = browser.get(f"/compare/figure/{place}?run=shapes-1&run=shapes-2")
        assert figure.status_code == 200
        assert "shapes-2" in figure.text
        assert figure.text.startswith("<svg")
    assert browser.get("/compare/figure/2?run=shapes-1&run=shapes-2").status_code == 404


def test_three_runs_are_compared_without_their_code(runs: Path, open_in_browser) -> None:
    browser = open_in_browser(runs)
    names = [run["name"] for run in browser.json("/runs/now")["runs"]]
    html = browser.page("/compare?" + "&".join(f"run={name}" for name in names))
    assert "lr_max=0.5" in html
    assert 'class="diff"' not in html
    assert "<i>third" not in html


@pytest.mark.parametrize("query", ["", "?run=shapes-1", "?run=shapes-1&run=shapes-1", "?run=shapes-1&run=gone"])
def test_fewer_than_two_runs_cannot_be_compared(browser, query: str) -> None:
    answer = browser.get(f"/compare{query}", accept="text/html")
    assert answer.status_code in (400, 404)
    assert "<main" in answer.text
