"""`satsuma train --edits`, and `satsuma edits`."""

import csv
import json
import warnings
from pathlib import Path

import pytest

from satsuma.cli.kept_edits import edits_until_now
from satsuma.errors import UserError
from satsuma.hooks.recorder import Recorder
from satsuma.inspect.journal import Journal
from satsuma.ship.recipe import from_recipe

FAST = ("--epochs", "1", "--lr", "0.01", "--batch-size", "8", "--workers", "0", "--device", "cpu")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Edits of `colors`: one label, one move, one exclusion, one undone."""
    made = Journal(tmp_path / "mine.jsonl", who="ann")
    made.relabel("red/3.png", "blue", was="red", why="looks so")
    made.move("blue/7.png", "valid")
    made.exclude("blue/2.png")
    made.exclude("blue/5.png")
    made.undo()
    return made


@pytest.fixture(autouse=True)
def without_script_and_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run writes neither its script nor its pictures and report, which take longer than it trains."""
    monkeypatch.setattr("satsuma.learner.scripts.write_script", lambda *given: None)
    for module in ("train", "again"):
        monkeypatch.setattr(f"satsuma.cli.{module}.finish", lambda learn, run: learn.export(run / "model.safetensors"))


class CutOffError(Exception):
    pass


def block_of(run: Path):  # type: ignore[no-untyped-def]
    return from_recipe(json.loads((run / "recipe.json").read_text())["data"]["block"])


def test_a_run_keeps_the_edits_that_it_began_with(satsuma, colors: Path, journal: Journal, tmp_path: Path) -> None:
    result = satsuma("train", colors, *FAST, "--edits", journal.file, "--name", "run")
    assert result.code == 0, result.err
    assert "edits of 1 label, 1 move, 1 exclusion" in result.out
    assert "22 train, 7 valid" in result.out
    run = tmp_path / "runs" / "run"
    assert (run / "edits.jsonl").read_bytes() == journal.file.read_bytes()
    assert block_of(run).edits == journal.edits()
    assert "edits=sm.Edits(labels={'red/3.png': 'blue'}" in (run / "recipe.py").read_text()
    # the journals, also that of the run, go on growing: the run stays what it was
    journal.exclude("red/9.png")
    Journal(run / "edits.jsonl").exclude("red/8.png")
    again = satsuma("rerun", run)
    assert again.code == 0, again.err
    assert "bit-equal" in again.out
    kept = (tmp_path / "runs" / "run-again-1" / "edits.jsonl").read_text()
    assert len(kept.splitlines()) == 5
    other = satsuma("train", colors, *FAST, "--edits", journal.file, "--name", "other")
    assert "2 exclusions" in other.out


