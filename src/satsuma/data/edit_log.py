"""The file of edits, `edits.jsonl`: one JSON object a line, each an edit or that one is undone or done again.

A line is never changed. What is in force is what the lines come to, one after another; see `edits_left`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from satsuma.data.checks import on_one_line, warn_user
from satsuma.data.edits import HALVES, LONGEST_PATH, Edits
from satsuma.errors import nearest

ACTIONS = ("relabel", "exclude", "move", "undo", "redo")
LONGEST_LINE = 2**20  # bytes
LONGEST_TEXT = 1000  # characters of a label
MOST_LABELS = 1000  # of one item


@dataclass(frozen=True, slots=True)
class EditLine:
    """One line: what was done (`action`) to which item (`key`), or which earlier line (`of`) was undone or redone."""

    id: int
    when: str
    who: str
    action: str
    key: str = ""
    was: Any = None  # "from" in the file: the label or half before
    to: Any = None
    why: str = ""
    of: int = 0


def read_edits(file: str | Path, *, until: int | None = None) -> Edits:
    """What is in force in a file of edits; with `until`, what was after the line with that id.

    Raises `FileNotFoundError`; `ValueError` naming file and line for what is no edit. A last line that was cut off
    while it was written is passed over with a warning.
    """
    return edits_in_force(read_lines(file, until=until))


def read_lines(file: str | Path, *, until: int | None = None) -> list[EditLine]:
    """The whole lines of a file of edits, up to the one with the id `until`; what follows is not looked into."""
    path = Path(file)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected a file of edits, such as edits.jsonl")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file of edits; Journal(file) and satsuma open write one")
    with path.open("rb") as opened:
        return EditLines(str(path)).read(opened, until=until)[0]


class EditLines:
    """Reads lines one after another, each checked against those before it. `name`: of the file, for messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0  # of the line that was read last
        self.last = 0  # the id of the edit that was read last
        self.in_force: dict[int, bool] = {}  # id of an edit → whether it is in force

    def read(self, opened: BinaryIO, *, warn: bool = True, until: int | None = None) -> tuple[list[EditLine], int]:
        """The whole lines that follow in a file, up to the id `until`, and how many bytes they take.

        `warn`: of a last line that is cut off.
        """
        lines: list[EditLine] = []
        size = 0
        while (until is None or self.last < until) and (raw := opened.readline(LONGEST_LINE + 1)):
            where = f"{self.name}:{self.number + 1}"
            if not raw.endswith(b"\n"):
                if len(raw) > LONGEST_LINE:
                    raise ValueError(f"{where}: the line is longer than {LONGEST_LINE:,} bytes, so it is no edit")
                if warn:
                    warn_user(f"{where}: the last line was cut off while it was written, and is left out")
                break
            self.number += 1
            size += len(raw)
            if raw.strip():
                lines.append(checked_line(raw, where, self.last, self.in_force))
                self.last = lines[-1].id
        return lines, size


def checked_line(raw: bytes, where: str, last: int, in_force: dict[int, bool]) -> EditLine:
    """One line, checked. `in_force`: id → whether that edit is in force, brought up to date."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not a line of JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{where}: expected an object with id, action and key, got a {type(found).__name__}")
    line = EditLine(
        id=found_number(found, "id", where),
        when=found_text(found, "when", where),
        who=found_text(found, "who", where),
        action=found_text(found, "action", where),
        key=found_text(found, "key", where),
        was=frozen(found.get("from")),
        to=frozen(found.get("to")),
        why=found_text(found, "why", where),
        of=found_number(found, "of", where) if "of" in found else 0,
    )
    if line.id <= last:
        raise ValueError(f"{where}: the id {line.id} does not come after {last}; ids rise, and none occurs twice")
    if problem := line_problem(line, in_force):
        raise ValueError(f"{where}: {problem}")
    in_force[line.of or line.id] = line.action != "undo"
    return line


def found_number(found: dict[str, Any], name: str, where: str) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise ValueError(f"{where}: {name} is a whole number above 0, got {cut_short(value)}")
    return value


def found_text(found: dict[str, Any], name: str, where: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}: {name} is text, got {cut_short(value)}")
    return value


def frozen(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(value) if isinstance(value, list) else value


def line_problem(line: EditLine, in_force: dict[int, bool]) -> str:
    """Why a line cannot be; "" if it can. `in_force`: the edits before it."""
    if line.action not in ACTIONS:
        return f"no action {cut_short(line.action)}: {nearest(line.action[:LONGEST_TEXT], ACTIONS)}"
    if line.action in ("undo", "redo"):
        if line.of not in in_force:
            return f"{line.action} of {line.of or 'nothing'}: there is no such edit before it"
        if in_force[line.of] != (line.action == "undo"):
            return f"{line.action} of {line.of}: it is {'in force' if in_force[line.of] else 'undone'} already"
        return ""
    if line.of:
        return f"only undo and redo have an `of`, this is {line.action}"
    return key_problem(line.key) or edit_problem(line.action, line.to)


def key_problem(key: str) -> str:
    """Why a text can be no item's key; "" if it can."""
    if not key:
        return "key is missing: an edit names its item"
    if len(key) > LONGEST_PATH or "\0" in key:
        return f"key is no item's: {cut_short(key)}"
    return ""


def edit_problem(action: str, to: Any) -> str:
    """Why an item cannot be changed so; "" if it can."""
    if action == "move" and to not in HALVES:
        return f'an item is moved to "train" or "valid", got {cut_short(to)}'
    if action == "relabel" and not is_label(to):
        return f"a label is text, a number or a list of them, got {cut_short(to)}"
    return ""


def is_label(value: Any) -> bool:
    """Whether a value can be a label: text, a finite number, or a tuple or list of these."""
    if isinstance(value, tuple | list):
        return len(value) <= MOST_LABELS and all(is_label(v) and not isinstance(v, tuple | list) for v in value)
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_TEXT and is_writable(value)
    if isinstance(value, bool) or value is None:
        return isinstance(value, bool)
    return isinstance(value, int | float) and abs(value) < 2**63 and math.isfinite(value)


def is_writable(text: str) -> bool:
    """Whether a text can stand in a file or be a file's name: half a character, which JSON can spell, cannot."""
    try:
        text.encode("utf-8", "surrogateescape")  # names of files that are not UTF-8 have such escapes
    except UnicodeEncodeError:
        return False
    return True


def cut_short(value: Any) -> str:
    text = on_one_line(repr(value)[:200])
    return text if len(text) <= 100 else text[:97] + "..."


def edits_left(lines: Sequence[EditLine]) -> list[EditLine]:
    """The edits that are in force after all lines, in the order in which they were made first.

    One that was undone and done again stands where it stood: a later edit of the same item still comes after it.
    """
    in_force: dict[int, bool] = {}
    for line in lines:
        in_force[line.of or line.id] = line.action != "undo"
    return [line for line in lines if not line.of and in_force[line.id]]


def edits_in_force(lines: Sequence[EditLine]) -> Edits:
    """The value of all lines: of several labels or halves of one item the last."""
    labels: dict[str, Any] = {}
    moves: dict[str, str] = {}
    excluded: list[str] = []
    for line in edits_left(lines):
        if line.action == "relabel":
            labels[line.key] = line.to
        elif line.action == "move":
            moves[line.key] = line.to
        else:
            excluded.append(line.key)
    return Edits(labels=labels, moves=moves, excluded=excluded)
