"""`ImageBlock`: pictures as blocks of a `DataBlock`. C channels, H height, W width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.arrays import pixels_to_float
from satsuma.data.checks import FileFacts
from satsuma.data.transforms import Steps, make_steps
from satsuma.errors import spelled_class
from satsuma.vision.image import examine_image, read_image


@spelled_class
@dataclass(frozen=True, slots=True)
class ImageBlock:
    """An image from a path, an array or a PIL image: uint8 [C H W] as a sample, float32 [B C H W] in 0..1 as a batch.

    `channels`: 1 (grey), 3 (RGB) or 4 (with transparency), whatever the file holds.
    """

    channels: int = 3

    takes_tfms = True

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ValueError(f"ImageBlock: channels is 1, 3 or 4, got {self.channels}")

    def setup(self, values: Sequence[Any]) -> "ImageBlock":
        return self

    def examine(self, value: Any) -> FileFacts:
        return examine_image(value)

    def load(self, value: Any) -> Image.Image:
        return read_image(value, self.channels)

    def to_tensor(self, part: Any) -> Tensor:
        if isinstance(part, Tensor):  # an item transform of the user's has made it one
            return part
        pixels = np.asarray(part)  # [H W] or [H W C]
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        # a copy in the order [C H W]: torch takes 100 times as long to turn the axes when it stacks
        return torch.from_numpy(np.array(planes, order="C"))

    def batch_steps(self) -> Steps:
        return make_steps(pixels_to_float)

    def decode(self, tensor: Tensor) -> Tensor:
        return tensor
