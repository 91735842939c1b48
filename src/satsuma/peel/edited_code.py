"""The code of a run's edits of its data: other labels, moves, what is left out, as constants by the items' keys."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from satsuma.data.edited import edited_half
from satsuma.data.edits import EditedLabel, PlacedLabel, all_keys, file_text, item_file, item_key, original_getter
from satsuma.data.samples import item_name
from satsuma.peel.method_code import snake_case
from satsuma.peel.words import Words

MOST = 300  # edits of a kind that stand in the script; more go into the file beside it


@dataclass(frozen=True, slots=True)
class EditedItems:
    """The edits of a run as its script has them: by the keys that the code `keys` gives for all of `items`."""

    keys: str
    labels: dict[str, Any]
    moves: dict[str, str]
    excluded: tuple[str, ...]
    placed: bool  # whether the samples' items are pairs (place, item)


def edited_items(dls: Any, has_source: bool, words: Words, get_x_code: str) -> EditedItems:
    """The edits of items that are there. `get_x_code`: the expression for the file of `item`."""
    getters, edits = dls.train.dataset.getters, dls.block.edits
    get_x, get_y = original_getter(getters[0]), getters[-1]
    items = dls.block.items(dls.source)
    unreadable = {name for name, _ in dls.report.unreadable}
    good = [i for i, item in enumerate(items) if item_name(item, get_x) not in unreadable]
    keys = all_keys(items, get_x, dls.source)
    files = [item_file(items[i], get_x) for i in good]
    in_script = {}  # an edit's key → the script's
    code = f"[str({get_x_code}) for item in items]"
    if has_source and all(is_below(items[i], dls.source, keys[i]) for i in good):
        in_script = {keys[i]: keys[i] for i in good}
        code = "[item.relative_to(args.data).as_posix() for item in items]"
    elif not has_source and None not in files:
        in_script = {keys[i]: file_text(items[i], get_x) for i in good}
    elif set(files) == {None}:
        in_script = {keys[i]: str(place) for place, i in enumerate(good)}
        code = "[str(place) for place in range(len(items))]"
    else:
        in_script = {keys[i]: keys[i] if files[place] else str(place) for place, i in enumerate(good)}
        source = "args.data" if has_source else "None"
        code = (
            f"[{words.name(item_key)}(item, place, {words.value(get_x)}, {source}) for place, item in enumerate(items)]"
        )
    labels: dict[str, Any] = {}
    if isinstance(get_y, EditedLabel):
        by_file = {keys[i]: file_text(items[i], get_x) for i in good if keys[i] in edits.labels}
        labels = {in_script[key]: get_y.labels[file] for key, file in by_file.items()}
    elif isinstance(get_y, PlacedLabel):
        labels = {in_script[keys[i]]: get_y.labels[place] for place, i in enumerate(good) if place in get_y.labels}
    return EditedItems(
        keys=code,
        labels=labels,
        moves={in_script[key]: half for key, half in edits.moves.items() if key in in_script},
        excluded=tuple(in_script[key] for key in edits.excluded if key in in_script),
        placed=isinstance(get_y, PlacedLabel),
    )


def is_below(item: Any, source: Any, key: str) -> bool:
    """Whether an item is a path that is called by its place below the source."""
    try:
        return isinstance(item, Path) and item.relative_to(source).as_posix() == key
    except ValueError:
        return False


def edited_parts_code(dls: Any, edited: EditedItems, words: Words, prefix: str) -> list[str]:
    """Statements that change `train_part` and `valid_part`, and make `keys`."""
    lines = [f"keys = {edited.keys}"]
    halves = ["train"] if dls.valid is None else ["train", "valid"]
    left_out = edit_constant(f"{prefix}left_out", edited.excluded, words) if edited.excluded else "()"
    if edited.moves:
        moved = edit_constant(f"{prefix}moved", edited.moves, words)
        half = words.name(edited_half)
        lines += [f'{name}_part = {half}({name}_part, "{name}", keys, {moved}, {left_out})' for name in halves]
    elif edited.excluded:
        lines += [f"{name}_part = [i for i in {name}_part if keys[i] not in {left_out}]" for name in halves]
    return lines


def labels_code(edited: EditedItems, get_y_code: str, words: Words, prefix: str) -> str:
    """The statement that makes `labels`, of all items; `get_y_code`: the expression for that of `item`."""
    other = edit_constant(f"{prefix}relabelled", edited.labels, words)
    return f"labels = [{other}.get(key, {get_y_code}) for key, item in zip(keys, items, strict=True)]"


def edited_getters_code(dls: Any, edited: EditedItems, get_x_code: str, words: Words, prefix: str) -> list[str]:
    """The statements that make the getters of samples, one of which knows other labels."""
    getters = dls.train.dataset.getters
    inputs, get_y = [words.value(getter) for getter in getters[:-1]], getters[-1]
    other = edit_constant(f"{prefix}relabelled", edited.labels, words)
    made = f"{words.name(type(get_y))}({words.value(get_y.getter)}, "
    if edited.placed:
        by_place = f"{{place: {other}[key] for place, key in enumerate(keys) if key in {other}}}"
        lines = [f"relabelled = {by_place}", "items = list(enumerate(items))"]
    else:
        pairs = f"for key, item in zip(keys, items, strict=True) if key in {other}"
        lines = [f"relabelled = {{str({get_x_code}): {other}[key] {pairs}}}"]
        made += f"{words.value(get_y.get_x)}, "
    return [*lines, f"getters = ({', '.join([*inputs, f'{made}relabelled)'])})"]


def edit_constant(name: str, value: Any, words: Words) -> str:
    """The name of a constant of the script, or of what stands for it in the file beside it."""
    if len(value) > MOST:
        words.imports.add("import json")
        words.arrays[name] = np.array(json.dumps(value if isinstance(value, dict) else list(value)))
        return f'json.loads(str(arrays["{name}"]))'
    upper = snake_case(name).upper()
    spelled = "{" + ", ".join(map(repr, value)) + "}" if isinstance(value, tuple) else words.value(value)
    words.written[upper] = f"{upper} = {spelled}"
    return upper
