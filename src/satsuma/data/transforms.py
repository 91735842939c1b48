"""How transforms are called.

A transform is any callable `x -> x`. One that also has a parameter named `rng` is random: in training it is given a
generator that depends only on (seed, epoch, index); in validation `None`, and it must then do its deterministic best.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from satsuma.errors import spelled_class


def takes_rng(transform: Callable[..., Any]) -> bool:
    """Whether `transform` has a parameter named `rng`."""
    try:
        return "rng" in inspect.signature(transform).parameters
    except ValueError:  # some C functions have no signature
        return False


def is_random(transform: Callable[..., Any]) -> bool:
    """Whether `transform` draws: it takes `rng` and does not say `random = False`, as a `Resize` that cuts nothing."""
    return takes_rng(transform) and getattr(transform, "random", True) is not False


def is_training_only(transform: Callable[..., Any]) -> bool:
    """Whether `transform` says of itself, by `training_only = True`, that it does nothing outside training."""
    return bool(getattr(transform, "training_only", False))


@spelled_class
@dataclass(frozen=True, slots=True)
class TrainingOnly:
    """Any transform, made to act in training alone: for random ones of other libraries, which know no validation.

    >>> TrainingOnly(str.upper)("cat"), TrainingOnly(str.upper)("cat", rng=object())
    ('cat', 'CAT')
    """

    transform: Callable[..., Any]

    training_only = True

    def __post_init__(self) -> None:
        if not callable(self.transform):
            raise TypeError(f"TrainingOnly: a transform must be callable, got {self.transform!r}")

    def __call__(self, value: Any, rng: Any = None) -> Any:
        if rng is None:
            return value
        return self.transform(value, rng=rng) if takes_rng(self.transform) else self.transform(value)


def part_label(part: Any) -> str:
    """How a part is named in messages: a function's name, a value's repr on one line.

    >>> part_label(len), part_label(functools.partial(round, ndigits=2))
    ('len', 'round')
    """
    inner = part.func if isinstance(part, functools.partial) else part
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


NO_TRANSFORMS = Steps((), ())


def refuse_no_list(transforms: Any) -> None:
    """`TypeError` for what is neither a transform nor several of them."""
    several = isinstance(transforms, Iterable) and not isinstance(transforms, str)
    if not (transforms is None or callable(transforms) or several):
        raise TypeError(f"transforms are one or a list of them, such as [Resize(224), Flip()], got {transforms!r}")


def make_steps(transforms: Sequence[Callable[..., Any]] | Callable[..., Any] | None) -> Steps:
    """`Steps` from one transform, several, or None."""
    refuse_no_list(transforms)
    if transforms is None:
        transforms = ()
    elif callable(transforms):
        transforms = (transforms,)
    transforms = tuple(transforms)  # a generator may be gone through once only
    for transform in transforms:
        if not callable(transform):
            raise TypeError(f"a transform must be callable, got {type(transform).__name__}: {transform!r}")
        if isinstance(transform, type) and any("__call__" in vars(base) for base in transform.__mro__):
            name = transform.__name__
            raise TypeError(f"{name} is a class of transforms; give one of its values: {name}(...)")
    return Steps(tuple(transforms), tuple(takes_rng(t) for t in transforms))


@dataclass(frozen=True, slots=True)
class BatchSteps:
    """What happens to a batch on its device: `steps[i]` applies to position i of the batch tuple.

    Every position is given the same draws, so that an image and its mask are flipped together.
    """

    steps: tuple[Steps, ...]

    @property
    def random(self) -> bool:
        return any(is_random(transform) for s in self.steps for transform in s.transforms)

    def __call__(self, batch: tuple[Tensor, ...], rng: Any) -> tuple[Tensor, ...]:
        return tuple(
            on_batch(s, values, same_draws(rng)) if s.transforms else values
            for s, values in zip(self.steps, batch, strict=True)
        )


def on_batch(steps: Steps, values: Tensor, rng: Any) -> Tensor:
    """One position of a batch through its transforms; `ValueError` for one that gives no batch of as many samples."""
    n = len(values)
    for transform, draws in zip(steps.transforms, steps.random, strict=True):
        values = transform(values, rng=rng) if draws else transform(values)
        if not isinstance(values, Tensor) or values.ndim == 0 or len(values) != n:
            got = f"[{', '.join(map(str, values.shape))}]" if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the batch transform {part_label(transform)} gave {got}; expected a tensor of {n} samples, [{n} ...]"
            )
    return values


def same_draws(rng: Any) -> Any:
    """A generator (NumPy's or torch's) that will give the numbers which `rng` would give next; None for None."""
    return rng.clone_state() if isinstance(rng, torch.Generator) else copy.deepcopy(rng)
