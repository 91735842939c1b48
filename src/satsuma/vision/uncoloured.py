"""Pictures that a device gives their colours: bytes travel, a quarter of the numbers. B batch, C channels, H, W."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.vision.colour import colour_on_device


@dataclass(frozen=True, slots=True)
class Uncoloured:
    """Pictures on their way to a device: uint8 [H W C] with table [256 C] and matrix [C C+1], or batches [B ...]."""

    pixels: Any
    tables: Any
    matrices: Any

    def joined(self, parts: "Sequence[Uncoloured]") -> "Uncoloured":
        """Parts of one size as a batch; `ValueError` naming the first that differs."""
        for i, part in enumerate(parts):
            if part.pixels.shape != self.pixels.shape:
                one, other = (list(np.moveaxis(p.pixels, 2, 0).shape) for p in (self, part))
                raise ValueError(
                    f"image 0 is {one}, image {i} is {other}: they cannot be stacked; add item_tfms=Resize(...)"
                )
        pixels = torch.from_numpy(np.stack([p.pixels for p in parts]))
        tables = torch.from_numpy(np.stack([p.tables for p in parts]))
        matrices = torch.from_numpy(np.stack([p.matrices for p in parts]))
        return Uncoloured(pixels, tables, matrices)

    def pin_memory(self) -> "Uncoloured":
        return Uncoloured(self.pixels.pin_memory(), self.tables.pin_memory(), self.matrices.pin_memory())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Uncoloured":
        moved = (t.to(device, non_blocking=non_blocking) for t in (self.pixels, self.tables, self.matrices))
        return Uncoloured(*moved)

    def finished(self) -> Tensor:
        """float32 [B C H W], channels last."""
        return colour_on_device(self.pixels, self.tables, self.matrices)
