"""A step whose loss became NaN or infinite, made again from a checkpoint to see where that begins."""

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from satsuma.train.checkpoint import assign_weights
from satsuma.train.fit import NonFiniteLossError
from satsuma.train.gradient_norms import gradient_norms, norms_text
from satsuma.train.loop import add_gradients, clear_gradients, kept_random_states, mixed_batch, seed_step, train
from satsuma.train.lr_find import copied_run
from satsuma.train.resume_file import read_state, state_files
from satsuma.train.run import Run
from satsuma.train.state import restore_optimizer

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN = 5  # samples that a report names


@dataclass(frozen=True, slots=True)
class BrokenStep:
    """The run whose loss broke, and at which step. `segment`: the how-manieth fit of the learner it was, from 0."""

    run: Run
    step: int
    epoch: int
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NanReport:
    """Where NaN or infinite values begin in a step.

    `place`: the layer's name, or what it is if it is none; `source`: in words. `samples`: those of the batch that it
    concerns, as far as rows tell. `anomaly`: what autograd found in the backward pass. `norms`: each layer's gradient
    norm one step before. `loss`: of the step, made again; finite if the step could not be repeated.
    """

    step: int
    epoch: int
    file: Path
    place: str
    source: str
    samples: tuple[str, ...]
    loss: float
    anomaly: str
    norms: dict[str, float]

    def __str__(self) -> str:
        lines = [f"step {self.step}, epoch {self.epoch}, made again from {self.file.name}: the loss is {self.loss:.4g}"]
        lines.append(self.source)
        if self.samples:
            more = f" and {len(self.samples) - SHOWN} more" if len(self.samples) > SHOWN else ""
            lines.append(f"in the rows of {', '.join(self.samples[:SHOWN])}{more}")
        if self.anomaly:
            lines.append(f"in the backward pass: {self.anomaly}")
        if self.norms:
            lines.append(f"one step before, {norms_text(self.norms)}")
        return "\n".join(lines)

    __repr__ = __str__


def explained_nan(learn: "Learner") -> NanReport:
    """`Learner.explain_nan`."""
    broken, points = learn.broken, learn.resume_points
    if broken is None:
        raise ValueError("explain_nan: the learner's last fit did not end by a loss that is NaN or infinite")
    if points is None:
        raise ValueError(
            "explain_nan makes the step again from a checkpoint of the run, which there is none of: train with "
            "run_dir=... (and save_steps=, so that there are fewer steps to make again)"
        )
    if learn.world.size > 1:
        raise ValueError("explain_nan is for one process: train the run once more in one, from its run_dir")
    file, state = checkpoint_before(points.folder, broken)
    run = restored_run(broken.run, state, file)
    with kept_random_states():
        norms = brought_to(run, learn, broken.step - 1)
        return watched_step(run, learn, broken, file, norms)


