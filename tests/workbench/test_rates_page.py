"""*Rate finder* sweeps once on the run's own data and first weights, and keeps what it found."""

import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import satsuma as sm
from satsuma.workbench.pages.rates import KEPT, read_rates
from satsuma.workbench.subjects import Subject


def test_before_a_sweep_there_is_a_button_and_nothing_runs(browser, trained: Path) -> None:
    html = browser.page("/open/shapes-1/rates")
    assert 'id="find"' in html
    assert "<svg" not in html
    assert not (trained / KEPT).exists()


def test_a_sweep_is_shown_and_kept(a_run: Path, open_in_browser, monkeypatch) -> None:
    browser = open_in_browser(a_run)
    assert browser.send("/open/shapes-1/rates").status_code == 200
    html = browser.page("/open/shapes-1/rates")
    expected = read_rates(a_run / KEPT)
    assert expected is not None
    first = json.loads((a_run / "history.jsonl").read_text().splitlines()[0])
    assert expected.losses[0] == pytest.approx(first["loss"])  # the same weights, the same batch: before any step
    rates = [f"{expected.suggestions[name]:.2g}" for name in ("valley", "steepest", "minimum")]
    assert re.findall(r"--lr ([\d.e-]+)", html) == rates
    assert "<svg" in html
    assert "style=" not in html
    assert "fit_one_cycle(n_epoch=2, lr_max=0.01)" in html
    kept = (a_run / KEPT).stat().st_mtime_ns
    assert open_in_browser(a_run).page("/open/shapes-1/rates").count("--lr") == 3  # another day: read, not swept
    assert (a_run / KEPT).stat().st_mtime_ns == kept
    other = dataclasses.replace(expected, valley=0.125)
    monkeypatch.setattr(Subject, "untrained", lambda self: SimpleNamespace(lr_find=lambda: other))
    browser.send("/open/shapes-1/rates")
    assert "--lr 0.12<" in browser.page("/open/shapes-1/rates")
    assert read_rates(a_run / KEPT) == other


@pytest.mark.parametrize("content", ["", "{", "[]", '{"lrs": []}', json.dumps({"lrs": [1], "losses": [1, 2]})])
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "rates.json").write_text(content)
    assert read_rates(tmp_path / "rates.json") is None


def test_why_there_is_no_sweep_is_told(a_run: Path, open_in_browser, pictures: Path) -> None:
    recipe = json.loads((a_run / "recipe.json").read_text())
    recipe["versions"]["satsuma"] = "0.0.1"
    (a_run / "recipe.json").write_text(json.dumps(recipe))
    (a_run / "command.json").unlink()
    browser = open_in_browser(a_run)
    browser.send("/open/shapes-1/rates")
    html = browser.page("/open/shapes-1/rates")
    assert f"written by Satsuma 0.0.1, and this is {sm.__version__}" in html
    assert 'id="find"' in html
    assert open_in_browser(pictures).get("/open/shapes/rates").status_code == 404
