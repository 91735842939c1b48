"""Data and surroundings that are not as one would wish: what the command says of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from satsuma.cli.train import build_learner
from satsuma.learner.learner import Learner

FAST = ("--epochs", "1", "--lr", "0.01", "--batch-size", "8")
pytestmark = pytest.mark.usefixtures("model_only")


@pytest.fixture
def table(colors: Path) -> Path:
    """A csv file of the pictures beside it, `;` between the columns, and a column that says yes or no."""
    rows = [f"{name}/{i}.png;{name};{'yes' if i > 11 else 'no'}" for name in ("red", "blue") for i in range(15)]
    file = colors / "labels.csv"
    file.write_text("file;label;is_valid\n" + "\n".join(rows) + "\n")
    return file


def test_a_table_of_semicolons_and_yes_and_no(satsuma, table: Path) -> None:
    result = satsuma("train", table, *FAST)
    assert result.code == 0, result.err
    assert "columns: separated by ';'" in result.out
    assert "split: column is_valid" in result.out


def test_a_column_of_other_words_is_told_by_its_line(satsuma, table: Path) -> None:
    table.write_text(table.read_text().replace("red/1.png;red;no", "red/1.png;red;maybe"))
    result = satsuma("train", table, *FAST)
    assert result.code == 1
    assert "line 3 has 'maybe' in column is_valid" in result.err


def test_a_missing_file_of_a_table_is_named(satsuma, table: Path) -> None:
    (table.parent / "red" / "3.png").unlink()
    result = satsuma("train", table, *FAST)
    assert result.code == 1
    assert "red/3.png: there is no such file" in result.err
    assert "--skip-unreadable" in result.err
    assert satsuma("train", table, *FAST, "--skip-unreadable").code == 0


def test_a_table_without_a_header_is_refused(satsuma, table: Path) -> None:
    table.write_text(table.read_text().partition("\n")[2])
    result = satsuma("train", table, *FAST)
    assert result.code == 1
    assert "has no header: its first row names the file red/0.png" in result.err


def test_folders_in_capitals_are_the_split(satsuma, colors: Path) -> None:
    for half, keep in (("Train", range(12)), ("Val", range(12, 15))):
        for name in ("red", "blue"):
            (colors / half / name).mkdir(parents=True)
            for i in keep:
                (colors / name / f"{i}.png").rename(colors / half / name / f"{i}.png")
    for name in ("red", "blue"):
        (colors / name).rmdir()
    result = satsuma("train", colors, *FAST)
    assert result.code == 0, result.err
    assert "split: folders Train and Val" in result.out


def test_sizes_are_told_in_the_words_of_the_command(satsuma, tmp_path: Path, picture) -> None:
    for name in ("red", "blue"):
        (tmp_path / "many" / name).mkdir(parents=True)
        (tmp_path / "tiny" / name).mkdir(parents=True)
        for i in range(60):
            picture(name, seed=i).save(tmp_path / "many" / name / f"{i:02}.png")
        for i in range(3):
            picture(name, seed=i, size=(4, 4)).save(tmp_path / "tiny" / name / f"{i}.png")
    picture("red", seed=99, size=(21, 20)).save(tmp_path / "many" / "red" / "01.png")
    many = satsuma("train", tmp_path / "many", *FAST)
    assert many.code == 1
    assert "red/01.png (21×20)" in many.err
    assert "by --size 224" in many.err
    tiny = satsuma("train", tmp_path / "tiny", *FAST)
    assert "the images are 4×4" in tiny.err
    assert "--size 32" in tiny.err


def test_one_image_a_class_is_told_in_the_words_of_the_command(satsuma, tmp_path: Path, picture) -> None:
    for name in ("red", "blue"):
        (tmp_path / "few" / name).mkdir(parents=True)
        picture(name, seed=1).save(tmp_path / "few" / name / "1.png")
    result = satsuma("train", tmp_path / "few", *FAST)
    assert result.code == 1
    assert "Give each class several images" in result.err
    assert "Splitter" not in result.err


def test_a_picture_that_fails_does_not_fail_the_run(satsuma, colors: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Learner, "report", refuse)
    result = satsuma("train", colors, *FAST)
    assert result.code == 0, result.err
    assert "report.html could not be written: no ink" in result.out
    assert (tmp_path / "runs" / "colors-1" / "model.safetensors").is_file()


def refuse(*_: object) -> None:
    raise RuntimeError("no ink")


def test_no_class_to_show_is_refused(satsuma, tmp_path: Path) -> None:
    result = satsuma("predict", tmp_path / "model.safetensors", tmp_path, "--top", "0")
    assert result.code == 1
    assert "--top is how many classes to show, 1 or more, got 0" in result.err


def test_a_foreign_row_of_a_history_is_passed_over(satsuma, tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    rows = '[1]\n7\n{"kind": "epoch", "epoch": 0, "valid_loss": 0.5, "time_s": "?"}\n'
    (tmp_path / "runs" / "one" / "history.jsonl").write_text(rows)
    result = satsuma("runs")
    assert result.code == 0, result.err
    assert "0.5000" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's pipe")
@pytest.mark.parametrize("verb", ["runs", "show"])
def test_an_output_that_is_closed_or_ascii_is_no_failure(tmp_path: Path, verb: str) -> None:
    folder = tmp_path / "runs" / "café"
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text('{"kind": "epoch", "epoch": 0, "time_s": 1.0}\n' * 3000)
    path = folder.parent if verb == "runs" else folder
    command = [sys.executable, "-m", "satsuma.cli.main", verb, str(path)]
    there, gone = os.pipe()
    os.close(there)
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    closed = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, env=env, text=True, check=False)
    os.close(gone)
    assert closed.stderr == ""
    plain = subprocess.run(command, capture_output=True, env=env, text=True, check=False)
    assert plain.returncode == 0, plain.stderr
    assert "caf?" in plain.stdout


def test_a_file_that_vanishes_while_the_run_goes_on(satsuma, colors: Path, monkeypatch) -> None:
    lost = []

    def built(data, options, run_dir):
        lost.append(data.train.dataset.items[len(lost)])
        lost[-1].unlink()
        return build_learner(data, options, run_dir)

    monkeypatch.setattr("satsuma.cli.train.build_learner", built)
    result = satsuma("train", colors, *FAST)
    assert result.code == 0, result.err
    assert f"warning: {lost[0]}: there is no such file; other training samples take its place\n" in result.err
    assert "1 training file of 24 could not be read; other samples took their place" in result.out
    strict = satsuma("train", colors, *FAST, "--max-broken", "0")
    assert strict.code == 1
    assert f"{lost[1]}" in strict.err
    assert "Traceback" not in strict.err
    assert "--max-broken is a share, 0 or more and below 1" in satsuma("train", colors, "--max-broken", "1").err


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes in folders")
def test_what_is_no_file_is_listed_and_not_waited_for(satsuma, colors: Path) -> None:
    os.mkfifo(colors / "red" / "pipe.png")
    (colors / "blue" / "gone.png").symlink_to("nowhere")
    (colors / "blue" / "steer\x1b[31m.png").write_bytes(b"\0")
    result = satsuma("train", colors, *FAST)
    assert result.code == 1
    assert "3 of 33 files cannot be read" in result.err
    assert f"{colors}/red/pipe.png: cannot be read: it is a pipe, socket or device" in result.err
    assert f"{colors}/blue/gone.png: it is a link to nowhere" in result.err
    assert r"steer\x1b[31m.png: not an image" in result.err
    assert "\x1b" not in result.err
