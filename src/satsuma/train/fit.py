"""`fit`: the loop with evaluation after each epoch, early stopping, and hooks that watch."""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from satsuma.data.share import Share
from satsuma.train.early_stopping import BestWeights, EarlyStopping, copied_weights
from satsuma.train.evaluate import Evaluation, evaluate, named_metrics
from satsuma.train.gradient_norms import gradient_norms
from satsuma.train.loop import clear_gradients, kept_random_states, train
from satsuma.train.memory import Slices, train_in_slices
from satsuma.train.run import Batches, Run, Step
from satsuma.train.together import evaluate_together
from satsuma.train.world import ALONE, World

# reasons in `run.stop` that come from outside: the fit is not at its end, and may go on later
INTERRUPTED = "interrupted"  # the epoch is evaluated, told and saved as usual
TERMINATED = "terminated"  # it ends at once, its epoch left open
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


class Keeper(Protocol):
    """Keeps a fit's state, so that it can go on later; it may give a new fit the state of an earlier one."""

    def begin(self, session: "Session") -> None: ...

    def after_step(self, session: "Session") -> None: ...


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How an epoch is judged: on what, by which loss and metrics."""

    data: Batches
    loss_func: Callable[..., Tensor]
    metrics: Sequence[Callable[..., Any]] = ()
    n_inp: int = 1
    autocast: torch.dtype | None = None

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(named_metrics(self.metrics))


@dataclass(slots=True, kw_only=True)
class Session:
    """What a fit keeps while it runs: its rows so far, and the losses of the current epoch."""

    run: Run
    plan: Plan
    validation: Validation | None
    hooks: Sequence[Observer]
    best: BestWeights | None
    world: World = ALONE
    rows: list[EpochRow] = field(default_factory=list)
    waiting: list[Step] = field(default_factory=list)  # not read yet
    total: float = 0.0  # of the losses that are read
    count: int = 0
    begun: float = field(default_factory=time.perf_counter)
    whole: dict[str, Any] = field(default_factory=dict)  # the last finite weights at the start of an epoch, ...
    whole_before: int = 0  # ... this one, ...
    whole_epoch: int | None = None  # ... and the evaluated epoch that left them
    warned: bool = False  # of a validation loss that is NaN


def fit(
    run: Run,
    data: Batches,
    *,
    epochs: int,
    batch_size: int = 1,
    validation: Validation | None = None,
    hooks: Sequence[Observer] = (),
    micro: int | None = None,
    slices: Slices | None = None,
    early_stopping: EarlyStopping | None = None,
    keeper: Keeper | None = None,
    world: World = ALONE,
) -> list[EpochRow]:
    """Train `run` for `epochs`, evaluate after each, tell the hooks; the rows of the epoch table.

    `slices`: in the place of `micro`, one that shrinks when memory runs out.
    `keeper`: told after every step (and after the evaluation that follows an epoch's last). `world`: the processes that
    train together; the losses of the rows are the means of theirs.
    The global random generators are left as they were found. However it ends, every hook that was started is told,
    and early stopping restores the best weights. Raises `FloatingPointError` when the loss becomes NaN or infinite,
    saying at which step; the weights are then as they were before that epoch, or the best ones.
    """
    names = () if validation is None else validation.metric_names
    plan = Plan(epochs, run.first_epoch, len(data), batch_size, validation is not None, names)
    best = None if early_stopping is None else BestWeights(early_stopping, run.model)
    session = Session(run=run, plan=plan, validation=validation, hooks=hooks, best=best, world=world)
    drain = DRAIN if next(run.model.parameters()).device.type != "cpu" else 1
    with ExitStack() as at_end, kept_random_states():
        at_end.callback(clear_gradients, run)
        if best is not None:
            at_end.callback(restore_best, run, best)
        for hook in hooks:
            hook.on_fit_start(run, plan)
            at_end.callback(hook.on_fit_end, run)
        begin_epoch(session)
        if keeper is not None:
            keeper.begin(session)
        if session.count and run.step % plan.steps_per_epoch == 0:  # kept between an epoch's last step and its end
            end_epoch(session)
        steps: Iterable[Step] = ()
        if not run.stop and slices is not None:
            steps = train_in_slices(run, data, epochs=epochs, slices=slices)
        elif not run.stop:
            steps = train(run, data, epochs=epochs, micro=micro)
        for step in steps:  # ends by itself once run.stop is set
            session.waiting.append(step)
            if run.step % plan.steps_per_epoch == 0 and run.stop != TERMINATED:
                end_epoch(session)
            elif len(session.waiting) >= drain:
                read_losses(session)
            if keeper is not None:
                keeper.after_step(session)
        if (session.waiting or session.count) and run.stop != TERMINATED:  # stopped within an epoch
            end_epoch(session)
        if best is not None and best.best is None and not run.stop:
            warnings.warn(
                f"early stopping: {best.stopping.monitor} never had a value that is a number, in {best.waited} epochs; "
                f"the weights are the last epoch's",
                UserWarning,
                stacklevel=2,
            )
    return session.rows


def begin_epoch(session: Session) -> None:
    """Keep the weights, to come back to them if the loss breaks, and begin the epoch's count."""
    run, weights = session.run, copied_weights(session.run.model)
    totals = [float(t.sum()) for t in weights.values() if isinstance(t, Tensor) and t.is_floating_point()]
    if not session.whole or math.isfinite(sum(totals)):
        session.whole, session.whole_epoch = weights, run.weights_epoch
        session.whole_before = run.first_epoch + run.step // session.plan.steps_per_epoch
    run.weights_epoch = None  # until it is evaluated
    session.total, session.count, session.begun = 0.0, 0, time.perf_counter()


def restore_whole(session: Session) -> None:
    """Give the model the last finite weights from the start of an epoch."""
    session.run.model.load_state_dict(session.whole)
    session.run.weights_epoch = session.whole_epoch


def restore_best(run: Run, best: BestWeights) -> None:
    best.restore()
    if best.epoch is not None:
        run.weights_epoch = best.epoch


def read_losses(session: Session) -> None:
    """Read the waiting steps' losses, tell the hooks, and stop at one that is not finite."""
    waiting, session.waiting = session.waiting, []
    losses = [waiting[0].loss.item()] if len(waiting) == 1 else torch.stack([s.loss for s in waiting]).tolist()
    if session.world.size > 1:
        losses = session.world.mean(losses)
    for step, loss in zip(waiting, losses, strict=True):
        if not math.isfinite(loss):
            there = step is waiting[-1] and session.world.size == 1  # of an earlier step the gradients are gone
            norms = gradient_norms(session.run.model) if there else None
            restore_whole(session)
            raise NonFiniteLossError(loss, step.step, step.epoch, session.whole_before, norms)
        session.total += loss
        session.count += 1
        if session.hooks:
            norm = None if step.grad_norm is None else float(step.grad_norm)
            row = StepRow(step.epoch, step.step, step.lr, loss, norm)
            for hook in session.hooks:
                hook.on_step(session.run, row)


def end_epoch(session: Session) -> None:
    """Evaluate, tell the hooks, ask whether to stop early, and begin the next epoch's count."""
    run, plan = session.run, session.plan
    if session.waiting:
        read_losses(session)
    trained_s = time.perf_counter() - session.begun
    try:
        judged = None if session.validation is None else judge(run, session.validation, session.world)
    except Exception:
        tell_epoch(session, None, trained_s)  # so that the epoch's training is recorded and its weights are saved
        raise
    row = tell_epoch(session, judged, trained_s)
    if session.best is not None:
        reason = session.best.after(row)
        run.stop = run.stop or reason
    session.total, session.count = 0.0, 0
    if not run.stop and run.step < plan.epochs * plan.steps_per_epoch:
        begin_epoch(session)


def tell_epoch(session: Session, judged: Evaluation | None, trained_s: float) -> EpochRow:
    """The epoch's row, which the hooks are told."""
    run, plan = session.run, session.plan
    row = EpochRow(
        run.first_epoch + (run.step - 1) // plan.steps_per_epoch,
        session.total / session.count,
        None if judged is None else judged.loss,
        {} if judged is None else judged.metrics,
        time.perf_counter() - session.begun,
        session.count * plan.batch_size / max(trained_s, 1e-9),
    )
    session.rows.append(row)
    run.weights_epoch = row.epoch
    if judged is not None and math.isnan(judged.loss) and not session.warned:
        session.warned = True
        warnings.warn(
            f"valid_loss is NaN in epoch {row.epoch}, while the training loss is a number: look for NaN in the "
            f"validation data, and for a model that behaves differently in evaluation mode",
            UserWarning,
            stacklevel=2,
        )
    for hook in session.hooks:
        hook.on_epoch(run, row)
    return row


def judge(run: Run, validation: Validation, world: World = ALONE) -> Evaluation:
    if world.size > 1 and isinstance(validation.data, Share):
        return evaluate_together(
            run.model,
            validation.data,
            world,
            loss_func=validation.loss_func,
            metrics=validation.metrics,
            n_inp=validation.n_inp,
            autocast=validation.autocast,
        )
    return evaluate(
        run.model,
        validation.data,
        loss_func=validation.loss_func,
        metrics=validation.metrics,
        n_inp=validation.n_inp,
        autocast=validation.autocast,
        strict=False,  # a metric's fault does not throw the epoch's work away
    )


class NonFiniteLossError(FloatingPointError):
    """The loss became NaN or infinite at `step` (from 1) of the fit, in `epoch`; weights are as before `restored`.

    `norms`: each layer's gradient norm in that step, where it is still known.
    """

    def __init__(
        self, loss: float, step: int, epoch: int, restored: int, norms: dict[str, float] | None = None
    ) -> None:
        super().__init__(f"the loss became {loss} at step {step}, epoch {epoch}")
        self.loss, self.step, self.epoch, self.restored = loss, step, epoch, restored
        self.norms = norms
