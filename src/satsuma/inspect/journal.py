"""`Journal`: edits of data as they are made, undone and done again; one file that only grows."""

import errno
import getpass
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from satsuma.data.checks import warn_user
from satsuma.data.edit_log import (
    LONGEST_LINE,
    EditLine,
    EditLines,
    edit_problem,
    edits_in_force,
    edits_left,
    frozen,
    is_label,
    key_problem,
)
from satsuma.data.edits import Edits
from satsuma.data.getters import as_python

if sys.platform != "win32":
    import fcntl

LOCK_S = 10.0  # seconds to wait for another process to finish its line
LONGEST_WHO = 200
NOWHERE = (-1, -1)


@dataclass(frozen=True, slots=True)
class State:
    """What edits make of one item. None: as it is in the data."""

    label: Any = None
    half: str | None = None
    excluded: bool = False


class Journal:
    """The edits in a file such as `edits.jsonl`, which need not exist yet.

    Each method that edits adds one line, which is on the disk when it returns; nothing is added where it would change
    nothing. Several threads and processes may write at once. What was cut off in the middle of a last line is told,
    and goes before the next line is written. Raises `ValueError` for a line that is no edit, with file and line.

    `who`: goes into the lines; the login name unless given.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> journal = Journal(Path(folder.name) / "edits.jsonl")
    >>> journal.relabel("cats/7.jpg", "dogs", was="cats").id
    1
    >>> journal.exclude("cats/9.jpg", why="a drawing").id
    2
    >>> journal.undo().key
    'cats/9.jpg'
    >>> journal.now()
    {'cats/7.jpg': State(label='dogs', half=None, excluded=False)}
    """

    def __init__(self, file: str | Path, *, who: str | None = None) -> None:
        self.file = Path(file)
        self.who = login_name() if who is None else who
        self.guard = threading.RLock()
        self.place, self.size = NOWHERE, 0  # device and number of the file that was read, and how many bytes of it
        self.reader = EditLines(str(self.file))
        self.lines: list[EditLine] = []
        self.by_id: dict[int, EditLine] = {}
        self.done: list[int] = []  # ids of the edits in force, the newest last
        self.undone: list[int] = []  # of those that were undone since the last edit
        self.value: Edits | None = None
        if os.path.isdir(self.file):
            raise ValueError(f"{self.file}: is a folder, expected a file of edits, such as edits.jsonl")
        with self.guard:
            self.catch_up()

    def __repr__(self) -> str:
        return f"Journal({str(self.file)!r}: {self.edits()})"

    def __len__(self) -> int:
        """How many edits are in force."""
        return len(self.in_force())

    def relabel(self, key: str, to: Any, *, was: Any = None, why: str = "", who: str | None = None) -> EditLine | None:
        """Give an item another label: text, a number or a list. `was`: the label that it has in the data."""
        return self.edit("relabel", key, label_value(to), was, why, who)

    def exclude(self, key: str, *, was: Any = None, why: str = "", who: str | None = None) -> EditLine | None:
        """Leave an item out."""
        return self.edit("exclude", key, None, was, why, who)

    def move(self, key: str, to: str, *, was: Any = None, why: str = "", who: str | None = None) -> EditLine | None:
        """Put an item into the half `to`, "train" or "valid"."""
        return self.edit("move", key, to, was, why, who)

    def include(self, key: str, *, who: str | None = None) -> EditLine | None:
        """Take an item in again that was left out: undoes that edit; None if it was not left out."""
        for line in reversed(self.in_force()):
            if line.action == "exclude" and line.key == key:
                return self.undo(line.id, who=who)
        return None

    def undo(self, of: int | None = None, *, who: str | None = None) -> EditLine | None:
        """Take back the newest edit in force, or the one with the id `of`. Gives that edit; None if there is none."""
        return self.turn("undo", of, who)

    def redo(self, of: int | None = None, *, who: str | None = None) -> EditLine | None:
        """Do again what was undone last, if nothing was edited since, or the edit with the id `of`."""
        return self.turn("redo", of, who)

    def now(self) -> dict[str, State]:
        """What the edits in force make of each item that they change, by its key."""
        found: dict[str, State] = {}
        edits = self.edits()
        for key in edits.edited():
            found[key] = State(edits.labels.get(key), edits.moves.get(key))
        for key in edits.excluded:
            found[key] = replace(found[key], excluded=True)
        return found

    def edits(self) -> Edits:
        """The edits in force as a value for `DataBlock(..., edits=)`."""
        with self.guard:
            self.catch_up()
            if self.value is None:
                self.value = edits_in_force(self.lines)
            return self.value

    def history(self) -> list[EditLine]:
        """All lines, the oldest first."""
        with self.guard:
            self.catch_up()
            return list(self.lines)

    def in_force(self) -> list[EditLine]:
        """The edits that are neither undone nor an undoing."""
        return edits_left(self.history())

    def undoable(self) -> EditLine | None:
        """The edit that `undo` would take back."""
        return self.stacked(0)

    def redoable(self) -> EditLine | None:
        """The edit that `redo` would do again."""
        return self.stacked(1)

    def stacked(self, which: int) -> EditLine | None:
        """The last edit of those done (0) or of those undone since the last edit (1)."""
        with self.guard:
            self.catch_up()
            stack = (self.done, self.undone)[which]
            return self.by_id[stack[-1]] if stack else None

    def edit(self, action: str, key: str, to: Any, was: Any, why: str, who: str | None) -> EditLine | None:
        if problem := (key_problem(key) if isinstance(key, str) else f"a key is text, got {key!r}"):
            raise ValueError(f"{self.file}: {problem}")
        if problem := edit_problem(action, to):
            raise ValueError(f"{self.file}: {key}: {problem}")
        was = label_value(was)
        made = EditLine(0, "", str(who or self.who), action, key, was if is_label(was) else None, to, str(why))
        return self.append(made, self.changes)

    def turn(self, action: str, of: int | None, who: str | None) -> EditLine | None:
        """Add an `undo` or `redo`; gives the edit that it is of."""
        if of is not None and (isinstance(of, bool) or not isinstance(of, int | np.integer) or of < 1):
            raise ValueError(f"{self.file}: {action} of the id of an edit, a whole number above 0, got {of!r}")
        made = EditLine(0, "", str(who or self.who), action, of=int(of or 0))
        added = self.append(made, self.turned)
        return None if added is None else self.by_id[added.of]

    def changes(self, made: EditLine) -> EditLine | None:
        """An edit, as long as it changes what is in force."""
        there = self.now().get(made.key, State())
        if made.action == "exclude":
            return None if there.excluded else made
        before = there.label if made.action == "relabel" else there.half
        before = made.was if before is None else before
        return None if made.to == before else replace(made, was=before)

    def turned(self, made: EditLine) -> EditLine | None:
        """An undo or redo with the edit that it is of, if there is one for it."""
        stack = self.done if made.action == "undo" else self.undone
        if not made.of:
            return replace(made, of=stack[-1]) if stack else None
        if made.of not in self.by_id:
            raise ValueError(f"{self.file}: there is no edit {made.of} to {made.action}")
        return made if (made.of in self.done) == (made.action == "undo") else None

    def append(self, made: EditLine, settle: Callable[[EditLine], EditLine | None]) -> EditLine | None:
        """Write a line as `settle` wants it, now that no one else writes; None if it wants none."""
        with self.guard:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.file.exists()
            with self.file.open("a+b", buffering=0) as opened:
                lock(opened, self.file)  # closing lifts it
                self.catch_up()
                wanted = settle(made)
                if wanted is None:
                    return None
                line = replace(wanted, id=self.reader.last + 1, when=datetime.now(UTC).isoformat(timespec="seconds"))
                self.write(opened, as_json(line))
            if is_new:
                sync_entry(self.file.parent)
            self.catch_up()
            return line

    def write(self, opened: Any, raw: bytes) -> None:
        """Add whole bytes to the file or none; what was cut off before goes first."""
        if len(raw) > LONGEST_LINE:
            raise ValueError(f"{self.file}: the edit takes {len(raw):,} bytes, at most {LONGEST_LINE:,} fit in a line")
        if os.fstat(opened.fileno()).st_size > self.size:
            warn_user(f"{self.file}: a line that was cut off while it was written is taken away")
            opened.truncate(self.size)
        try:
            if opened.write(raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))
            os.fsync(opened.fileno())
        except OSError as error:
            with suppress(OSError):
                opened.truncate(self.size)
            raise OSError(f"{self.file}: the edit could not be written, and was not made: {error}") from error

    def catch_up(self) -> None:
        """Read what was added to the file since, by whomever; a file that was replaced by another is read anew."""
        try:
            with self.file.open("rb") as opened:
                found = os.fstat(opened.fileno())
                if (found.st_dev, found.st_ino) != self.place or found.st_size < self.size:
                    self.forget()
                    self.place = (found.st_dev, found.st_ino)
                if found.st_size > self.size:
                    self.take(opened)
        except FileNotFoundError:
            self.forget()

    def take(self, opened: BinaryIO) -> None:
        opened.seek(self.size)
        try:
            lines, size = self.reader.read(opened, warn=False)
        except ValueError:
            self.forget()  # what the reader has seen of it is of no use
            raise
        self.size += size
        if lines:
            self.value = None
        for line in lines:
            self.lines.append(line)
            self.stack(line)

    def stack(self, line: EditLine) -> None:
        """Bring up to date what is done, and what was undone since the last edit."""
        if line.action == "undo":
            self.done.remove(line.of)
            self.undone.append(line.of)
        elif line.action == "redo":
            self.done.append(line.of)
            self.undone = [i for i in self.undone if i != line.of]
        else:
            self.by_id[line.id] = line
            self.done.append(line.id)
            self.undone = []

    def forget(self) -> None:
        self.place, self.size, self.value = NOWHERE, 0, None
        self.reader = EditLines(str(self.file))
        self.lines, self.by_id, self.done, self.undone = [], {}, [], []


def as_json(line: EditLine) -> bytes:
    """A line of the file; what does not belong to its action is not in it."""
    found: dict[str, Any] = {"id": line.id, "when": line.when, "who": line.who[:LONGEST_WHO], "action": line.action}
    if line.of:
        found["of"] = line.of
    else:
        found |= {"key": line.key, "from": line.was, "to": line.to, "why": line.why}
    return json.dumps(found).encode() + b"\n"


def label_value(value: Any) -> Any:
    """A label as the file holds it: NumPy's scalars as Python's own, lists as tuples."""
    value = as_python(value)
    value = value.tolist() if hasattr(value, "tolist") else value
    return frozen([as_python(v) for v in value] if isinstance(value, list | tuple) else value)


def lock(opened: Any, file: Path) -> None:
    """Keep other processes and threads from writing until `opened` is closed. Raises `TimeoutError` after a while."""
    if sys.platform == "win32":
        return
    until = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(f"{file}: another process has kept it locked for {LOCK_S:g} seconds") from None
            time.sleep(0.002)
        except OSError:  # a network's file system without locks
            return


def sync_entry(folder: Path) -> None:
    """Have the name of a new file on the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def login_name() -> str:
    """Who uses this machine; "" where nobody can tell."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
