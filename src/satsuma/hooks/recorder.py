"""`Recorder`: every step and epoch of a learner's fits, in memory and as `history.jsonl`."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from satsuma.hooks.base import Hook
from satsuma.hooks.curves import plot_curves, plot_line
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


def json_number(value: float) -> str:
    """A number as JSON writes it, which has no NaN and no infinity."""
    return repr(value) if math.isfinite(value) else "null"
