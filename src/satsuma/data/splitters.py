"""Splitters: items → (train indices, valid indices).

Each is a value called with the list of items; one with a parameter `labels` is also given the items' labels.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satsuma.data.getters import as_python, column_value, is_missing
from satsuma.data.seeds import SPLIT, numpy_generator
from satsuma.errors import spelled_class

Split = tuple[list[int], list[int]]


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomSplitter:
    """A random share `valid_pct` (0..1) of the items is held out."""

    valid_pct: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        refuse_share(self.valid_pct)

    def __call__(self, items: Sequence[Any]) -> Split:
        order = numpy_generator(self.seed, SPLIT).permutation(len(items)).tolist()
        n_valid = min(round(len(items) * self.valid_pct), len(items) - 1)  # something must be left to train on
        return sorted(order[n_valid:]), sorted(order[:n_valid])


@spelled_class
@dataclass(frozen=True, slots=True)
class StratifiedSplitter:
    """A random share of each class is held out; a class with a single item stays in training.

    Raises `ValueError` if no two items share a label (numbers to regress, say).
    """

    valid_pct: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        refuse_share(self.valid_pct)

    def __call__(self, items: Sequence[Any], labels: Sequence[Hashable]) -> Split:
        by_label: dict[Hashable, list[int]] = defaultdict(list)
        for i, label in enumerate(labels):
            by_label[label].append(i)
        if len(by_label) == len(items) > 1 and self.valid_pct > 0:
            raise ValueError(
                f"StratifiedSplitter: each of the {len(items)} items has a label of its own, so no class can give "
                f"one up. Use splitter=RandomSplitter()."
            )
        train: list[int] = []
        valid: list[int] = []
        rng = numpy_generator(self.seed, SPLIT)
        seen = 0
        for label in sorted(by_label, key=str):
            order = [by_label[label][i] for i in rng.permutation(len(by_label[label]))]
            # rounding the running total, not each class, keeps the whole share right when classes are small
            before, seen = seen, seen + len(order)
            n_valid = int(seen * self.valid_pct + 0.5) - int(before * self.valid_pct + 0.5)
            n_valid = min(n_valid, len(order) - 1)
            train += order[n_valid:]
            valid += order[:n_valid]
        return sorted(train), sorted(valid)


@spelled_class
@dataclass(frozen=True, slots=True)
class GrandparentSplitter:
    """By the name of the folder above the class folder: `train/cats/1.jpg`, `valid/dogs/2.jpg`."""

    train_name: str = "train"
    valid_name: str = "valid"

    def __call__(self, items: Sequence[Any]) -> Split:
        return split_by_folder(items, 2, self.train_name, self.valid_name)


@spelled_class
@dataclass(frozen=True, slots=True)
class ParentSplitter:
    """By the name of the folder that a file lies in: `train/1.jpg`, `valid/2.jpg`."""

    train_name: str = "train"
    valid_name: str = "valid"

    def __call__(self, items: Sequence[Any]) -> Split:
        return split_by_folder(items, 1, self.train_name, self.valid_name)


@spelled_class
@dataclass(frozen=True, slots=True)
class IndexSplitter:
    """The items with these indices are held out."""

    valid_idx: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid_idx", tuple(int(i) for i in self.valid_idx))  # lists and arrays are welcome

    def __call__(self, items: Sequence[Any]) -> Split:
        bad = [i for i in self.valid_idx if not 0 <= i < len(items)]
        if bad:
            raise ValueError(f"IndexSplitter: index {bad[0]} is outside the {len(items)} items (0..{len(items) - 1})")
        held = set(self.valid_idx)
        return [i for i in range(len(items)) if i not in held], sorted(held)


@spelled_class
@dataclass(frozen=True, slots=True)
class ColSplitter:
    """By a column of true (held out) and false; `on` holds out the rows with that value instead.

    Raises `ValueError` if no row has that value, or if some have none.
    """

    col: str | int = "is_valid"
    on: str | int | bool = True

    def __call__(self, items: Sequence[Any]) -> Split:
        values = [column_value(item, self.col) for item in items]
        missing = [i for i, value in enumerate(values) if is_missing(value)]
        if missing:
            raise ValueError(
                f"ColSplitter: {len(missing)} rows have nothing in column {self.col!r}, first row {missing[0]}"
            )
        if self.on not in values:
            seen = ", ".join(sorted({repr(as_python(v)) for v in values})[:5])
            raise ValueError(
                f"ColSplitter: no row has {self.on!r} in column {self.col!r}; values there: {seen}. Give on="
            )
        return split_where([value == self.on for value in values])


@spelled_class
@dataclass(frozen=True, slots=True)
class FuncSplitter:
    """By a function: items for which it is true are held out."""

    func: Callable[[Any], bool]

    def __call__(self, items: Sequence[Any]) -> Split:
        return split_where([bool(self.func(item)) for item in items])


@spelled_class
@dataclass(frozen=True, slots=True)
class GroupSplitter:
    """Whole groups are held out together (no patient in both halves), about `valid_pct` of the items.

    `group` is a function of an item, or a column's name. At least one group is held out, and one is not.
    """

    group: Callable[[Any], Hashable] | str
    valid_pct: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        refuse_share(self.valid_pct)

    def __call__(self, items: Sequence[Any]) -> Split:
        by_group: dict[Hashable, list[int]] = defaultdict(list)
        for i, item in enumerate(items):
            key = column_value(item, self.group) if isinstance(self.group, str) else self.group(item)
            by_group[key].append(i)
        if len(by_group) < 2:
            raise ValueError(f"GroupSplitter: all {len(items)} items are of one group; nothing can be held out")
        groups = list(by_group.values())
        held: set[int] = set()
        for g in numpy_generator(self.seed, SPLIT).permutation(len(groups)).tolist():
            # a group goes in if more than half of it fits: the share is met as nearly as whole groups can
            fits = len(held) + len(groups[g]) / 2 <= len(items) * self.valid_pct
            if fits and len(held) + len(groups[g]) < len(items):
                held.update(groups[g])
        held = held or set(sorted(groups, key=len)[0])
        return split_where([i in held for i in range(len(items))])


def split_where(held: Sequence[bool]) -> Split:
    """The indices that are false, and those that are true."""
    return [i for i, h in enumerate(held) if not h], [i for i, h in enumerate(held) if h]


def split_by_folder(items: Sequence[Any], up: int, train_name: str, valid_name: str) -> Split:
    folders = [Path(item).parts[-1 - up] if len(Path(item).parts) > up else "" for item in items]
    train = [i for i, name in enumerate(folders) if name == train_name]
    valid = [i for i, name in enumerate(folders) if name == valid_name]
    if not train or not valid:
        seen = ", ".join(sorted(set(folders))[:8])
        missing = train_name if not train else valid_name
        raise ValueError(f"no item lies in a folder named {missing!r} ({up} up from the file); folders there: {seen}")
    return train, valid


def refuse_share(valid_pct: float) -> None:
    if not 0 <= valid_pct < 1:
        raise ValueError(f"valid_pct is a share of the items, 0 or more and below 1, got {valid_pct}")
