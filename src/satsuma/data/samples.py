"""`Samples`: the data set that a `DataBlock` makes of one half of a split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from satsuma.data.blocks import Block
from satsuma.data.collate import collate_values
from satsuma.data.paths import SamplePath
from satsuma.data.transforms import part_label, same_draws


class ArraySource(Protocol):
    """Where batches' arrays come from; see `Buffers`."""

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Samples:
    """Items, and how each becomes a tuple of tensors: by its position's getter and path."""

    items: list[Any]
    getters: tuple[Callable[[Any], Any], ...]
    blocks: tuple[Block, ...]
    paths: tuple[SamplePath, ...]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def random(self) -> bool:
        return any(path.random for path in self.paths)

    @property
    def needs_processes(self) -> bool:
        """Whether a transform draws from generators that all threads share."""
        return any(path.needs_processes for path in self.paths)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.sample(index, None)

    def name(self, index: int) -> str:
        """What to call sample number `index` in messages."""
        return item_name(self.items[index], self.getters[0])

    def sample(self, index: int, rng: np.random.Generator | None) -> tuple[Any, ...]:
        """Sample number `index`; random transforms draw from `rng`, or do their deterministic best without.

        Every position is given the same draws, so that an image and its mask are cropped together.
        """
        return tuple(collate_picture(part) for part in self.parts(index, rng, [None] * len(self.paths)))

    def parts(self, index: int, rng: np.random.Generator | None, outs: Sequence[np.ndarray | None]) -> list[Any]:
        """A sample's parts, pictures as arrays [H W C], written into `outs` where they fit."""
        found: list[Any] = []
        frame = None
        several = rng is not None and sum(path.random for path in self.paths) > 1
        for getter, path, out in zip(self.getters, self.paths, outs, strict=True):
            value = get_value(getter, self.items[index])
            try:
                part, went = path(value, same_draws(rng) if several else rng, frame, out)
            except Exception as error:
                raise self.told(error, index, self.blocks[len(found)]) from (error.__cause__ or error)
            frame = went if frame is None else frame
            found.append(part)
        return found

    def told(self, error: Exception, index: int, block: Block) -> Exception:
        """What to raise for a failure: its text with the sample's name and what failed."""
        text = str(error) or type(error).__name__
        if self.name(index) in text or isinstance(error, MemoryError):
            return error
        by = "" if text.startswith(("the item transform", "the transform")) else f"{type(block).__name__} failed: "
        return ValueError(f"{self.name(index)}: {by}{text}")

    def batch(
        self, indices: Sequence[int], rngs: Sequence[np.random.Generator | None], buffers: ArraySource | None = None
    ) -> tuple[Any, ...]:
        """The samples `indices` as one batch. Pictures are float32 [B C H W] in channels-last order, in `buffers`."""
        columns: list[list[Any]] = [[] for _ in self.paths]
        arrays: list[np.ndarray | None] = [None] * len(self.paths)
        for row, (index, rng) in enumerate(zip(indices, rngs, strict=True)):
            outs = [None if array is None else array[row] for array in arrays]
            for position, part in enumerate(self.parts(index, rng, outs)):
                columns[position].append(part)
                if row == 0 and is_picture(part):
                    shape = (len(indices), *part.shape)
                    array = np.empty(shape, part.dtype) if buffers is None else buffers.take(shape, part.dtype)
                    array[0] = part
                    arrays[position] = array
        return tuple(joined_column(column, array) for column, array in zip(columns, arrays, strict=True))

    def for_device(self, device: torch.device) -> "Samples":
        """These samples, made for batches on `device`: towards a GPU pictures travel as bytes."""
        paths = tuple(path.for_device(device) for path in self.paths)
        return self if paths == self.paths else replace(self, paths=paths)

    def timed_sample(self, index: int, rng: np.random.Generator | None) -> dict[str, float]:
        """Seconds that each stage (decode, warp, colour, other) of one sample takes."""
        seconds: dict[str, float] = {}
        for getter, path in zip(self.getters, self.paths, strict=True):
            for stage, spent in path.timed(get_value(getter, self.items[index]), rng).items():
                seconds[stage] = seconds.get(stage, 0.0) + spent
        return seconds


def is_picture(part: Any) -> bool:
    """Whether a part is a finished picture, float32 [H W C] of NumPy's."""
    return isinstance(part, np.ndarray) and part.ndim == 3 and part.dtype == np.float32


def collate_picture(part: Any) -> Any:
    """A part as a sample has it: a picture as a tensor [C H W]."""
    if is_picture(part):
        return torch.from_numpy(part).permute(2, 0, 1)
    return torch.from_numpy(part) if isinstance(part, np.ndarray) else part


def joined_column(column: list[Any], array: np.ndarray | None) -> Any:
    """One position of a batch. `array` [B H W C] holds its pictures, unless one of them had another shape."""
    if hasattr(column[0], "joined"):
        return column[0].joined(column)
    if array is not None:
        same = all(isinstance(part, np.ndarray) and part.shape == array.shape[1:] for part in column)
        if same:
            return torch.from_numpy(array).permute(0, 3, 1, 2)  # [B C H W]
    return collate_values([collate_picture(part) for part in column])


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
    """Items as a list; a data frame's (of pandas or polars) are its rows, whose values keep their types."""
    if hasattr(found, "iter_rows"):  # polars
        return list(found.iter_rows(named=True))
    return [row for _, row in found.astype(object).iterrows()] if hasattr(found, "iterrows") else list(found)


def identity(value: Any) -> Any:
    return value


def short(item: Any) -> str:
    text = " ".join(str(item).split())
    return text if len(text) <= 120 else text[:117] + "..."
