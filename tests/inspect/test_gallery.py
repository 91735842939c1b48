"""Galleries and thumbnails: text is text, pages need no styles in attributes, pictures keep within limits."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from satsuma.inspect.gallery import Card, Gallery, fragment_css
from satsuma.inspect.samples import thumbnail
from satsuma.inspect.tables import ShownTable

PICTURE = np.random.default_rng(0).integers(0, 256, (23, 31, 3), dtype=np.uint8)
EVIL = '<script>alert(1)</script> & "quotes" $x_1$'


def test_texts_are_text_and_nothing_needs_a_style_attribute():
    gallery = Gallery(EVIL, [Card(PICTURE, EVIL, EVIL, "bad"), Card(None, "plain", "", 'x" onload="alert(1)')])
    html = gallery.html()
    assert "<script" not in html
    assert "onload" not in html
    assert "style=" not in html
    assert html.count("<figure") == 2 == len(gallery)
    assert html.count("<img") == 1
    assert 'class="card bad"' in html
    assert "&lt;script&gt;" in re.search(r'alt="([^"]*)"', html)[1]
    assert fragment_css() in gallery._repr_html_()


def test_surrogates_and_other_letters_can_be_shown():
    assert "犬" in Gallery("a", [Card(PICTURE, "犬 \udcff")]).html()


def test_an_empty_gallery_says_so(tmp_path):
    assert "none" in Gallery("wrong", []).html()
    with pytest.raises(ValueError, match="no cards to save in 'wrong'"):
        Gallery("wrong", []).save(tmp_path / "a.png")


def test_a_gallery_is_saved_as_a_picture(tmp_path):
    gallery = Gallery("a", [Card(PICTURE, "is cat, said dog", "99% sure of something long")] * 7)
    assert Image.open(gallery.save(tmp_path / "a.png")).size[0] > 600
    svg = gallery.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert svg.count("<image") == 7
    assert "said dog" in svg


def test_the_styles_use_the_themes_colours_only():
    css = fragment_css()
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|url\(|@import", css, re.IGNORECASE)
    assert set(re.findall(r"var\(--([a-z]+)", css)) <= {"ink", "faint", "rule", "paper", "blue", "orange", "part"}


@pytest.mark.parametrize("shape", [(8, 8), (28, 20, 3), (300, 200, 3), (1, 500), (90, 90, 4)])
def test_a_thumbnail_fits_its_side_and_tiny_pictures_grow(shape):
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    small = Image.open(io.BytesIO(thumbnail(picture, 96)))
    assert small.format == "JPEG"
    assert 48 < max(small.size) <= 96
    height, width = shape[:2]
    assert small.width / small.height == pytest.approx(width / height, rel=0.1) or min(small.size) == 1


def test_a_tiny_picture_keeps_its_pixels():
    checks = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((1, 1))).astype(np.uint8) * 255
    small = np.asarray(Image.open(io.BytesIO(thumbnail(checks, 96))).convert("L")).astype(float)
    assert small.shape == (96, 96)
    assert np.abs(small[12::24, 12::24] - checks).max() < 10


def test_a_file_is_read_upright_and_small(tmp_path):
    image = Image.fromarray(np.zeros((200, 400, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # lies on its side
    image.save(tmp_path / "a.jpg", exif=exif)
    assert Image.open(io.BytesIO(thumbnail(tmp_path / "a.jpg", 50))).size == (25, 50)


def png_claiming(width, height):
    """A PNG of a few bytes whose header says that it is huge."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 99))]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_claiming(12_000, 12_000))
    with pytest.raises(ValueError, match=r"bomb.png: 12000 by 12000 pixels are too many"):
        thumbnail(tmp_path / "bomb.png", 96)
    (tmp_path / "worse.png").write_bytes(png_claiming(60_000, 60_000))
    with pytest.raises(ValueError, match=r"worse\.png"):
        thumbnail(tmp_path / "worse.png", 96)


def test_what_is_no_picture_is_told_with_its_name(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(ValueError, match=r"a.jpg: not an image"):
        thumbnail(tmp_path / "a.jpg", 96)
    with pytest.raises(FileNotFoundError):
        thumbnail(tmp_path / "none.jpg", 96)


TABLE = ShownTable(
    "Scores <b>",
    ("class", "f1", "samples"),
    (("<i>ant</i>", 0.98765, 12), ("bee\nfly", None, 3), ("mean", 0.0001234, 15)),
    totals=1,
    note="few & <new>",
)


def test_a_table_shows_itself():
    html = TABLE.html()
    assert "<i>" not in html.replace("&lt;i&gt;", "")
    assert "style=" not in html
    assert html.count('<tr class="total">') == 1
    assert '<td class="number">0.988</td>' in html
    assert "few &amp; &lt;new&gt;" in html
    lines = repr(TABLE).splitlines()
    assert lines[0].split() == ["class", "f1", "samples"]
    assert lines[2] == "bee fly            -        3"
    assert lines[-1] == "few & <new>"


def test_a_table_is_asked_by_name():
    assert TABLE.column("samples") == [12, 3, 15]
    assert TABLE.row("mean")["f1"] == 0.0001234
    with pytest.raises(ValueError, match="no column 'sample': did you mean 'samples'"):
        TABLE.column("sample")
    with pytest.raises(ValueError, match="no row 'men': did you mean 'mean'"):
        TABLE.row("men")


def test_a_table_is_saved_with_all_digits_and_as_a_picture(tmp_path):
    rows = TABLE.save(tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "class,f1,samples"
    assert "0.98765" in rows[1]
    assert "<table" in TABLE.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert Image.open(TABLE.save(tmp_path / "a.png")).size[0] > 100
    assert "0.988" in TABLE.save(tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_name_in_a_table_steers_no_terminal() -> None:
    shown = repr(ShownTable("names", ("name",), (("\x1b[31mred\x07",), ("two\nlines",))))
    assert "\\x1b[31mred\\x07" in shown
    assert "two lines" in shown
