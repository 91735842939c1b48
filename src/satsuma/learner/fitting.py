"""How a learner trains, and the records it keeps of that however it ends."""

import functools
import math
import os
import signal
from typing import TYPE_CHECKING, Any

from satsuma.hooks.interrupt import StopOnInterrupt
from satsuma.hooks.progress import Progress, say
from satsuma.hooks.stop_request import StopOnRequest
from satsuma.learner.arguments import refuse_stopping
from satsuma.learner.beginnings import has_begun, note_begin, note_end
from satsuma.learner.compiling import compile_once
from satsuma.learner.freezing import set_frozen
from satsuma.learner.memory import NoteSlices, explained_or_same, settled_slices
from satsuma.learner.nan_report import BrokenStep
from satsuma.learner.recording import named_weights, non_finite_message, refuse_used, write_recipe
from satsuma.learner.resuming import prepare_resume
from satsuma.learner.run_lock import locked_folder
from satsuma.learner.running import one_cycle_run
from satsuma.learner.scripts import write_end
from satsuma.learner.table import EpochTable
from satsuma.learner.together import KeepWhole, StopTogether, shared_run, shared_validation, take_whole, training_data
from satsuma.train.early_stopping import EarlyStopping, resolved
from satsuma.train.fit import INTERRUPTED, TERMINATED, NonFiniteLossError, Observer, fit
from satsuma.train.lr_find import RateFinder, lr_find
from satsuma.train.run import Run
from satsuma.train.world import lost_message

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

Call = tuple[str, dict[str, Any]]  # a method's name and its arguments


class Recorded:
    """Within `with Recorded(learn, call)` and after it, `call` stands in the recipe, unless it made no step."""

    def __init__(self, learn: "Learner", call: Call) -> None:
        self.learn, self.call = learn, call
        self.epochs, self.steps = learn.epochs_done, len(learn.recorder.losses)
        self.lock: int | None = None

    def __enter__(self) -> None:
        learn = self.learn
        resumes = learn.resume_points is not None and learn.resume_points.asked
        folder = learn.run_dir if learn.world.rank == 0 else None
        if folder is not None and not has_begun(learn) and not resumes:
            refuse_used(folder)
        self.lock = None if folder is None else locked_folder(folder)
        if folder is not None:
            StopOnRequest(folder).forget()
        note_begin(learn)
        learn.calls.append(self.call)
        if folder is not None:
            write_recipe(learn, folder)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self.lock is not None:
            os.close(self.lock)
        learn = self.learn
        if learn.epochs_done == self.epochs:  # nothing was trained
            learn.calls = [other for other in learn.calls if other is not self.call]
            return
        name = "" if kind is None else kind.__name__
        cause = "interrupted" if isinstance(error, KeyboardInterrupt) else name
        note_end(learn, learn.epochs_done - self.epochs, len(learn.recorder.losses) - self.steps, cause)
        if learn.run_dir is not None and learn.world.rank == 0:
            write_end(learn, learn.run_dir)


def fitted(
    learn: "Learner",
    run: Run,
    n_epoch: int,
    early_stopping: EarlyStopping | None,
    call: Call | None,
    *,
    resume: bool = False,
) -> EpochTable:
    """Train `run`. `call`: what the recipe says of it; None if that is part of what is recorded already."""
    refuse_stopping(early_stopping)
    if resume:
        prepare_resume(learn)
    stopping = None
    if early_stopping is not None:
        stopping = resolved(early_stopping, learn.metrics, learn.dls.valid is not None)
    if call is None:
        return trained(learn, run, n_epoch, stopping)
    with Recorded(learn, call):
        return trained(learn, run, n_epoch, stopping)


