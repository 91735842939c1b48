"""A run's course as the pages know it, read from its file as it grows: watching must cost training next to nothing."""

import json
import math
import os
import threading
from array import array
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEP, EPOCH = b'{"kind": "step"', b'{"kind": "epoch"'
WINDOW_S = 6.0  # of training that its speed is told from
NO_FIGURES = ("kind", "epoch", "time_s", "samples_per_s")  # of an epoch's row: the others are its results


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in a line of the table: its epochs' rows, how many steps it made, and when it last wrote."""

    epochs: tuple[dict[str, Any], ...]
    steps: int
    when: float  # seconds since 1970

    @property
    def results(self) -> dict[str, float]:
        """The numbers of the last epoch by their names; those that were not finite are left out."""
        return {} if not self.epochs else results_of(self.epochs[-1])

    @property
    def time_s(self) -> float:
        return sum(number(row.get("time_s")) or 0.0 for row in self.epochs)


class GrowingFile:
    """A file of lines that another process adds to, or writes anew."""

    def __init__(self, file: Path) -> None:
        self.file, self.inode, self.position = file, -1, 0
        self.written_at = 0.0  # seconds since 1970

    def read_new(self) -> tuple[bool, bytes]:
        """Whether it was begun anew since the last look, and the lines added since: whole ones, or b"".

        A line that is being written comes with the next look. A file that is not there (any more) is an empty one.
        """
        try:
            with self.file.open("rb") as opened:
                at = os.fstat(opened.fileno())
                anew = at.st_ino != self.inode or at.st_size < self.position
                if anew:
                    self.inode, self.position = at.st_ino, 0
                self.written_at = at.st_mtime
                opened.seek(self.position)
                content = opened.read(at.st_size - self.position)
        except OSError:
            anew, self.inode, self.position = self.position > 0, -1, 0
            return anew, b""
        whole = content.rfind(b"\n") + 1
        self.position += whole
        return anew, content[:whole]


class Summaries:
    """The summaries of runs, each read on only when its file has changed."""

    def __init__(self) -> None:
        self.known: dict[Path, tuple[GrowingFile, tuple[int, int], Summary]] = {}
        self.lock = threading.Lock()

    def of(self, folder: Path) -> Summary:
        file = folder / "history.jsonl"
        try:
            at = file.stat()
        except OSError:
            recipe = folder / "recipe.json"
            return Summary((), 0, recipe.stat().st_mtime if recipe.is_file() else 0.0)
        with self.lock:
            growing, stamp, summary = self.known.get(folder) or (GrowingFile(file), (-1, -1), Summary((), 0, 0.0))
            if stamp != (at.st_size, at.st_mtime_ns):
                anew, lines = growing.read_new()
                rows = [row for line in lines.split(b"\n") if line.startswith(EPOCH) and (row := parsed(line))]
                before = Summary((), 0, 0.0) if anew else summary
                summary = Summary((*before.epochs, *rows), before.steps + lines.count(STEP), growing.written_at)
                self.known[folder] = (growing, (at.st_size, at.st_mtime_ns), summary)
            return summary


class History:
    """`history.jsonl` of a run that may be training: `losses`, `lrs` of its steps and the rows of its `epochs`.

    `refresh` reads what was added since; a file that was rewritten (a run that goes on) is read from its beginning.
    `version` changes whenever anything was read, `rewritten` with each such beginning. Not for several threads at once.
    """

    def __init__(self, file: Path) -> None:
        self.growing = GrowingFile(file)
        self.version = self.rewritten = 0
        self.forget()

    def forget(self) -> None:
        self.losses, self.lrs = array("d"), array("d")
        self.epochs: list[dict[str, Any]] = []
        self.epoch_ends: list[int] = []  # how many steps had been made at the end of each epoch
        self.recent: deque[tuple[float, int]] = deque(maxlen=64)  # (when, steps) of what was read lately

    def refresh(self) -> None:
        """Take up what the file holds by now."""
        anew, lines = self.growing.read_new()
        if anew:
            self.forget()
            self.rewritten += 1
        if not anew and not lines:
            return
        before = len(self.epochs)
        for line in lines.split(b"\n"):
            self.take(line)
        self.version += 1
        if len(self.epochs) > before:
            self.recent.clear()  # evaluating is not training
        self.recent.append((self.growing.written_at, len(self.losses)))

    def take(self, line: bytes) -> None:
        row = parsed(line)
        if row is None:
            return
        if row.get("kind") == "step":
            loss, lr = number(row.get("loss")), number(row.get("lr"))
            self.losses.append(math.nan if loss is None else loss)
            self.lrs.append(math.nan if lr is None else lr)
        elif row.get("kind") == "epoch":
            self.epochs.append(row)
            self.epoch_ends.append(len(self.losses))

    @property
    def metric_names(self) -> list[str]:
        """The metrics' names, in the order of the table."""
        last = self.epochs[-1] if self.epochs else {}
        return [name for name in last if name not in (*NO_FIGURES, "train_loss", "valid_loss")]

    def steps_per_s(self) -> float | None:
        """How fast it trains now, by the times at which the file was written; None where that cannot be told yet."""
        while len(self.recent) > 2 and self.recent[-1][0] - self.recent[0][0] > WINDOW_S:
            self.recent.popleft()
        if len(self.recent) < 2:
            return None
        (begun, before), (now, steps) = self.recent[0], self.recent[-1]
        return (steps - before) / (now - begun) if now > begun and steps > before else None


def results_of(row: dict[str, Any]) -> dict[str, float]:
    """The results of an epoch's row by their names; what was not finite is left out."""
    found = {name: number(value) for name, value in row.items() if name not in NO_FIGURES}
    return {name: value for name, value in found.items() if value is not None}


def parsed(line: bytes) -> dict[str, Any] | None:
    """A line of a history; None for one that is torn."""
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def number(value: Any) -> float | None:
    """A finite number, or None."""
    found = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if found else None
