"""`ImageBlock`: pictures as blocks of a `DataBlock`. C channels, H height, W width."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.checks import FileFacts
from satsuma.data.transforms import NO_TRANSFORMS, Steps
from satsuma.errors import spelled_class
from satsuma.vision.foreign import draws
from satsuma.vision.image import examine_image, read_image
from satsuma.vision.path import ImagePath, lay_out, split_batch_tfms


@spelled_class
@dataclass(frozen=True, slots=True)
class ImageBlock:
    """An image from a path, an array or a PIL image: float32 [C H W], through the transforms, in 0..1 without any.

    `channels`: 1 (grey), 3 (RGB) or 4 (with transparency), whatever the file holds. Geometry, colour and normalising
    among the item and batch transforms are fused into one decode, one warp and one colour map for each sample.
    """

    channels: int = 3

    takes_tfms = True

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ValueError(f"ImageBlock: channels is 1, 3 or 4, got {self.channels}")

    def setup(self, values: Sequence[Any]) -> "ImageBlock":
        return self

    def examine(self, value: Any) -> FileFacts:
        return examine_image(value, self.channels)

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple[ImagePath, tuple[Callable[..., Any], ...]]:
        """How a sample is made, and the batch transforms that are left for the stacked batch."""
        fused, rest = split_batch_tfms(batch_tfms)
        transforms = (*item_tfms, *fused)
        return ImagePath(self.channels, lay_out(transforms), any(draws(t) for t in transforms)), rest

    def load(self, value: Any) -> Image.Image:
        return read_image(value, self.channels)

    def to_tensor(self, part: Any) -> Tensor:
        if isinstance(part, Tensor):
            return part
        pixels = np.asarray(part)  # [H W] or [H W C]
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return torch.from_numpy(np.array(planes, order="C"))

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> Tensor:
        return tensor
