"""How transforms are called.

A transform is any callable `x -> x`. One that also has a parameter named `rng` is random: in training it is given a
generator that depends only on (seed, epoch, index); in validation `None`, and it must then do its deterministic best.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


def takes_rng(transform: Callable[..., Any]) -> bool:
    """Whether `transform` has a parameter named `rng`."""
    try:
        return "rng" in inspect.signature(transform).parameters
    except ValueError:  # some C functions have no signature
        return False


def part_label(part: Any) -> str:
    """How a part is named in messages: a function's or partial's function name, else its repr on one line."""
    inner = getattr(part, "func", part)
    return getattr(inner, "__name__", None) or " ".join(repr(inner).split())[:80]


@dataclass(frozen=True, slots=True)
class Steps:
    """Transforms in order, with those that want a generator marked once."""

    transforms: tuple[Callable[..., Any], ...]
    random: tuple[bool, ...]

    def __call__(self, value: Any, rng: Any) -> Any:
        for transform, is_random in zip(self.transforms, self.random, strict=True):
            value = transform(value, rng=rng) if is_random else transform(value)
        return value


def make_steps(transforms: Sequence[Callable[..., Any]] | Callable[..., Any] | None) -> Steps:
    """`Steps` from one transform, several, or None."""
    if transforms is None:
        transforms = ()
    elif callable(transforms):
        transforms = (transforms,)
    for transform in transforms:
        if not callable(transform):
            raise TypeError(f"a transform must be callable, got {type(transform).__name__}: {transform!r}")
    return Steps(tuple(transforms), tuple(takes_rng(t) for t in transforms))


@dataclass(frozen=True, slots=True)
class BatchSteps:
    """What happens to a batch on its device: `steps[i]` applies to position i of the batch tuple."""

    steps: tuple[Steps, ...]

    @property
    def random(self) -> bool:
        return any(any(s.random) for s in self.steps)

    def __call__(self, batch: tuple[Tensor, ...], rng: Any) -> tuple[Tensor, ...]:
        return tuple(s(values, rng) if s.transforms else values for s, values in zip(self.steps, batch, strict=True))
