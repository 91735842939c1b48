"""`Resize`: bring every image to one size. H height, W width."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from satsuma.errors import spelled_class

METHODS = ("crop", "squish", "pad")


@spelled_class
@dataclass(frozen=True, slots=True)
class Resize:
    """Resize a PIL image to `size`: an int for a square, or (height, width), in pixels.

    `method`: "crop" fits the shorter side and cuts the longer, at a random place in training and centred otherwise;
    "squish" ignores the aspect ratio; "pad" fits the longer side and fills the rest with black.
    """

    size: int | tuple[int, int]
    method: str = "crop"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Resize: method is one of {', '.join(METHODS)}, got {self.method!r}")
        given: Any = self.size
        sides = (given, given) if isinstance(given, int) else tuple(given)  # a list is welcome
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
            raise ValueError(f"Resize: size is a number of pixels, or (height, width), got {given!r}")
        object.__setattr__(self, "size", given if isinstance(given, int) else sides)

    @property
    def height_width(self) -> tuple[int, int]:
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])

    def __call__(self, image: Image.Image, rng: np.random.Generator | None = None) -> Image.Image:
        height, width = self.height_width
        if self.method == "squish":
            return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
        if self.method == "pad":
            return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR)
        along_x, along_y = (0.5, 0.5) if rng is None else (float(rng.random()), float(rng.random()))
        scale = min(image.width / width, image.height / height)  # source pixels for one target pixel
        crop_w, crop_h = min(width * scale, image.width), min(height * scale, image.height)
        left, top = (image.width - crop_w) * along_x, (image.height - crop_h) * along_y
        box = (left, top, min(left + crop_w, image.width), min(top + crop_h, image.height))
        return image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
