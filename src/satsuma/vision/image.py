"""Image files → RGB or grey pixels, whatever mode they were saved in."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from satsuma.data.checks import FileFacts
from satsuma.data.getters import get_files

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs: about 13,400 by 13,400


def get_image_files(path: str | Path, *, recurse: bool = True, folders: tuple[str, ...] = ()) -> list[Path]:
    """Image files below `path`, by their ending, sorted.

    Raises `FileNotFoundError` if `path` is no folder.
    """
    return get_files(path, extensions=IMAGE_EXTENSIONS, recurse=recurse, folders=folders)


def read_image(source: Any, channels: int = 3) -> Image.Image:
    """An image of mode RGB (`channels=3`), L (1) or RGBA (4), upright, from a path, bytes, an array or a PIL image.

    Arrays: [H W] or [H W C], uint8 0..255. 16-bit images keep their upper eight bits; transparency is dropped, or
    kept with `channels=4`; the EXIF orientation is applied. Of an animation the first frame is taken.
    Raises `ValueError` that names the file and says what is wrong with it, `FileNotFoundError` if there is none.
    """
    if isinstance(source, Image.Image):
        return to_mode(source, channels)
    if isinstance(source, np.ndarray):
        return to_mode(from_array(source), channels)
    name = "the image" if isinstance(source, bytes) else str(source)
    raw = source if isinstance(source, bytes) else Path(source).read_bytes()
    return decode_image(raw, name, channels)


def decode_image(raw: bytes, name: str, channels: int) -> Image.Image:
    try:
        return to_mode(open_image(raw, name), channels)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, MemoryError) as error:
        raise ValueError(f"{name}: {reason_for(raw, error)}") from error


def open_image(raw: bytes, name: str) -> Image.Image:
    """The image with its header read, refused if it is larger than `MAX_PIXELS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below, with the file's name
        image = Image.open(io.BytesIO(raw))
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} by {image.height} pixels is more than the limit of {MAX_PIXELS:,}")
    return image


def reason_for(raw: bytes, error: Exception) -> str:
    """What is wrong with an image file, in words."""
    if not raw:
        return "the file is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        head = raw[:512].lstrip().lower()
        if head.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html")):
            return "not an image but a markup file (SVG or HTML)"
        if all(32 <= b < 127 or b in (9, 10, 13) for b in raw[:512]):
            return "not an image but a text file"
        return "not an image in a format that can be read"
    text = " ".join(str(error).split())
    return f"damaged or cut off ({text})" if "truncated" in text or "broken" in text else text


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Upright, and of mode L, RGB or RGBA for 1, 3 or 4 channels."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        image = to_eight_bits(image)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette may hold transparency, which a direct step to RGB would lose
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if image.mode != mode:
        return image.convert(mode)
    image.load()
    return image


def to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float images as mode L: Pillow's own conversion would clip all above 255 to white."""
    values = np.asarray(image, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("its pixels hold NaN or infinite values")
    if image.mode == "F" and low >= 0 and high <= 1:
        values = values * 255
    elif low >= 0 and 255 < high <= 65535:
        values = values / 257
    elif low < 0 or high > 255:
        values = (values - low) * (255 / (high - low))
    return Image.fromarray(values.round().astype(np.uint8))


def from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(
            f"an image array is uint8 [H W] or [H W C] with 1 to 4 channels, got {array.dtype} {list(array.shape)}"
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def examine_image(source: Any) -> FileFacts:
    """Read a file once: why it is no usable image ("" if it is), and the digest of its bytes.

    JPEGs are decoded at an eighth of their size, which still reads every bit of the file.
    """
    if isinstance(source, Image.Image | np.ndarray | bytes):
        return FileFacts("", b"")
    try:
        raw = Path(source).read_bytes()
    except FileNotFoundError:
        return FileFacts("there is no such file", b"")
    except OSError as error:
        return FileFacts(f"cannot be read: {error.strerror}", b"")
    digest = hashlib.blake2b(raw, digest_size=16).digest()
    try:
        image = open_image(raw, str(source))
        if image.format == "JPEG":
            image.draft("L", (image.width // 8, image.height // 8))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, MemoryError) as error:
        return FileFacts(reason_for(raw, error), digest)
    return FileFacts("", digest)
