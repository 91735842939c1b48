"""Samples as templates show them: where they are, what they are called, what the edits change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from satsuma.workbench.edited import Now, change_of, states_of
from satsuma.workbench.items import source_of
from satsuma.workbench.listing import Index
from satsuma.workbench.subjects import Subject
from satsuma.workbench.traits import Traits

LONGEST_ROW = 240  # characters of a sample that is no picture
MOST_VALUES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A sample in a page. `change`: what the edits make other, see `change_of`. `text`: of one without a picture."""

    number: int
    half: int
    i: int
    name: str
    label: str
    change: Mapping[str, Any] | None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One page of many: `first` and `last` of `total` are shown, counted from 1; addresses of the pages beside it."""

    number: int
    first: int
    last: int
    total: int

    @property
    def earlier(self) -> int | None:
        return self.number - 1 if self.number else None

    @property
    def later(self) -> int | None:
        return self.number + 1 if self.last < self.total else None


def leaf_of(total: int, number: int, size: int) -> Leaf:
    """Page `number` of `total` things, `size` a page; the last one for a number beyond it.

    >>> leaf_of(10, 7, 4)
    Leaf(number=2, first=9, last=10, total=10)
    """
    number = max(0, min(number, (total - 1) // size))
    return Leaf(number=number, first=min(total, number * size + 1), last=min(total, (number + 1) * size), total=total)


def shown_samples(subject: Subject, index: Index, traits: Traits, numbers: Iterable[int]) -> list[Shown]:
    """The samples of these numbers."""
    states = states_of(subject)
    return [shown_sample(subject, index, traits, states, int(number)) for number in numbers]


def shown_sample(subject: Subject, index: Index, traits: Traits, states: Mapping[str, Now], number: int) -> Shown:
    half, i = index.place(number)
    labels = index.labels[number]
    return Shown(
        number=number,
        half=half,
        i=i,
        name=index.items[half].names[i],
        label=", ".join(labels),
        change=change_of(states.get(index.items[half].keys[i]), labels, half),
        text="" if traits.pictures else row_text(source_of(subject.dls(), half, i)),
    )


def row_text(value: Any) -> str:
    """A sample that is no picture in a few words: its numbers, or its text.

    >>> row_text([0.123456, 2.0]), row_text("a longer text")
    ('0.1235, 2', 'a longer text')
    """
    if isinstance(value, np.ndarray) or hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        parts = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in value[:MOST_VALUES]]
        value = ", ".join(parts) + (", …" if len(value) > MOST_VALUES else "")
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_ROW else text[: LONGEST_ROW - 1] + "…"
