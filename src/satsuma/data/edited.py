"""How a `DataBlock`'s items, split and labels become those that edits ask for.

The split is made first, on all items with the labels that they have in the data: so an edit of one item never sends
another into the other half. Then items move, then some are left out, then labels change.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock
from satsuma.data.checks import listing
from satsuma.data.edits import HALVES, EditedLabel, Edits, PlacedInput, PlacedLabel, file_text, item_file
from satsuma.data.getters import as_python
from satsuma.data.multi_category import MultiCategoryBlock, label_names


@dataclass(frozen=True, slots=True)
class EditedData:
    """What is left: items, the getters that give their parts, the targets' values, the halves, and what to tell.

    `places`: of each item among those that were given.
    """

    items: list[Any]
    getters: tuple[Callable[[Any], Any], ...]
    raw: list[list[Any]]
    halves: tuple[list[int], list[int]]
    places: list[int]
    told: tuple[str, ...] = ()


def apply_edits(
    edits: Edits,
    keys: Sequence[str],
    items: Sequence[Any],
    getters: tuple[Callable[[Any], Any], ...],
    targets: Sequence[Block],
    raw: Sequence[Sequence[Any]],
    halves: tuple[Sequence[int], Sequence[int]],
) -> EditedData:
    """The data as `edits` leave them. `keys`: of each item; `raw`: each target's values, as they are in the data.

    Raises `ValueError` where nothing is left to train on, or to validate on, and for a label of another kind than the
    target's.
    """
    excluded = set(edits.excluded)
    train, valid = (edited_half(h, n, keys, edits.moves, excluded) for h, n in zip(halves, HALVES, strict=True))
    refuse_emptied(halves, (train, valid), excluded)
    labels = new_labels(edits, keys, targets, raw)
    told = [*unknown_keys(edits, keys), *class_changes(keys, targets, raw, labels, excluded)]
    if labels:
        raw = [[labels.get(i, value) for i, value in enumerate(raw[0])]]
        items, getters = labelled(items, getters, labels)
    places = [i for i, key in enumerate(keys) if key not in excluded]
    now = {place: i for i, place in enumerate(places)}
    return EditedData(
        items=[items[i] for i in places],
        getters=getters,
        raw=[[values[i] for i in places] for values in raw],
        halves=([now[i] for i in train], [now[i] for i in valid]),
        places=places,
        told=tuple(told),
    )


def edited_half(
    half: Sequence[int], name: str, keys: Sequence[str], moves: Mapping[str, str], excluded: Collection[str]
) -> list[int]:
    """The places of one half, "train" or "valid": those that stay in their order, then those that are moved to it."""
    there = set(half)
    staying = [i for i in half if moves.get(keys[i], name) == name]
    moved = [i for i, key in enumerate(keys) if moves.get(key) == name and i not in there]
    return [i for i in (*staying, *moved) if keys[i] not in excluded]


def refuse_emptied(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], excluded: Collection[str]) -> None:
    """Raise `ValueError` where the edits take the last item of a half."""
    for name, was, now in zip(HALVES, before, after, strict=True):
        if was and not now:
            purpose = "train" if name == "train" else "validate"
            raise ValueError(
                f"the edits leave nothing to {purpose} on: all {len(was)} items of the half are moved away or left out "
                f"({len(excluded)} items are left out in all). Undo some of the edits, or move other items there"
            )


def new_labels(
    edits: Edits, keys: Sequence[str], targets: Sequence[Block], raw: Sequence[Sequence[Any]]
) -> dict[int, Any]:
    """Place → the label in place of its own, as the target block reads it."""
    found = {i: edits.labels[key] for i, key in enumerate(keys) if key in edits.labels}
    if not found:
        return {}
    if len(targets) != 1 or not isinstance(targets[0], CategoryBlock | MultiCategoryBlock | RegressionBlock):
        kinds = ", ".join(type(block).__name__ for block in targets) or "none"
        raise ValueError(
            f"edits give other labels to items with one target: a class, several labels or numbers. The targets here: "
            f"{kinds}. Edits can still move items and leave them out"
        )
    block = targets[0]
    if isinstance(block, RegressionBlock) or (isinstance(block, MultiCategoryBlock) and block.encoded):
        return {i: edited_numbers(block, value, keys[i]) for i, value in found.items()}
    known = {str(name): name for name in (*known_names(block, raw[0]), *block.vocab)}
    if isinstance(block, CategoryBlock):
        return {i: one_label(value, known, keys[i]) for i, value in found.items()}
    return {i: several_labels(value, known, keys[i]) for i, value in found.items()}


def known_names(block: Block, values: Sequence[Any]) -> list[Any]:
    """The labels that occur in the values of a target, each once."""
    if isinstance(block, MultiCategoryBlock):
        values = [name for value in values for name in label_names(value)]
    return list(dict.fromkeys(as_python(value) for value in values))


def one_label(value: Any, known: Mapping[str, Any], key: str) -> Any:
    """A class as the data have it: the number 7 also for the text "7", where that is how a class is written."""
    if isinstance(value, tuple):
        raise ValueError(f"the edit of {key} gives it several labels, {list(value)}; an item has one class here")
    return known.get(str(value), value)


def several_labels(value: Any, known: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(value, tuple):
        raise ValueError(f"the edit of {key} gives it one label, {value!r}; here an item has a list: [{value!r}]")
    return [known.get(str(name), name) for name in value]


def edited_numbers(block: Block, value: Any, key: str) -> Any:
    """A number, or several, that text may spell."""
    try:
        numbers = tuple(float(v) for v in value) if isinstance(value, tuple) else float(value)
        block.load(numbers)
    except ValueError as error:
        raise ValueError(f"the edit of {key}: {error}") from None
    return numbers


def unknown_keys(edits: Edits, keys: Sequence[str]) -> list[str]:
    """That some edits are of items that are not there."""
    there = set(keys)
    missing = [key for key in edits.edited() if key not in there]
    if not missing:
        return []
    count = "1 edit changes nothing: its item is" if len(missing) == 1 else f"{len(missing)} edits change nothing:"
    items = "" if len(missing) == 1 else " their items are"
    return [f"{count}{items} not in the data: {listing(missing)}. Items here are called as {keys[0]!r}"]


def class_changes(
    keys: Sequence[str],
    targets: Sequence[Block],
    raw: Sequence[Sequence[Any]],
    labels: Mapping[int, Any],
    excluded: Collection[str],
) -> list[str]:
    """Classes that the edits bring in, and those of which they leave none."""
    if len(targets) != 1 or not isinstance(targets[0], CategoryBlock | MultiCategoryBlock):
        return []
    block = targets[0]
    if isinstance(block, MultiCategoryBlock) and block.encoded:
        return []
    before = known_names(block, raw[0])
    kept = [i for i, key in enumerate(keys) if key not in excluded]
    after = known_names(block, [labels.get(i, raw[0][i]) for i in kept])
    new, gone = ([str(v) for v in a if v not in set(b)] for a, b in ((after, before), (before, after)))
    told = [f"the edits bring in {counted(new)} that no item had: {listing(new)}"] if new else []
    return told + ([f"the edits leave no item of {counted(gone)}: {listing(gone)}"] if gone else [])


def counted(classes: Sequence[str]) -> str:
    return "1 class" if len(classes) == 1 else f"{len(classes)} classes"


def labelled(
    items: Sequence[Any], getters: tuple[Callable[[Any], Any], ...], labels: Mapping[int, Any]
) -> tuple[Sequence[Any], tuple[Callable[[Any], Any], ...]]:
    """Items and getters by which the last position gives the new labels.

    They are told by the items' files; where one of them has no file, items become pairs (place, item).
    """
    get_x, inputs, target = getters[0], getters[:-1], getters[-1]
    if all(item_file(items[i], get_x) is not None for i in labels):
        by_file = {file_text(items[i], get_x): label for i, label in labels.items()}
        return items, (*inputs, EditedLabel(target, get_x, by_file))
    placed = tuple(PlacedInput(getter) for getter in inputs)
    return list(enumerate(items)), (*placed, PlacedLabel(target, dict(labels)))
