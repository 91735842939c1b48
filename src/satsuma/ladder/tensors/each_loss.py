"""Each item's own loss, of a loss function that gives their mean. B batch."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.losses import cross_entropy, nll


def unreduced_losses(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> Tensor:
    """The losses [B ...] that `loss_func(outputs, *targets)` is the mean (or the sum) of.

    >>> unreduced_losses(cross_entropy, torch.zeros(2, 3), (torch.tensor([0, 2]),))
    tensor([1.0986, 1.0986])
    """
    if hasattr(loss_func, "training"):  # a layer, which says by an attribute how it makes one number of many
        loss_func = copy.copy(loss_func)
        loss_func.reduction = "none"  # type: ignore[attr-defined]
        return loss_func(outputs, *targets)
    return loss_func(outputs, *targets, reduction="none")


def loss_weights(loss_func: Callable[..., Tensor], targets: tuple[Tensor, ...]) -> Tensor | None:
    """What the losses [B ...] of class numbers count in their mean, by class; None if it is a plain mean."""
    given: dict[str, Any] = {}
    while isinstance(loss_func, partial):
        given = {**loss_func.keywords, **given}
        loss_func = loss_func.func
    if targets[0].is_floating_point() or loss_func not in (cross_entropy, nll):
        return None
    weight: Tensor | None = given.get("weight")
    return torch.ones(targets[0].shape) if weight is None else weight[targets[0]]
