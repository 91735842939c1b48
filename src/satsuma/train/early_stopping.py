"""Early stopping that restores the best weights: an argument of the run, since it changes the result."""

import math
import numbers
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from satsuma.errors import nearest, spelled_class
from satsuma.functional.links import better_direction
from satsuma.train.evaluate import named_metrics

if TYPE_CHECKING:
    from satsuma.train.fit import EpochRow

LOSSES = ("valid_loss", "train_loss")


@spelled_class
@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Stop after `patience` epochs in which `monitor` has not improved by more than `min_delta`; keep the best weights.

    `monitor`: "valid_loss", "train_loss" or a metric's name. `better`: "lower" or "higher"; needed only for a metric
    of your own, since it is never guessed from the name.
    Source: Prechelt, *Early stopping, but when?*, 1998.
    """

    monitor: str = "valid_loss"
    patience: int = 3
    min_delta: float = 0.0
    better: str | None = None

    def __post_init__(self) -> None:
        if not is_number(self.patience, numbers.Integral) or self.patience < 1:
            raise ValueError(f"EarlyStopping: patience must be 1 or more epochs, got {self.patience!r}")
        if not is_number(self.min_delta, numbers.Real) or not 0 <= self.min_delta < math.inf:
            raise ValueError(f"EarlyStopping: min_delta must be a number of 0 or more, got {self.min_delta!r}")
        if self.monitor in (None, ""):
            raise TypeError(f'EarlyStopping: monitor is a column, such as "valid_loss"; got {self.monitor!r}')
        if self.better not in (None, "lower", "higher"):
            raise ValueError(f'EarlyStopping: better is "lower" or "higher", got {self.better!r}')


def is_number(value: object, kind: type) -> bool:
    """Whether `value` is of a class of numbers (`numbers.Integral`, say), and not True or False."""
    return isinstance(value, kind) and not isinstance(value, bool)


def resolved(stopping: EarlyStopping, metrics: Sequence[Callable[..., Any]], has_valid: bool) -> EarlyStopping:
    """`stopping` with its direction known; `ValueError` if the metric does not exist or its direction is unknown."""
    return replace(stopping, better=direction_of(stopping.monitor, stopping.better, metrics, has_valid))


def direction_of(monitor: str, better: str | None, metrics: Sequence[Callable[..., Any]], has_valid: bool) -> str:
    """ "lower" or "higher" for the column `monitor` of the epoch table."""
    by_name = named_metrics(metrics) if has_valid else {}
    known = [*(LOSSES if has_valid else LOSSES[1:]), *by_name]
    if monitor not in known:
        raise ValueError(f"cannot monitor {monitor!r}, no such column: {nearest(monitor, known)}")
    found = better or ("lower" if monitor in LOSSES else better_direction(by_name[monitor]))
    if found is None:
        raise ValueError(
            f'whether a higher or a lower {monitor} is better is not known; say better="higher" or better="lower"'
        )
    return found


def improves(value: float | None, best: float | None, better: str, min_delta: float) -> bool:
    """Whether `value` beats `best` by more than `min_delta`; NaN never does."""
    if value is None or math.isnan(value):
        return False
    if best is None:
        return True
    return value < best - min_delta if better == "lower" else value > best + min_delta


def copied_weights(model: nn.Module) -> dict[str, Any]:
    """The model's state as it is now, in memory of its own."""
    return {k: v.detach().clone() if isinstance(v, Tensor) else deepcopy(v) for k, v in model.state_dict().items()}


class BestWeights:
    """The weights of the best epoch so far, by a resolved `EarlyStopping`."""

    def __init__(self, stopping: EarlyStopping, model: nn.Module) -> None:
        self.stopping, self.model = stopping, model
        self.best: float | None = None
        self.waited = 0
        self.weights: dict[str, Any] = {}
        self.epoch: int | None = None  # which the weights are of

    def after(self, row: "EpochRow") -> str:
        """Look at an epoch: why to stop, or ""."""
        value = row.value(self.stopping.monitor)
        if improves(value, self.best, self.stopping.better or "lower", self.stopping.min_delta):
            self.best, self.waited = value, 0
            self.weights, self.epoch = copied_weights(self.model), row.epoch
            return ""
        self.waited += 1
        if self.waited < self.stopping.patience:
            return ""
        if self.best is None:
            return f"{self.stopping.monitor} never had a value that is a number, in {self.waited} epochs"
        return f"{self.stopping.monitor} has not improved for {self.waited} epochs (best {self.best})"

    def restore(self) -> None:
        """Give the model the best epoch's weights."""
        if self.weights:
            self.model.load_state_dict(self.weights)
