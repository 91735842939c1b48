"""Image files → RGB or grey pixels, whatever mode they were saved in. H height, W width, C channels."""

import functools
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from satsuma.data.checks import FileFacts, file_problem
from satsuma.data.getters import get_files
from satsuma.errors import spelled
from satsuma.vision.jpeg import JpegHeader, decode_jpeg_at, jpeg_header
from satsuma.vision.warp import box_filtered

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
# Pillow knows more, some of which it hands to other programs (EPS to Ghostscript), whatever the file's name is
FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA")
ORIENTATION, WIDTH_TAG, HEIGHT_TAG = 0x0112, 0x0100, 0x0101  # of EXIF, which are TIFF's
MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs: about 13,400 by 13,400


@spelled
def get_image_files(path: str | Path, *, recurse: bool = True, folders: Iterable[str] = ()) -> list[Path]:
    """Image files below `path`, by their ending, sorted; with `folders` only below these folders of `path`.

    Raises `FileNotFoundError` if `path` or one of `folders` is no folder.
    """
    return get_files(path, extensions=IMAGE_EXTENSIONS, recurse=recurse, folders=folders)


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of which only the header was read: its name, and its size upright. `pixels` decodes it."""

    name: str
    height: int
    width: int
    raw: bytes
    header: JpegHeader | None  # of a JPEG that can be decoded at a fraction of its size
    picture: Image.Image | np.ndarray | None  # opened, or given as such

    def pixels(self, channels: int, shrink: int = 1) -> np.ndarray:
        """uint8 [ceil(height / shrink) ceil(width / shrink) C], contiguous; `shrink` is 1, 2, 4 or 8.

        JPEGs are decoded at that size; of anything else the mean over each square of `shrink` pixels is taken.
        Raises `ValueError` that names the file and says what is wrong with it.
        """
        if self.header is not None:
            try:
                return decode_jpeg_at(self.raw, self.header, channels, shrink)
            except ValueError:
                pass  # Pillow reads more, or says what is wrong
        if isinstance(self.picture, np.ndarray) and self.picture.ndim == 3 and self.picture.shape[2] == channels:
            whole = np.ascontiguousarray(self.picture)
        else:
            opened = self.raw if self.picture is None else self.picture
            whole = np.array(read_image(opened, channels, name=self.name))
            whole = whole[..., None] if whole.ndim == 2 else whole
        if shrink == 1:
            return whole
        return box_filtered(whole, (0, self.width), (0, self.height), shrink, shrink)


def open_photo(source: Any) -> Photo:
    """A `Photo` from a path, bytes, an array or a PIL image, as `read_image` takes them; raises what that raises."""
    if isinstance(source, np.ndarray):
        refuse_array(source)
        return Photo("the image", source.shape[0], source.shape[1], b"", None, source)
    if isinstance(source, Image.Image):
        width, height = upright_size(source)
        return Photo("the image", height, width, b"", None, source)
    name, raw = named_bytes(source)
    header = jpeg_header(raw)
    if header is not None and header.plain:
        refuse_bomb(header.width, header.height, name)
        width, height = header.upright_size
        return Photo(name, height, width, raw, header, None)
    try:
        width, height = upright_size(open_image(raw))
    except Exception as error:
        raise ValueError(f"{name}: {reason_for(raw, error)}") from error
    return Photo(name, height, width, raw, None, None)


def named_bytes(source: Any) -> tuple[str, bytes]:
    """What to call a source in messages, and its bytes."""
    if isinstance(source, bytes):
        return "the image", source
    if not isinstance(source, str | Path):
        kind = type(source).__name__
        raise TypeError(f"an image is a path, bytes, a NumPy array [H W C] or a PIL image, got {kind}")
    if problem := file_problem(source):
        raise (ValueError if os.path.exists(source) else FileNotFoundError)(f"{source}: {problem}")
    with open(source, "rb") as opened:
        return str(source), opened.read()


def refuse_bomb(width: int, height: int, name: str = "") -> None:
    if width * height > MAX_PIXELS:
        told = beyond_limit(f"{width} by {height} pixels")
        raise ValueError(f"{name}: {told}" if name else told)


def beyond_limit(size: str) -> str:
    return f"{size} is more than the limit of {MAX_PIXELS:,}; scale it down, or leave it out"


def read_image(source: Any, channels: int = 3, *, name: str = "") -> Image.Image:
    """An image of mode RGB (`channels=3`), L (1) or RGBA (4), upright, from a path, bytes, an array or a PIL image.

    Arrays: [H W] or [H W C], uint8 0..255. 16-bit images keep their upper eight bits; transparency is dropped, or
    kept with `channels=4`; the EXIF orientation is applied. Of an animation the first frame is taken.
    Raises `ValueError` that names the file (or `name`) and says what is wrong with it, `FileNotFoundError` if there
    is none.
    """
    if isinstance(source, Image.Image):
        return to_mode(source, channels)
    if isinstance(source, np.ndarray):
        return to_mode(from_array(source), channels)
    found, raw = named_bytes(source)
    return decode_image(raw, name or found, channels)


def decode_image(raw: bytes, name: str, channels: int) -> Image.Image:
    try:
        return to_mode(open_image(raw), channels)
    except Exception as error:  # decoders given damaged files raise nearly anything
        raise ValueError(f"{name}: {reason_for(raw, error)}") from error


def open_image(raw: bytes) -> Image.Image:
    """The image with its header read, refused if it is larger than `MAX_PIXELS` or of a format not in `FORMATS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below, with the file's name
        try:
            image = Image.open(io.BytesIO(raw))
        except Image.DecompressionBombError as error:  # it tells no size
            raise ValueError(beyond_limit("its number of pixels")) from error
    if image.format not in FORMATS:
        raise ValueError(f"a file of the format {image.format}, which is not read; save it as PNG or JPEG")
    refuse_bomb(image.width, image.height)
    return image


def reason_for(raw: bytes, error: Exception) -> str:
    """What is wrong with an image file, in words."""
    if not raw:
        return "the file is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        head = raw[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if head.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html")):
            return "not an image but a markup file (SVG or HTML)"
        if all(32 <= b < 127 or b in (9, 10, 13) for b in raw[:512]):
            return "not an image but a text file"
        return "not an image in a format that can be read"
    text = " ".join(str(error).split())
    understood = isinstance(error, ValueError | MemoryError)
    return text if understood else f"damaged or cut off ({text})"


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Upright, and of mode L, RGB or RGBA for 1, 3 or 4 channels."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = to_eight_bits(image)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette may hold transparency, which a direct step to RGB would lose
    elif image.mode == "LAB":
        image = image.convert("RGB")  # Pillow knows no direct step to grey
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if image.mode != mode:
        return image.convert(mode)
    image.load()
    return image


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Images of 16-bit numbers, or of floats in 0..1 or 0..255, as mode L: Pillow's own conversion clips at 255."""
    values = np.asarray(image)
    refuse_range(values, 255 if image.mode == "F" else 65535)
    if image.mode == "F":
        return Image.fromarray((values * (255 if values.max() <= 1 else 1)).round().astype(np.uint8))
    return Image.fromarray((values.astype(np.int32) >> 8).astype(np.uint8))


def refuse_range(values: np.ndarray, limit: int) -> None:
    if not (values.min() >= 0 and values.max() <= limit):  # so that NaN is refused too
        raise ValueError(
            f"its pixels go from {values.min():.4g} to {values.max():.4g}, 0 to {limit} is expected; "
            f"scale and save it anew"
        )


def from_array(array: np.ndarray) -> Image.Image:
    refuse_array(array)
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def refuse_array(array: np.ndarray) -> None:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(
            f"an image array is uint8 0..255, [H W] or [H W C] with 1 to 4 channels last, "
            f"got {array.dtype} {list(array.shape)}"
        )
    if array.size == 0:
        raise ValueError(f"an image array has one pixel or more, got {list(array.shape)}; look at what made it")


def examine_image(source: Any, channels: int = 3) -> FileFacts:
    """Read a file once: why it is no usable image ("" if it is), the digest of its bytes, and (width, height).

    JPEGs are decoded at an eighth of their size, which still reads every bit of the file; anything else as `read_image`
    does for `channels`.
    """
    return examined(source, functools.partial(picture_facts, channels=channels))


def examined(source: Any, look: Callable[[Any], FileFacts]) -> FileFacts:
    """The facts that `look` finds in a file's bytes, or in what else is given; what it raises becomes the problem."""
    if source is None:
        return FileFacts("no file is named", b"")
    if isinstance(source, str | Path):
        if problem := file_problem(source):
            return FileFacts(problem, b"")
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            return FileFacts(f"cannot be read: {error.strerror}", b"")
    try:
        return look(source)
    except Exception as error:  # decoders given damaged files raise nearly anything
        return FileFacts(reason_for(source, error) if isinstance(source, bytes) else str(error), b"")


def picture_facts(source: Any, channels: int) -> FileFacts:
    """The facts of bytes, an array or a PIL image; raises what decoding it raises."""
    if not isinstance(source, bytes):
        image = read_image(source, channels)
        return FileFacts("", digest_of(image.tobytes()), image.size)
    if (size := sound_jpeg(source)) is not None:
        return FileFacts("", digest_of(source), size)
    image = open_image(source)
    size = upright_size(image)
    if image.format == "JPEG":
        image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
        image.load()
    else:
        to_mode(image, channels)
    return FileFacts("", digest_of(source), size, note_of(image, source))


def note_of(image: Image.Image, raw: bytes) -> str:
    """What to say of a picture that can be read, "" if nothing."""
    if image.format in ("JPEG", "MPO"):  # a second picture in one is a preview or the other eye's
        header = jpeg_header(raw)
        return "damaged, but readable, at least in part" if header is not None and header.plain else ""
    try:
        several = getattr(image, "is_animated", False)
    except Exception:  # what comes after the first picture is damaged
        several = True
    return "an animation or several pages, of which the first is read" if several else ""


def sound_jpeg(raw: bytes) -> tuple[int, int] | None:
    """(width, height), upright, of a JPEG in which nothing is wrong; None for anything else, which Pillow looks at."""
    header = jpeg_header(raw)
    if header is None or not header.plain or header.width * header.height > MAX_PIXELS:
        return None
    try:
        decode_jpeg_at(raw, header, 1, 8)
    except ValueError:
        return None
    return header.upright_size


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) once the EXIF orientation is applied: values 5 to 8 lay the picture on its side."""
    width, height = image.size
    if image.getexif().get(ORIENTATION) not in (5, 6, 7, 8):
        return width, height
    if isinstance(image, TiffImageFile):  # its size may be turned already, before the picture is; the tags' is not
        width, height = image.tag_v2[WIDTH_TAG], image.tag_v2[HEIGHT_TAG]
    return height, width


def digest_of(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()
