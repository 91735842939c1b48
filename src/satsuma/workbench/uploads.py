"""Pictures that a person gives to look at: refused by their header before anything large is decoded.

They live in memory alone; none is written anywhere.
"""

import io
import warnings
from dataclasses import dataclass

from fastapi import Request
from PIL import Image, UnidentifiedImageError

from satsuma.vision.image import FORMATS, open_photo

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 40_000_000  # width times height
MOST_SCANS = 200  # of a JPEG: each goes over all pixels, and cameras' and editors' files have about ten
UPLOAD_FORMATS = tuple(name for name in FORMATS if name != "ICO")  # an icon's header says nothing of the picture in it
MARKUP = (b"<svg", b"<?xml", b"<!doctype", b"<html", b"<script")


class UploadError(Exception):
    """What was given cannot be looked at. `name`: of the text that says why, filled with `values`."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(name)
        self.name, self.values = name, values


class PictureBytes(bytes):
    """The bytes of a picture's file, which messages do not show."""

    def __str__(self) -> str:
        return "the image"


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that can be decoded: its file's bytes, its size upright, and whether there are more pictures in it."""

    raw: PictureBytes
    width: int
    height: int
    animated: bool


async def body_bytes(request: Request) -> bytes:
    """The body of a request as it is (the guard bounds it). A form's parts would be kept in files."""
    return await request.body()


def checked_upload(raw: bytes) -> Upload:
    """The picture in `raw`; `UploadError` for what is none, is too large, or is damaged."""
    if not raw:
        raise UploadError("upload_empty")
    if len(raw) > MOST_BYTES:
        raise UploadError("upload_bytes", most=MOST_BYTES // 2**20)
    image = identified(raw)
    if image.width * image.height > MOST_PIXELS:
        raise UploadError("upload_pixels", width=image.width, height=image.height, most=MOST_PIXELS // 10**6)
    if image.format in ("JPEG", "MPO") and raw.count(b"\xff\xda") > MOST_SCANS:
        raise UploadError("upload_scans")
    try:
        photo = open_photo(raw)
        photo.pixels(3, 8 if photo.header is not None else 1)  # reads every bit
    except (ValueError, MemoryError):
        raise UploadError("upload_damaged") from None
    return Upload(PictureBytes(raw), photo.width, photo.height, is_animated(image))


def identified(raw: bytes) -> Image.Image:
    """The image of which only the header is read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of those too we say that they are large
            Image.init()
            return Image.open(io.BytesIO(raw), formats=[name for name in UPLOAD_FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError:
        raise UploadError("upload_bomb", most=MOST_PIXELS // 10**6) from None
    except UnidentifiedImageError:
        head = raw[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        raise UploadError("upload_markup" if head.startswith(MARKUP) else "upload_no_image") from None
    except Exception:  # decoders given damaged files raise nearly anything
        raise UploadError("upload_damaged") from None


def is_animated(image: Image.Image) -> bool:
    """Whether there are more pictures than the first, which is the one that is looked at."""
    if image.format in ("JPEG", "MPO"):  # a second picture in one is a preview or the other eye's
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # what comes after the first picture is damaged
        return True
