"""The pictures of samples: sizes, caching, and what stands in for those that cannot be shown."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from satsuma.workbench.picture_cache import PictureCache

HERE = "/open/shapes-1"


def size_of(answer: Any) -> tuple[int, int]:
    return Image.open(io.BytesIO(answer.content)).size


@pytest.fixture
def pictures_here(pictures: Path, tmp_path: Path) -> Path:
    """A copy of the pictures, to be spoilt."""
    return Path(shutil.copytree(pictures, tmp_path / "shapes"))


@pytest.fixture
def data_browser(pictures_here: Path, open_in_browser: Callable[[Path], Any]) -> Any:
    """A browser on the pictures without a run, everything listed."""
    found = open_in_browser(pictures_here)
    found.page("/open/shapes/data")
    return found


def file_of(browser: Any, half: int, i: int) -> Path:
    dls = browser.bench.data.dls()
    return Path(dls[half].dataset.items[i])


@pytest.mark.parametrize("side", [64, 128, 256, 512, 1024])
def test_a_picture_is_a_jpeg_of_the_side_that_is_asked_for(browser: Any, side: int) -> None:
    browser.page(f"{HERE}/data")
    answer = browser.get(f"{HERE}/picture/1/0?side={side}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert size_of(answer) == (side, side)


@pytest.mark.parametrize(
    "address",
    [
        "picture/1/0?side=127",
        "picture/2/0",
        "picture/-1/0",
        "picture/1/15",
        "picture/1/-1",
        "picture/0/45",
        "heat/0/45",
    ],
)
def test_there_is_no_other_picture(browser: Any, address: str) -> None:
    browser.page(f"{HERE}/data")
    assert browser.get(f"{HERE}/{address}").status_code == 404
    assert browser.get(f"/open/nothing/{address}").status_code == 404


def test_a_browser_keeps_a_picture_and_asks_whether_it_changed(data_browser: Any) -> None:
    address = "/open/shapes/picture/0/0"
    first = data_browser.get(address)
    assert "max-age" in first.headers["cache-control"]
    again = data_browser.get(address, **{"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    file = file_of(data_browser, 0, 0)
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(file)
    os.utime(file, ns=(1, 1))
    changed = data_browser.get(address, **{"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert changed.content != first.content


def test_what_cannot_be_shown_has_a_picture_that_says_so(data_browser: Any, tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    Image.new("RGB", (16, 16)).save(outside)
    broken, gone, linked = (file_of(data_browser, 0, i) for i in range(3))
    broken.write_bytes(b"\x89PNG no more")
    gone.unlink()
    linked.unlink()
    linked.symlink_to(outside)
    answers = [data_browser.get(f"/open/shapes/picture/0/{i}") for i in range(3)]
    assert [a.status_code for a in answers] == [422, 404, 403]
    for answer, says in zip(answers, ("cannot be read", "no such file", "outside of the data"), strict=True):
        assert answer.headers["content-type"] == "image/svg+xml"
        assert says in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_a_heat_map_lies_over_the_picture_that_the_model_saw(browser: Any) -> None:
    browser.page(f"{HERE}/errors")
    heat = browser.get(f"{HERE}/heat/1/0")
    plain = browser.get(f"{HERE}/picture/1/0?side=512")
    assert heat.status_code == 200
    assert size_of(heat) == (512, 512)
    grey = np.asarray(Image.open(io.BytesIO(plain.content)), np.int64)
    hot = np.asarray(Image.open(io.BytesIO(heat.content)), np.int64)
    colour = (hot.max(2) - hot.min(2)).max()
    assert colour > 60 > (grey.max(2) - grey.min(2)).min()
    tag = heat.headers["etag"]
    assert browser.get(f"{HERE}/heat/1/0", **{"if-none-match": tag}).status_code == 304


def test_data_without_a_run_have_no_heat_maps(data_browser: Any) -> None:
    assert data_browser.get("/open/shapes/heat/0/0").status_code == 404


def test_the_cache_keeps_what_was_asked_for_last_within_its_bytes() -> None:
    cache = PictureCache(limit=10)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert cache.get("b") is None
    assert cache.get("a") == b"1234"
    assert cache.size == 8
    assert cache.made("a", lambda: b"other") == b"1234"
    cache.put("d", b"12345678901")
    assert cache.size == 0
    assert not cache.kept
