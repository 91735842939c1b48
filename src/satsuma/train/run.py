"""What a training run is while it runs: the one mutable thing, and what each step tells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer


class Batches(Protocol):
    """What the loop asks of data: the number of batches, and the batches of any epoch from any place on."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]: ...


@dataclass(kw_only=True, slots=True)
class Run:
    """A model being trained. Mutable: the loop changes `model`, `optimizer` and `step`; anyone may set `stop`.

    `objective(model, *batch)` gives the loss []. `schedule(step)` is the factor on each parameter group's `base_lr`
    (its first `lr`, if it has none), `momentum(step)` the momentum itself. `max_norm` clips the gradients' joint norm.
    `mix(*batch, rng=)` remakes a whole batch before it is sliced: MixUp, CutMix. `scaler` is for float16.
    `first_epoch` counts the epochs of earlier fits, so that a second fit sees new orders and new dropout.
    A reason in `stop` ends training after the step. `weights_epoch`: the evaluated epoch at whose end the weights were
    as they are, which `fit` keeps up; None if there is none.
    """

    model: nn.Module
    optimizer: Optimizer
    objective: Callable[..., Tensor]
    schedule: Callable[[int], float]
    momentum: Callable[[int], float] | None = None
    max_norm: float | None = None
    mix: Callable[..., tuple[Tensor, ...]] | None = None
    scaler: GradScaler | None = None
    seed: int = 0
    first_epoch: int = 0
    step: int = 0
    stop: str = ""
    weights_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One update: the epoch it belongs to, its number (from 1), the highest rate, the loss [] and gradient norm []."""

    epoch: int
    step: int
    lr: float
    loss: Tensor
    grad_norm: Tensor | None
