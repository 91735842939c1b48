"""`satsuma demo`: the main job, on digits that come with scikit-learn."""

from pathlib import Path

import pytest


@pytest.mark.usefixtures("model_only")
def test_the_demo_trains_saves_predicts_and_says_what_is_next(satsuma, tmp_path: Path) -> None:
    result = satsuma("demo")
    assert result.code == 0, result.err
    folder = tmp_path / "satsuma-demo"
    assert len(list((folder / "digits" / "train").rglob("*.png"))) == 1437
    assert len(list((folder / "digits" / "valid").rglob("*.png"))) == 360
    assert "the model says" in result.out
    last = [line.split() for line in result.out.splitlines() if line.strip().startswith("4 ")][-1]
    assert float(last[3]) >= 0.95  # accuracy after five epochs
    assert result.out.count("\n  satsuma ") == 5
    commands = [
        line.strip().removeprefix("satsuma ") for line in result.out.splitlines() if line.startswith("  satsuma")
    ]
    predict, opened, show, peel, _ = commands  # the last is for the user's own folder, the second serves until Ctrl-C
    assert opened.split()[:2] == ["open", "satsuma-demo/runs/digits-1"]
    for command in (predict, show, peel):
        assert satsuma(*command.split()).code == 0
    again = satsuma("demo", "--epochs", "1")
    assert "digits-2" in again.out
