"""`Samples`: the data set that a `DataBlock` makes of one half of a split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from satsuma.data.blocks import Block
from satsuma.data.transforms import Steps, part_label


@dataclass(frozen=True, slots=True)
class Samples:
    """Items, and how each becomes a tuple of tensors: getter → block.load → item transforms → block.to_tensor."""

    items: list[Any]
    getters: tuple[Callable[[Any], Any], ...]
    blocks: tuple[Block, ...]
    item_steps: Steps

    def __len__(self) -> int:
        return len(self.items)

    @property
    def random(self) -> bool:
        return any(self.item_steps.random)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return self.sample(index, None)

    def sample(self, index: int, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Sample number `index`; random transforms draw from `rng`, or do their deterministic best without."""
        parts = []
        for getter, block in zip(self.getters, self.blocks, strict=True):
            part = block.load(get_value(getter, self.items[index]))
            if block.takes_tfms:
                part = self.transformed(part, index, rng)
            parts.append(block.to_tensor(part))
        return tuple(parts)

    def transformed(self, part: Any, index: int, rng: np.random.Generator | None) -> Any:
        try:
            return self.item_steps(part, rng)
        except Exception as error:
            names = ", ".join(part_label(t) for t in self.item_steps.transforms)
            raise ValueError(f"{self.items[index]}: an item transform failed ({names}): {error}") from error


def get_value(getter: Callable[[Any], Any], item: Any) -> Any:
    """What `getter` gives for `item`; its failure is told with its name and the item."""
    try:
        return getter(item)
    except Exception as error:
        raise ValueError(f"{part_label(getter)} failed for {short(item)}: {error}") from error


def identity(value: Any) -> Any:
    return value


def short(item: Any) -> str:
    text = " ".join(str(item).split())
    return text if len(text) <= 120 else text[:117] + "..."
