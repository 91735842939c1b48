"""`fit`: the loop with evaluation after each epoch, early stopping, and hooks that watch."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from satsuma.train.early_stopping import BestWeights, EarlyStopping
from satsuma.train.evaluate import Evaluation, evaluate
from satsuma.train.loop import train
from satsuma.train.run import Batches, Run, Step

DRAIN = 50  # steps whose losses wait on a GPU before they are read: reading one waits for all work before it


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fit is going to do, told to hooks before it starts. `metrics`: the names of the table's columns."""

    epochs: int
    first_epoch: int
    steps_per_epoch: int
    batch_size: int
    has_valid: bool
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One update in plain numbers. `step` counts from 1 within the fit."""

    epoch: int
    step: int
    lr: float
    loss: float
    grad_norm: float | None


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One line of the epoch table. `train_loss` is the mean of the epoch's steps; `valid_loss` None without data."""

    epoch: int
    train_loss: float
    valid_loss: float | None
    metrics: dict[str, float]
    time_s: float
    samples_per_s: float

    def value(self, name: str) -> float | None:
        """The number called `name`: "train_loss", "valid_loss" or a metric."""
        if name in ("train_loss", "valid_loss"):
            return self.train_loss if name == "train_loss" else self.valid_loss
        return self.metrics.get(name)


class Observer(Protocol):
    """A hook: it reads the run, and writes only itself and `run.stop`."""

    def on_fit_start(self, run: Run, plan: Plan) -> None: ...

    def on_step(self, run: Run, row: StepRow) -> None: ...

    def on_epoch(self, run: Run, row: EpochRow) -> None: ...

    def on_fit_end(self, run: Run) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How an epoch is judged: on what, by which loss and metrics."""

    data: Batches
    loss_func: Callable[..., Tensor]
    metrics: Sequence[Callable[..., Any]] = ()
    metric_names: tuple[str, ...] = ()
    n_inp: int = 1
    autocast: torch.dtype | None = None


@dataclass(slots=True)
class Tally:
    """The losses of the epoch so far; those on a GPU are read in groups."""

    waiting: list[Step] = field(default_factory=list)
    total: float = 0.0
    count: int = 0


def fit(
    run: Run,
    data: Batches,
    *,
    epochs: int,
    batch_size: int = 1,
    validation: Validation | None = None,
    hooks: Sequence[Observer] = (),
    micro: int | None = None,
    early_stopping: EarlyStopping | None = None,
) -> list[EpochRow]:
    """Train `run` for `epochs`, evaluate after each, tell the hooks; the rows of the epoch table.

    The global random generators are left as they were found. Raises `FloatingPointError` when the loss becomes NaN
    or infinite, saying at which step.
    """
    names = () if validation is None else validation.metric_names
    plan = Plan(epochs, run.first_epoch, len(data), batch_size, validation is not None, names)
    best = None if early_stopping is None else BestWeights(early_stopping, run.model)
    rows: list[EpochRow] = []
    random_state = torch.get_rng_state()
    for hook in hooks:
        hook.on_fit_start(run, plan)
    try:
        tally, begun = Tally(), time.perf_counter()
        drain = DRAIN if next(run.model.parameters()).device.type != "cpu" else 1
        steps_per_epoch = len(data)
        for step in train(run, data, epochs=epochs, micro=micro):
            tally.waiting.append(step)
            ends_epoch = run.step % steps_per_epoch == 0 or bool(run.stop)
            if len(tally.waiting) >= drain or ends_epoch:
                read_losses(run, tally, hooks)
            if not ends_epoch and not run.stop:
                continue
            trained_s = time.perf_counter() - begun
            judged = None if validation is None else judge(run, validation)
            row = EpochRow(
                step.epoch,
                tally.total / tally.count,
                None if judged is None else judged.loss,
                {} if judged is None else judged.metrics,
                time.perf_counter() - begun,
                tally.count * batch_size / max(trained_s, 1e-9),
            )
            rows.append(row)
            for hook in hooks:
                hook.on_epoch(run, row)
            if best is not None:
                run.stop = run.stop or best.after(row)
            tally, begun = Tally(), time.perf_counter()
            if run.stop:
                break
    finally:
        for hook in reversed(hooks):
            hook.on_fit_end(run)
        torch.set_rng_state(random_state)
    if best is not None:
        best.restore()
    return rows


def judge(run: Run, validation: Validation) -> Evaluation:
    return evaluate(
        run.model,
        validation.data,
        loss_func=validation.loss_func,
        metrics=validation.metrics,
        n_inp=validation.n_inp,
        autocast=validation.autocast,
        strict=False,  # a metric's fault does not throw the epoch's work away
    )


def read_losses(run: Run, tally: Tally, hooks: Sequence[Observer]) -> None:
    """Read the waiting steps' losses, tell the hooks, and stop at one that is not finite."""
    waiting, tally.waiting = tally.waiting, []
    losses = [waiting[0].loss.item()] if len(waiting) == 1 else torch.stack([s.loss for s in waiting]).tolist()
    for step, loss in zip(waiting, losses, strict=True):
        if not math.isfinite(loss):
            raise NonFiniteLossError(loss, step.step, step.epoch)
        tally.total += loss
        tally.count += 1
        if hooks:
            norm = None if step.grad_norm is None else float(step.grad_norm)
            row = StepRow(step.epoch, step.step, step.lr, loss, norm)
            for hook in hooks:
                hook.on_step(run, row)


class NonFiniteLossError(FloatingPointError):
    """The loss became NaN or infinite at `step` (from 1) of the fit, in `epoch`."""

    def __init__(self, loss: float, step: int, epoch: int) -> None:
        super().__init__(f"the loss became {loss} at step {step}, epoch {epoch}")
        self.loss, self.step, self.epoch = loss, step, epoch
