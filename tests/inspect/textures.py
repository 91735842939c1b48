"""Pictures with something in them, and copies of them as they come about."""

import io

import cv2
import numpy as np
from PIL import Image


def texture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """uint8 [H W 3]: shapes of all sizes and a little noise, as photos have; all equally bright."""
    rng = np.random.default_rng(seed)
    found = np.zeros((height, width, 3))
    for side, weight in ((3, 1.0), (7, 0.6), (17, 0.3), (41, 0.15)):
        noise = rng.normal(size=(side, side, 3)) * 0.5 + rng.normal(size=(side, side, 1))
        found += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    found += 0.1 * rng.normal(size=found.shape) - found.mean()
    return np.clip(128 + 45 * found, 0, 255).astype(np.uint8)


def encoded(picture: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return file.getvalue()


def scaled(picture: np.ndarray, factor: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.array(Image.fromarray(picture).resize(size, how))
