"""All samples of a subject in one row, by class and in several orders. N samples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from satsuma.inspect.predictions import Predictions
from satsuma.inspect.ranking import of_truth
from satsuma.workbench.edited import Now
from satsuma.workbench.items import Items
from satsuma.workbench.jobs import JobError
from satsuma.workbench.subjects import Subject
from satsuma.workbench.traits import Traits, labels_of, traits_of

ORDERS = ("name", "loss", "uncertain", "suggested")
NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The samples of all halves, the training half first; a sample's number in it is its `number`."""

    items: tuple[Items, ...]
    labels: tuple[tuple[str, ...], ...]  # [N] as they stand in the data
    classes: tuple[str, ...]  # those of the vocabulary, then those that only the data have
    members: Mapping[str, np.ndarray]  # class → int64 [members], numbers
    by_name: np.ndarray  # int64 [N], all numbers in the order of their names
    number_of: Mapping[str, int]  # by key

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, number: int) -> tuple[int, int]:
        """Half and place of a number."""
        for half, items in enumerate(self.items):
            if number < len(items):
                return half, number
            number -= len(items)
        raise IndexError(number)

    def number(self, half: int, i: int) -> int:
        return sum(len(items) for items in self.items[:half]) + i

    def key(self, number: int) -> str:
        half, i = self.place(number)
        return self.items[half].keys[i]

    def in_half(self, half: int | None) -> tuple[int, int]:
        """From which number on, and up to which, a half lies; None is all."""
        if half is None:
            return 0, len(self)
        start = self.number(half, 0)
        return start, start + len(self.items[half])


def index_of(subject: Subject) -> Index:
    """The index of a subject; raises `Waiting` as its parts do."""
    traits = traits_of(subject)
    items = tuple(subject.items(half) for half in subject.halves())
    found: Index = subject.part("index", lambda: make_index(subject, traits, items))
    return found


def make_index(subject: Subject, traits: Traits, items: tuple[Items, ...]) -> Index:
    labels = tuple(tuple(labels_of(subject, traits, half.half, i)) for half in items for i in range(len(half)))
    members: dict[str, list[int]] = {name: [] for name in traits.classes}
    for number, own in enumerate(labels if traits.labelled else ()):
        for name in own:
            members.setdefault(name, []).append(number)
    names = [natural(name) for half in items for name in half.names]
    return Index(
        items=items,
        labels=labels,
        classes=tuple(members),
        members={name: np.array(numbers, np.int64) for name, numbers in members.items()},
        by_name=np.array(sorted(range(len(names)), key=names.__getitem__), np.int64),
        number_of={key: n for n, key in enumerate(key for half in items for key in half.keys)},
    )


def natural(name: str) -> list[tuple[int, int | str]]:
    """A name as people sort: 9 before 10.

    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    parts = NUMBERS.split(name.casefold())
    return [(0, int(part)) if i % 2 else (1, part) for i, part in enumerate(parts)]


def order_of(subject: Subject, index: Index, order: str, half: int | None) -> np.ndarray:
    """All numbers of a half (None: of all) in an order, int64; raises `Waiting` for what the order needs."""
    if order == "name":
        start, end = index.in_half(half)
        return index.by_name[(index.by_name >= start) & (index.by_name < end)]
    if order == "suggested":
        first = [n for n in suggestions_of(subject, index) if inside(index, n, half)]
        rest = order_of(subject, index, "name", half)
        return np.concatenate([np.array(first, np.int64), rest[~np.isin(rest, first)]])
    if order not in ORDERS:
        raise JobError(f"order is one of {', '.join(ORDERS)}, got {order!r}")
    if not subject.has_weights:
        raise JobError(f"{subject.title}: there is no trained model whose losses could put the samples in order")
    halves = range(len(index.items)) if half is None else [half]
    found = [subject.predictions(h) for h in halves]

    def make() -> np.ndarray:
        values = [loss_of(p) if order == "loss" else doubt_of(p) for p in found]
        start, _ = index.in_half(half)
        return start + np.argsort(-np.concatenate(values), kind="stable")

    made: np.ndarray = subject.part("order", make, order, half, version=subject.weights_time())
    return made


def inside(index: Index, number: int, half: int | None) -> bool:
    start, end = index.in_half(half)
    return start <= number < end


def loss_of(found: Predictions) -> np.ndarray:
    """Losses [N] to rank by: one that is no number comes first."""
    return np.nan_to_num(found.losses.astype(np.float64), nan=np.inf, posinf=np.inf)


def doubt_of(found: Predictions) -> np.ndarray:
    """How undecided the model was of each sample [N], 0 to 1; of a regression its losses."""
    if found.kind == "regression":
        return loss_of(found)
    return np.asarray(1 - of_truth(found, None)[2], np.float64)


def suggestions_of(subject: Subject, index: Index) -> dict[int, tuple[str, str]]:
    """Number → (the class that it may be, why), of the label faults, the surest first."""
    rows = subject.faults().of("label")
    numbers = ((index.number_of.get(row.key), row) for row in rows)
    return {number: (row.suggestion, row.reason) for number, row in numbers if number is not None}


def in_class(index: Index, label: str, states: Mapping[str, Now]) -> np.ndarray:
    """Of which samples the label, in the data or after the edits, is `label`: bool [N]."""
    found = np.zeros(len(index), bool)
    found[index.members.get(label, np.zeros(0, np.int64))] = True
    for key, state in states.items():
        if label in (state.labels or ()) and key in index.number_of:
            found[index.number_of[key]] = True
    return found
