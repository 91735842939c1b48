"""Both halves of a data set as one list, for those who look for faults in it. N samples, K classes, D numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from satsuma.data.arrays import ArrayDataset
from satsuma.data.blocks import CategoryBlock
from satsuma.data.edits import HALVES, keys_of
from satsuma.data.getters import as_python
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.samples import Samples, get_value
from satsuma.inspect.samples import sample_names
from satsuma.vision.blocks import ImageBlock

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders


@dataclass(frozen=True)
class WholeData:
    """The training and the validation samples of `dls` one after the other; places 0..N-1 count through both."""

    dls: "DataLoaders"

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many samples each half has."""
        return tuple(len(loader.dataset) for loader in self.dls.loaders[: len(HALVES)])

    def __len__(self) -> int:
        return sum(self.sizes)

    @cached_property
    def half(self) -> np.ndarray:
        """0 for training, 1 for validation, int [N]."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def index(self) -> np.ndarray:
        """The place of each in its half, int [N]."""
        return np.concatenate([np.arange(size) for size in self.sizes])

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for half in range(len(self.sizes)) for name in sample_names(self.dls, half))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for half in range(len(self.sizes)) for key in keys_of(self.dls, half))

    @cached_property
    def kind(self) -> str:
        """ "category", "multi", or "" for any other target, and for several."""
        targets = self.dls.targets
        if len(targets) != 1:
            return ""
        kinds = {CategoryBlock: "category", MultiCategoryBlock: "multi"}
        return next((name for block, name in kinds.items() if isinstance(targets[0], block)), "")

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        return tuple(str(v) for v in self.dls.vocab)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """int64 [N], of several labels bool [N K]; None where targets are no classes or cannot be read."""
        parts = [labels_in(self.dls, half, self.kind) for half in range(len(self.sizes))] if self.kind else [None]
        return None if any(part is None for part in parts) else np.concatenate(parts)  # type: ignore[arg-type]

    def label_text(self, place: int) -> str:
        """What a sample is labelled now, "" where that is no class."""
        if self.labels is None:
            return ""
        row = self.labels[place]
        return (
            self.vocab[int(row)] if self.kind == "category" else ", ".join(self.vocab[k] for k in np.flatnonzero(row))
        )

    @cached_property
    def arrays(self) -> np.ndarray | None:
        """The inputs of data that lie in memory, [N *dims]; None for data from files."""
        found = [loader.dataset for loader in self.dls.loaders[: len(HALVES)]]
        if self.dls.n_inp != 1 or not all(isinstance(dataset, ArrayDataset) for dataset in found):
            return None
        return torch.cat([dataset.tensors[0] for dataset in found]).cpu().numpy()

    @cached_property
    def has_pictures(self) -> bool:
        """Whether each sample is one picture, from a file or in memory."""
        first = self.dls.train.dataset
        if isinstance(first, Samples):
            return self.dls.n_inp == 1 and isinstance(first.blocks[0], ImageBlock)
        return self.arrays is not None and picture_shape(self.arrays) is not None

    def pictures(self) -> Iterator[Any]:
        """What each picture is read from: a path, or an array uint8 [H W] or [H W C]."""
        if self.arrays is not None:
            yield from array_pictures(self.arrays)
            return
        for loader in self.dls.loaders[: len(HALVES)]:
            dataset = loader.dataset
            for item in dataset.items:
                yield get_value(dataset.getters[0], item)


def labels_in(dls: "DataLoaders", half: int, kind: str) -> np.ndarray | None:
    """The labels of one half, read without its inputs."""
    dataset, n = dls[half].dataset, dls.n_inp
    if isinstance(dataset, ArrayDataset):
        found = dataset.tensors[n].cpu().numpy() if len(dataset.tensors) > n else None
        return found if found is None or kind == "category" else found > 0.5
    if not isinstance(dataset, Samples):
        return None
    values = [get_value(dataset.getters[n], item) for item in dataset.items]
    if kind == "category":
        place = {v: i for i, v in enumerate(dls.vocab)}
        return np.array([place[as_python(v)] for v in values], np.int64)
    several = np.zeros((len(values), len(dls.vocab)), bool)
    for row, value in enumerate(values):
        several[row, list(dls.targets[0].load(value))] = True
    return several


def picture_shape(arrays: np.ndarray) -> tuple[int, ...] | None:
    """(H, W) or (C, H, W) of arrays [N ...] that are pictures: with both, or bytes whose number is a square's."""
    shape = arrays.shape[1:]
    if (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3, 4))) and min(shape[-2:]) >= 4:
        return tuple(shape)
    side = round(shape[0] ** 0.5) if len(shape) == 1 else 0
    return (side, side) if side >= 8 and side * side == shape[0] and arrays.dtype == np.uint8 else None


def array_pictures(arrays: np.ndarray) -> Iterator[np.ndarray]:
    """Pictures in memory as bytes; other numbers are spread over 0..255 from the least to the greatest of all."""
    shape = picture_shape(arrays)
    assert shape is not None
    low, high = (0.0, 255.0) if arrays.dtype == np.uint8 else (float(arrays.min()), float(arrays.max()))
    scale = 255.0 / max(high - low, 1e-12)
    for row in arrays:
        picture = row.reshape(shape)
        if arrays.dtype != np.uint8:
            picture = np.round((picture.astype(np.float32) - low) * scale).clip(0, 255).astype(np.uint8)
        yield np.ascontiguousarray(picture.transpose(1, 2, 0) if picture.ndim == 3 else picture)
