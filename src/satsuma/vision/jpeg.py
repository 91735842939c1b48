"""JPEG files by their own rules: the header read by hand, decoding at a half, a quarter or an eighth of the size.

H height, W width, C channels.
"""

import re
from dataclasses import dataclass

import cv2
import numpy as np

COLOURSPACES = {1: "GRAY", 3: "RGB", 4: "RGBA"}  # by the number of channels wanted
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the markers SOF0 to SOF15
XMP = b"http://ns.adobe.com/xap/1.0/"
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
# what the camera's EXIF value asks for; 1 is upright. Values 5 to 8 lay the picture on its side
TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
MIRRORS = {2: 1, 4: 0}  # cv2.flip's axis
SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Size as stored, and the EXIF orientation, 1 to 8. `plain`: 8 bits, grey or three colours."""

    height: int
    width: int
    orientation: int
    plain: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) once it is turned."""
        return (self.height, self.width) if self.orientation in SIDEWAYS else (self.width, self.height)


def jpeg_header(raw: bytes) -> JpegHeader | None:
    """The header of a JPEG; None if these bytes are none, or not one that can be followed up to its size."""
    if raw[:3] != b"\xff\xd8\xff":
        return None
    orientation, place = 0, 2
    while place + 9 < len(raw) and raw[place] == 0xFF:
        marker = raw[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        length = int.from_bytes(raw[place + 2 : place + 4], "big")
        if marker == 0xE1 and not orientation:
            orientation = orientation_in(raw[place + 4 : place + 2 + length])
        if marker in FRAME_HEADERS:
            precision = raw[place + 4]
            height, width = (int.from_bytes(raw[place + i : place + i + 2], "big") for i in (5, 7))
            plain = marker <= 0xC2 and precision == 8 and raw[place + 9] in (1, 3) and height > 0 and width > 0
            return JpegHeader(height, width, orientation or 1, plain)
        place += 2 + length
    return None


def orientation_in(segment: bytes) -> int:
    """The orientation that an APP1 segment names, in EXIF or XMP; 0 if it names none."""
    if segment[:6] == b"Exif\0\0":
        return exif_orientation(segment[6:])
    if segment.startswith(XMP):
        found = XMP_ORIENTATION.search(segment)
        return int(found.group(1)) if found else 0
    return 0


def exif_orientation(tiff: bytes) -> int:
    """The entry 0x0112 of the first directory of a TIFF header; 0 if there is none, or none of 1 to 8."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 0
    endian: str = order
    start = number_at(tiff, 4, 4, endian)
    for entry in range(start + 2, start + 2 + 12 * number_at(tiff, start, 2, endian), 12):
        if number_at(tiff, entry, 2, endian) == 0x0112:
            size = 4 if number_at(tiff, entry + 2, 2, endian) == 4 else 2
            value = number_at(tiff, entry + 8, size, endian)
            return value if 1 <= value <= 8 else 0
        if entry + 12 > len(tiff):
            return 0
    return 0


def number_at(raw: bytes, place: int, size: int, endian: str) -> int:
    return int.from_bytes(raw[place : place + size], "little" if endian == "little" else "big")


def decode_jpeg_at(raw: bytes, header: JpegHeader, channels: int, shrink: int) -> np.ndarray:
    """A JPEG decoded at 1/`shrink` (1, 2, 4 or 8): upright uint8 [ceil(H / shrink) ceil(W / shrink) C].

    At full size the same pixels as Pillow's, bit for bit. Raises `ValueError` for anything that is not sound.
    """
    return upright_pixels(jpeg_pixels(raw, header.height, header.width, channels, shrink), header.orientation)


def jpeg_pixels(raw: bytes, height: int, width: int, channels: int, shrink: int) -> np.ndarray:
    """A JPEG of `height` × `width` decoded at 1/`shrink` (1, 2, 4 or 8) of its size, and not turned upright."""
    import simplejpeg

    height, width = -(-height // shrink), -(-width // shrink)
    pixels: np.ndarray = simplejpeg.decode_jpeg(
        raw, COLOURSPACES[channels], min_height=height, min_width=width, min_factor=shrink
    )
    if pixels.shape[:2] != (height, width):
        raise ValueError(f"decoded to {pixels.shape[1]}×{pixels.shape[0]} pixels, expected {width}×{height}")
    return pixels


def upright_pixels(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """[H W C] turned and mirrored as the EXIF orientation says."""
    if orientation not in range(2, 9):
        return pixels
    if orientation in TURNS:
        turned = cv2.rotate(pixels, TURNS[orientation])
    elif orientation in MIRRORS:
        turned = cv2.flip(pixels, MIRRORS[orientation])
    else:
        turned = cv2.transpose(pixels)
        turned = cv2.flip(turned, -1) if orientation == 7 else turned
    return turned.reshape(*turned.shape[:2], pixels.shape[2])
