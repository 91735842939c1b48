"""Schedules: step -> factor of the base learning rate.

A schedule is a plain function of the number of updates made so far (0 at the first), configured by `functools.partial`:
`partial(cosine, total=1000)`. It has no memory, so a resumed run cannot lose its place. `step / total` is how far the
run is: every one of the `total` updates has a rate above the end value, which would be reached at step `total`.
"""

import bisect
import itertools
import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(step: int) -> float:
    """1 at every step.

    >>> constant(1000)
    1.0
    """
    return 1.0


def step_decay(step: int, *, every: int, factor: float = 0.5) -> float:
    """Multiply by `factor` every `every` steps: by default the rate halves. ValueError unless `every` is positive.

    >>> [step_decay(step, every=10) for step in (0, 9, 10, 29)]
    [1.0, 1.0, 0.5, 0.25]
    """
    check_positive("step_decay", "every", every)
    return float(factor ** (step // every))


def inverse_decay(step: int, *, k: float) -> float:
    """`1 / (1 + k t)` at step t: with a base rate A, `A / (1 + k t)`.

    >>> inverse_decay(10, k=0.1)
    0.5
    """
    return 1.0 / (1.0 + k * step)


def exponential_decay(step: int, *, k: float) -> float:
    """`exp(-k t)` at step t: with a base rate A, `A exp(-k t)`.

    >>> round(exponential_decay(10, k=0.1), 4)
    0.3679
    """
    return math.exp(-k * step)


def linear(step: int, *, total: int, floor: float = 0.0) -> float:
    """A straight line from 1 at step 0 to `floor` at step `total`, and `floor` after it.

    >>> [linear(step, total=4) for step in (0, 1, 4, 5)]
    [1.0, 0.75, 0.0, 0.0]
    """
    return 1.0 + (floor - 1.0) * progress_of("linear", step, total)


def cosine(step: int, *, total: int, floor: float = 0.0) -> float:
    """Half a cosine wave from 1 at step 0 to `floor` at step `total`, and `floor` after it.

    >>> [round(cosine(step, total=4), 4) for step in (0, 1, 2, 4)]
    [1.0, 0.8536, 0.5, 0.0]
    """
    return cosine_between(1.0, floor, progress_of("cosine", step, total))


def one_cycle(step: int, *, total: int, pct_start: float = 0.25, div: float = 25.0, div_final: float = 1e5) -> float:
    """Up from 1/`div` to 1 in the first `pct_start` of the steps, then down to 1/`div_final`, each half a cosine wave.

    Source: Smith and Topin 2018, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates".
    ValueError unless `total` is positive and `pct_start` lies in 0..1.

    >>> [round(one_cycle(step, total=100), 4) for step in (0, 25, 100)]
    [0.04, 1.0, 0.0]
    """
    return two_waves("one_cycle", step, total, pct_start, start=1.0 / div, middle=1.0, end=1.0 / div_final)


def one_cycle_momentum(
    step: int, *, total: int, pct_start: float = 0.25, high: float = 0.95, low: float = 0.85
) -> float:
    """The momentum that goes with `one_cycle`: `high`, then `low` where the rate is highest, then `high` again.

    The value is the momentum itself, not a factor.

    >>> [round(one_cycle_momentum(step, total=100), 4) for step in (0, 25, 100)]
    [0.95, 0.85, 0.95]
    """
    return two_waves("one_cycle_momentum", step, total, pct_start, start=high, middle=low, end=high)


def warm_restarts(step: int, *, period: int, factor: float = 1.0, floor: float = 0.0) -> float:
    """`cosine` over `period` steps, again and again, each period `factor` times as long as the one before.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".
    ValueError unless `period` is positive and `factor` at least 1.

    >>> [warm_restarts(step, period=10, factor=2) for step in (0, 10, 20, 30)]
    [1.0, 1.0, 0.5, 1.0]
    """
    check_positive("warm_restarts", "period", period)
    if factor < 1:
        raise ValueError(f"warm_restarts: factor={factor}; expected 1 or more, or the periods would shrink to nothing")
    if factor == 1:
        return cosine_between(1.0, floor, (step % period) / period)
    since, length = float(step), float(period)
    while since >= length:
        since, length = since - length, length * factor
    return cosine_between(1.0, floor, since / length)


def warmup(step: int, *, steps: int) -> float:
    """A straight line that reaches 1 at step `steps`: the first update has 1 / (steps + 1), none has 0.

    >>> [warmup(step, steps=4) for step in (0, 3, 4, 9)]
    [0.2, 0.8, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / (steps + 1))


def piecewise(step: int, *, boundaries: tuple[int, ...], values: tuple[float, ...]) -> float:
    """`values[0]` before `boundaries[0]`, then `values[1]` before `boundaries[1]`, and so on.

    ValueError unless there is one value more than boundaries, and these rise.

    >>> [piecewise(step, boundaries=(3, 5), values=(1.0, 0.1, 0.01)) for step in (2, 3, 5)]
    [1.0, 0.1, 0.01]
    """
    check_boundaries("piecewise", "values", len(values), boundaries)
    return float(values[bisect.bisect_right(boundaries, step)])


def joined(step: int, *, schedules: tuple[Schedule, ...], boundaries: tuple[int, ...]) -> float:
    """One schedule after another, each counting from 0 at its own boundary.

    ValueError unless there is one schedule more than boundaries, and these rise.

    >>> from functools import partial
    >>> warm = partial(joined, schedules=(partial(warmup, steps=4), partial(linear, total=10)), boundaries=(4,))
    >>> [warm(step) for step in (0, 4, 9)]
    [0.2, 1.0, 0.5]
    """
    check_boundaries("joined", "schedules", len(schedules), boundaries)
    place = bisect.bisect_right(boundaries, step)
    return schedules[place](step - (boundaries[place - 1] if place else 0))


def product(step: int, *, schedules: tuple[Schedule, ...]) -> float:
    """The product of several schedules.

    >>> from functools import partial
    >>> product(1, schedules=(partial(warmup, steps=3), partial(linear, total=4)))
    0.375
    """
    return math.prod(schedule(step) for schedule in schedules)


def cosine_between(start: float, end: float, progress: float) -> float:
    """Half a cosine wave from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2


def two_waves(name: str, step: int, total: int, pct_start: float, *, start: float, middle: float, end: float) -> float:
    """Half a wave from `start` to `middle` in the first `pct_start` of the steps, then another to `end`."""
    if not 0 <= pct_start <= 1:
        raise ValueError(f"{name}: pct_start={pct_start}; expected a share of the steps, 0..1")
    progress = progress_of(name, step, total)
    if progress < pct_start:
        return cosine_between(start, middle, progress / pct_start)
    return cosine_between(middle, end, (progress - pct_start) / (1 - pct_start)) if pct_start < 1 else middle


def progress_of(name: str, step: int, total: int) -> float:
    """How far `step` is on the way to `total`: 0..1, 1 also beyond it."""
    check_positive(name, "total", total)
    return min(1.0, step / total)


def check_positive(name: str, argument: str, value: int) -> None:
    """Raise ValueError unless a number of steps is at least 1."""
    if value < 1:
        raise ValueError(f"{name}: {argument}={value}; expected a number of steps of at least 1")


def check_boundaries(name: str, pieces: str, count: int, boundaries: tuple[int, ...]) -> None:
    """Raise ValueError unless `count` is one more than the boundaries, and these rise."""
    if count != len(boundaries) + 1:
        raise ValueError(
            f"{name}: {count} {pieces} and {len(boundaries)} boundaries; expected one boundary between two"
        )
    if any(left >= right for left, right in itertools.pairwise(boundaries)):
        raise ValueError(f"{name}: boundaries={boundaries}; expected rising steps")
