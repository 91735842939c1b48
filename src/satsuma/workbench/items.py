"""The samples of a half as the pages list them, and their pictures."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.data.edits import keys_of
from satsuma.data.multi_category import label_text
from satsuma.data.samples import Samples, get_value
from satsuma.inspect.samples import picture_of, thumbnail

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders


class OutsideError(Exception):
    """A file that an item names lies outside of the data's folder, by a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """N samples of one half: `keys` name them in edits, `names` for people, `labels` as text."""

    half: int
    keys: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    root: Path | None  # all files lie below it; None where samples are not files

    def __len__(self) -> int:
        return len(self.keys)

    def counts(self) -> dict[str, int]:
        """How many samples each label has, the most first."""
        return dict(Counter(self.labels).most_common())


def items_of(dls: "DataLoaders", half: int) -> Items:
    """The items of a loader: 0 training, 1 validation."""
    dataset = dls[half].dataset
    keys = tuple(keys_of(dls, half))
    sources = [source_of(dls, half, i) for i in range(len(keys))]
    paths = [Path(source).absolute() for source in sources if isinstance(source, str | Path)]
    base = Path(os.path.commonpath([path.parent for path in paths])) if paths else None
    names = tuple(name_of(dataset, i, sources[i], base) for i in range(len(keys)))
    labels = tuple(label_of(dls, half, i) for i in range(len(keys)))
    return Items(half=half, keys=keys, names=names, labels=labels, root=None if base is None else base.resolve())


def name_of(dataset: Any, i: int, source: Any, base: Path | None) -> str:
    """What a person calls a sample: its file below the data's folder, else its place."""
    if base is not None and isinstance(source, str | Path):
        return Path(source).absolute().relative_to(base).as_posix()
    return str(dataset.name(i)) if hasattr(dataset, "name") else f"sample {i}"


def source_of(dls: "DataLoaders", half: int, i: int) -> Any:
    """What the input block reads for a sample: a path, bytes, an array; None for arrays in memory."""
    dataset = dls[half].dataset
    return get_value(dataset.getters[0], dataset.items[i]) if isinstance(dataset, Samples) else None


def label_of(dls: "DataLoaders", half: int, i: int) -> str:
    """A sample's label as text, as it stands in the data; "" without a target."""
    dataset = dls[half].dataset
    if isinstance(dataset, Samples):
        if len(dataset.getters) <= dls.n_inp:
            return ""
        return label_text(get_value(dataset.getters[dls.n_inp], dataset.items[i]))
    if not dls.targets:
        return ""
    return label_text(dls.targets[0].decode(dataset[i][dls.n_inp]))


def small_picture(dls: "DataLoaders", items: Items, i: int, side: int) -> bytes:
    """A JPEG of a sample, its longer side at most `side` pixels: of the file, else as the model sees it.

    Raises `OutsideError` for a file that is a link out of the data's folder; `ValueError` for one that is no image.
    """
    return thumbnail(whole_picture(dls, items, i), side)


def whole_picture(dls: "DataLoaders", items: Items, i: int) -> Path | np.ndarray:
    """A sample's file, or its pixels uint8 [H W 3] where it is none. Raises as `small_picture`."""
    source = source_of(dls, items.half, i)
    if not isinstance(source, str | Path):
        return picture_of(dls, items.half, i)
    file = Path(source).resolve()
    if items.root is None or not file.is_relative_to(items.root):
        raise OutsideError(f"{source}: a link to a file outside of the data's folder; it is not shown")
    return file


def refuse_outside(dls: "DataLoaders", items: Items, i: int) -> None:
    """`OutsideError` for a sample whose file is a link out of the data's folder."""
    if isinstance(source_of(dls, items.half, i), str | Path):
        whole_picture(dls, items, i)


def is_outside(dls: "DataLoaders", items: Items, i: int) -> bool:
    """Whether a sample's file is a link out of the data's folder."""
    try:
        refuse_outside(dls, items, i)
    except OutsideError:
        return True
    return False
