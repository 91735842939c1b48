"""`Samples`: the data set that a `DataBlock` makes of one half of a split."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from satsuma.data.blocks import Block
from satsuma.data.transforms import Steps, part_label, same_draws


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

    def name(self, index: int) -> str:
        """What to call sample number `index` in messages."""
        return item_name(self.items[index], self.getters[0])

    def sample(self, index: int, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Sample number `index`; random transforms draw from `rng`, or do their deterministic best without.

        Every position is given the same draws, so that an image and its mask are cropped together.
        """
        parts = []
        for getter, block in zip(self.getters, self.blocks, strict=True):
            part = self.loaded(block, get_value(getter, self.items[index]), index)
            if block.takes_tfms:
                part = self.transformed(part, index, same_draws(rng))
            parts.append(block.to_tensor(part))
        return tuple(parts)

    def loaded(self, block: Block, value: Any, index: int) -> Any:
        try:
            return block.load(value)
        except Exception as error:
            if self.name(index) in str(error):
                raise
            raise ValueError(f"{self.name(index)}: {type(block).__name__} failed: {error}") from error

    def transformed(self, part: Any, index: int, rng: np.random.Generator | None) -> Any:
        for transform, random in zip(self.item_steps.transforms, self.item_steps.random, strict=True):
            try:
                part = transform(part, rng=rng) if random else transform(part)
            except Exception as error:
                raise ValueError(
                    f"{self.name(index)}: the item transform {part_label(transform)} failed: {error}"
                ) from error
        return part


def get_value(getter: Callable[[Any], Any], item: Any) -> Any:
    """What `getter` gives for `item`; its failure is told with its name and the item."""
    try:
        return getter(item)
    except Exception as error:
        raise ValueError(f"{part_label(getter)} failed for {short(item)}: {error}") from error


def item_name(item: Any, get_x: Callable[[Any], Any]) -> str:
    """What to call an item in messages: the path that `get_x` reads from it, else itself, on one line."""
    try:
        value = get_x(item)
    except Exception:
        value = item
    return str(value) if isinstance(value, str | Path) else short(item)


def listed(found: Any) -> list[Any]:
    """Items as a list; a data frame's are its rows, whose values keep their types."""
    return [row for _, row in found.astype(object).iterrows()] if hasattr(found, "iterrows") else list(found)


def identity(value: Any) -> Any:
    return value


def short(item: Any) -> str:
    text = " ".join(str(item).split())
    return text if len(text) <= 120 else text[:117] + "..."
