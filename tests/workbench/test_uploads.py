"""What is given as an image and is none, or too much of one."""

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the workbench needs satsuma[workbench]")

from tests.workbench.raw import FROM_PAGE, asked

from satsuma.workbench import uploads
from satsuma.workbench.uploads import MOST_BYTES, UploadError, checked_upload

RUN = "shapes-1"


def picture(format: str = "PNG", size: tuple[int, int] = (37, 23), **more: Any) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(buffer, format=format, **more)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF whose one strip, packed, says that it is as large as this."""
    strip = zlib.compress(bytes(10_000))
    tags = (
        (256, width),
        (257, height),
        (258, 8),
        (259, 8),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(strip)),
    )
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\x00" + struct.pack("<I", 8 + len(strip)) + strip + ifd + bytes(4)


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header is changed to say another size."""
    raw = bytearray(picture("JPEG"))
    place = raw.index(b"\xff\xc0")
    raw[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(raw)


def gif_of(frames: int, side: int = 8) -> bytes:
    shades = [Image.new("L", (side, side), i % 256) for i in range(frames)]
    buffer = io.BytesIO()
    shades[0].save(buffer, format="GIF", save_all=True, append_images=shades[1:])
    return buffer.getvalue()


def gif_frame_of(width: int, height: int) -> bytes:
    """A GIF of one pixel whose first frame is far larger than its screen."""
    return b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + (
        b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\x00\x02\x02D\x01\x00;"
    )


def webp_of(width: int, height: int) -> bytes:
    vp8x = b"VP8X" + struct.pack("<I", 10) + b"\x02\x00\x00\x00"
    vp8x += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + vp8x + picture("WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def icon_of(inner: bytes) -> bytes:
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


BOMBS = {
    "PNG of 50,000 by 50,000": png_of(50_000, 50_000),
    "PNG of 2^31 - 1 a side": png_of(2**31 - 1, 2**31 - 1),
    "PNG just too large": png_of(6325, 6325),
    "TIFF of 50,000 by 50,000": tiff_of(50_000, 50_000),
    "JPEG of 65,500 by 65,500": jpeg_of(65_500, 65_500),
    "WebP of 16,383 by 16,383": webp_of(16_383, 16_383),
    "BMP of 40,000 by 40,000": bmp_of(40_000, 40_000),
    "GIF whose frame is 65,535 a side": gif_frame_of(65_535, 65_535),
    "PPM of 50,000 by 50,000": b"P6 50000 50000 255\n" + bytes(100),
}
NO_IMAGES = {
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "upload_markup"),
    "SVG with a byte order mark": (b"\xef\xbb\xbf  <?xml version='1.0'?><svg/>", "upload_markup"),
    "HTML": (b"\n<!DOCTYPE html><script>alert(1)</script>", "upload_markup"),
    "script": (b"#!/bin/sh\nrm -rf /\n", "upload_no_image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", "upload_no_image"),
    "PDF": (b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>\n", "upload_no_image"),
    "zip": (b"PK\x03\x04" + bytes(100), "upload_no_image"),
    "pickle": (b"\x80\x04\x95\x00cposix\nsystem\n", "upload_no_image"),
    "icon with a larger picture in it": (icon_of(png_of(12_000, 12_000)), "upload_no_image"),
    "noise": (np.random.default_rng(3).bytes(4000), "upload_no_image"),
    "nothing": (b"", "upload_empty"),
    "21 MB": (bytes(MOST_BYTES + 1), "upload_bytes"),
    "PNG cut off": (picture()[:700], "upload_damaged"),
    "JPEG cut off": (picture("JPEG", (200, 200))[:4000], "upload_damaged"),
    "JPEG of many scans": (picture("JPEG", progressive=True) + b"\xff\xda" * 300, "upload_scans"),
    "GIF cut off": (picture("GIF")[:900], "upload_damaged"),
    "PNG with a broken sum": (picture()[:60] + b"\x00\x01" + picture()[62:], "upload_damaged"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_is_refused_by_its_header(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*arguments: Any) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(uploads, "open_photo", decoded)
    monkeypatch.setattr(Image.Image, "load", decoded)
    with pytest.raises(UploadError) as refused:
        checked_upload(BOMBS[what])
    assert refused.value.name in ("upload_pixels", "upload_bomb")


@pytest.mark.parametrize("what", NO_IMAGES)
def test_what_is_no_sound_image_is_named(what: str) -> None:
    raw, name = NO_IMAGES[what]
    with pytest.raises(UploadError) as refused:
        checked_upload(raw)
    assert refused.value.name == name


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA"])
def test_images_are_taken(format: str) -> None:
    found = checked_upload(picture(format))
    assert (found.width, found.height, found.animated) == (37, 23, False)
    assert str(found.raw) == "the image"


def test_of_an_animation_it_is_said_that_it_is_one() -> None:
    found = checked_upload(gif_of(300))
    assert found.animated
    assert (found.width, found.height) == (8, 8)
    buffer = io.BytesIO()
    Image.new("L", (9, 8)).save(buffer, format="TIFF", save_all=True, append_images=[Image.new("L", (9, 8), 9)])
    assert checked_upload(buffer.getvalue()).animated


@pytest.fixture(scope="module")
def tried(browser: Any) -> Any:
    browser.page(f"/open/{RUN}/try")
    return browser


def given(tried: Any, raw: bytes, **headers: str) -> Any:
    sent = {"Origin": "http://127.0.0.1:8123", "Content-Type": "application/octet-stream", **headers}
    return tried.client.post(f"/open/{RUN}/try/image", content=raw, headers=sent)


@pytest.mark.parametrize("what", ["PNG of 50,000 by 50,000", "GIF whose frame is 65,535 a side"])
def test_the_page_says_in_words_that_it_is_too_large(tried: Any, what: str) -> None:
    answer = given(tried, BOMBS[what])
    assert answer.status_code == 422
    assert "40 million" in answer.json()["error"]


def test_the_words_are_the_readers(tried: Any) -> None:
    assert "画像" in given(tried, b"x", **{"Accept-Language": "ja"}).json()["error"]
    assert "图片" in given(tried, b"x", **{"Accept-Language": "zh-CN"}).json()["error"]


def test_a_polyglot_comes_back_as_plain_pixels(tried: Any) -> None:
    """A file that is an image and a script at once: what the page gets is the picture that the model saw."""
    import base64

    script = b"*/=1;alert(document.domain)//<script>alert(1)</script>"
    jpeg = picture("JPEG", comment=b"/*" + script)
    gif = picture("GIF").replace(b"GIF89a", b"GIF89a") + script
    for raw in (jpeg + script, gif, picture() + b"PK\x03\x04" + script):
        answer = given(tried, raw)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert b"alert" not in answer.content
        for part in ("picture", "heat"):
            shown = base64.b64decode(answer.json()[part])
            assert b"alert" not in shown
            assert Image.open(io.BytesIO(shown)).format == "JPEG"


def test_a_form_with_a_file_is_no_image(tried: Any) -> None:
    answer = tried.client.post(
        f"/open/{RUN}/try/image",
        files={"file": ("../../x.png", picture())},
        headers={"Origin": "http://127.0.0.1:8123"},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_the_limit_is_refused(tried: Any, declared: bool) -> None:
    size = 25 * 2**20
    more = [("Content-Length", str(size))] if declared else []
    parts = [bytes(2**20)] * 25
    answer = asked(
        tried.client.app,
        f"/open/{RUN}/try/image",
        method="POST",
        headers=[*FROM_PAGE, *more],
        body=() if declared else parts,
    )
    assert answer.status == 413


WRITTEN: list[str] = []
WATCH = {"on": False}


def note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: notes the files that are opened to be written to, while it is on."""
    if not WATCH["on"] or event not in ("open", "tempfile.mkstemp", "tempfile.mkdtemp", "os.rename", "os.mkdir"):
        return
    mode = arguments[1] if event == "open" else "w"
    flags = arguments[2] if event == "open" and len(arguments) > 2 and isinstance(arguments[2], int) else 0
    if event != "open" or (isinstance(mode, str) and set(mode) & set("wax+")) or flags & 3:
        WRITTEN.append(f"{event} {arguments[0]}")


@pytest.fixture
def writes() -> Iterator[Callable[[], list[str]]]:
    """What is written to disk while the test runs."""
    sys.addaudithook(note_writes)
    WRITTEN.clear()
    WATCH["on"] = True
    yield lambda: list(WRITTEN)
    WATCH["on"] = False


def test_nothing_that_is_uploaded_is_written_anywhere(
    tried: Any, tmp_path: Path, writes: Callable[[], list[str]]
) -> None:
    large = picture("BMP", (1200, 900))  # 3 MB: forms of such a size would go to a file
    assert given(tried, large).status_code == 200
    assert given(tried, large[:-5000]).status_code == 422
    assert writes() == []
    (tmp_path / "x").write_bytes(b"x")
    assert any("tmp" in place or "x" in place for place in writes())  # the hook sees what is written
