"""Effects on pixels, after the warp and before the colours: erasing, dropping, noise, blur, JPEG artefacts.

Each has `pixels(picture, rng)`, uint8 [H W C] to the same, C 1, 3 or 4, which never writes into what it is given.
Called alone they also take a PIL image, a uint8 array [H W], or a float batch [B C H W] in 0..1, which is rounded to
bytes. Without a generator they change nothing. Transparency, the fourth channel, stays but in blur.
B batch, C channels, H height, W width.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from satsuma.data.seeds import sample_generators
from satsuma.errors import spelled_class
from satsuma.vision.colour import like_picture, picture_pixels, refuse_batch
from satsuma.vision.settings import check_number, check_share, check_whole, refuse_generator

ATTEMPTS = 10  # at drawing a rectangle that fits
MOST_SIGMA = 100.0  # the time of a blur rises with it
FILLS = ("noise", "mean")


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomErasing:
    """Overwrite one rectangle with noise, or with the picture's mean colour (`fill="mean"`), or one value (0..255).

    The rectangle covers a share of the picture from `min_area` to `max_area`; its sides' ratio goes from `min_ratio`
    to the inverse. Source: Zhong and others, *Random erasing data augmentation*, 2017.
    """

    training_only = True

    p: float = 0.5
    min_area: float = 0.02
    max_area: float = 0.4
    min_ratio: float = 0.3
    fill: str | int = "noise"

    def __post_init__(self) -> None:
        for name in ("p", "min_area", "max_area", "min_ratio"):
            check_share(self, name)
        check_fill("RandomErasing", self.fill)
        if self.min_area > self.max_area or self.min_ratio == 0:
            raise ValueError(f"RandomErasing: needs min_area <= max_area and min_ratio above 0, got {self!r}")

    def pixels(self, picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or rng.random() >= self.p:
            return picture
        height, width = picture.shape[:2]
        for _ in range(ATTEMPTS):
            area = rng.uniform(self.min_area, self.max_area) * height * width
            most = math.log(1 / self.min_ratio)
            ratio = math.exp(rng.uniform(-most, most))
            tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < tall <= height and 0 < wide <= width:
                top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
                return filled(picture, [(top, left, top + tall, left + wide)], self.fill, rng)
        return picture

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return effect_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class CoarseDropout:
    """Overwrite 1 to `max_holes` rectangles with the picture's mean colour, noise, or one value (0..255).

    A hole's sides are up to `max_size` of the picture's, at least half that; its centre lies anywhere, so that part of
    it may lie outside. Source: DeVries and Taylor, *Improved regularization of convolutional neural networks with
    cutout*, 2017.
    """

    training_only = True

    p: float = 0.5
    max_holes: int = 8
    max_size: float = 0.15
    fill: str | int = "mean"

    def __post_init__(self) -> None:
        check_share(self, "p")
        check_share(self, "max_size")
        check_fill("CoarseDropout", self.fill)
        if not isinstance(self.max_holes, int) or self.max_holes < 1:
            raise ValueError(f"CoarseDropout: max_holes is a number of holes, 1 or more, got {self.max_holes!r}")

    def pixels(self, picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or rng.random() >= self.p:
            return picture
        height, width = picture.shape[:2]
        holes = []
        for _ in range(int(rng.integers(1, self.max_holes + 1))):
            tall, wide = rng.uniform(self.max_size / 2, self.max_size, 2) * (height, width)
            y, x = rng.uniform(0, height), rng.uniform(0, width)  # the centre
            top, left = max(0, round(y - tall / 2)), max(0, round(x - wide / 2))
            holes.append((top, left, round(y + tall / 2), round(x + wide / 2)))
        return filled(picture, holes, self.fill, rng)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return effect_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomNoise:
    """Gaussian noise on every value, of a deviation drawn from 0 to `max_std` (a share of the whole range 0..1)."""

    training_only = True

    max_std: float = 0.05
    p: float = 0.5

    def __post_init__(self) -> None:
        check_share(self, "max_std")
        check_share(self, "p")

    def pixels(self, picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or rng.random() >= self.p:
            return picture
        steps = np.rint(normal_quantiles() * (rng.uniform(0, self.max_std) * 255)).astype(np.int16)
        colours = np.ascontiguousarray(picture[..., :3])
        places = np.frombuffer(rng.bytes(2 * colours.size), np.uint16)  # a quarter of the time of drawing normally
        noise = np.take(steps, places).reshape(colours.shape)
        return with_transparency_of(picture, cv2.add(colours, noise, dtype=cv2.CV_8U).reshape(colours.shape))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return effect_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomBlur:
    """Gaussian blur of a deviation drawn from `min_sigma` to `max_sigma` pixels."""

    training_only = True

    max_sigma: float = 2.0
    min_sigma: float = 0.1
    p: float = 0.5

    def __post_init__(self) -> None:
        check_share(self, "p")
        check_number(self, "min_sigma", below=MOST_SIGMA, what="pixels")
        check_number(self, "max_sigma", below=MOST_SIGMA, what="pixels")
        if not 0 < self.min_sigma <= self.max_sigma:
            raise ValueError(f"RandomBlur: sigmas must be above 0 and rise, got {self.min_sigma} to {self.max_sigma}")

    def pixels(self, picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or rng.random() >= self.p:
            return picture
        sigma = rng.uniform(self.min_sigma, self.max_sigma)
        return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT).reshape(picture.shape)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return effect_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomJPEG:
    """The traces of JPEG, written and read once, at a quality drawn from `min_quality` to `max_quality` (1 to 100)."""

    training_only = True

    min_quality: int = 30
    max_quality: int = 90
    p: float = 0.5

    def __post_init__(self) -> None:
        check_share(self, "p")
        for name in ("min_quality", "max_quality"):
            object.__setattr__(self, name, check_whole(self, name, least=1, most=100, what="a quality"))
        if self.min_quality > self.max_quality:
            raise ValueError(f"RandomJPEG: qualities must rise, got {self.min_quality} to {self.max_quality}")

    def pixels(self, picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or rng.random() >= self.p:
            return picture
        import simplejpeg

        space = "GRAY" if picture.shape[2] == 1 else "RGB"
        sampling = "Gray" if space == "GRAY" else "420"  # colour at half the resolution, as cameras write it
        quality = int(rng.integers(self.min_quality, self.max_quality + 1))
        colours = np.ascontiguousarray(picture[..., :3])
        written = simplejpeg.encode_jpeg(colours, quality=quality, colorspace=space, colorsubsampling=sampling)
        return with_transparency_of(picture, simplejpeg.decode_jpeg(written, colorspace=space))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return effect_alone(self, picture, rng)


def effect_alone(transform: Any, picture: Any, rng: Any = None) -> Any:
    """An effect on its own: `picture` as given, with the effect on its pixels.

    picture: PIL image or uint8 array [H W] or [H W C], with `rng` a NumPy generator; or float batch [B C H W] in 0..1,
    with `rng` a torch generator, from which each sample has a draw of its own. The kind that goes in comes out.
    """
    if not isinstance(picture, Tensor):
        pixels = picture_pixels(type(transform).__name__, picture)
        refuse_generator(transform, rng, batch=False)
        return like_picture(transform.pixels(pixels, rng), pixels, picture)
    refuse_batch(type(transform).__name__, picture)
    refuse_generator(transform, rng, batch=True)
    if rng is None:
        return picture
    done = picture.clone()
    for i, own in enumerate(sample_generators(rng, len(picture))):
        pixels = (picture[i].detach() * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()
        found = transform.pixels(pixels, own)
        if found is not pixels:
            done[i] = torch.from_numpy(found).permute(2, 0, 1).to(picture) / 255
    return done


def filled(
    picture: np.ndarray, holes: list[tuple[int, int, int, int]], fill: str | int, rng: np.random.Generator
) -> np.ndarray:
    """A copy of `picture` with its `holes` (top, left, bottom, right) overwritten, transparency aside."""
    done = picture.copy()
    colours = done[..., :3]
    value = mean_colour(picture[..., :3]) if fill == "mean" else fill
    for top, left, bottom, right in holes:
        hole = colours[top:bottom, left:right]
        hole[:] = rng.integers(0, 256, hole.shape, dtype=np.uint8) if fill == "noise" else value
    return done


def mean_colour(colours: np.ndarray) -> np.ndarray:
    """The mean of uint8 [H W C] over the picture, rounded: uint8 [C]."""
    mean: np.ndarray = np.rint(cv2.mean(np.ascontiguousarray(colours))[: colours.shape[2]]).astype(np.uint8)
    return mean


def with_transparency_of(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """`colours` [H W 1 or 3], with the fourth channel of `picture` if it has one."""
    return colours if picture.shape[2] < 4 else np.dstack((colours, picture[..., 3]))


@functools.cache
def normal_quantiles() -> np.ndarray:
    """65,536 equally likely values of the normal distribution, float64, rising."""
    quantiles: np.ndarray = torch.special.ndtri((torch.arange(65536, dtype=torch.float64) + 0.5) / 65536).numpy()
    return quantiles


def check_fill(name: str, fill: str | int) -> None:
    """`ValueError` for anything that a hole cannot be filled with."""
    if fill not in FILLS and not (isinstance(fill, int) and 0 <= fill <= 255):
        raise ValueError(f'{name}: fill is "noise", "mean" or a value from 0 to 255, got {fill!r}')
