"""Each item's own loss, of a loss function that gives their mean; and the same loss with smoothed labels. B batch."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.functional.links import LOGITS_OF_CLASSES, LOGS_OF_CLASSES, loss_meaning, opened_partial, part_name
from satsuma.functional.losses import shape_text


def unreduced_losses(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> Tensor:
    """The losses [B ...] that `loss_func(outputs, *targets)` is the mean (or the sum) of.

    Raises `ValueError` for a loss without `reduction`, or one whose "none" does not give a number for each item.

    >>> unreduced_losses(nn.L1Loss(), torch.tensor([1.0, 2.0]), (torch.tensor([1.0, 5.0]),))
    tensor([0., 3.])
    """
    if isinstance(loss_func, nn.Module):
        loss_func = copy.copy(loss_func)
        loss_func.reduction = "none"  # type: ignore[assignment]
        losses: Tensor = loss_func(outputs, *targets)
    else:
        try:
            losses = loss_func(outputs, *targets, reduction="none")
        except TypeError:
            refuse_unreducible(loss_func, "it")
            raise
    if losses.ndim == 0 or len(losses) != len(targets[0]):
        got, n = shape_text(losses), len(targets[0])
        raise ValueError(
            f"the loss {part_name(loss_func)} gives {got} with reduction='none'; expected a loss for each sample, "
            f"[{n} ...]"
        )
    return losses


def reduction_of(loss_func: Callable[..., Tensor]) -> str:
    """How `loss_func` makes one number of many: "mean" unless it says otherwise."""
    function, given = opened_partial(loss_func)
    return str(given.get("reduction", getattr(function, "reduction", "mean")))


def loss_weights(loss_func: Callable[..., Tensor], targets: tuple[Tensor, ...]) -> Tensor | None:
    """What the losses [B ...] of class numbers count in their mean: by class, 0 for the ignored; None for all alike.

    PyTorch divides a weighted cross-entropy by the sum of the weights that took part.
    """
    labels = targets[0]
    if labels.is_floating_point() or loss_meaning(loss_func) not in (LOGITS_OF_CLASSES, LOGS_OF_CLASSES):
        return None
    function, given = opened_partial(loss_func)
    weight: Any = given.get("weight", getattr(function, "weight", None))
    counted: Tensor = labels != given.get("ignore_index", getattr(function, "ignore_index", -100))
    if weight is None:
        return counted.float()
    counts: Tensor = weight[torch.where(counted, labels, 0)] * counted
    return counts


def is_reducible(loss_func: Callable[..., Tensor]) -> bool:
    """Whether a loss says how it makes one number of many, so that it can be told not to."""
    if isinstance(loss_func, nn.Module):
        return hasattr(loss_func, "reduction")
    return has_parameter(loss_func, "reduction")


def refuse_unreducible(loss_func: Callable[..., Tensor], what: str) -> None:
    """`ValueError` for a loss that cannot give each item's own; `what` needs it."""
    if is_reducible(loss_func):
        return
    repair = (
        "self.reduction, 'mean' or 'none', for forward to heed"
        if isinstance(loss_func, nn.Module)
        else "an argument reduction='mean' or 'none'"
    )
    raise ValueError(
        f"{what} needs each sample's own loss, which {part_name(loss_func)} cannot give: give it {repair}, with 'none' "
        f"for a loss for each sample; or use one of satsuma's or PyTorch's losses"
    )


def smoothed_loss(loss_func: Callable[..., Tensor], label_smoothing: float) -> Callable[..., Tensor]:
    """`loss_func` with its labels smoothed; itself for 0. Raises `ValueError` for a loss that has no smoothing.

    Source: Szegedy and others, *Rethinking the Inception architecture for computer vision*, 2016.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing is a share from 0 to below 1, got {label_smoothing}")
    if not label_smoothing:
        return loss_func
    if isinstance(loss_func, nn.Module) and hasattr(loss_func, "label_smoothing"):
        smoothed = copy.copy(loss_func)
        smoothed.label_smoothing = label_smoothing  # type: ignore[assignment]
        return smoothed
    if not isinstance(loss_func, nn.Module) and has_parameter(loss_func, "label_smoothing"):
        return functools.partial(loss_func, label_smoothing=label_smoothing)
    raise ValueError(
        f"label_smoothing={label_smoothing}: the loss {part_name(loss_func)} knows no smoothing; for classes use "
        f"cross_entropy, for yes or no binary_cross_entropy"
    )


def has_parameter(func: Callable[..., Any], name: str) -> bool:
    """Whether a function, also inside a partial, takes an argument `name`."""
    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False
