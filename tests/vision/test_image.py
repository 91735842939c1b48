"""Reading images in every mode they are saved in, against pixels computed by hand or by Pillow."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.vision.oracle import smooth_picture

from satsuma.vision import image
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.image import examine_image, get_image_files, open_photo, read_image
from satsuma.vision.targets import read_mask

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ALPHA = np.random.default_rng(1).integers(0, 256, (5, 7), dtype=np.uint8)


def saved(image, suffix="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def pixels(source, channels=3):
    return np.asarray(read_image(source, channels))


def same(a, b):
    np.testing.assert_array_equal(a, b)


# modes


def test_colour_and_grey():
    png = saved(Image.fromarray(RGB))
    same(pixels(png), RGB)
    same(pixels(png, 1), np.asarray(Image.fromarray(RGB).convert("L")))
    same(pixels(saved(Image.fromarray(GREY))), np.stack([GREY] * 3, 2))
    same(pixels(saved(Image.fromarray(GREY)), 1), GREY)


def test_black_and_white():
    bits = GREY > 127
    same(pixels(saved(Image.fromarray(bits)), 1), bits * np.uint8(255))


def test_transparency_is_dropped_or_kept():
    rgba = np.dstack([RGB, ALPHA])
    png = saved(Image.fromarray(rgba))
    same(pixels(png), RGB)
    same(pixels(png, 4), rgba)
    same(pixels(saved(Image.fromarray(RGB)), 4)[..., 3], 255)


def test_grey_with_transparency():
    png = saved(Image.fromarray(np.dstack([GREY, ALPHA])))
    assert Image.open(io.BytesIO(png)).mode == "LA"
    same(pixels(png, 1), GREY)
    same(pixels(png), np.stack([GREY] * 3, 2))
    same(pixels(png, 4)[..., 3], ALPHA)


def palette_image():
    image = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7) % 4, mode="P")
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], np.uint8)
    image.putpalette(colours.tobytes())
    return image, colours[np.asarray(image)]


def test_palettes():
    image, colours = palette_image()
    same(pixels(saved(image)), colours)
    same(pixels(saved(image, "gif")), colours)


def test_palettes_with_transparency():
    image, colours = palette_image()
    png = saved(image, transparency=2)
    assert Image.open(io.BytesIO(png)).info["transparency"] == 2
    same(pixels(png), colours)
    same(pixels(png, 4)[..., 3], np.where(np.asarray(image) == 2, 0, 255))


@pytest.mark.parametrize("highest", [255, 256, 4095, 65535])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_keep_their_upper_eight(highest, kind):
    # also in a dark image, so that all images of a set are as bright as they are to each other
    values = np.linspace(0, highest, 35).astype(np.uint16).reshape(5, 7)
    same(pixels(saved(Image.fromarray(values), kind), 1), (values >> 8).astype(np.uint8))
    same(pixels(saved(Image.fromarray(values), kind))[..., 1], (values >> 8).astype(np.uint8))


def test_floats_of_0_to_1_or_0_to_255():
    values = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    expected = (values * 255).round().astype(np.uint8)
    same(pixels(saved(Image.fromarray(values), "tiff"), 1), expected)
    same(pixels(saved(Image.fromarray(expected.astype(np.float32)), "tiff"), 1), expected)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 256), (0, np.nan)])
def test_floats_of_another_range_are_refused(low, high):
    values = np.full((5, 7), low, np.float32)
    values[2, 3] = high
    with pytest.raises(ValueError, match=r"its pixels go from .* 0 to 255 is expected"):
        read_image(saved(Image.fromarray(values), "tiff"))


def test_large_integers_are_refused():
    with pytest.raises(ValueError, match=r"go from 0 to 7e.04, 0 to 65535 is expected"):
        read_image(saved(Image.fromarray(np.array([[0, 70000]], np.int32)), "tiff"))


def test_cmyk():
    cmyk = Image.fromarray(RGB).convert("CMYK")
    same(pixels(saved(cmyk, "tiff")), RGB)  # Pillow's plain conversion there and back
    jpeg = saved(cmyk, "jpeg", quality=100)
    assert Image.open(io.BytesIO(jpeg)).mode == "CMYK"
    same(pixels(jpeg), np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
    assert np.abs(pixels(jpeg).astype(int) - RGB).mean() < 30


TURNS = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: RGB[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(RGB, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    same(pixels(saved(Image.fromarray(RGB), exif=exif)), TURNS[orientation])


def test_the_first_frame_of_an_animation():
    image, colours = palette_image()
    same(pixels(saved(image, "gif", save_all=True, append_images=[Image.new("P", (7, 5))])), colours)


# sources


def test_paths_bytes_arrays_and_pictures(tmp_path):
    path = tmp_path / "größe mit 空白.png"
    Image.fromarray(RGB).save(path)
    for source in (path, str(path), path.read_bytes(), RGB, Image.fromarray(RGB)):
        same(pixels(source), RGB)
    same(pixels(GREY[..., None], 1), GREY)
    same(pixels(np.dstack([GREY, ALPHA]), 1), GREY)


@pytest.mark.parametrize(
    "array", [RGB.astype(np.float32), RGB.astype(np.uint16), RGB.transpose(2, 0, 1)[:, :, :5], RGB[0, 0]]
)
def test_arrays_of_another_kind_are_refused(array):
    with pytest.raises(ValueError, match=r"is uint8 0\.\.255, \[H W\] or \[H W C\] with 1 to 4 channels last, got"):
        read_image(array)


def test_what_is_no_image_source():
    with pytest.raises(TypeError, match=r"an image is a path, bytes, a NumPy array .* got Tensor"):
        read_image(torch.zeros(3, 5, 7))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read_image("nowhere.jpg")


# damage

JPEG = saved(Image.fromarray(RGB).resize((70, 50)), "jpeg")
PNG = saved(Image.fromarray(RGB).resize((70, 50)))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"breed,id\ncat,5\n", "not an image but a text file"),
        (b'<?xml version="1.0"?><svg/>', "not an image but a markup file"),
        (b"\0\1\2\3" * 9, "not an image in a format that can be read"),
        (JPEG[: len(JPEG) // 2], "damaged or cut off"),
        (PNG[: len(PNG) // 2], "damaged or cut off"),
        (JPEG[:20], "not an image in a format that can be read"),
        (PNG[:20], "damaged or cut off"),
        (PNG[:60] + b"\xff" * 30 + PNG[90:], "damaged or cut off"),
    ],
)
def test_damaged_files_are_named_with_the_reason(tmp_path, raw, reason):
    path = tmp_path / "rex 5.jpg"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"rex 5\.jpg: .*{reason}"):
        read_image(path)
    facts = examine_image(path)
    assert facts.problem
    assert reason.replace("\\", "") in facts.problem


def test_a_picture_too_large_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr("satsuma.vision.image.MAX_PIXELS", 30)
    with pytest.raises(ValueError, match="7 by 5 pixels is more than the limit of 30"):
        read_image(saved(Image.fromarray(RGB)))


def test_good_files_have_a_digest_of_their_bytes(tmp_path):
    for name, raw in [("a.jpg", JPEG), ("b.jpg", JPEG), ("c.png", PNG)]:
        (tmp_path / name).write_bytes(raw)
    a, b, c = (examine_image(tmp_path / n) for n in ("a.jpg", "b.jpg", "c.png"))
    assert a.problem == c.problem == ""
    assert a == b
    assert a.digest != c.digest
    assert examine_image(RGB).digest == examine_image(Image.fromarray(RGB)).digest != examine_image(RGB[::-1]).digest


def test_tiny_jpegs_are_good(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.jpg")
    assert examine_image(tmp_path / "a.jpg").problem == ""


def test_files_that_are_not_there_or_that_are_folders(tmp_path):
    assert examine_image(tmp_path / "a.jpg").problem == "there is no such file"
    assert examine_image(tmp_path).problem.startswith("cannot be read")
    assert "uint8" in examine_image(RGB.astype(float)).problem


# lists


def test_image_files_by_their_ending(tmp_path):
    for name in ("b/2.JPG", "a/1.png", "a/notes.txt", "a/.x.jpg", "3.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert get_image_files(tmp_path) == [tmp_path / n for n in ("3.tiff", "a/1.png", "b/2.JPG")]
    assert get_image_files(tmp_path, folders=["a"]) == [tmp_path / "a/1.png"]
    assert get_image_files(str(tmp_path), recurse=False) == [tmp_path / "3.tiff"]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        get_image_files(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="did you mean 'folders'"):
        get_image_files(Path(), folder="a")


# photos: the header first, the pixels later


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def jpeg_of(height, width, mode="RGB", **options):
    return saved(Image.fromarray(smooth_picture(height, width)).convert(mode), "jpeg", **options)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}, {"optimize": True}])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpegs_are_decoded_to_pillows_pixels(mode, options, channels):
    raw = jpeg_of(61, 83, mode, **options)
    photo = open_photo(raw)
    assert photo.header is not None  # it goes the fast way
    found = photo.pixels(channels)
    assert (photo.height, photo.width, found.shape, found.dtype) == (61, 83, (61, 83, channels), np.uint8)
    assert found.flags.c_contiguous
    expected = pixels(raw, channels).reshape(61, 83, channels)
    assert np.abs(found.astype(int) - expected).max() <= (1 if channels == 1 else 0)  # grey is the file's own luma


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_photos_are_upright_at_every_scale(orientation, shrink):
    raw = jpeg_of(61, 83, exif=exif_of(orientation), quality=95)
    photo = open_photo(raw)
    whole = pixels(raw)
    assert (photo.height, photo.width) == whole.shape[:2]
    found = photo.pixels(3, shrink)
    assert found.shape == (-(-photo.height // shrink), -(-photo.width // shrink), 3)
    assert found.flags.c_contiguous
    if shrink == 1:
        same(found, whole)
        return
    upright = whole.shape == (61, 83, 3) and orientation < 2
    part = whole[: 61 // shrink * shrink or 1, : 61 // shrink * shrink or 1] if upright else None
    if part is not None:  # where blocks begin at the upper left corner, they are those of a plain mean
        n = part.shape[0] // shrink
        means = part.reshape(n, shrink, n, shrink, 3).mean((1, 3))
        assert np.abs(found[:n, :n] - means).mean() < 3


@pytest.mark.parametrize("endian", ["II", "MM"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_exif_of_either_byte_order_and_xmp(endian, orientation):
    order = "little" if endian == "II" else "big"
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, orientation.to_bytes(2, order) + b"\0\0")]
    tiff = endian.encode() + (42).to_bytes(2, order) + (8).to_bytes(4, order) + len(entries).to_bytes(2, order)
    for tag, kind, count, value in entries:
        tiff += tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + value
    raw = jpeg_of(16, 32, exif=b"Exif\0\0" + tiff + b"\0" * 4)
    same(open_photo(raw).pixels(3), pixels(raw))
    assert open_photo(raw).height == (16 if orientation == 1 else 32)
    xmp = jpeg_of(16, 32, xmp=f'<x:xmpmeta><rdf tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode())
    same(open_photo(xmp).pixels(3), pixels(xmp))


@pytest.mark.parametrize("cut", range(3, 60, 4))
def test_exif_that_is_cut_off_or_nonsense_is_passed_over(cut):
    exif = exif_of(6).tobytes()[:cut] + b"\xff" * 5
    raw = jpeg_of(16, 32, exif=exif)
    assert open_photo(raw).pixels(3).shape in ((16, 32, 3), (32, 16, 3))


@pytest.mark.parametrize("shrink", [1, 2, 8])
def test_what_is_no_plain_jpeg_goes_through_pillow(shrink):
    palette, _ = palette_image()
    cmyk = saved(Image.fromarray(smooth_picture(61, 83)).convert("CMYK"), "jpeg")
    deep = saved(Image.fromarray(smooth_picture(61, 83)[..., 0].astype(np.uint16) * 257))
    for source in (cmyk, deep, saved(palette), saved(Image.fromarray(RGB)), RGB, GREY, Image.fromarray(RGB)):
        whole = pixels(source)
        photo = open_photo(source)
        assert (photo.height, photo.width) == whole.shape[:2]
        found = photo.pixels(3, shrink)
        below, beside = -whole.shape[0] % shrink, -whole.shape[1] % shrink
        padded = np.pad(whole, ((0, below), (0, beside), (0, 0)), mode="edge").astype(float)
        blocks = padded.reshape(padded.shape[0] // shrink, shrink, padded.shape[1] // shrink, shrink, 3)
        assert np.abs(found - blocks.mean((1, 3))).max() <= 1.5


def test_arrays_are_taken_as_they_are():
    assert open_photo(RGB).pixels(3) is RGB
    same(open_photo(RGB).pixels(1)[..., 0], pixels(RGB, 1))
    turned = open_photo(RGB.swapaxes(0, 1)).pixels(3)
    assert turned.flags.c_contiguous
    same(turned, RGB.swapaxes(0, 1))


def test_a_photo_has_the_name_of_its_file(tmp_path):
    (tmp_path / "rex 5.jpg").write_bytes(JPEG)
    assert open_photo(tmp_path / "rex 5.jpg").name == str(tmp_path / "rex 5.jpg")
    (tmp_path / "cut.jpg").write_bytes(JPEG[: len(JPEG) // 2])
    for shrink in (1, 8):
        with pytest.raises(ValueError, match=r"cut\.jpg: damaged or cut off"):
            open_photo(tmp_path / "cut.jpg").pixels(3, shrink)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(TypeError, match=r"an image is a path, bytes, a NumPy array .* got Tensor"):
        open_photo(torch.zeros(3, 5, 7))
    with pytest.raises(ValueError, match=r"is uint8 0\.\.255"):
        open_photo(RGB.astype(float))
    for raw in (b"", b"breed,id\n", b"<svg/>"):
        with pytest.raises(ValueError, match="the image: "):
            open_photo(raw)


@pytest.mark.parametrize("raw", [JPEG, PNG])
def test_a_photo_too_large_is_refused_by_its_header(monkeypatch, tmp_path, raw):
    monkeypatch.setattr("satsuma.vision.image.MAX_PIXELS", 30)
    (tmp_path / "bomb").write_bytes(raw)
    with pytest.raises(ValueError, match=r"bomb: 70 by 50 pixels is more than the limit of 30"):
        open_photo(tmp_path / "bomb")
    assert "70 by 50 pixels is more than" in examine_image(tmp_path / "bomb").problem


@pytest.mark.parametrize("place", range(2, 400, 7))
def test_a_jpeg_with_a_wrong_byte_is_read_as_pillow_reads_it_or_refused_as_it_refuses(place):
    raw = JPEG[:place] + bytes([JPEG[place] ^ 0x55]) + JPEG[place + 1 :]
    assert outcome(lambda: open_photo(raw).pixels(3)) == outcome(lambda: pixels(raw))


def outcome(read):
    """The pixels, or the words of the refusal."""
    try:
        return read().tobytes()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiffs_size_and_pixels_are_upright(orientation, compression):
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = saved(Image.fromarray(RGB), "tiff", exif=exif, compression=compression)
    expected = TURNS[orientation]
    loaded = Image.open(io.BytesIO(raw))
    loaded.load()
    for source in (raw, Image.open(io.BytesIO(raw)), loaded):
        photo = open_photo(source)
        assert (photo.height, photo.width) == expected.shape[:2]
        same(photo.pixels(3), expected)
    assert examine_image(raw).size == expected.shape[1::-1]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_lab_picture_is_read_in_any_channels(channels):
    raw = saved(Image.new("LAB", (7, 5), (120, 90, 200)), "tiff")
    assert examine_image(raw, channels).problem == ""
    assert open_photo(raw).pixels(channels).shape == (5, 7, channels)


def test_the_check_decodes_with_the_channels_of_training(monkeypatch):
    """What grey cannot be made of is found although RGB could be made of it."""
    real = image.to_mode

    def no_grey(picture, channels):
        if channels == 1:
            raise ValueError("no grey")
        return real(picture, channels)

    monkeypatch.setattr(image, "to_mode", no_grey)
    raw = saved(Image.fromarray(RGB))
    assert ImageBlock(1).examine(raw).problem == ImageBlock(1).examine(RGB).problem == "no grey"
    assert ImageBlock(3).examine(raw).problem == ImageBlock(3).examine(RGB).problem == ""


def test_an_array_without_a_pixel_is_refused():
    with pytest.raises(ValueError, match=r"one pixel or more, got \[0, 5, 3\]"):
        open_photo(np.zeros((0, 5, 3), np.uint8))


def of_size(png, side):
    """The same PNG, but its header says that it is `side` by `side`."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + png[24:29]
    return png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]


@pytest.mark.parametrize("side", [13_378, 40_000])
def test_a_bomb_is_told_in_our_words_whoever_finds_it(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(of_size(PNG, side))
    expected = r"is more than the limit of 178,956,970; scale it down"
    assert expected in examine_image(tmp_path / "bomb.png").problem
    for read in (read_image, open_photo, read_mask):
        with pytest.raises(ValueError, match=rf"bomb\.png: .*{expected}"):
            read(tmp_path / "bomb.png")
