"""`satsuma open`: what lies at a path is told apart, and the workbench is served on it."""

import sys
from pathlib import Path

import pytest

from satsuma.cli.command_file import write_command
from satsuma.cli.train import TrainOptions
from satsuma.workbench.subjects import Workbench


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Workbench, dict]]:
    """What was to be served, in the place of serving it."""
    found: list[tuple[Workbench, dict]] = []
    monkeypatch.setattr("satsuma.cli.open.serve", lambda bench, **options: found.append((bench, options)))
    return found


def make_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text("{}")
    return folder


def test_a_run_opens_on_its_page_with_the_runs_beside_it(satsuma, served, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a")
    make_run(tmp_path / "runs" / "b c")
    assert satsuma("open", "runs/a", "--no-browser", "--port", "8123").code == 0
    bench, options = served[0]
    assert bench.home() == "/open/a/run"
    assert {run.title for run in bench.runs()} == {"a", "b c"}
    assert (options["port"], options["browser"]) == (8123, False)


def test_a_folder_of_runs_opens_on_their_table_and_is_the_usual_one(satsuma, served, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a")
    assert satsuma("open").code == 0
    bench, options = served[0]
    assert bench.home() == "/runs"
    assert (options["port"], options["browser"]) == (0, True)


def test_data_opens_without_a_run_and_knows_the_command_that_trains_on_it(satsuma, served, colors: Path) -> None:
    assert satsuma("open", colors, "--label", "parent", "--edits", "mine.jsonl").code == 0
    bench, _ = served[0]
    assert bench.data is not None
    assert bench.home() == f"/open/{bench.data.name}/data"
    assert bench.data.train == ["train", str(colors), "--label", "parent", "--edits", "mine.jsonl"]
    assert bench.data.edits_file == Path("mine.jsonl")
    assert bench.data.read_data().vocab


def test_edits_of_many_runs_at_once_are_refused(satsuma, served, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a")
    result = satsuma("open", "runs", "--edits", "edits.jsonl")
    assert result.code == 1
    assert "open that, not a folder of runs" in result.err
    assert served == []


def test_what_is_not_there_is_said(satsuma, served) -> None:
    result = satsuma("open")
    assert result.code == 1
    assert "runs: there is no such folder" in result.err


def test_without_the_extra_it_is_named(satsuma, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "runs" / "a")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = satsuma("open", "runs/a", "--no-browser")
    assert result.code == 1
    assert "pip install 'satsuma[workbench]'" in result.err


def test_a_run_is_trained_again_by_its_own_options(satsuma, served, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "a")
    write_command(tmp_path / "data", TrainOptions(epochs=3, augment=False, mixup=True, lr="0.01"), run)
    satsuma("open", run)
    bench, _ = served[0]
    assert bench.again is not None
    command = bench.again(run, run / "edits.jsonl")
    assert command[:2] == ["train", str(tmp_path / "data")]
    given = dict(zip(command[2::2], command[3::2], strict=False)) | dict.fromkeys(command, "")
    assert {"--epochs", "--no-augment", "--mixup", "--lr", "--runs-dir", "--edits"} <= given.keys()
    assert "--seed" not in given
