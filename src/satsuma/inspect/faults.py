"""What seems wrong in a data set, as ranked tables: `Fault` and `Faults`."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from rich.table import Table

    from satsuma.data.dataloaders import DataLoaders

# kind → (heading, what it means and what to do); in the order in which they are shown
KINDS = {
    "leak": (
        "The same picture in training and validation",
        "Where two are the same, the model has seen the answer and the result flatters it: keep one of them.",
    ),
    "label": (
        "Labels that may be wrong",
        "A model that did not learn from the sample says something else with confidence. Look before you relabel.",
    ),
    "twin": (
        "The same picture more than once in one half",
        "It counts double. Where the copies are labelled differently, at least one label is wrong.",
    ),
    "outlier": (
        "Unlike all others of its class",
        "Its features lie far from those of its nearest neighbours: a rare case, a stray file, or a wrong label.",
    ),
    "odd": (
        "Pictures of another kind",
        "In size, shape, brightness or sharpness far from the others: often a failed scan or an empty file.",
    ),
    "imbalance": (
        "Classes with few samples",
        "A model learns a class from its samples: these have far fewer than the others.",
    ),
}
FORMAT = 1  # of the JSON file


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that seems wrong.

    kind: "leak" (the same in both halves), "twin" (within a half), "label", "outlier", "odd" or "imbalance".
    key: what an edit calls the sample ("" where it is about a class). name: what messages call it. half: "train" or
    "valid". index: its place in that half, -1 for none. score: 0..1, higher is surer; ranks within a kind.
    label: what it is labelled now. suggestion: the class it may be, of a "label". other, other_name, other_half,
    other_index, other_label: the other of two twins.
    """

    kind: str
    key: str
    name: str
    half: str
    score: float
    reason: str
    label: str = ""
    suggestion: str = ""
    index: int = -1
    other: str = ""
    other_name: str = ""
    other_half: str = ""
    other_index: int = -1
    other_label: str = ""


@dataclass(frozen=True, repr=False)
class Faults:
    """The faults of a data set, the surest of each kind first.

    looked: the kinds that were looked for. notes: what was left out, and why. dls: where the pictures are taken from;
    without it those rows have a picture whose name is a file that is still there.
    """

    rows: tuple[Fault, ...]
    looked: tuple[str, ...] = tuple(KINDS)
    notes: tuple[str, ...] = ()
    dls: "DataLoaders | None" = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"Faults({', '.join(f'{n:,} {kind}' for kind, n in self.counts.items())})"

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, kind: str) -> tuple[Fault, ...]:
        """The faults of one kind, the surest first. `ValueError` for a kind that does not exist."""
        if kind not in KINDS:
            raise ValueError(f"Faults.of: kind is one of {', '.join(KINDS)}; got {kind!r}")
        return tuple(row for row in self.rows if row.kind == kind)

    @property
    def leaks(self) -> tuple[Fault, ...]:
        """Twins across the split: the validation result is not to be trusted while there are any."""
        return self.of("leak")

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind that was looked for."""
        return {kind: len(self.of(kind)) for kind in KINDS if kind in self.looked}

    def save(self, file: str | Path) -> Path:
        """Write them as JSON."""
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (self.json_text() + "\n").encode())
        return path

    def json_text(self, encoding: str = "utf-8") -> str:
        """`as_json` as text. What `encoding` has no bytes for is escaped, so that every key can be read from it."""
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False)
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return json.dumps(self.as_json(), indent=1)
        return text

    def as_json(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON has it."""
        rows = [asdict(row) for row in self.rows]
        return {"format": FORMAT, "counts": self.counts, "notes": list(self.notes), "faults": rows}

    @classmethod
    def load(cls, file: str | Path) -> "Faults":
        """What `save` wrote. `ValueError` that names the file and what is wrong with it."""
        try:
            held = json.loads(Path(file).read_text(encoding="utf-8"))
            if held["format"] != FORMAT:
                raise ValueError(f"format {held['format']!r}, expected {FORMAT}")
            rows = tuple(fault_from(row) for row in held["faults"])
            return cls(rows, tuple(map(str, held["counts"])), tuple(map(str, held["notes"])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            told = f"no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{file}: not a file of Faults.save: {told}") from error

    def table(self, kind: str, most: int | None = None) -> "Table":
        """The faults of one kind as a table for the terminal; the `most` surest."""
        from satsuma.inspect.fault_tables import rich_table

        return rich_table(self.of(kind)[:most])

    def html(self, most: int = 24) -> str:
        """A ranked table of each kind with pictures, the `most` surest: a fragment of HTML, all text escaped."""
        from satsuma.inspect.fault_tables import html_tables

        return html_tables(self, most)

    def _repr_html_(self) -> str:
        from satsuma.inspect.gallery import shown_fragment

        return shown_fragment(self.html())


def fault_from(row: Any) -> Fault:
    """A `Fault` of what JSON holds, checked: texts are text, numbers numbers, nothing unknown."""
    kinds = {"str": str, "float": (float, int), "int": int}
    for f in fields(Fault):
        value = row.get(f.name, f.default)
        if isinstance(value, bool) or not isinstance(value, kinds[str(getattr(f.type, "__name__", f.type))]):  # type: ignore[arg-type]
            raise ValueError(f"{f.name} is {value!r}")
    if not math.isfinite(row["score"]):
        raise ValueError(f"score is {row['score']}")
    unknown = set(row) - {f.name for f in fields(Fault)}
    if unknown or row["kind"] not in KINDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown)) or row['kind']}")
    return Fault(**row)


def ranked(rows: Iterable[Fault]) -> tuple[Fault, ...]:
    """The faults by kind in the order of `KINDS`, each kind's by falling score, then by name."""
    order = list(KINDS)
    return tuple(sorted(rows, key=lambda row: (order.index(row.kind), -row.score, row.name, row.other_name)))
