"""One look at each picture of a data set: its bytes, size, light, sharpness and coarse structure. N pictures.

The coarse structure is a perceptual hash whose values are kept as numbers: the first 8 × 8 coefficients of the cosine
transform of the grey picture, brought to a small square, without the mean. Source: Zauner, *Implementation and
Benchmarking of Perceptual Image Hash Functions*, 2010 (the hash by cosine transform, there cut to bits).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import cv2
import numpy as np

from satsuma.data.checks import file_problem
from satsuma.vision.image import digest_of, open_photo

LEVELS = (8, 12, 14, 16, 20, 24, 28, 32)  # sides in pixels at which structure is kept, up to the picture's own
WAVES = 8  # coefficients a side
LOOKED_SIDE = 128  # pixels of the shorter side at which light and sharpness are measured
AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What one look found. problem: why it could not be read, "" if it could; the rest is then empty.

    digest: of the file's bytes. brightness, contrast: mean and deviation of grey, 0..255. colour: mean difference
    between the strongest and the weakest channel, 0..255. detail: logarithm of the variance of the Laplacian,
    in hundredths of that of grey.
    structure: float32 [8 63], in units of grey, NaN for levels above the picture's size.
    """

    problem: str
    digest: bytes = b""
    height: int = 0
    width: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    colour: float = 0.0
    detail: float = 0.0
    structure: np.ndarray | None = None


def look_at_all(
    sources: Sequence[Any] | Iterator[Any], total: int, told: Callable[[int, int], None] | None = None
) -> list[PictureFacts]:
    """`look_at` for each source, by a few threads (decoding releases the lock). `told(done, all)` as it goes on."""
    found: list[PictureFacts] = []
    waiting = iter(sources)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while part := list(islice(waiting, AT_ONCE)):  # so that not all pictures of a generator are held at once
            found += pool.map(look_at, part)
            if told is not None:
                told(len(found), total)
    return found


def look_at(source: Any) -> PictureFacts:
    """The facts of a picture: a path, bytes, an array uint8 [H W] or [H W C], or a PIL image. Raises nothing."""
    try:
        return facts_of_picture(source)
    except Exception as error:  # decoders given damaged files raise nearly anything
        return PictureFacts(file_problem(source) if isinstance(source, str) and file_problem(source) else str(error))


def facts_of_picture(source: Any) -> PictureFacts:
    photo = open_photo(source)
    side = min(photo.height, photo.width)
    shrink = next((s for s in (8, 4, 2) if side // s >= LOOKED_SIDE), 1)
    pixels = photo.pixels(3, shrink)  # [H W 3]
    digest = digest_of(photo.raw) if photo.raw else digest_of(repr(pixels.shape).encode() + pixels.tobytes())
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    looked = at_side(grey, LOOKED_SIDE) if min(grey.shape) > LOOKED_SIDE else grey
    levels = [level for level in LEVELS if level <= max(side, LEVELS[0])]
    structure = np.full((len(LEVELS), WAVES * WAVES - 1), np.nan, np.float32)
    for place, level in enumerate(levels):
        structure[place] = structure_at(grey, level)
    spread = pixels.max(axis=2).astype(np.float32) - pixels.min(axis=2)
    return PictureFacts(
        "",
        digest,
        photo.height,
        photo.width,
        float(looked.mean()),
        max(float(channel.std()) for channel in (grey, *cv2.split(pixels))),
        float(spread.mean()),
        float(np.log(max(0.01, 100 * cv2.Laplacian(looked, cv2.CV_32F).var() / max(1.0, looked.var())))),
        structure,
    )


def at_side(grey: np.ndarray, side: int) -> np.ndarray:
    """Grey [H W] brought to a shorter side of `side`, each pixel the mean of what it covers."""
    scale = side / min(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def structure_at(grey: np.ndarray, level: int) -> np.ndarray:
    """The coarse structure float32 [63] of grey [H W] as a square of `level` pixels; its length is a contrast."""
    larger = min(grey.shape) >= level
    small = cv2.resize(grey, (level, level), interpolation=cv2.INTER_AREA if larger else cv2.INTER_LINEAR)
    waves = cosines(level)
    found = waves @ small.astype(np.float32) @ waves.T
    found[level // 2 :] = found[:, level // 2 :] = 0.0  # the finest waves depend on how a picture was made small
    return np.asarray(found.reshape(-1)[1:] / level, np.float32)


@cache
def cosines(side: int) -> np.ndarray:
    """The first rows of the orthonormal cosine transform, float32 [8 side]."""
    row, place = np.arange(WAVES)[:, None], np.arange(side)[None]
    waves = np.cos(np.pi * (2 * place + 1) * row / (2 * side)) * np.sqrt(2 / side)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)
