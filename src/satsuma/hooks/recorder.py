"""`Recorder`: every step and epoch of a learner's fits, in memory and as `history.jsonl`."""

import inspect
import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from satsuma.hooks.base import Hook
from satsuma.hooks.curves import plot_curves, plot_line
from satsuma.train.checkpoint import write_whole
from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLUSH_S = 0.5  # seconds that rows may wait before they are on disk


class Recorder(Hook):
    """Keeps `losses` and `lrs` (one a step) and `epochs` (one row an epoch) over all fits.

    `path`: a file that gets one JSON object a line: `{"kind": "step", ...}` and `{"kind": "epoch", ...}`.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.losses: list[float] = []
        self.lrs: list[float] = []
        self.epochs: list[EpochRow] = []
        self.epoch_ends: list[int] = []  # how many steps had been made at the end of each epoch
        self.metric_names: tuple[str, ...] = ()
        self.has_valid = False
        self.lines: list[str] = []
        self.written_at = 0.0
        self.file: TextIO | None = None

    @property
    def values(self) -> list[list[float]]:
        """One list an epoch: train loss, valid loss, then the metrics in the table's order."""
        head = ("train_loss", "valid_loss") if self.has_valid else ("train_loss",)
        rows = [[row.value(name) for name in (*head, *self.metric_names)] for row in self.epochs]
        return [[float("nan") if v is None else v for v in row] for row in rows]

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.metric_names, self.has_valid = plan.metrics, plan.has_valid
        self.lines.clear()
        self.written_at = time.monotonic()

    def on_step(self, run: Run, row: StepRow) -> None:
        self.losses.append(row.loss)
        self.lrs.append(row.lr)
        if self.path is not None:
            norm = "" if row.grad_norm is None else f', "grad_norm": {json_number(row.grad_norm)}'
            self.lines.append(
                f'{{"kind": "step", "epoch": {row.epoch}, "step": {len(self.losses)}, "lr": {row.lr!r}, '
                f'"loss": {row.loss!r}{norm}}}\n'
            )
            if time.monotonic() - self.written_at > FLUSH_S:
                self.write()

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        self.epochs.append(row)
        self.epoch_ends.append(len(self.losses))
        if self.path is not None:
            values = {"train_loss": row.train_loss, "valid_loss": row.valid_loss, **row.metrics}
            times = {"time_s": round(row.time_s, 4), "samples_per_s": round(row.samples_per_s, 1)}
            finite = {k: v if v is not None and math.isfinite(v) else None for k, v in values.items()}
            self.lines.append(json.dumps({"kind": "epoch", "epoch": row.epoch, **finite, **times}) + "\n")
            self.write()

    def on_fit_end(self, run: Run) -> None:
        if self.lines:
            self.write()
        if self.file is not None:
            self.file.close()
            self.file = None

    def write(self) -> None:
        if self.file is None:  # opened here, so that a fit that fails before its first step leaves no file
            assert self.path is not None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("a", encoding="utf-8")
        self.file.writelines(self.lines)
        self.file.flush()
        self.lines.clear()
        self.written_at = time.monotonic()

    def sync(self) -> None:
        """Bring all rows to the disk itself, where they outlast a crash of the machine."""
        if self.path is not None and (self.lines or self.file is not None):
            self.write()
            assert self.file is not None
            os.fsync(self.file.fileno())

    def restore(self, steps: int, epochs: int) -> None:
        """Take up the first `steps` steps and `epochs` epochs of the file; what comes after them is cut off.

        A line that is torn counts for nothing. Raises `ValueError` if the file has fewer.
        """
        assert self.path is not None
        kept = {"step": steps, "epoch": epochs}
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        lines = []
        for line in text.splitlines():
            row = parsed_line(line)
            if row is not None and kept.get(row["kind"], 0) > 0:
                kept[row["kind"]] -= 1
                lines.append(line)
        if any(kept.values()):
            raise ValueError(
                f"{self.path}: {kept['step']} steps and {kept['epoch']} epochs are missing at its end; it should have "
                f"{steps} and {epochs}"
            )
        write_whole(self.path, "".join(f"{line}\n" for line in lines).encode())
        self.read(self.path)

    def read(self, file: Path, steps: int | None = None, epochs: int | None = None) -> None:
        """Take the steps and epochs of a history in the place of one's own: all, or so many; torn lines are skipped."""
        self.losses, self.lrs, self.epochs, self.epoch_ends = [], [], [], []
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []:
            row = parsed_line(line)
            if row is None:
                continue
            if row["kind"] == "step" and (steps is None or len(self.losses) < steps):
                self.losses.append(float_of(row["loss"]))
                self.lrs.append(row["lr"])
            elif row["kind"] == "epoch" and (epochs is None or len(self.epochs) < epochs):
                self.epochs.append(epoch_row(row))
                self.epoch_ends.append(len(self.losses))
                self.metric_names = tuple(self.epochs[-1].metrics)

    def plot_loss(self) -> "Figure":
        """Training loss by step, validation loss by epoch."""
        self.refuse_empty()
        judged = [(end, row.valid_loss) for end, row in zip(self.epoch_ends, self.epochs, strict=True)]
        valid = [(end, loss) for end, loss in judged if loss is not None]
        return plot_curves(self.losses, [end for end, _ in valid], [loss for _, loss in valid])

    def plot_lr(self) -> "Figure":
        """The learning rate by step."""
        self.refuse_empty()
        return plot_line({"learning rate": self.lrs}, xlabel="step", ylabel="learning rate")

    def plot_metrics(self) -> "Figure":
        """Every metric by epoch."""
        self.refuse_empty()
        columns = {name: [row.metrics.get(name, float("nan")) for row in self.epochs] for name in self.metric_names}
        return plot_line(columns, xlabel="epoch", ylabel="")

    def refuse_empty(self) -> None:
        if not self.losses:
            raise ValueError("there is nothing to plot yet: call fit first")


def parsed_line(line: str) -> dict[str, Any] | None:
    """A line of a history; None for one that is torn or of another kind."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and row.get("kind") in ("step", "epoch") else None


def epoch_row(row: dict[str, Any]) -> EpochRow:
    """A line of kind "epoch" as the row it was."""
    own = [name for name in inspect.signature(EpochRow).parameters if name != "metrics"]
    return EpochRow(
        epoch=row["epoch"],
        train_loss=float_of(row["train_loss"]),
        valid_loss=row.get("valid_loss"),
        metrics={k: float_of(v) for k, v in row.items() if k not in ("kind", *own)},
        time_s=row["time_s"],
        samples_per_s=row["samples_per_s"],
    )


def float_of(value: float | None) -> float:
    """A number of a history, in which NaN is null."""
    return math.nan if value is None else float(value)


def json_number(value: float) -> str:
    """A number as JSON writes it, which has no NaN and no infinity."""
    return repr(value) if math.isfinite(value) else "null"
