"""`satsuma train`: from a folder to a run, and the ways in which a folder can be wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAST = ("--epochs", "2", "--lr", "0.01", "--batch-size", "8")
model_only = pytest.mark.usefixtures("model_only")


def test_a_folder_of_classes_becomes_a_run_with_a_model_that_predicts(satsuma, colors: Path, tmp_path: Path) -> None:
    result = satsuma("train", colors, "--epochs", "6", "--lr", "0.02", "--batch-size", "6")
    assert result.code == 0, result.err
    assert "labels: the folders' names, 2 classes: blue, red" in result.out
    assert "loss: cross_entropy" in result.out
    run = tmp_path / "runs" / "colors-1"
    names = {p.name for p in run.iterdir()}
    wanted = {
        "recipe.json",
        "recipe.py",
        "train.py",
        "history.jsonl",
        "checkpoints",
        "model.safetensors",
        "report.html",
        "loss.png",
    }
    assert wanted <= names
    kept = {p.name for p in (run / "checkpoints").iterdir()}
    assert {name for name in kept if not name.startswith("resume-")} == {"best.safetensors", "last.safetensors"}
    assert len(kept) == 4, "and the last two states, to go on from"

    answer = satsuma("predict", run, colors / "red", "--json")
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert len(rows) == 15
    assert sum(row["label"] == "red" for row in rows) >= 12
    assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-4 for row in rows)


@model_only
def test_the_same_command_gives_the_same_model(satsuma, colors: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert satsuma("train", colors, *FAST, "--name", name).code == 0
    one, two = ((tmp_path / "runs" / n / "checkpoints" / "last.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two
    assert satsuma("train", colors, *FAST, "--name", "three", "--seed", "7").code == 0
    assert (tmp_path / "runs" / "three" / "checkpoints" / "last.safetensors").read_bytes() != one


@model_only
def test_a_second_run_gets_the_next_number_and_a_taken_name_is_refused(satsuma, colors: Path, tmp_path: Path) -> None:
    satsuma("train", colors, *FAST)
    satsuma("train", colors, *FAST)
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"colors-1", "colors-2"}
    refused = satsuma("train", colors, *FAST, "--name", "colors-1")
    assert refused.code == 1
    assert "exists already" in refused.err


@model_only
@pytest.mark.parametrize("valid", ["valid", "val", "test"])
def test_train_and_valid_folders_are_the_split(satsuma, colors: Path, tmp_path: Path, valid: str) -> None:
    data = tmp_path / "split"
    for name in ("red", "blue"):
        for i, file in enumerate(sorted((colors / name).iterdir())):
            target = data / ("train" if i % 3 else valid) / name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    result = satsuma("train", data, *FAST)
    assert f"split: folders train and {valid}" in result.out
    assert "20 train, 10 valid samples" in result.out


@model_only
def test_names_with_numbers_tell_the_label(satsuma, picture, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for name in ("red", "blue"):
        for i in range(6):
            picture(name, i).save(tmp_path / "flat" / f"{name}_{i}.png")
    guessed = satsuma("train", tmp_path / "flat", *FAST)
    assert "before the last _NUMBER" in guessed.out
    told = satsuma("train", tmp_path / "flat", *FAST, "--label", r"re:^(.)")
    assert "2 classes: b, r" in told.out


@model_only
def test_a_csv_says_files_labels_and_split(satsuma, colors: Path, tmp_path: Path) -> None:
    files = sorted(colors.rglob("*.png"))
    rows = [f"{f.relative_to(colors)},{f.parent.name},{i % 5 == 0}" for i, f in enumerate(files)]
    (colors / "labels.csv").write_text("\ufefffile,label,is_valid\n" + "\n".join(rows), encoding="utf-8")
    result = satsuma("train", colors / "labels.csv", *FAST)
    assert result.code == 0, result.err
    assert "labels: column label, 2 classes: blue, red" in result.out
    assert "split: column is_valid" in result.out
    unknown = satsuma("train", colors / "labels.csv", *FAST, "--label", "lable")
    assert unknown.code == 1
    assert "did you mean 'label'?" in unknown.err


@model_only
def test_a_column_of_numbers_is_regressed(satsuma, colors: Path) -> None:
    files = sorted(colors.rglob("*.png"))
    rows = [f"{f.relative_to(colors)},{0.5 + (f.parent.name == 'red')}" for f in files]
    (colors / "values.csv").write_text("file,value\n" + "\n".join(rows))
    result = satsuma("train", colors / "values.csv", *FAST)
    assert result.code == 0, result.err
    assert "loss: mse, since the target is a number" in result.out


def test_wrong_paths_are_told_in_one_line_without_a_traceback(satsuma, colors: Path, tmp_path: Path, picture) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello")
    (tmp_path / "single" / "red").mkdir(parents=True)
    picture("red", 1).save(tmp_path / "single" / "red" / "1.png")
    for path, said in {
        "nowhere": "there is no such file or folder",
        "empty": "no images in it. The folder is empty",
        "texts": "no images in it. Found instead: 1 files with .txt",
        "single": "that is one class",
        "colors/red/1.png": "expected a folder of images or a .csv file",
    }.items():
        result = satsuma("train", tmp_path / path)
        assert result.code == 1
        assert said in result.err
        assert "Traceback" not in result.err


@model_only
def test_unreadable_files_are_listed_with_reasons_and_skipped_if_asked(satsuma, colors: Path) -> None:
    (colors / "red" / "text.jpg").write_text("not an image")
    (colors / "blue" / "zero.png").write_bytes(b"")
    whole = (colors / "blue" / "0.png").read_bytes()
    (colors / "blue" / "cut.png").write_bytes(whole[: len(whole) // 2])
    refused = satsuma("train", colors, *FAST)
    assert refused.code == 1
    assert "3 of 33 files cannot be read" in refused.err
    assert all(name in refused.err for name in ("text.jpg", "zero.png", "cut.png", "--skip-unreadable"))
    skipped = satsuma("train", colors, *FAST, "--skip-unreadable")
    assert skipped.code == 0
    assert "going on without them" in skipped.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--lr", "abc"), "a number or 'find'"),
        (("--lr", "-1"), "above 0"),
        (("--arch", "resnet81"), "did you mean 'resnet18'?"),
        (("--precision", "float23"), "did you mean 'float32'?"),
        (("--epochs", "0"), "1 or more"),
        (("--batch-size", "0"), "1 or more"),
        (("--size", "2"), "8 pixels or more"),
        (("--valid-pct", "1.5"), "below 1"),
        (("--device", "tpu0"), "device is"),
        (("--name", "a/b"), "one folder's name"),
        (("--label", "(.+)"), "'parent' or 're:PATTERN'"),
        (("--label", "re:(["), "no regular expression"),
    ],
)
def test_wrong_values_exit_1_with_what_is_expected(satsuma, colors: Path, arguments, said: str) -> None:
    result = satsuma("train", colors, *arguments)
    assert result.code == 1
    assert said in result.err
    assert "Traceback" not in result.err


def test_misspelt_verbs_and_options_exit_2_with_the_nearest(satsuma, colors: Path) -> None:
    assert "train" in satsuma("trian").err
    option = satsuma("train", colors, "--epohcs", "3")
    assert option.code == 2
    assert "--epochs" in option.err


def test_debug_shows_the_traceback(satsuma) -> None:
    assert "Traceback" in satsuma("train", "nowhere", "--debug").err


@model_only
def test_lr_find_prints_suggestions_and_writes_a_plot(satsuma, colors: Path, tmp_path: Path) -> None:
    result = satsuma("lr-find", colors, "--batch-size", "4")
    assert result.code == 0, result.err
    assert "suggested rates: minimum" in result.out
    assert (tmp_path / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    trained = satsuma("train", colors, "--epochs", "1", "--lr", "find", "--batch-size", "4")
    assert "(valley)" in trained.out


@model_only
def test_early_stop_says_why(satsuma, colors: Path) -> None:
    result = satsuma("train", colors, "--epochs", "30", "--lr", "0.02", "--batch-size", "6", "--early-stop", "1")
    assert result.code == 0
    assert "accuracy has not improved for 1 epochs" in result.out


def test_ctrl_c_ends_the_epoch_cleanly_and_keeps_the_weights(colors: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "satsuma.cli.main", "train", str(colors), "--epochs", "5000", "--batch-size", "8"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    history = tmp_path / "runs" / "colors-1" / "history.jsonl"
    deadline = time.monotonic() + 90
    while not (history.exists() and '"epoch", "epoch": 2' in history.read_text()):
        assert time.monotonic() < deadline, "no epoch was written in time"
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert "steps; the weights so far are in" in out
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    assert rows[-1]["kind"] == "epoch"  # the epoch that was cut short is evaluated and told
    assert (history.parent / "model.safetensors").exists()


def test_lr_find_tells_a_bad_ending_before_the_sweep_and_writes_where_it_says(satsuma, colors: Path, tmp_path) -> None:
    result = satsuma("lr-find", colors, "--batch-size", "4", "-o", "lr.txt")
    assert result.code == 1
    assert "a plot cannot be written as .txt" in result.err
    assert "suggested rates" not in result.out
    folder = tmp_path / "plots"
    folder.mkdir()
    for given, written in ((folder, folder / "lr_find.png"), (tmp_path / "bare", tmp_path / "bare.png")):
        result = satsuma("lr-find", colors, "--batch-size", "4", "-o", given)
        assert result.code == 0, result.err
        assert f"wrote {written}" in result.out
        assert written.read_bytes().startswith(b"\x89PNG")
