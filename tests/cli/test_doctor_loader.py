"""`satsuma doctor --loader`: it measures every setting and names the best; what cannot be loaded is told."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("satsuma.cli.doctor_loader.SIZE", 17)
    monkeypatch.setattr("satsuma.cli.doctor_loader.PRESIZE", 31)
    monkeypatch.setattr("satsuma.cli.doctor_loader.BATCH", 3)
    monkeypatch.setattr("satsuma.cli.doctor_loader.SECONDS", 0.01)
    monkeypatch.setattr("satsuma.data.loader_speed.ROUNDS", 1)


def photos(folder, count=5):
    rng = np.random.default_rng(0)
    (folder / "below").mkdir(parents=True)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (37, 53, 3), np.uint8)).save(folder / "below" / f"rex_{i}.jpg")
    return folder


def test_rates_stages_and_the_best(satsuma, tmp_path):
    result = satsuma("doctor", "--loader", photos(tmp_path / "pets"))
    assert result.code == 0, result.err
    assert "5 images below" in result.out
    assert "the first 53×37 pixels" in result.out
    for said in ("no workers", "1 thread ", "2 threads", "2 processes", "decode ", "warp ", "colour ", "best: "):
        assert said in result.out, said


@pytest.mark.parametrize("made", [True, False])
def test_no_images(satsuma, tmp_path, made):
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
        (folder / "notes.txt").write_text("none")
    result = satsuma("doctor", "--loader", folder)
    assert result.code == 1
    assert "no images there" in result.err if made else str(folder) in result.err


def test_a_torn_image_is_named(satsuma, tmp_path):
    folder = photos(tmp_path / "pets")
    (folder / "below" / "rex_3.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    result = satsuma("doctor", "--loader", folder)
    assert result.code == 1
    assert "rex_3.jpg" in result.err


def test_one_thing_at_a_time(satsuma, tmp_path):
    result = satsuma("doctor", "model.safetensors", "--loader", tmp_path)
    assert result.code == 1
    assert "one thing" in result.err
