"""What the settings of transforms must be."""

import math
import operator
from typing import Any

import numpy as np
import torch


def check_share(value: Any, name: str, *, below_one: bool = False) -> None:
    """`ValueError` unless the field `name` of a transform is a number from 0 to 1, or to below 1."""
    given = getattr(value, name)
    if not isinstance(given, int | float) or not 0 <= given <= 1 or (below_one and given == 1):
        wanted = "from 0 to below 1" if below_one else "a probability, 0 to 1" if name == "p" else "a share, 0 to 1"
        raise ValueError(f"{type(value).__name__}: {name} is {wanted}, got {given!r}")


def check_number(value: Any, name: str, *, least: float = 0.0, below: float = math.inf, what: str = "a number") -> None:
    """`ValueError` unless the field `name` of a transform is a number from `least` to below `below`."""
    given = getattr(value, name)
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given < below:
        limits = f"{least:g} or more" if below == math.inf else f"{least:g} to below {below:g}"
        raise ValueError(f"{type(value).__name__}: {name} is {what}, {limits}, got {given!r}")


def check_whole(value: Any, name: str, *, least: int, most: float = math.inf, what: str) -> int:
    """The field `name` as Python's own whole number; `ValueError` unless it is one from `least` to `most`."""
    given = getattr(value, name)
    number = whole_or_none(given)
    if number is None or not least <= number <= most:
        limits = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise ValueError(f"{type(value).__name__}: {name} is {what}, a whole number, {limits}, got {given!r}")
    return number


def whole_or_none(given: Any) -> int | None:
    """Python's or NumPy's whole number as Python's; None for anything else, True and False among it."""
    if isinstance(given, bool | np.bool_ | torch.Tensor):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None


def refuse_generator(transform: Any, rng: Any, batch: bool) -> None:
    """`TypeError` unless `rng` is None, a torch generator for a batch, or NumPy's for a picture."""
    if rng is None or isinstance(rng, torch.Generator if batch else np.random.Generator):
        return
    what = "a batch, rng is a torch.Generator" if batch else "a picture, rng is a NumPy generator"
    use = "torch.Generator().manual_seed(0)" if batch else "numpy.random.default_rng(0)"
    got = repr(rng) if isinstance(rng, int | float | str) else f"{type(rng).__module__}.{type(rng).__qualname__}"
    raise TypeError(
        f"{type(transform).__name__}: for {what}, or None to leave out what is random, got {got}; use {use}"
    )
