"""The learning-rate finder.

Source: Smith, *Cyclical learning rates for training neural networks*, 2017.
"""

import bisect
import copy
import functools
import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING

from satsuma.plots.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK
from satsuma.train.early_stopping import is_number
from satsuma.train.loop import kept_random_states, train
from satsuma.train.run import Batches, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTLING = 10  # first steps of a sweep, whose average of few losses is too noisy to judge a slope by
FEWEST = 10  # steps below which a sweep shows no curve
SMOOTHING = 0.9  # weight of the past in the average of losses; more lags behind a sweep of 100 steps and overshoots


@dataclass(frozen=True, slots=True)
class RateFinder:
    """What a sweep over learning rates found: `lrs`, raw `losses`, `smoothed` losses, one a step, and suggestions.

    `minimum`: a tenth of the rate at which the smoothed loss is lowest. `steepest`: where it falls fastest.
    `valley`: two thirds along the longest stretch of falling losses.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    minimum: float
    steepest: float
    valley: float

    def __repr__(self) -> str:
        named = ", ".join(f"{name}={lr:.2g}" for name, lr in self.suggestions.items())
        return f"RateFinder({named}; {len(self.lrs)} steps from {self.lrs[0]:.2g} to {self.lrs[-1]:.2g})"

    @property
    def suggestions(self) -> dict[str, float]:
        """The named suggestions."""
        return {"minimum": self.minimum, "steepest": self.steepest, "valley": self.valley}

    def plot(self) -> "Figure":
        """Loss against rate with the suggestions marked, and rate against iteration."""
        from satsuma.plots.figure import ShownFigure

        figure = ShownFigure(figsize=(9, 3.6), title="loss by learning rate, with the rates that are suggested")
        loss_axes, rate_axes = figure.subplots(1, 2, width_ratios=(2, 1))
        loss_axes.plot(self.lrs, self.losses, color=GREY, alpha=0.5, linewidth=1, label="loss")
        loss_axes.plot(self.lrs, self.smoothed, color=BLUE, label="smoothed")
        for (name, lr), color in zip(self.suggestions.items(), (ORANGE, GREEN, PINK), strict=True):
            place = min(bisect.bisect_left(self.lrs, lr), len(self.lrs) - 1)  # rates rise from step to step
            loss_axes.plot(
                lr, self.smoothed[place], "o", color=color, label=f"{name.replace('minimum', 'minimum/10')} {lr:.2g}"
            )
        low, start = min(self.smoothed), self.smoothed[0]
        loss_axes.set_ylim(low - 0.1 * (start - low), start + 0.5 * (start - low) if start > low else None)
        loss_axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        loss_axes.legend(frameon=False, fontsize=9, labelcolor=INK)
        rate_axes.plot(self.lrs, color=BLUE)
        rate_axes.set(yscale="log", xlabel="iteration", ylabel="learning rate")
        return figure


def exponential_sweep(step: int, *, start: float, end: float, steps: int) -> float:
    """From `start` to `end` in equal ratios over `steps` steps."""
    return float(start * (end / start) ** (step / max(1, steps - 1)))


def lr_find(
    run: Run,
    data: Batches,
    *,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    diverged: float = 4.0,
    micro: int | None = None,
) -> RateFinder:
    """Raise the rate from `start_lr` to `end_lr` over `steps` batches, until the loss is `diverged` times its best.

    It trains a copy: `run`, its model and optimiser, the data's order and the random generators stay as they are.
    Raises `ValueError` for rates that do not rise, or a loss that is not finite from the start.
    """
    if not 0 < start_lr < end_lr:
        raise ValueError(f"lr_find: rates must rise from above 0, got start_lr={start_lr}, end_lr={end_lr}")
    if not diverged > 1:
        raise ValueError(f"lr_find: diverged is how many times its best the loss may grow, above 1, got {diverged}")
    if not is_number(steps, numbers.Integral):
        raise TypeError(f"lr_find: steps is a whole number, got {steps!r}")
    if steps < FEWEST:
        raise ValueError(f"lr_find: at least {FEWEST} steps are needed to see a curve, got {steps}")
    trial = copied_run(run)
    highest = max(group.setdefault("base_lr", group["lr"]) for group in trial.optimizer.param_groups)
    if not highest > 0:
        raise ValueError(f"lr_find: the sweep scales the optimiser's rates, which must be above 0, got {highest}")
    trial.schedule = functools.partial(exponential_sweep, start=start_lr / highest, end=end_lr / highest, steps=steps)
    with kept_random_states():
        lrs, losses, smoothed = swept(trial, data, steps, diverged, micro)
    if len(losses) < FEWEST:
        raise ValueError(
            f"lr_find: after {len(losses)} steps, at a rate of {lrs[-1] if lrs else start_lr:.2g}, the loss was not "
            f"finite or had risen {diverged:g}-fold; check the data for NaN, or begin lower than start_lr={start_lr}"
        )
    return RateFinder(tuple(lrs), tuple(losses), tuple(smoothed), *suggest(lrs, smoothed))


def copied_run(run: Run) -> Run:
    """A run that starts where `run` does, on a copy of its model and optimiser."""
    model, optimizer = copy.deepcopy((run.model, run.optimizer))
    return Run(
        model=model,
        optimizer=optimizer,
        objective=run.objective,
        schedule=run.schedule,
        max_norm=run.max_norm,
        mix=run.mix,
        scaler=copy.deepcopy(run.scaler),
        seed=run.seed,
        first_epoch=run.first_epoch,
    )


def swept(
    trial: Run, data: Batches, steps: int, diverged: float, micro: int | None
) -> tuple[list[float], list[float], list[float]]:
    """Train `trial` until the sweep ends or the loss grows: the rates, losses and smoothed losses of its steps."""
    lrs: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average = 0.0
    for step in train(trial, data, epochs=math.ceil(steps / len(data)), micro=micro):
        loss = float(step.loss)
        if not math.isfinite(loss):
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        lrs.append(step.lr)
        losses.append(loss)
        smoothed.append(average / (1 - SMOOTHING ** len(losses)))
        best = min(smoothed)
        if len(losses) >= steps or smoothed[-1] > best + (diverged - 1) * abs(best):  # a loss may be negative
            break
    return lrs, losses, smoothed


def suggest(lrs: list[float], smoothed: list[float]) -> tuple[float, float, float]:
    """The suggestions `minimum`, `steepest` and `valley` for a sweep."""
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    first = min(SETTLING, max(1, lowest - 1))  # equal ratios of rates are equal steps of their logarithm
    falls = [smoothed[i + 1] - smoothed[i - 1] for i in range(first, max(first + 1, lowest))]
    steepest = first + min(range(len(falls)), key=falls.__getitem__)
    start, end = longest_fall(smoothed)
    return lrs[lowest] / 10, lrs[steepest], lrs[start + round((end - start) * 2 / 3)]


def longest_fall(values: list[float]) -> tuple[int, int]:
    """First and last index of the longest falling subsequence; of several, the one that begins last."""
    length, came_from = [1] * len(values), list(range(len(values)))
    for i in range(len(values)):
        for j in range(i):
            if values[j] > values[i] and length[j] + 1 >= length[i]:
                length[i], came_from[i] = length[j] + 1, j
    end = max(range(len(values)), key=length.__getitem__)
    start = end
    while came_from[start] != start:
        start = came_from[start]
    return start, end
