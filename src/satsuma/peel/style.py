"""Where the depths of torch's parts differ: how data, loops and evaluation are written."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """`loaders(dls, words, seed, prefix)`: statements that make `train_data` and `valid_data`.

    `evaluation(learn, words)`: the function `evaluate`, or "". `loops(learn, stage, words, epochs, stopping)`: the
    loops, which fill `losses`.
    """

    loaders: Callable[..., str]
    evaluation: Callable[..., str]
    loops: Callable[..., str]
