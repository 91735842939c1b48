"""`Picks`: chosen samples in their order, with what is true, what was said, and their pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.inspect.gallery import Card, Gallery
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.tables import ShownTable

MOST_NAMED = 5  # labels of a card

if TYPE_CHECKING:
    from satsuma.inspect.interpretation import Interpretation


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One sample. `index`: its place in the predictions; `probability` of the answer, `truth` of the target."""

    index: int
    name: str
    key: str
    label: str
    answer: str
    right: bool | None  # None of a regression
    loss: float
    probability: float | None = None  # None where an answer is not one class
    truth: float | None = None
    missed: tuple[str, ...] = ()  # of several labels: those that were not said
    added: tuple[str, ...] = ()  # and those that were said but are not there

    def card(self, picture: np.ndarray | None) -> Card:
        """The sample under its picture."""
        tone = "" if self.right is None else "good" if self.right else "bad"
        several = bool(self.missed or self.added)
        caption = (
            f"is {self.label}" if several else self.label if self.right else f"is {self.label}, said {self.answer}"
        )
        return Card(picture, caption, self.detail(), tone)

    def detail(self) -> str:
        """How sure the model was, and what exactly was wrong."""
        wrong = [("missed", self.missed), ("added", self.added)]
        told = "; ".join(f"{word}: {few(names)}" for word, names in wrong if names)
        if told or self.probability is None or self.truth is None:
            return told or f"loss {self.loss:.2f}"
        if self.right:
            return f"{percent(self.probability)} sure, loss {self.loss:.2f}"
        return f"{self.answer}: {percent(self.probability)}, {self.label}: {percent(self.truth)}"


def few(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def percent(share: float) -> str:
    """A share for people; near the ends with as many digits as tell it from them.

    >>> percent(0.993), percent(0.9996), percent(0.004), percent(0.999999), percent(1.0)
    ('99.3%', '99.96%', '0.4%', '>99.99%', '100%')
    """
    rest = min(share, 1 - share)
    if 0 < rest < 0.00005:
        return "<0.01%" if share < 0.5 else ">99.99%"
    return f"{share:.0%}" if rest <= 0 or rest >= 0.0095 else f"{share:.1%}" if rest >= 0.00095 else f"{share:.2%}"


def pick_of(found: Predictions, i: int, column: int | None = None) -> Pick:
    """Sample `i` as a `Pick`; with `column` what was said of that label alone, where there are several."""
    parts: dict[str, Any] = {"index": i, "name": found.names[i], "key": found.keys[i]}
    parts |= {"loss": float(found.losses[i]) or 0.0, "label": found.label(i), "answer": found.answer(i)}
    target, said = found.targets[i], found.decided[i]
    right = None if found.kind == "regression" else bool(np.all(said == target))
    if found.kind == "category":
        return Pick(
            **parts, right=right, probability=float(found.outputs[i, said]), truth=float(found.outputs[i, target])
        )
    if column is not None:
        return pick_of_label(found, i, column, parts)
    if found.kind == "multi":
        missed, added = (tuple(found.vocab[k] for k in np.flatnonzero(m)) for m in (target & ~said, said & ~target))
        return Pick(**parts, right=right, missed=missed, added=added)
    return Pick(**parts, right=right)


def pick_of_label(found: Predictions, i: int, column: int, parts: dict[str, Any]) -> Pick:
    """Sample `i` as if label number `column` was all that was asked."""
    name, yes = found.vocab[column], float(found.outputs[i, column])
    there, said = bool(found.targets[i, column]), bool(found.decided[i, column])
    parts |= {"label": name if there else f"not {name}", "answer": name if said else f"not {name}"}
    chances = {True: yes, False: 1 - yes}
    return Pick(**parts, right=there == said, probability=chances[said], truth=chances[there])


@dataclass(frozen=True, slots=True)
class Picks(Sequence[Pick]):
    """Samples in their order; a notebook shows them as a gallery, or as a table where they are no pictures."""

    title: str
    rows: tuple[Pick, ...]
    source: "Interpretation" = field(repr=False)

    @property
    def indices(self) -> list[int]:
        """The samples' places in the predictions."""
        return [row.index for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Pick]:
        return iter(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return self.rows[i]

    def gallery(self, *, heat: bool = False) -> Gallery:
        """The samples' pictures; `heat`: under what the model looked at, for the answer that it gave."""
        pictures = self.source.pictures(self.indices, heat=heat)
        return Gallery(self.title, [row.card(p) for row, p in zip(self.rows, pictures, strict=True)])

    def table(self) -> ShownTable:
        """The samples as rows."""
        if any(row.probability is not None for row in self.rows):
            rows: Any = tuple((r.name, r.label, r.answer, r.probability, r.loss) for r in self.rows)
            return ShownTable(self.title, ("sample", "is", "said", "probability", "loss"), rows)
        rows = tuple((r.name, r.label, r.answer, r.loss) for r in self.rows)
        return ShownTable(self.title, ("sample", "is", "said", "loss"), rows)

    def html(self) -> str:
        """A piece of HTML: the gallery, or the table where there are no pictures."""
        return self.gallery().html() if self.source.has_pictures else self.table().html()

    def _repr_html_(self) -> str:
        return self.gallery()._repr_html_() if self.source.has_pictures else self.table()._repr_html_()

    def save(self, file: str | Path) -> Path:
        """Write the gallery (or table) as `.png` or `.svg`, or the table as `.csv`."""
        as_table = Path(file).suffix.lower() == ".csv" or not self.source.has_pictures
        return self.table().save(file) if as_table else self.gallery().save(file)

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table()!r}"
