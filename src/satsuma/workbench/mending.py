"""Faults in the data as the *Data* page lists them, and those that a person has looked at and let stand."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from satsuma.inspect.faults import Fault
from satsuma.train.checkpoint import write_whole
from satsuma.workbench.edited import states_of
from satsuma.workbench.listing import Index
from satsuma.workbench.shown import Shown, shown_sample
from satsuma.workbench.subjects import Subject
from satsuma.workbench.traits import Traits

LOCK = threading.Lock()
MOST_IGNORED = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """A fault with its samples. `sample` is None of a fault of a class, `other` where it is of one sample."""

    fault: Fault
    sample: Shown | None
    other: Shown | None
    ignored: bool


def fault_rows(subject: Subject, index: Index, traits: Traits, faults: tuple[Fault, ...]) -> list[FaultRow]:
    """The rows of these faults, those that were let stand last."""
    ignored, states = read_ignored(subject), states_of(subject)

    def shown(key: str) -> Shown | None:
        number = index.number_of.get(key)
        return None if number is None else shown_sample(subject, index, traits, states, number)

    return [
        FaultRow(fault=f, sample=shown(f.key), other=shown(f.other), ignored=fault_id(f) in ignored) for f in faults
    ]


def fault_id(fault: Fault) -> tuple[str, str, str]:
    """What tells a fault from all others."""
    return fault.kind, fault.key or fault.label, fault.other


def ignored_file(subject: Subject) -> Path:
    """Where it is kept which faults are let stand: beside the edits."""
    return subject.edits_file.with_name(f"{subject.edits_file.stem}-ignored.json")


def read_ignored(subject: Subject) -> set[tuple[str, str, str]]:
    """The faults that are let stand. A file that is none of ours counts as none."""
    try:
        held = json.loads(ignored_file(subject).read_text(encoding="utf-8"))
        return {(str(kind), str(key), str(other)) for kind, key, other in held["ignored"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def ignore(subject: Subject, fault: tuple[str, str, str], ignored: bool) -> None:
    """Let a fault stand, or look at it again."""
    with LOCK:
        held = read_ignored(subject)
        held = held | {fault} if ignored else held - {fault}
        kept = sorted(held)[:MOST_IGNORED]
        file = ignored_file(subject)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({"ignored": kept}).encode())
