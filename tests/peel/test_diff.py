"""What is told of two runs: settings, results, the step where they part, scripts."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import satsuma as sm
from satsuma.errors import UserError
from satsuma.peel.diff import compare_runs, diff_table, diff_texts

pytestmark = pytest.mark.usefixtures("no_scripts")


def make_run(folder: Path, *, lr: float = 0.01, epochs: int = 2, **options: Any) -> Path:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(40, 5, generator=generator)
    data = sm.DataLoaders.from_arrays(x, (x[:, 0] > 0).long(), bs=8)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 2))
    learn = sm.Learner(data, model, metrics=[sm.accuracy], run_dir=folder, **options)
    learn.fit(epochs, lr)
    return folder


def write_run(folder: Path, losses: list[float | None], epochs: list[dict[str, Any]], **recipe: Any) -> Path:
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe))
    rows: list[dict[str, Any]] = [{"kind": "step", "step": i, "loss": loss} for i, loss in enumerate(losses, 1)]
    rows += [{"kind": "epoch", "epoch": i, "time_s": 1.5, **row} for i, row in enumerate(epochs)]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_rate_that_differs_is_a_row_as_code_and_the_losses_part_after_the_first_step(tmp_path: Path) -> None:
    found = compare_runs(make_run(tmp_path / "a"), make_run(tmp_path / "b", lr=0.02, wd=0.1))
    rows = {s.path: (s.a, s.b) for s in found.settings}
    assert rows["settings.wd"] == ("None", "0.1")
    assert rows["fits.0"] == ("fit(n_epoch=2, lr=0.01)", "fit(n_epoch=2, lr=0.02)")
    assert set(rows) <= {"settings.wd", "fits.0"}
    assert found.losses_text == "the losses are equal up to step 1"
    results = {name: (a, b) for name, a, b in found.results()}
    assert results["steps"] == ("8", "8")
    assert {"last valid_loss", "best valid_loss", "last accuracy", "time"} <= set(results)


def test_the_same_run_twice_differs_in_nothing(tmp_path: Path) -> None:
    found = compare_runs(make_run(tmp_path / "a"), make_run(tmp_path / "b"))
    assert found.settings == ()
    assert found.losses_text == "all 8 losses are equal"


def test_parts_of_a_recipe_are_told_as_code_and_blocks_part_by_part(tmp_path: Path) -> None:
    def block(size: int) -> dict[str, Any]:
        tfms = [{"new": "satsuma.vision.geometry.Resize", "kwargs": {"size": size}}]
        return {"block": {"new": "satsuma.data.block.DataBlock", "kwargs": {"item_tfms": tfms}}, "bs": 64}

    found = compare_runs(
        write_run(tmp_path / "a", [1.0], [], data=block(128), ends=[1]),
        write_run(tmp_path / "b", [1.0], [], data=block(224), ends=[2]),
    )
    assert [(s.path, s.a, s.b) for s in found.settings] == [
        ("data.block.kwargs.item_tfms", "(sm.Resize(size=128),)", "(sm.Resize(size=224),)")
    ]


def test_where_the_losses_part_is_said_in_every_case(tmp_path: Path) -> None:
    runs = {
        "long": write_run(tmp_path / "long", [3.0, 2.0, 1.0], []),
        "short": write_run(tmp_path / "short", [3.0, 2.0], []),
        "other": write_run(tmp_path / "other", [4.0, 2.0], []),
        "broken": write_run(tmp_path / "broken", [3.0, None], []),
        "empty": write_run(tmp_path / "empty", [], []),
    }

    def text(a: str, b: str) -> str:
        return compare_runs(runs[a], runs[b]).losses_text

    assert text("long", "short") == "the losses are equal up to step 2, where short ends; long has 3"
    assert text("short", "other") == "the losses differ from the first step on"
    assert text("short", "broken") == "the losses are equal up to step 1"
    assert text("long", "empty") == "empty has made no step"


def test_the_best_epoch_is_that_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    epochs = [{"train_loss": 3.0, "valid_loss": v} for v in (0.5, 0.25, None, 0.75)]
    run = write_run(tmp_path / "a", [1.0], epochs)
    results = {name: a for name, a, _ in compare_runs(run, write_run(tmp_path / "b", [1.0], [])).results()}
    assert results["best epoch"] == "1"
    assert results["last valid_loss"] == "0.750000"
    assert results["time"] == "6.0s"


def test_scripts_are_compared_where_both_runs_hold_one(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [1.0], []) for name in "ab"]
    assert compare_runs(*runs).without_script == ("a", "b")
    for run, lr in zip(runs, ("0.1", "0.2"), strict=True):
        (run / "train.py").write_text(f"lr = {lr}\nprint(lr)\n")
    assert compare_runs(*runs).code == "--- a\n+++ b\n@@ -1,2 +1,2 @@\n-lr = 0.1\n+lr = 0.2\n print(lr)\n"
    assert diff_texts("same\n", "same\n", "a", "b") == ""


def test_scripts_side_by_side_show_both_lines_in_one_row() -> None:
    shown = io.StringIO()
    a = "one\ntwo [b]\nthree\n" + "same\n" * 20 + "end\n"
    Console(file=shown, width=80).print(
        diff_table(a, a.replace("two", "TWO").replace("end\n", ""), "[a]", "b", context=1)
    )
    rows = [line.split() for line in shown.getvalue().splitlines()]
    assert ["2", "two", "[b]", "2", "TWO", "[b]"] in rows
    assert ["...", "..."] in rows
    assert rows[0] == ["[a]", "b"]
    assert rows[-1] == ["24", "end"]


def test_what_is_no_run_or_damaged_is_said(tmp_path: Path) -> None:
    good = write_run(tmp_path / "good", [1.0], [])
    with pytest.raises(UserError, match="nothing: no run: there is no such folder"):
        compare_runs(good, tmp_path / "nothing")
    with pytest.raises(UserError, match=r"it holds no recipe\.json"):
        compare_runs(tmp_path, good)
    bare = write_run(tmp_path / "bare", [], [])
    (bare / "history.jsonl").unlink()
    with pytest.raises(UserError, match=r"it holds no history\.jsonl"):
        compare_runs(good, bare)
    cut = write_run(tmp_path / "cut", [1.0], [])
    (cut / "recipe.json").write_text('{"settings": {')
    with pytest.raises(UserError, match=r"recipe\.json: not whole"):
        compare_runs(good, cut)
    (cut / "recipe.json").write_text("[]")
    with pytest.raises(UserError, match="expected an object, got list"):
        compare_runs(good, cut)


def test_only_the_last_line_of_a_history_may_be_torn(tmp_path: Path) -> None:
    good, torn = write_run(tmp_path / "good", [2.0, 1.0], []), write_run(tmp_path / "torn", [2.0, 1.0], [])
    history = torn / "history.jsonl"
    history.write_text(history.read_text() + '{"kind": "st')
    assert compare_runs(good, torn).losses_text == "all 2 losses are equal"
    history.write_text('{"kind": "st\n' + history.read_text())
    with pytest.raises(UserError, match="line 1 is damaged"):
        compare_runs(good, torn)
    history.write_text('{"kind": "song"}\n{"kind": "step", "loss": 1}\n')
    with pytest.raises(UserError, match="line 1 is neither a step nor an epoch"):
        compare_runs(good, torn)
