"""What the edits make of the samples of a subject, and the edits as the pages list them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from satsuma.data.edit_log import EditLine
from satsuma.data.edits import HALVES
from satsuma.inspect.journal import Journal
from satsuma.workbench.subjects import Subject

MOST_LISTED = 500  # edits in a page's list


@dataclass(frozen=True, slots=True)
class Now:
    """A sample after the edits. None: as the data have it, which no edit ever changed."""

    labels: tuple[str, ...] | None = None
    half: int | None = None
    excluded: bool = False


def label_list(label: Any) -> tuple[str, ...]:
    """An edit's label, one or several, as texts."""
    many: Iterable[Any] = label if isinstance(label, tuple | list) else (label,)
    return tuple(str(part) for part in many)


def first_values(history: Iterable[EditLine], action: str) -> dict[str, Any]:
    """Key → what an item's label (or half) was before the first edit of it.

    A run that was trained with edits has the edited labels in its data: what an undone edit goes back to is only here.
    """
    found: dict[str, Any] = {}
    for line in history:
        if line.action == action and line.was is not None:
            found.setdefault(line.key, line.was)
    return found


def states_of(subject: Subject) -> dict[str, Now]:
    """What the edits, in force or undone, make of each item that they are of, by its key."""
    journal = subject.journal
    history = journal.history()
    labels, halves = first_values(history, "relabel"), first_values(history, "move")
    found = {
        line.key: Now(label_list(labels[line.key]) if line.key in labels else None, half_of(halves.get(line.key)))
        for line in history
        if line.key
    }
    for key, state in journal.now().items():
        before = found.get(key, Now())
        found[key] = Now(
            before.labels if state.label is None else label_list(state.label),
            before.half if state.half is None else half_of(state.half),
            state.excluded,
        )
    return found


def half_of(name: Any) -> int | None:
    return HALVES.index(name) if name in HALVES else None


def change_of(state: Now | None, labels: tuple[str, ...], half: int) -> dict[str, Any] | None:
    """What will be other than in the data as they are open: {labels, half, excluded}; None if nothing will."""
    if state is None:
        return None
    other_labels = state.labels if state.labels is not None and set(state.labels) != set(labels) else None
    other_half = state.half if state.half is not None and state.half != half else None
    if other_labels is None and other_half is None and not state.excluded:
        return None
    return {"labels": other_labels, "half": other_half, "excluded": state.excluded}


def relabel(
    subject: Subject, key: str, labels: tuple[str, ...], own: tuple[str, ...], *, several: bool, why: str = ""
) -> None:
    """Give an item other labels. `own`: those in the data; going back to the first ones takes the edits back."""
    journal = subject.journal
    made = [line for line in journal.in_force() if line.action == "relabel" and line.key == key]
    first = first_values(journal.history(), "relabel").get(key)
    if set(labels) == set(own if first is None else label_list(first)) and made:
        for line in reversed(made):
            journal.undo(line.id)
        return
    was = None if made else own if several else own[0] if own else None
    journal.relabel(key, labels if several else labels[0], was=was if first is None or made else first, why=why)


def listed(journal: Journal, number_of: Mapping[str, int]) -> list[dict[str, Any]]:
    """The newest edits, undone ones too, for a page. `number`: the sample's, -1 if it is not in the data now."""
    history = journal.history()
    standing = {line.id for line in journal.in_force()}
    made = [line for line in reversed(history) if not line.of][:MOST_LISTED]
    return [
        {
            "id": line.id,
            "action": line.action,
            "key": line.key,
            "from": None if line.was is None else ", ".join(label_list(line.was)),
            "to": None if line.to is None else ", ".join(label_list(line.to)),
            "when": line.when,
            "who": line.who,
            "in_force": line.id in standing,
            "number": number_of.get(line.key, -1),
        }
        for line in made
    ]