def test_a_run_with_edits_goes_on_with_them(
    satsuma, colors: Path, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", colors, *FAST, "--edits", journal.file, "--save-steps", "1", "--name", "run")
    assert satsuma(*command).code == 0
    (tmp_path / "runs").rename(tmp_path / "whole")
    noted = Recorder.on_step

    def on_step(self, run, row):  # type: ignore[no-untyped-def]
        noted(self, run, row)
        if len(self.losses) == 2:
            raise CutOffError

    with pytest.MonkeyPatch.context() as cut:
        cut.setattr(Recorder, "on_step", on_step)
        assert satsuma(*command).code == 1
    journal.exclude("red/9.png")
    Journal(tmp_path / "runs" / "run" / "edits.jsonl").exclude("red/8.png")
    journal.file.rename(tmp_path / "elsewhere.jsonl")
    result = satsuma("train", "--resume", "runs/run")
    assert result.code == 0, result.err
    last = "run/checkpoints/last.safetensors"
    assert (tmp_path / "runs" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def test_train_says_what_is_wrong_with_the_edits(satsuma, colors: Path, tmp_path: Path) -> None:
    missing = satsuma("train", colors, *FAST, "--edits", "none.jsonl")
    assert missing.code == 1
    assert "none.jsonl: there is no such file of edits" in missing.err
    (tmp_path / "bad.jsonl").write_text('{"id": 1, "action": "exclude"}\n')
    bad = satsuma("train", colors, *FAST, "--edits", "bad.jsonl")
    assert bad.code == 1
    assert "bad.jsonl:1: key is missing" in bad.err
    Journal(tmp_path / "gone.jsonl").exclude("green/1.png")
    gone = satsuma("train", colors, *FAST, "--edits", "gone.jsonl")
    assert gone.code == 0
    assert "1 edit changes nothing: its item is not in the data: green/1.png" in gone.out
    assert not (tmp_path / "runs" / "none").exists()


def test_edits_are_listed(satsuma, colors: Path, journal: Journal, tmp_path: Path) -> None:
    journal.relabel("[red]x\x1b[31m/1.png", "a[b]")
    result = satsuma("edits", journal.file)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["id", "when", "who", "item", "edit", "why"]
    assert [line.split()[0] for line in lines[1:-1]] == ["1", "2", "3", "6"]
    assert "red → blue" in lines[1]
    assert "looks so" in lines[1]
    assert "to valid" in lines[2]
    assert "left out" in lines[3]
    assert "[red]x\\x1b[31m/1.png" in lines[4]
    assert "a[b]" in lines[4]
    assert lines[-1].endswith("mine.jsonl: 4 edits in force, 1 undone")
    told = satsuma("edits", journal.file, "--data", colors)
    assert "not in the data: [red]x\\x1b[31m/1.png" in told.out


def test_labels_and_copies_are_written(satsuma, colors: Path, journal: Journal, tmp_path: Path) -> None:
    result = satsuma("edits", journal.file, "--data", colors, "--csv", "out.csv", "--apply", "copy")
    assert result.code == 0, result.err
    assert "wrote out.csv: 29 labels" in result.out
    assert "29 files, 1 of them not where they were" in result.out
    with (tmp_path / "out.csv").open(newline="") as opened:
        rows = {row["file"]: row for row in csv.DictReader(opened)}
    assert rows["red/3.png"]["label"] == "blue"
    assert rows["blue/7.png"]["split"] == "valid"
    assert (tmp_path / "copy" / "blue" / "3-2.png").exists()
    assert not (tmp_path / "copy" / "blue" / "2.png").exists()
    again = satsuma("edits", journal.file, "--data", colors, "--apply", "copy")
    assert again.code == 1
    assert "copy: is not empty" in again.err
    nothing = satsuma("edits", journal.file, "--csv", "out.csv")
    assert nothing.code == 1
    assert "Give --data" in nothing.err


def test_a_torn_journal_is_told(satsuma, colors: Path, journal: Journal) -> None:
    with journal.file.open("ab") as file:
        file.write(b'{"id": 6, "act')
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = satsuma("edits", journal.file)
    assert result.code == 0
    assert "mine.jsonl:6: the last line was cut off" in result.err


def test_nothing_that_is_read_is_written_over(satsuma, colors: Path, journal: Journal, tmp_path: Path) -> None:
    before = journal.file.read_bytes()
    onto = satsuma("edits", journal.file, "--data", colors, "--csv", journal.file)
    assert onto.code == 1
    assert "is the file of edits" in onto.err
    assert journal.file.read_bytes() == before
    picture = (colors / "red/1.png").read_bytes()
    assert "is a file of the data" in satsuma("edits", journal.file, "--data", colors, "--csv", "colors/red/1.png").err
    assert (colors / "red/1.png").read_bytes() == picture
    table = tmp_path / "labels.csv"
    rows = [f"colors/{'red' if i % 2 else 'blue'}/{i // 2}.png,{'red' if i % 2 else 'blue'}" for i in range(16)]
    table.write_text("\n".join(["file,label", *rows, ""]))
    given = table.read_bytes()
    result = satsuma("edits", journal.file, "--data", table, "--label", "label", "--csv", "labels.csv")
    assert result.code == 1
    assert "labels.csv: is a file of the data" in result.err
    assert table.read_bytes() == given


def test_a_run_whose_edits_are_not_all_there_is_not_made_again_without_them(journal: Journal) -> None:
    kept = edits_until_now(journal.file)
    assert kept.read() == journal.edits()
    journal.exclude("red/9.png")  # more may follow
    assert len(tuple(kept.read().excluded)) == 1
    lines = journal.file.read_bytes().splitlines(keepends=True)
    journal.file.write_bytes(b"".join(lines[:2]))
    with pytest.raises(UserError, match="up to number 5, and here they end with 2"):
        kept.read()