def checkpoint_before(folder: Path, broken: BrokenStep) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint of the fit before the step, and what it holds."""
    for file in state_files(folder):
        try:
            state = read_state(file)
        except ValueError:
            continue
        if state["segment"] == broken.segment and state["fit"]["step"] < broken.step:
            return file, state["fit"]
    raise ValueError(f"{folder}: holds no whole checkpoint from before step {broken.step} of that fit")


def restored_run(broken: Run, state: dict[str, Any], file: Path) -> Run:
    """A copy of the run as it was at the checkpoint."""
    run = copied_run(broken)
    run.momentum, run.step = broken.momentum, state["step"]
    assign_weights(run.model, state["model"], str(file))
    restore_optimizer(run.optimizer, state["optimizer"], str(file))
    if run.scaler is not None:
        run.scaler.load_state_dict(state["scaler"])
    return run


def brought_to(run: Run, learn: "Learner", step: int) -> dict[str, float]:
    """Train up to `step`; the gradient norms of that one, empty if there is nothing to make again."""
    if run.step >= step:
        return {}
    for _ in train(run, learn.dls.train, epochs=step // len(learn.dls.train) + 1, micro=learn.micro):
        if run.step >= step:
            break
    return gradient_norms(run.model)


@dataclass(slots=True)
class FirstBroken:
    """What forward hooks note: the first value that is not finite."""

    place: str = ""
    source: str = ""
    rows: list[int] = field(default_factory=list)
    begun: int = 0  # samples of the batch that earlier slices had
    before: str = "the batch"  # the layer that came before

    def see(self, name: str, layer: nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook of a layer without others in it."""
        if not self.place:
            kind = type(layer).__name__
            if broken_values(inputs):
                self.note(inputs, "", f"it comes into layer {name} ({kind}) from what stands after {self.before}")
            elif broken_values(output):
                weights = broken_values(list(layer.parameters(recurse=False)))
                why = "its weights are NaN or infinite already" if weights else f"its inputs are {range_text(inputs)}"
                self.note(output, name, f"it comes out of layer {name} ({kind}): {why}")
        self.before = f"layer {name}"

    def see_all(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook of the whole model."""
        if not self.place and broken_values(output):
            self.note(output, "", f"it comes out of the model's own forward, after {self.before}")

    def note(self, values: Any, name: str, source: str) -> None:
        self.place = name or "between layers"
        count = sum(int((~torch.isfinite(t)).sum()) for t in floats(values))
        total = sum(t.numel() for t in floats(values))
        self.source = f"the first value that is not finite: {source} ({count} of {total} values)"
        for tensor in floats(values):
            if tensor.ndim:
                bad = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1)
                self.rows = [self.begun + int(i) for i in bad.nonzero().flatten()]


@dataclass(slots=True)
class WatchedObjective:
    """An objective that keeps its losses, and how many samples have gone through."""

    objective: Callable[..., Tensor]
    first: FirstBroken
    losses: list[float] = field(default_factory=list)

    def __call__(self, model: nn.Module, *batch: Tensor) -> Tensor:
        loss = self.objective(model, *batch)
        self.losses.append(float(loss))
        self.first.begun += len(batch[0])
        return loss


def watched_step(run: Run, learn: "Learner", broken: BrokenStep, file: Path, norms: dict[str, float]) -> NanReport:
    """The forward and backward pass of the run's next step under watch."""
    data, first = learn.dls.train, FirstBroken()
    number = run.step % len(data)
    watch = WatchedObjective(run.objective, first)
    run.objective = watch
    run.model.train()
    seed_step(run)
    clear_gradients(run)
    batch = mixed_batch(run, next(iter(data.epoch(broken.epoch, start=number))))
    anomaly = ""
    with hooks_on(run.model, first), torch.autograd.set_detect_anomaly(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where in the forward pass, as a whole stack of frames
        try:
            add_gradients(run, batch, learn.micro)
        except RuntimeError as error:
            anomaly = str(error).strip().splitlines()[0]
    loss = math.nan if any(map(math.isnan, watch.losses)) else max(watch.losses)
    source, place = first.source, first.place
    if not source and not math.isfinite(loss):
        source, place = "all layers' values are finite: the loss function makes it, of finite outputs", "the loss"
    elif not source:
        source = "all values are finite this time: the step is not the same when it is repeated on this device"
    names = data.names(data.indices(broken.epoch, number))
    rows = tuple(names[i] for i in first.rows if i < len(names)) if len(first.rows) < len(names) else ()
    return NanReport(
        step=broken.step,
        epoch=broken.epoch,
        file=file,
        place=place,
        source=source,
        samples=rows,
        loss=loss,
        anomaly=anomaly,
        norms=norms,
    )


@contextmanager
def hooks_on(model: nn.Module, first: FirstBroken) -> Iterator[None]:
    """While it lasts, `first` is shown what each layer gives, and the model."""
    leaves = [(name, layer) for name, layer in model.named_modules() if not any(layer.children()) and name]
    with ExitStack() as hooks:
        for name, layer in leaves:
            hooks.callback(layer.register_forward_hook(functools.partial(first.see, name)).remove)
        hooks.callback(model.register_forward_hook(first.see_all).remove)
        yield


def floats(values: Any) -> list[Tensor]:
    return [t.detach() for t in tree_leaves(values) if isinstance(t, Tensor) and t.is_floating_point() and t.numel()]


def broken_values(values: Any) -> bool:
    return any(not bool(torch.isfinite(t).all()) for t in floats(values))


def range_text(values: Any) -> str:
    found = floats(values)
    if not found:
        return "whole numbers"
    return f"{min(float(t.min()) for t in found):.4g} to {max(float(t.max()) for t in found):.4g}"


def gradients_told(learn: "Learner", error: NonFiniteLossError) -> str:
    """Sentences on the gradients of the step, and on how to see more."""
    if learn.world.size > 1:
        return "Train it in one process to see the gradients by layer."
    if error.norms is None:
        told = "That step's gradients are gone: losses are read in groups, to keep the device busy."
    else:
        told = f"In that step {norms_text(error.norms)}."
    return (
        told if learn.resume_points is None else f"{told} learn.explain_nan() makes it again and shows where it began."
    )
