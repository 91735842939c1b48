"""Where the time of a run goes, stage by stage. B batch."""

import copy
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from satsuma.data.global_draws import seeded_globals
from satsuma.data.loader import DataLoader, whole_number
from satsuma.data.loader_speed import stage_seconds
from satsuma.data.stopwatch import Stopwatch
from satsuma.data.streamed import Streamed
from satsuma.train.fit import Validation, judge
from satsuma.train.loop import (
    clear_gradients,
    clip_gradients,
    kept_random_states,
    mixed_batch,
    scaled,
    seed_step,
    set_rates,
    update_weights,
)
from satsuma.train.lr_find import copied_run
from satsuma.train.run import Batches, Run

LOOP_STAGES = ("wait", "forward", "backward", "step", "evaluation")
MUCH_WAITING = 0.1  # share of waiting from which the loader is said to bound the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where the time of a training step goes.

    `seconds`: of each stage of the loop, per step: "wait" (for the loader), "forward", "backward", "step" (the
    optimiser's), "evaluation" (its part of the epoch). `sample_seconds`: of each stage of making one sample, such as
    "decode", "warp", "colour"; `workers` threads or processes do that beside the loop. `str()` is a table.
    """

    seconds: Mapping[str, float]
    sample_seconds: Mapping[str, float]
    steps: int
    batch_size: int
    workers: int
    worker_kind: str
    device: str
    cores: int

    @property
    def step_s(self) -> float:
        """Seconds of a step, evaluation's part included."""
        return sum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each stage's share of the loop's time; together 1."""
        return {stage: spent / max(self.step_s, 1e-12) for stage, spent in self.seconds.items()}

    @property
    def wait_share(self) -> float:
        """The share of training (without evaluation) that the loop waits for the loader."""
        training = self.step_s - self.seconds["evaluation"]
        return self.seconds["wait"] / max(training, 1e-12)

    @property
    def sample_shares(self) -> dict[str, float]:
        """Each stage's share of making a sample; together 1."""
        whole = sum(self.sample_seconds.values())
        return {stage: spent / max(whole, 1e-12) for stage, spent in self.sample_seconds.items()}

    @property
    def samples_per_s(self) -> float:
        """Training samples a second, evaluation not counted."""
        return self.batch_size / max(self.step_s - self.seconds["evaluation"], 1e-12)

    @property
    def advice(self) -> str:
        """One sentence: what bounds the run."""
        return loader_advice(self) if self.wait_share >= MUCH_WAITING else model_advice(self)

    def __str__(self) -> str:
        head = f"{self.steps} steps of {self.batch_size} samples on {self.device}: {self.samples_per_s:,.0f} samples/s"
        rows = [head, "", f"{'the loop':12} {'ms a step':>10} {'share':>7}"]
        rows += stage_rows(self.seconds, self.shares)
        if self.sample_seconds:
            made_by = f"{self.workers} {self.worker_kind} ahead of it" if self.workers else "the loop itself, as wait"
            per_step = {stage: spent * self.batch_size for stage, spent in self.sample_seconds.items()}
            rows += ["", f"{'the loader':12} {'ms a step':>10} {'share':>7}   (one core's; made by {made_by})"]
            rows += stage_rows(per_step, self.sample_shares)
        return "\n".join([*rows, "", self.advice])


def stage_rows(seconds: Mapping[str, float], shares: Mapping[str, float]) -> list[str]:
    return [f"{stage:12} {spent * 1000:10.2f} {shares[stage]:7.1%}" for stage, spent in seconds.items()]


def loader_advice(found: Profile) -> str:
    """What to say of a run that waits for its batches."""
    told = f"The loader bounds this run: the loop waits {found.wait_share:.0%} of its training time"
    if not found.sample_seconds:
        return f"{told}."
    largest = max(found.sample_shares, key=found.sample_shares.__getitem__)
    told += f", and {largest} is {found.sample_shares[largest]:.0%} of making a sample"
    if found.workers == 0:
        return f"{told}; workers={min(8, found.cores)} would load ahead of the loop."
    remedies = {
        "decode": 'keep decoded pixels in memory (cache="pixels"), or make smaller copies of large files',
        "warp": "use fewer or cheaper geometric transforms, or a smaller size",
        "colour": "use fewer colour transforms, or a smaller size",
        "other": 'replace transforms that are not Satsuma\'s, or try worker_kind="processes"',
    }
    return f"{told}; {remedies.get(largest, 'make the data set cheaper to read')}, or train on more cores."


def model_advice(found: Profile) -> str:
    """What to say of a run whose batches lie ready."""
    largest = max(found.shares, key=found.shares.__getitem__)
    told = f"The model bounds this run: the loop waits {found.wait_share:.0%} of its training time for data"
    if largest == "evaluation":
        return f"{told}, but evaluation takes {found.shares[largest]:.0%} of an epoch; validate on fewer samples."
    told += f", and {largest} takes {found.shares[largest]:.0%} of a step"
    loading = sum(found.sample_seconds.values()) * found.batch_size / max(found.step_s * found.cores, 1e-12)
    if found.device == "cpu" and found.workers and loading >= MUCH_WAITING:
        told += f"; loading takes about {min(loading, 1):.0%} of the {found.cores} cores beside it"
    return f"{told}."


@dataclass(slots=True)
class StageClock:
    """A stopwatch whose laps wait for the device to be done."""

    device: torch.device
    watch: Stopwatch = field(default_factory=Stopwatch)

    def lap(self, stage: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        self.watch.lap(stage)

    def restart(self) -> None:
        """Forget what was measured."""
        self.watch = Stopwatch()


@dataclass(frozen=True, slots=True)
class FirstBatches:
    """The first `count` batches of each epoch of `data`."""

    data: Batches
    count: int

    def __len__(self) -> int:
        return min(self.count, len(self.data))

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        for _, batch in zip(range(len(self) - start), self.data.epoch(epoch, start=start), strict=False):
            yield batch


def profile(
    run: Run,
    data: DataLoader,
    *,
    validation: Validation | None = None,
    steps: int = 20,
    warmup: int = 3,
    micro: int | None = None,
) -> Profile:
    """Train a copy of `run` for `steps` batches and tell what took how long.

    The run, its model and optimiser, the data's order and the random generators stay as they are. `warmup` steps
    come first and do not count. Evaluation is measured on up to `steps` batches, and its part in an epoch of
    `data` is reckoned from them.
    """
    steps, warmup = whole_number("steps", steps, 1), whole_number("warmup", warmup, 0)
    trial = copied_run(run)
    device = next(trial.model.parameters()).device
    with kept_random_states(), seeded_globals(run.seed):
        seconds = loop_seconds(trial, data, StageClock(device), steps, warmup, micro)
        evaluated = 0.0 if validation is None else evaluation_seconds(trial, validation, StageClock(device), steps)
        sample_seconds = stage_seconds(data)
    seconds["evaluation"] = evaluated / len(data)
    streamed = data.batches if isinstance(data.batches, Streamed) else None
    return Profile(
        seconds={stage: seconds[stage] for stage in LOOP_STAGES},
        sample_seconds=sample_seconds,
        steps=steps,
        batch_size=min(data.batch_size, len(data.dataset)),
        workers=0 if streamed is None else streamed.workers,
        worker_kind="processes" if streamed is not None and streamed.processes is not None else "threads",
        device=device.type,
        cores=os.cpu_count() or 1,
    )


def loop_seconds(
    trial: Run, data: Batches, clock: StageClock, steps: int, warmup: int, micro: int | None
) -> dict[str, float]:
    """Seconds per step of wait, forward, backward and step, over `steps` steps after `warmup` ones."""
    trial.model.train()
    epoch = trial.first_epoch
    done = -warmup
    clock.restart()
    while done < steps:
        for batch in data.epoch(epoch):
            clock.lap("wait")
            timed_update(trial, batch, clock, micro)
            del batch  # as in the loop, which lets go of a batch before it asks for the next
            done += 1
            if done == 0:
                clock.restart()
            if done == steps:
                break
        epoch += 1
    return {stage: clock.watch.seconds.get(stage, 0.0) / steps for stage in LOOP_STAGES}


def timed_update(trial: Run, batch: Sequence[Tensor], clock: StageClock, micro: int | None) -> None:
    """One update as `train` does it, its stages timed."""
    n = len(batch[0])
    set_rates(trial)
    seed_step(trial)
    clear_gradients(trial)
    clock.lap("step")
    mixed = mixed_batch(trial, tuple(batch))
    for part in zip(*(torch.split(t, micro or n) for t in mixed), strict=True):
        loss = trial.objective(trial.model, *part) * (len(part[0]) / n)
        clock.lap("forward")
        scaled(trial, loss).backward()  # type: ignore[no-untyped-call]
        clock.lap("backward")
    clip_gradients(trial)
    update_weights(trial)
    trial.step += 1
    clock.lap("step")


def evaluation_seconds(trial: Run, validation: Validation, clock: StageClock, batches: int) -> float:
    """Seconds to evaluate all of the validation data, reckoned from up to `batches` of its batches."""
    part = FirstBatches(validation.data, batches)
    judged = replace(validation, data=part, metrics=copy.deepcopy(validation.metrics))
    clock.restart()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a metric may not like a part of the data
        judge(trial, judged)
    clock.lap("evaluation")
    return clock.watch.seconds["evaluation"] * len(validation.data) / len(part)
