"""What is open: a run is found once however it is named, and names are never paths."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from satsuma.workbench.jobs import JobError, Jobs, Waiting
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


def made_when_there(jobs: Jobs, key: str, make: Callable[[], object], version: int | None = None) -> object:
    while True:
        try:
            return jobs.get(key, f"wait_{key}", make, version=version)
        except Waiting:
            pass


def test_only_the_newest_version_of_a_part_is_kept() -> None:
    jobs = Jobs()
    for version in range(3):  # as the weights of a run that trains
        assert made_when_there(jobs, "learner", lambda: object, version) is object
    assert len(jobs.jobs) == 1
    assert jobs.state("learner", version=2) == "done"
    assert jobs.state("learner", version=1) == ""


def test_a_part_that_another_job_needs_at_once_is_made_once() -> None:
    jobs, begun, asked = Jobs(), threading.Event(), threading.Event()
    made: list[int] = []

    def outer() -> int:
        begun.set()
        assert asked.wait(10)  # by then the part waits in the queue behind this
        jobs.now("learner", lambda: made.append(1))
        return len(made)

    with pytest.raises(Waiting):
        jobs.get("heat", "wait_heat", outer)
    assert begun.wait(10)
    with pytest.raises(Waiting):
        jobs.get("learner", "wait_learner", lambda: made.append(2))
    asked.set()
    assert made_when_there(jobs, "last", lambda: len(made)) == 1  # after all that waited
    assert made_when_there(jobs, "heat", outer) == 1


def test_what_failed_is_told_to_the_job_that_needs_it() -> None:
    def broken() -> None:
        raise ValueError("no such file")

    with pytest.raises(JobError, match="no such file"):
        Jobs().now("learner", broken)


def test_what_failed_is_tried_again_only_when_that_is_asked(tmp_path: Path) -> None:
    jobs, tries = Jobs(), []

    def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk is gone")
        return "there"

    for _ in range(2):
        with pytest.raises(JobError, match="the disk is gone"):
            jobs.now("data", make)
    assert len(tries) == 1
    jobs.forget_failed()
    assert jobs.now("data", make) == "there"
