"""Evaluation: every prediction of a loader once, then loss and metrics over all of them together. N samples."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.functional.links import part_name
from satsuma.functional.losses import shape_text
from satsuma.train.objectives import forward
from satsuma.train.run import Batches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The loss and metrics of one pass over held-out data."""

    loss: float
    metrics: dict[str, float]


def predict_batches(
    model: nn.Module, data: Batches, *, n_inp: int = 1, autocast: torch.dtype | None = None
) -> tuple[Any, tuple[Tensor, ...]]:
    """All outputs [N ...] (a tuple of them if the model gives several) and all targets, each [N ...], in order.

    The model is in evaluation mode meanwhile, and then as it was before.
    """
    outputs, targets = [], []
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in data.epoch(0):
                parts = batch if isinstance(batch, tuple) else (batch,)
                outputs.append(forward(model, parts[:n_inp], autocast))
                targets.append(parts[n_inp:])
    finally:
        model.train(was_training)
    return joined_outputs(outputs), tuple(torch.cat(column) for column in zip(*targets, strict=True))


def joined_outputs(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], Tensor):
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return tuple(torch.cat(column) for column in zip(*outputs, strict=True))


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
        values: dict[str, float] = {}
        for metric in metrics:
            values.update(metric_values(metric, outputs, targets, strict))
    return Evaluation(loss, values)


def metric_values(
    metric: Callable[..., Any], outputs: Any, targets: Sequence[Tensor], strict: bool
) -> dict[str, float]:
    """One metric's value by its name; a collection of torchmetrics' gives several."""
    name = part_name(metric)
    try:
        value = metric_result(metric, outputs, targets)
        if isinstance(value, dict):
            return {str(key): float(v) for key, v in value.items()}
        return {name: float(value)}
    except Exception as error:
        shapes = ", ".join(shape_text(t) for t in targets)
        got = shape_text(outputs) if isinstance(outputs, Tensor) else "several outputs"
        message = f"metric {name} failed on outputs {got}, targets {shapes}: {' '.join(str(error).split())}"
        if strict:
            raise ValueError(message) from error
        warnings.warn(message, UserWarning, stacklevel=2)
        return {name: float("nan")}


def metric_result(metric: Any, outputs: Any, targets: Sequence[Tensor]) -> Any:
    if hasattr(metric, "update") and hasattr(metric, "compute"):  # a torchmetrics object
        if hasattr(metric, "to") and isinstance(outputs, Tensor):
            metric.to(outputs.device)
        metric.reset()
        metric.update(outputs, *targets)
        return metric.compute()
    return metric(outputs, *targets)
