"""Evaluation: every prediction of a loader once, then loss and metrics over all of them together. N samples."""

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.functional.links import part_name
from satsuma.functional.losses import shape_text
from satsuma.train.objectives import forward
from satsuma.train.run import Batches

# columns of the epoch table and fields of history.jsonl, which a metric may not be called
RESERVED = ("epoch", "train_loss", "valid_loss", "time", "kind", "time_s", "samples_per_s")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The loss and metrics of one pass over held-out data."""

    loss: float
    metrics: dict[str, float]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; then each of its layers as it was, also one that the user keeps frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def predict_batches(
    model: nn.Module, data: Batches, *, n_inp: int = 1, autocast: torch.dtype | None = None
) -> tuple[Any, tuple[Tensor, ...]]:
    """All outputs [N ...] (a tuple of them if the model gives several) and all targets, each [N ...], in order.

    The model is in evaluation mode meanwhile, and then as it was before.
    """
    outputs, targets = [], []
    with evaluation_mode(model), torch.no_grad():
        for batch in data.epoch(0):
            parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
            outputs.append(forward(model, parts[:n_inp], autocast))
            targets.append(parts[n_inp:])
    return joined_outputs(outputs), tuple(torch.cat(column) for column in zip(*targets, strict=True))


def joined_outputs(outputs: list[Any]) -> Any:
    """The batches' outputs as one: tensors end to end, tuples position by position. `TypeError` for anything else."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return first if len(outputs) == 1 else torch.cat(outputs)
    if isinstance(first, tuple | list) and all(isinstance(part, Tensor) for part in first):
        return tuple(torch.cat(column) for column in zip(*outputs, strict=True))
    raise TypeError(f"the model gives a {type(first).__name__}; expected a tensor, or a tuple of tensors")


def named_metrics(metrics: Sequence[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Each metric under its column's name; a torchmetrics collection is taken apart, a name used twice is numbered.

    >>> list(named_metrics([len, len]))
    ['len', 'len_2']
    """
    found: dict[str, Callable[..., Any]] = {}
    for metric in metrics:
        several = hasattr(metric, "compute") and hasattr(metric, "items")
        for name, part in metric.items() if several else [(part_name(metric), metric)]:  # type: ignore[attr-defined]
            found[free_name(str(name), {*RESERVED, *found})] = part
    return found


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with the first number that makes it one which is not taken."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}_{number + 1}"
    return free


def evaluate(
    model: nn.Module,
    data: Batches,
    *,
    loss_func: Callable[..., Tensor],
    metrics: Sequence[Callable[..., Any]] = (),
    n_inp: int = 1,
    autocast: torch.dtype | None = None,
    strict: bool = True,
) -> Evaluation:
    """Loss and metrics over the whole of `data`, exact for any batch size: each is computed once, on all predictions.

    `metrics`: functions `(outputs [N ...], targets [N ...]) -> number`, or torchmetrics objects. One that fails
    raises `ValueError` with its name and the shapes; with `strict=False` it is NaN, with a warning.
    """
    outputs, targets = predict_batches(model, data, n_inp=n_inp, autocast=autocast)
    with torch.no_grad():
        loss = float(loss_func(outputs, *targets))
        values = {
            name: metric_value(name, metric, outputs, targets, strict)
            for name, metric in named_metrics(metrics).items()
        }
    return Evaluation(loss, values)


def metric_value(
    name: str, metric: Callable[..., Any], outputs: Any, targets: Sequence[Tensor], strict: bool = True
) -> float:
    """One metric on all predictions. A failure raises `ValueError`, or without `strict` is a warning and NaN."""
    try:
        value = metric_result(metric, outputs, targets)
        if isinstance(value, Tensor) and value.numel() != 1:
            raise TypeError(f"it gave {shape_text(value)}, one number is expected")
        return float(value)
    except Exception as error:
        shapes = ", ".join(shape_text(t) for t in targets)
        got = shape_text(outputs) if isinstance(outputs, Tensor) else "several tensors"
        message = f"metric {name} failed on outputs {got}, targets {shapes}: {' '.join(str(error).split())}"
        if strict:
            raise ValueError(message) from error
        warnings.warn(message, UserWarning, stacklevel=2)
        return math.nan


def metric_result(metric: Any, outputs: Any, targets: Sequence[Tensor]) -> Any:
    if hasattr(metric, "update") and hasattr(metric, "compute"):  # a torchmetrics object
        if hasattr(metric, "to") and isinstance(outputs, Tensor):
            metric.to(outputs.device)
        metric.reset()
        metric.update(outputs, *targets)
        return metric.compute()
    return metric(outputs, *targets)
