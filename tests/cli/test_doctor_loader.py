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


@pytest.mark.parametrize("torn", [(0,), (2, 3)])
def test_a_torn_image_is_named_and_left_out(satsuma, tmp_path, torn):
    folder = photos(tmp_path / "pets")
    for i in torn:
        (folder / "below" / f"rex_{i}.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    result = satsuma("doctor", "--loader", folder)
    assert result.code == 0, result.err
    assert f"warning: {len(torn)} of 5 images cannot be read and are left out: " in result.out
    assert all(f"rex_{i}.jpg: " in result.out for i in torn)
    assert "--skip-unreadable" in result.out
    assert f"{5 - len(torn)} images below" in result.out
    assert "best: " in result.out


def test_nothing_but_torn_images(satsuma, tmp_path):
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "rex_0.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    result = satsuma("doctor", "--loader", folder)
    assert result.code == 1
    assert "none of the 1 images can be read: " in result.err
    assert "rex_0.jpg" in result.err


def test_one_thing_at_a_time(satsuma, tmp_path):
    result = satsuma("doctor", "model.safetensors", "--loader", tmp_path)
    assert result.code == 1
    assert "one thing" in result.err
