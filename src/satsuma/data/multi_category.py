"""`MultiCategoryBlock`: any number of labels an item. K labels in the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from satsuma.data.checks import label_warnings
from satsuma.data.getters import ColReader, as_python, column_value
from satsuma.data.transforms import NO_TRANSFORMS, Steps
from satsuma.errors import nearest, spelled_class

EXAMPLE = 'ColReader("tags", label_delim=" ") reads "cat dog" as a list'


@spelled_class
@dataclass(frozen=True, slots=True)
class MultiCategoryBlock:
    """Any number of K labels, none included: float32 [K], 1 at the places in `vocab` of the item's labels, else 0.

    An item's labels are a list, tuple or set of names. `vocab`: all labels found, sorted, unless given. `encoded`:
    items come as K numbers 0 or 1 already, in the order of `vocab`. `threshold`: the probability from which a label
    counts as said.
    """

    vocab: tuple[Any, ...] = ()
    encoded: bool = False
    threshold: float = 0.5

    takes_tfms = False

    def __post_init__(self) -> None:
        given: Any = self.vocab
        if isinstance(given, str):
            raise TypeError(f"MultiCategoryBlock: vocab is the labels in their order, got one text: {given!r}")
        object.__setattr__(self, "vocab", tuple(given))
        if len(set(self.vocab)) != len(self.vocab):
            raise ValueError(f"MultiCategoryBlock: vocab names a label twice: {self.vocab}")
        if self.encoded and not self.vocab:
            raise ValueError("MultiCategoryBlock: encoded labels are numbers without names: give vocab=")
        if not 0 < self.threshold < 1:
            raise ValueError(f"MultiCategoryBlock: threshold is a probability between 0 and 1, got {self.threshold!r}")

    def setup(self, values: Sequence[Any]) -> "MultiCategoryBlock":
        if self.encoded:
            for value in values:
                encoded_labels(value, len(self.vocab))
            return self
        found = {name for value in values for name in label_names(value)}
        if self.vocab:
            unknown = sorted(str(name) for name in found.difference(self.vocab))
            if unknown:
                raise ValueError(
                    f"MultiCategoryBlock: {len(unknown)} labels are not in the vocab: {', '.join(unknown[:5])}. "
                    f"The first: {nearest(unknown[0], [str(v) for v in self.vocab])}"
                )
            return self
        if not found:
            raise ValueError("MultiCategoryBlock: no item has a label. Check where the labels are read from.")
        return replace(self, vocab=sorted_labels(found))

    def load(self, value: Any) -> tuple[int, ...]:
        """The places of the item's labels in `vocab`, rising."""
        if self.encoded:
            return tuple(encoded_labels(value, len(self.vocab)).nonzero().flatten().tolist())
        places = {name: place for place, name in enumerate(self.vocab)}
        names = label_names(value)
        unknown = [name for name in names if name not in places]
        if unknown:
            known = [str(v) for v in self.vocab]
            raise ValueError(f"label {unknown[0]!r} is not in the vocab: {nearest(str(unknown[0]), known)}")
        return tuple(sorted({places[name] for name in names}))

    def to_tensor(self, part: tuple[int, ...]) -> Tensor:
        row = torch.zeros(len(self.vocab))  # [K]
        row[list(part)] = 1.0
        return row

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> list[Any]:
        """The labels of a row [K]: those that are true, or above 0.5."""
        return [name for name, said in zip(self.vocab, (tensor > 0.5).tolist(), strict=True) if said]


def label_names(value: Any) -> list[Any]:
    """One item's labels as a list; `ValueError` for what is no collection of names."""
    if isinstance(value, str | bytes):
        raise ValueError(f"MultiCategoryBlock: an item's labels are a list, got one text {value!r}. {EXAMPLE}")
    try:
        names = [as_python(name) for name in value]
        set(names)
    except TypeError:
        raise ValueError(f"MultiCategoryBlock: an item's labels are a list of names, got {value!r}") from None
    return names


def encoded_labels(value: Any, classes: int) -> Tensor:
    """One item's labels given as numbers 0 or 1, [K]; `ValueError` for another length or other numbers."""
    try:
        row = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"MultiCategoryBlock(encoded=True): {value!r} is no row of numbers 0 or 1") from None
    if row.shape != (classes,):
        raise ValueError(f"MultiCategoryBlock(encoded=True): {classes} labels need {classes} numbers, got {value!r}")
    if not bool(((row == 0) | (row == 1)).all()):
        raise ValueError(f"MultiCategoryBlock(encoded=True): expected numbers 0 or 1, got {value!r}")
    return row


def sorted_labels(found: set[Any]) -> tuple[Any, ...]:
    """Labels in order; where numbers and text are mixed, as text."""
    try:
        return tuple(sorted(found))
    except TypeError:
        return tuple(sorted(found, key=str))


def multi_label_warnings(
    block: MultiCategoryBlock, values: Sequence[Any], train: Sequence[int], valid: Sequence[int]
) -> list[str]:
    """As `label_warnings`, where each of the values is any number of labels: labels without a training sample."""
    names: list[Any] = []
    places: list[list[int]] = []  # of each item's labels in `names`
    for value in values:
        own = [block.vocab[place] for place in block.load(value)]
        places.append(list(range(len(names), len(names) + len(own))))
        names += own
    halves = [[place for item in half for place in places[item]] for half in (train, valid)]
    found = label_warnings(names, block.vocab, *halves)
    if len(block.vocab) == 1:
        found.append(f"all items together have one label, {block.vocab[0]!r}: check where the labels are read from")
    return found


def delimiter_warnings(getter: Any, items: Sequence[Any]) -> list[str]:
    """That a column's `label_delim` stands in none of its values, so that each of them is one label."""
    if not isinstance(getter, ColReader) or not getter.label_delim:
        return []
    values = [str(column_value(item, getter.col)) for item in items]
    if any(getter.label_delim in value for value in values):
        return []
    return [
        f"label_delim={getter.label_delim!r} occurs in none of the {len(values)} values of column {getter.col!r}, so "
        f"each is one label; the first is {values[0]!r}. Give the delimiter that stands between labels"
    ]


def label_text(answer: Any) -> str:
    """What a block's `decode` gave, for people: a list of labels as words with commas, "(none)" if there are none.

    >>> label_text(["cat", "dog"]), label_text([]), label_text("cat"), label_text([0.5, 1.0])
    ('cat, dog', '(none)', 'cat', '[0.5, 1.0]')
    """
    if not isinstance(answer, list) or any(isinstance(part, float) for part in answer):
        return str(answer)
    return ", ".join(str(part) for part in answer) or "(none)"