def trained(learn: "Learner", run: Run, n_epoch: int, stopping: EarlyStopping | None) -> EpochTable:
    """Train, say why it ended, and leave the learner in order however it does."""
    points = learn.resume_points
    if points is not None and (rows := points.pass_over()) is not None:
        told(learn, f"{len(rows)} epochs were complete before the run was cut off: they are not trained again")
        return EpochTable(rows, learn.weights_epoch)
    learn.broken = None
    compile_once(learn)
    shared_run(learn, run)
    try:
        rows = fit(
            run,
            training_data(learn),
            epochs=n_epoch,
            batch_size=min(learn.dls.bs, len(learn.dls.train.dataset)),
            validation=shared_validation(learn),
            hooks=observers(learn),
            micro=learn.micro,
            slices=settled_slices(learn),
            early_stopping=stopping,
            keeper=points,
            world=learn.world,
        )
        take_whole(learn, run)
    except NonFiniteLossError as error:
        take_whole(learn, run)
        kept = f"before epoch {error.restored}" if stopping is None else named_weights(run.weights_epoch)
        run.optimizer.state.clear()  # it is of the broken step, and large
        learn.broken = BrokenStep(run, error.step, error.epoch, 0 if points is None else len(points.segments))
        message = f"{non_finite_message(learn, error)} The weights are back as they were {kept}."
        raise FloatingPointError(message) from error
    except (MemoryError, RuntimeError) as error:
        if lost := lost_message(error, learn.world):
            raise RuntimeError(lost) from error
        raise explained_or_same(error, learn, run) from error
    finally:
        learn.model.to(learn.device)  # it waited elsewhere if processes trained parts of a copy
        learn.epochs_done += math.ceil(run.step / len(learn.dls.train))
        learn.weights_epoch = run.weights_epoch
        if points is not None:
            points.note_end()
    if learn.dls.train.broken.reasons:
        told(learn, learn.dls.train.broken.line)
    if run.stop == INTERRUPTED:
        raise KeyboardInterrupt
    if run.stop == TERMINATED:
        raise SystemExit(128 + signal.SIGTERM)
    if run.stop:
        told(learn, f"stopped: {run.stop}")
    if run.weights_epoch != rows[-1].epoch:
        told(learn, f"the weights are those of epoch {run.weights_epoch}, the best")
    return EpochTable(rows, run.weights_epoch)


def observers(learn: "Learner") -> list[Observer]:
    """Those that keep what was trained come first, so that one that fails after them loses nothing."""
    terminate, several = learn.run_dir is not None, learn.world.size > 1
    stops = StopTogether(learn.world, terminate=terminate) if several else StopOnInterrupt(terminate=terminate)
    own: list[Observer] = [stops, learn.recorder]
    if learn.run_dir is not None and not several:
        own.append(StopOnRequest(learn.run_dir))
    if learn.slices is not None:
        own.append(NoteSlices(learn))
    if learn.checkpoint is not None:
        own.append(KeepWhole(learn, learn.checkpoint) if several else learn.checkpoint)
    if learn.compile_cost is not None:
        own.append(learn.compile_cost)
    return [*own, *([Progress()] if learn.progress else []), *learn.hooks, *learn.watchers]


def fine_tuned(
    learn: "Learner",
    epochs: int,
    base_lr: float,
    *,
    freeze_epochs: int,
    lr_mult: float,
    pct_start: float,
    div: float,
    div_final: float,
    moms: tuple[float, float] | None,
    wd: float | None,
    early_stopping: EarlyStopping | None,
    resume: bool,
    call: Call,
) -> EpochTable:
    """Both stages of `Learner.fine_tune`; the rows of both."""
    refuse_stopping(early_stopping)
    if resume:
        prepare_resume(learn)
    rows = EpochTable()
    cycle = functools.partial(one_cycle_run, learn, div_final=div_final, moms=moms, wd=wd)
    with Recorded(learn, call):
        if freeze_epochs:
            set_frozen(learn, -1)
            run = cycle(freeze_epochs, slice(base_lr), div=25.0, pct_start=0.99)
            groups = f"{learn.frozen_to} layer groups frozen" if learn.frozen_to else "there is one layer group"
            told(learn, f"stage 1 of 2: {groups}")
            rows += fitted(learn, run, freeze_epochs, early_stopping, None)
        set_frozen(learn, 0)
        run = cycle(epochs, slice(base_lr / 2 / lr_mult, base_lr / 2), div=div, pct_start=pct_start)
        if freeze_epochs:
            told(learn, "stage 2 of 2: all layers learn")
        second = fitted(learn, run, epochs, early_stopping, None)
    return EpochTable([*rows, *second], second.weights_epoch)


def told(learn: "Learner", line: str) -> None:
    if learn.progress:
        say(line)


def rates_found(learn: "Learner", *, start_lr: float, end_lr: float, steps: int, diverged: float) -> RateFinder:
    """`Learner.lr_find`: the sweep, and a line that says what it suggests."""
    learn.check()
    try:
        found = lr_find(
            learn.make_run(),
            learn.dls.train,
            start_lr=start_lr,
            end_lr=end_lr,
            steps=steps,
            diverged=diverged,
            micro=learn.micro,
        )
    except (MemoryError, RuntimeError) as error:
        raise explained_or_same(error, learn) from error
    told(
        learn,
        f"suggested rates: minimum/10 {found.minimum:.2g}, steepest {found.steepest:.2g}, valley "
        f"{found.valley:.2g}; valley is the careful choice",
    )
    return found
