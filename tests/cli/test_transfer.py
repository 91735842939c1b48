"""`satsuma train` on photos: from trained weights, or from scratch if asked."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from satsuma.nn.squeezenet import squeezenet1_1

FAST = ("--epochs", "1", "--batch-size", "8", "--size", "72", "--precision", "float32")
pytestmark = pytest.mark.usefixtures("model_only")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights, random, in a folder of their own; and no network, nor anybody's cache."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(squeezenet1_1().state_dict(), folder / "squeezenet1_1.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SATSUMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SATSUMA_WEIGHTS", raising=False)
    return folder / "squeezenet1_1.safetensors"


def test_photos_are_fine_tuned_from_trained_weights(
    satsuma, colors: Path, tmp_path: Path, weights, monkeypatch
) -> None:
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(weights.parent))
    result = satsuma("train", colors, *FAST, "--arch", "squeezenet1_1", "--freeze-epochs", "2")
    assert result.code == 0, result.err
    assert "squeezenet1_1 pretrained (squeezenet1_1.safetensors)" in result.out
    run = tmp_path / "runs" / "colors-1"
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["kind"] == "epoch"] == [0, 1, 2]  # two of the head, one of all
    assert "fine_tune" in (run / "recipe.py").read_text()
    answer = satsuma("predict", run, colors / "red" / "0.png", "--json")
    assert json.loads(answer.out)["label"] in ("red", "blue")


def test_without_weights_it_says_what_to_do_and_trains_nothing(satsuma, colors: Path, tmp_path: Path, weights) -> None:
    result = satsuma("train", colors, *FAST)
    assert result.code == 1
    assert "resnet18" in result.err
    assert "--weights FILE" in result.err
    assert "--from-scratch" in result.err
    assert "pretrained=" not in result.err
    assert not (tmp_path / "runs").exists()


def test_from_scratch_is_asked_for(satsuma, colors: Path, weights) -> None:
    result = satsuma("train", colors, *FAST, "--arch", "squeezenet1_1", "--from-scratch")
    assert result.code == 0, result.err
    assert "pretrained" not in result.out


def test_a_file_of_weights_is_used_for_small_images_too(satsuma, colors: Path, tmp_path: Path, weights) -> None:
    small = ("--epochs", "1", "--batch-size", "8", "--size", "32")
    given = satsuma("train", colors, *small, "--arch", "squeezenet1_1", "--weights", weights)
    assert given.code == 0, given.err
    assert "pretrained" in given.out
    plain = satsuma("train", colors, *small, "--mixup")
    assert "small_cnn" in plain.out
    assert "mixup=sm.MixUp()" in (tmp_path / "runs" / "colors-2" / "recipe.py").read_text()
    wrong = satsuma("train", colors, *small, "--arch", "resnet18", "--weights", weights)
    assert wrong.code == 1
    assert "do not fit" in wrong.err


def test_several_labels_an_image(satsuma, colors: Path, tmp_path: Path) -> None:
    files = sorted(colors.rglob("*.png"))
    rows = [f"{f.relative_to(colors)},{f.parent.name}{' third' if i % 3 == 0 else ''}" for i, f in enumerate(files)]
    (colors / "labels.csv").write_text("file,labels\n" + "\n".join(rows))
    result = satsuma("train", colors / "labels.csv", "--epochs", "1", "--batch-size", "8", "--label-delim", " ")
    assert result.code == 0, result.err
    assert "column labels (several an image, ' ' between them), 3 classes: blue, red, third" in result.out
    assert "f1_multi" in result.out
    without = satsuma("train", colors / "labels.csv", "--epochs", "1", "--batch-size", "8")
    assert "4 classes" in without.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from-scratch", "--weights", "a.safetensors"), "say one of them"),
        (("--freeze-epochs", "-1"), "0 or more"),
        (("--cache", "pixel"), "did you mean 'pixels'?"),
        (("--label-delim", " "), "splits the labels of a csv file"),
        (("--weights", "nowhere.safetensors"), "there is no such file of weights"),
    ],
)
def test_wrong_values_exit_1_with_what_is_expected(satsuma, colors: Path, weights, arguments, said: str) -> None:
    result = satsuma("train", colors, *arguments)
    assert result.code == 1
    assert said in result.err
    assert "Traceback" not in result.err
