"""`satsuma diff`: two runs beside each other."""

from pathlib import Path

import pytest
from tests.peel.test_diff import write_run


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    a = write_run(tmp_path / "a", [3.0, 2.0], [{"train_loss": 2.5, "valid_loss": 1.5}], settings={"lr": 0.1, "wd": 0.0})
    b = write_run(
        tmp_path / "b", [3.0, 1.0], [{"train_loss": 2.0, "valid_loss": 1.25}], settings={"lr": 0.2, "wd": 0.0}
    )
    (a / "train.py").write_text("lr = 0.1  # [red]\n")
    (b / "train.py").write_text("lr = 0.2  # [red]\n")
    return a, b


def test_settings_results_and_scripts_are_shown(satsuma, runs: tuple[Path, Path]) -> None:
    result = satsuma("diff", *runs)
    assert result.code == 0, result.err
    rows = [line.split() for line in result.out.splitlines()]
    assert ["settings.lr", "0.1", "0.2"] in rows
    assert not any("settings.wd" in row for row in rows)
    assert ["last", "valid_loss", "1.500000", "1.250000"] in rows
    assert "the losses are equal up to step 1" in result.out
    assert "-lr = 0.1  # [red]\n+lr = 0.2  # [red]" in result.out


def test_one_part_can_be_asked_for(satsuma, runs: tuple[Path, Path]) -> None:
    code = satsuma("diff", *runs, "--code").out
    assert code.startswith("--- a\n+++ b\n")
    settings = satsuma("diff", *runs, "--settings").out
    assert "settings.lr" in settings
    assert "valid_loss" not in settings
    assert "give one of them" in satsuma("diff", *runs, "--code", "--settings").err


def test_runs_that_are_the_same_or_without_scripts_say_so(satsuma, runs: tuple[Path, Path]) -> None:
    same = satsuma("diff", runs[0], runs[0]).out
    assert "the settings are the same" in same
    assert "the scripts are the same" in same
    (runs[1] / "train.py").unlink()
    assert "no train.py in b" in satsuma("diff", *runs).out
    alone = satsuma("diff", *runs, "--code")
    assert alone.code == 1
    assert "no train.py in b" in alone.err


def test_no_run_is_one_message(satsuma, runs: tuple[Path, Path]) -> None:
    result = satsuma("diff", runs[0], "nowhere")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("satsuma: nowhere: no run")
