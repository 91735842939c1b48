"""`satsuma check` as a person uses it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Command
from tests.inspect.textures import encoded, texture

pytestmark = pytest.mark.usefixtures("model_only")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """24 pictures of two classes, half of them in each half, and a copy encoded anew in the other."""
    root = tmp_path / "photos"
    for i in range(24):
        folder = root / ("train", "valid")[i % 2] / ("cat", "dog")[i // 2 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02}.jpg").write_bytes(encoded(texture(i), 90))
    (root / "valid/cat/copy.jpg").write_bytes(encoded(texture(0), 60))
    return root


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SATSUMA_WEIGHTS", raising=False)
    monkeypatch.setenv("SATSUMA_CACHE", str(tmp_path / "none"))


def test_it_prints_counts_and_the_surest_and_says_what_was_left_out(satsuma: Command, photos: Path) -> None:
    result = satsuma("check", photos)
    assert result.code == 0, result.err
    assert "1 leak across the split, 0 twins within a half" in result.out
    assert "valid/cat/copy.jpg" in result.out
    assert "train/cat/00.jpg" in result.out
    assert "wrong labels not looked for: there are no trained weights" in result.out


def test_strict_exits_with_1_on_leaks_only(satsuma: Command, photos: Path) -> None:
    result = satsuma("check", photos, "--strict")
    assert result.code == 1
    assert "1 leak across the split" in result.err
    (photos / "valid/cat/copy.jpg").unlink()
    assert satsuma("check", photos, "--strict").code == 0


def test_json_is_all_of_the_output_and_the_page_is_written(satsuma: Command, photos: Path, tmp_path: Path) -> None:
    result = satsuma("check", photos, "--json", "-o", "faults.html")
    found = json.loads(result.out)
    assert found["counts"]["leak"] == 1
    assert [row["key"] for row in found["faults"] if row["kind"] == "leak"] == ["valid/cat/copy.jpg"]
    assert "data:image/jpeg" in (tmp_path / "faults.html").read_text()


def test_where_no_page_can_be_written_is_told_before_the_search(
    satsuma: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satsuma.cli.check.find_faults", None)
    assert "photos: is a folder; give the name of a file in it" in satsuma("check", photos, "-o", "photos").err
    (tmp_path / "edits.jsonl").write_text("")
    result = satsuma("check", photos, "--edits", "edits.jsonl", "-o", "edits.jsonl")
    assert "edits.jsonl: that is what is read" in result.err
    assert (tmp_path / "edits.jsonl").read_text() == ""


def test_a_file_that_cannot_be_read_is_told_and_the_rest_is_checked(satsuma: Command, photos: Path) -> None:
    (photos / "train/dog/broken.jpg").write_bytes(b"")
    result = satsuma("check", photos)
    assert result.code == 0
    assert "broken.jpg: the file is empty" in result.out + result.err
    assert "1 leak across the split" in result.out


def test_by_the_model_of_a_run(satsuma: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsuma.learner.fold_fits.SAMPLES_SEEN", 500)
    rng = np.random.default_rng(1)
    for i in range(60):
        folder = tmp_path / "marks" / ("train", "valid")[i % 3 == 0] / ("lying", "standing")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        mark = rng.integers(60, size=(24, 24), dtype=np.uint8)
        place = int(rng.integers(20))
        (mark if i % 2 else mark.T)[:, place : place + 3] += 150
        Image.fromarray(mark).save(folder / f"{i:02}.png")
    wrong = tmp_path / "marks/train/lying/01.png"
    shutil.move(tmp_path / "marks/train/standing/01.png", wrong)
    assert satsuma("train", "marks", "--epochs", "1", "--lr", "0.01", "--batch-size", "8", "--name", "m").code == 0
    result = satsuma("check", "marks", "--model", "runs/m", "--json")
    found = json.loads(result.out)
    labels = [row for row in found["faults"] if row["kind"] == "label"]
    assert {"train/lying/01.png": "standing"}.items() <= {row["key"]: row["suggestion"] for row in labels}.items()
    line = {"id": 1, "when": "2026-01-01T00:00:00+00:00", "who": "a", "action": "relabel", "key": "train/lying/01.png"}
    (tmp_path / "edits.jsonl").write_text(json.dumps({**line, "from": "lying", "to": "standing", "why": ""}) + "\n")
    result = satsuma("check", "marks", "--model", "runs/m", "--edits", "edits.jsonl", "--json")
    mended = [row["key"] for row in json.loads(result.out)["faults"] if row["kind"] == "label"]
    assert "train/lying/01.png" not in mended
