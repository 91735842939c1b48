"""Files that are no pictures, or were: each is read to the right shape, or named with a reason."""

import io
import json
import os
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.test_broken_while_training import as_nobody

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock
from satsuma.data.checks import file_problem
from satsuma.data.getters import parent_label
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.geometry import Resize
from satsuma.vision.image import examine_image, get_image_files, open_photo, read_image
from satsuma.vision.loaders import ImageDataLoaders

SHAPE = (47, 61)  # height, width
EACH = 14  # malformed files of each kind
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),  # on what it passes over in a file
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def picture(seed=0):
    slope = np.add.outer(np.arange(SHAPE[0]) * 3, np.arange(SHAPE[1]) * 2)[..., None]
    noise = np.random.default_rng(seed).integers(0, 30, (*SHAPE, 3))
    return Image.fromarray(((slope + noise) % 256).astype(np.uint8))


def encoded(kind, *, mode="RGB", seed=0, **options):
    buffer = io.BytesIO()
    picture(seed).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def sources():
    more = [picture(1), picture(2)]
    return {
        "plain.jpg": encoded("JPEG"),
        "progressive.jpg": encoded("JPEG", progressive=True),
        "cmyk.jpg": encoded("JPEG", mode="CMYK"),
        "plain.png": encoded("PNG"),
        "palette.png": encoded("PNG", mode="P"),
        "animated.png": encoded("PNG", save_all=True, append_images=more),
        "lossy.webp": encoded("WEBP"),
        "lossless.webp": encoded("WEBP", lossless=True),
        "animated.webp": encoded("WEBP", save_all=True, append_images=more),
        "animated.gif": encoded("GIF", save_all=True, append_images=more),
        "plain.tif": encoded("TIFF"),
        "packed.tif": encoded("TIFF", compression="tiff_lzw"),
        "jpeg.tif": encoded("TIFF", compression="jpeg"),
        "pages.tif": encoded("TIFF", save_all=True, append_images=more),
        "plain.bmp": encoded("BMP"),
        "plain.ppm": encoded("PPM"),
    }


def malformed(raw, rng):
    """The bytes cut off, changed anywhere or in their head, with a part gone, put in or overwritten."""
    raw, kind = bytearray(raw), rng.integers(6)
    start, n = int(rng.integers(len(raw))), int(rng.integers(1, 40))
    if kind == 0:
        del raw[start:]
    elif kind == 1:
        for place in rng.integers(len(raw), size=8):
            raw[place] = rng.integers(256)
    elif kind == 2:
        for place in rng.integers(min(200, len(raw)), size=5):
            raw[place] = rng.integers(256)
    elif kind == 3:
        del raw[start : start + 7 * n]
    elif kind == 4:
        raw[start:start] = rng.bytes(n)
    else:
        raw[start : start + n] = bytes([255 * (n % 2)]) * n
    return bytes(raw)


