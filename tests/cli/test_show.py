"""`satsuma show`, `runs` and `doctor`: looking at data, runs, model files and the machine."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("model_only")


def test_show_walks_through_data_and_draws_a_batch(satsuma, colors: Path, tmp_path: Path) -> None:
    result = satsuma("show", colors, "-o", "pictures/b.png")
    assert result.code == 0, result.err
    assert "all steps work" in result.out
    assert (tmp_path / "pictures" / "b.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_shown_as_its_table_and_listed_with_its_result(satsuma, colors: Path) -> None:
    satsuma("train", colors, "--epochs", "2", "--batch-size", "8")
    shown = satsuma("show", "runs/colors-1")
    assert "valid_loss" in shown.out
    assert "model.safetensors" in shown.out
    listed = satsuma("runs")
    assert "colors-1" in listed.out
    assert "accuracy" in listed.out


def test_runs_without_runs_say_so(satsuma, tmp_path: Path) -> None:
    assert satsuma("runs").code == 1
    (tmp_path / "runs").mkdir()
    assert "no runs in it" in satsuma("runs").err


def test_doctor_tells_of_the_machine_and_verifies_a_model(satsuma, colors: Path, tmp_path: Path) -> None:
    assert "bf16" in satsuma("doctor").out
    satsuma("train", colors, "--epochs", "1", "--batch-size", "8")
    model = tmp_path / "runs" / "colors-1" / "model.safetensors"
    whole = satsuma("doctor", model)
    assert "classes: blue, red" in whole.out
    assert "the file is whole and loads" in whole.out
    model.write_bytes(model.read_bytes()[:-50])
    cut = satsuma("doctor", model)
    assert cut.code == 1
    assert "not a whole safetensors file" in cut.err


def test_predict_answers_what_it_can_and_names_what_it_cannot(satsuma, colors: Path, tmp_path: Path) -> None:
    satsuma("train", colors, "--epochs", "1", "--batch-size", "8")
    (tmp_path / "odd.jpg").write_text("text")
    result = satsuma("predict", "runs/colors-1", colors / "red" / "1.png", "odd.jpg", "gone.png")
    assert result.code == 1
    assert "1.png" in result.out
    assert "odd.jpg: not an image but a text file" in result.err
    assert "gone.png" in result.err
    assert "there is no such model file" in satsuma("predict", "nothing.safetensors", "odd.jpg").err
