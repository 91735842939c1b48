"""`satsuma train --resume` and `satsuma rerun`: the same command once more."""

import json
import shutil
from pathlib import Path

import pytest

from satsuma.hooks.recorder import Recorder
from satsuma.learner.resuming import ResumePoints

FAST = ("--epochs", "2", "--lr", "0.01", "--batch-size", "8", "--workers", "0", "--name", "run")
pytestmark = pytest.mark.usefixtures("model_only")


class CutOffError(Exception):
    pass


def cut_off_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training breaks off by itself, as if the process had died."""
    noted = Recorder.on_step

    def on_step(self, run, row):  # type: ignore[no-untyped-def]
        noted(self, run, row)
        if len(self.losses) == steps:
            raise CutOffError

    monkeypatch.setattr(Recorder, "on_step", on_step)


def test_a_run_that_was_cut_off_goes_on_to_the_same_model(satsuma, colors: Path, tmp_path: Path) -> None:
    assert satsuma("train", colors, *FAST).code == 0
    (tmp_path / "runs").rename(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as cut:
        cut_off_after(5, cut)
        assert satsuma("train", colors, *FAST, "--save-steps", "2").code == 1
    run = tmp_path / "runs" / "run"
    assert not (run / "model.safetensors").exists()
    result = satsuma("train", "--resume", run)
    assert result.code == 0, result.err
    assert "resumed at step 4 of " in result.out
    last = "run/checkpoints/last.safetensors"
    assert (tmp_path / "runs" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()
    steps = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    numbers = [row["step"] for row in steps if row["kind"] == "step"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert (run / "model.safetensors").exists()


def test_resume_takes_its_options_from_the_run(satsuma, colors: Path, tmp_path: Path) -> None:
    refused = satsuma("train", colors, "--resume", "runs/run", "--epochs", "9")
    assert refused.code == 2
    assert "leave out" in refused.err
    nothing = satsuma("train")
    assert nothing.code == 2
    assert "--resume RUN" in nothing.err


def test_resume_says_when_there_is_no_run_or_its_data_are_gone(satsuma, colors: Path, tmp_path: Path) -> None:
    gone = satsuma("train", "--resume", "runs/none")
    assert gone.code == 1
    assert "runs/none: there is no such run" in gone.err
    moved = tmp_path / "moved"
    shutil.copytree(colors, moved)
    assert satsuma("train", moved, *FAST).code == 0
    shutil.rmtree(moved)
    lost = satsuma("train", "--resume", "runs/run")
    assert lost.code == 1
    assert "the data that" in lost.err


def test_a_rerun_is_bit_equal_and_says_so(satsuma, colors: Path, tmp_path: Path) -> None:
    assert satsuma("train", colors, *FAST).code == 0
    result = satsuma("rerun", "runs/run")
    assert result.code == 0, result.err
    assert "bit-equal" in result.out
    assert (tmp_path / "runs" / "run-again-1" / "model.safetensors").exists()


def test_a_rerun_on_other_data_says_from_which_step_on_and_what_is_different(
    satsuma, colors: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(colors, data)
    assert satsuma("train", data, *FAST).code == 0
    pictures = sorted((data / "red").iterdir())
    shutil.copy(sorted((data / "blue").iterdir())[0], pictures[0])
    result = satsuma("rerun", "runs/run")
    assert result.code == 1
    assert "not the same: from step" in result.out
    assert "the data (fingerprints" in result.out


def test_a_run_of_python_is_repeated_from_its_recipe(satsuma, tmp_path: Path, colors: Path) -> None:
    import satsuma as sm

    data = sm.ImageDataLoaders.from_folder(colors, bs=8, size=16, workers=0, seed=3)
    learn = sm.Learner(data, "small_cnn", metrics=sm.accuracy, progress=False, run_dir=tmp_path / "runs" / "mine")
    assert isinstance(learn.resume_points, ResumePoints)
    learn.fit(1, 0.01)
    learn.fit_one_cycle(1, 0.01)
    result = satsuma("rerun", "runs/mine", "--name", "twin")
    assert result.code == 0, result.out + result.err
    assert "bit-equal" in result.out
    assert satsuma("train", "--resume", "runs/twin").code == 0