def test_malformed_files_are_read_or_named(tmp_path):
    files = []
    for number, (name, raw) in enumerate(sources().items()):
        rng = np.random.default_rng([7, number])
        for i in range(EACH):
            file = tmp_path / ("even", "odd")[i % 2] / f"{i}_{name}"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(malformed(raw, rng))
            files.append(file)
    assert len(files) >= 220
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(16)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = block.dataloaders(tmp_path, bs=8, on_unreadable="skip", drop_last=False, workers=0, max_broken=0)
    unreadable = dict(data.report.unreadable)
    assert 100 < len(unreadable) < 210
    assert "files cannot be read; going on without them" in str(caught[0].message)
    assert all("PIL" not in w.filename for w in caught)  # its warnings name no file
    assert all(name in str(caught[0].message) and len(reason) > 10 for name, reason in unreadable.items())
    for file in files:
        if str(file) in unreadable:
            with pytest.raises(ValueError, match=file.name):
                open_photo(file).pixels(3)
            with pytest.raises(ValueError, match=file.name):
                read_image(file)
            continue
        photo = open_photo(file)
        for shrink in (1, 2, 4, 8):
            assert photo.pixels(3, shrink).shape == (-(-photo.height // shrink), -(-photo.width // shrink), 3)
        assert read_image(file).size == (photo.width, photo.height)
    for loader in data.loaders:  # the check was right about all that are left
        assert sum(len(x) for x, _ in loader) == len(loader.dataset)


def test_good_files_of_each_kind_and_what_is_said_of_them(tmp_path):
    found = {}
    for name, raw in sources().items():
        (tmp_path / name).write_bytes(raw)
        found[name] = examine_image(tmp_path / name)
    assert [name for name, facts in found.items() if facts.problem] == []
    assert {facts.size for facts in found.values()} == {SHAPE[::-1]}
    noted = [name for name, facts in found.items() if facts.note]
    assert noted == ["animated.png", "animated.webp", "animated.gif", "pages.tif"]
    first = np.asarray(read_image(tmp_path / "pages.tif"))
    np.testing.assert_array_equal(first, np.asarray(picture()))


def test_the_first_of_several_pictures_is_read_and_that_is_said(tmp_path):
    for name, raw in sources().items():
        for kind in ("a", "b"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / name).write_bytes(raw)
    whole = encoded("JPEG")
    (tmp_path / "a" / "spoilt.jpg").write_bytes(whole[:900] + whole[930:])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = ImageDataLoaders.from_folder(tmp_path, size=16, bs=2, valid_pct=0.1)
    texts = [str(w.message) for w in caught]
    assert any(t.startswith("8 files: an animation or several pages, of which the first is read: ") for t in texts)
    assert f"1 file: damaged, but readable, at least in part: {tmp_path / 'a' / 'spoilt.jpg'}" in texts
    assert data.report.warnings[:2] == tuple(texts[:2])


def test_a_later_picture_that_is_damaged_is_no_matter():
    whole = encoded("GIF", save_all=True, append_images=[picture(1)])
    facts = examine_image(whole[: len(whole) * 3 // 4])
    assert facts.problem == ""
    assert facts.note.startswith("an animation")


# sizes


def png_header(width, height):
    """A png file that claims a size and holds next to nothing."""
    chunks = [(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"), (b"IEND", b"")]
    chunks.insert(1, (b"IDAT", zlib.compress(bytes(1000))))
    made = [len(d).to_bytes(4, "big") + n + d + zlib.crc32(n + d).to_bytes(4, "big") for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def with_size(raw, width, height):
    """A plain JPEG whose header names another size."""
    place = raw.index(b"\xff\xc0") + 5
    return raw[:place] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + raw[place + 4 :]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (png_header(2**31 - 1, 2**31 - 1), "is more than the limit of 178,956,970"),
        (png_header(60_000, 60_000), "is more than the limit of 178,956,970"),
        (png_header(13_000, 13_000), "damaged or cut off"),
        (png_header(0, 5), "damaged or cut off|not an image|0"),
        (with_size(encoded("JPEG"), 65_500, 65_500), "is more than the limit of 178,956,970"),
        (with_size(encoded("JPEG"), 0, 0), "damaged or cut off|not an image"),
    ],
)
def test_absurd_sizes_are_told(raw, reason):
    facts = examine_image(raw)
    assert facts.problem
    with pytest.raises(ValueError, match=reason):
        open_photo(raw).pixels(3)


def test_a_claim_of_many_rows_is_no_reason_to_fail():
    facts = examine_image(with_size(encoded("JPEG"), SHAPE[1], 20_000))  # libjpeg fills up what is not there
    assert facts.problem or facts.note == "damaged, but readable, at least in part"


def test_a_file_of_many_bytes_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as opened:
        opened.truncate(2**40)  # takes no room
    assert (
        examine_image(tmp_path / "a.png").problem == "1,099,511,627,776 bytes are more than the limit of 2,147,483,648"
    )
    with pytest.raises(ValueError, match=r"a\.png: 1,099,511,627,776 bytes are more than"):
        read_image(tmp_path / "a.png")


# what is something else


def test_formats_that_other_programs_would_read_are_refused(tmp_path):
    picture().save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: a file of the format EPS, which is not read; save it as PNG"):
        read_image(tmp_path / "a.jpg")
    assert "EPS" in examine_image(tmp_path / "a.jpg").problem


@pytest.mark.parametrize("raw", [b"<svg/>", b"\xef\xbb\xbf<!DOCTYPE html><p>", b"\n  <html>", b'<?xml version="1.0"?>'])
def test_pages_and_drawings_are_told_from_pictures(raw):
    assert examine_image(raw).problem == "not an image but a markup file (SVG or HTML)"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_pipes_devices_and_folders_are_named_and_never_opened(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            picture(i + len(kind)).save(tmp_path / kind / f"{i}.png")
            picture(10 * i).save(tmp_path / kind / f"{i}.png") if kind == "dog" else None
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    (tmp_path / "cat" / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "dog" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "dog" / "self.png").symlink_to("self.png")
    (tmp_path / "dog" / "again").symlink_to(tmp_path)
    (tmp_path / "dog" / "folder.png").mkdir()
    with pytest.raises(ValueError, match="4 of 12 files cannot be read") as caught:
        ImageDataLoaders.from_folder(tmp_path, bs=2)
    lines = set(str(caught.value).splitlines())
    assert f"  {tmp_path}/cat/pipe.jpg: cannot be read: it is a pipe, socket or device" in lines
    assert f"  {tmp_path}/cat/zero.jpg: cannot be read: it is a pipe, socket or device" in lines
    assert f"  {tmp_path}/dog/gone.png: it is a link to nowhere" in lines
    assert any(line.startswith(f"  {tmp_path}/dog/self.png: cannot be read: Too many levels") for line in lines)
    with pytest.raises(ValueError, match=r"pipe\.jpg: cannot be read: it is a pipe"):
        read_image(tmp_path / "cat" / "pipe.jpg")
    listed = [tmp_path / "cat" / "pipe.jpg", tmp_path / "cat" / "0.png", tmp_path]
    with pytest.raises(ValueError, match="2 of 3 files cannot be read") as caught:
        ImageDataLoaders.from_lists(listed, ["a", "a", "b"], bs=1)
    assert f"  {tmp_path}: cannot be read: it is a folder" in str(caught.value).splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
def test_names_that_would_steer_a_terminal_or_break_a_line(tmp_path):
    names = [
        b"a\nb.png",
        b"\x1b[31mred.png",
        b"a\rb.png",
        b"bad\xff.png",
        b"x" * 250 + b".png",
        "größe 空.png".encode(),
    ]
    for i in range(4):
        (tmp_path / "cd"[i % 2]).mkdir(exist_ok=True)
        picture(i).save(tmp_path / "cd"[i % 2] / f"{i}.png")
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "c"), name))).write_bytes(b"\0junk")
    with pytest.raises(ValueError, match="6 of 10 files cannot be read") as caught:
        ImageDataLoaders.from_folder(tmp_path, bs=1)
    lines = str(caught.value).splitlines()
    assert len(lines) == 8
    assert all(line.isprintable() for line in lines)
    text = str(caught.value)
    assert all(told in text for told in (r"/a\nb.png:", r"/\x1b[31mred.png:", r"/bad\udcff.png:", "/größe 空.png:"))


def test_paths_that_cannot_be():
    assert file_problem("a\0b.png").startswith("no file can have this name")
    assert "too long" in file_problem("x" * 5000)
    assert examine_image(None).problem == "no file is named"
    assert examine_image("").problem == "there is no such file"


def test_classes_that_look_alike_are_told(tmp_path):
    for number, name in enumerate(("cat", "Cat", "dog ", "dog", "cow")):
        (tmp_path / name).mkdir()
        for i in range(3):
            picture(10 * number + i).save(tmp_path / name / f"{i}.png")
    with pytest.warns(UserWarning, match="spelt in several ways") as caught:
        ImageDataLoaders.from_folder(tmp_path, bs=1, valid_pct=0.3)
    (told,) = [str(w.message) for w in caught]
    assert told == "2 classes are spelt in several ways, as if there were several: 'Cat' and 'cat', 'dog' and 'dog '"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs a user whose rights can be taken")
def test_files_and_folders_without_rights_are_named():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for i in range(8):
            (root / "cd"[i % 2]).mkdir(exist_ok=True)
            picture(i).save(root / "cd"[i % 2] / f"{i}.png")
        (root / "c" / "deep").mkdir()
        (root / "e").mkdir()
        for path in (root, *root.rglob("*")):
            os.chown(path, 65534, 65534)
        told = json.loads(as_nobody(without_rights, str(root)))
    assert told[0].splitlines()[0] == "2 folders cannot be opened:"
    assert {f"  {root}/c/deep: Permission denied", f"  {root}/e: Permission denied"} <= set(told[0].splitlines())
    assert f"1 of 8 files cannot be read:\n  {root}/d/3.png: cannot be read: Permission denied\n" in told[1]
    assert told[2].startswith("5 of 8 files cannot be read:")  # c can be listed, but what is in it not looked at
    assert f"  {root}/c/0.png: cannot be read: Permission denied" in told[2]


def without_rights(folder):
    root, texts = Path(folder), []
    (root / "c" / "deep").chmod(0)
    (root / "e").chmod(0)
    texts.append(told_by_loading(root))
    (root / "c" / "deep").rmdir()
    (root / "e").rmdir()
    (root / "d" / "3.png").chmod(0)
    texts.append(told_by_loading(root))
    (root / "c").chmod(0o400)
    texts.append(told_by_loading(root))
    return json.dumps(texts)


def told_by_loading(root):
    try:
        ImageDataLoaders.from_folder(root, bs=1, workers=0)
    except (ValueError, OSError) as error:
        return str(error)
    return ""
