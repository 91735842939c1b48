"""What is open: a run is found once however it is named, and names are never paths."""

import json
from pathlib import Path

import pytest

from satsuma.workbench.subjects import Workbench


@pytest.fixture(name="runs")
def folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a-1", "a 1", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.json").write_text(json.dumps({}))
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def test_a_run_named_by_a_relative_path_is_listed_once(runs: Path) -> None:
    bench = Workbench(run=runs / "b", runs_dir=runs.absolute())
    assert sorted(subject.title for subject in bench.runs()) == ["a 1", "a-1", "b"]


def test_two_folders_do_not_come_to_one_name(runs: Path) -> None:
    names = {subject.name: subject.title for subject in Workbench(runs_dir=runs).runs()}
    assert sorted(names.values()) == ["a 1", "a-1", "b"]


@pytest.mark.parametrize("name", ["..", ".", "", "../runs/b", "runs/b", "c"])
def test_a_name_is_never_taken_as_a_path(runs: Path, name: str) -> None:
    with pytest.raises(KeyError):
        Workbench(runs_dir=runs).subject(name)


def test_a_folder_that_is_a_link_is_not_listed(runs: Path) -> None:
    (runs / "link").symlink_to((runs / "b").absolute())
    assert "link" not in [subject.title for subject in Workbench(runs_dir=runs).runs()]
