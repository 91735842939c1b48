"""Objectives: from a model and a batch to the loss that is minimised. B batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.functional.losses import l1_penalty, l2_penalty


def forward(model: nn.Module, inputs: tuple[Tensor, ...], autocast: torch.dtype | None) -> Any:
    """The model's output for `inputs`, computed in `autocast` precision if given, and float32 again after that."""
    if autocast is None:
        return model(*inputs)
    with torch.autocast(inputs[0].device.type, dtype=autocast):
        output = model(*inputs)
    return full_precision(output)


def full_precision(output: Any) -> Any:
    """The floating-point tensors of an output as float32, in tuples and dictionaries at any depth."""
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, tuple | list):
        return tuple(full_precision(part) for part in output)
    return {k: full_precision(v) for k, v in output.items()} if isinstance(output, dict) else output


def supervised(
    model: nn.Module,
    *batch: Tensor,
    loss_func: Callable[..., Tensor],
    n_inp: int = 1,
    autocast: torch.dtype | None = None,
    input_noise: float = 0.0,
) -> Tensor:
    """`loss_func(model(x), y)`: the first `n_inp` tensors of the batch go in, the others are what should come out.

    `input_noise`: deviation of Gaussian noise added to floating-point inputs (Bishop, *Training with noise is
    equivalent to Tikhonov regularization*, 1995).
    """
    inputs = batch[:n_inp]
    if input_noise:
        inputs = tuple(x + torch.randn_like(x) * input_noise if x.is_floating_point() else x for x in inputs)
    return loss_func(forward(model, inputs, autocast), *batch[n_inp:])


def penalised(
    model: nn.Module, *batch: Tensor, objective: Callable[..., Tensor], l1: float = 0.0, l2: float = 0.0
) -> Tensor:
    """`objective` plus `l1` times the sum of the weights' sizes plus `l2` times the sum of their squares.

    Biases and normalisation (parameters with fewer than two dimensions) are not penalised. L1 pulls weights to
    exactly 0 (Tibshirani, *Regression shrinkage and selection via the lasso*, 1996), L2 shrinks them (ridge). Raises
    `ValueError` for a model without weights to penalise.
    """
    loss = objective(model, *batch)
    weights = [p for p in model.parameters() if p.ndim >= 2 and p.requires_grad]
    if not weights:
        raise ValueError("l1 and l2 penalise weights of two dimensions or more, and the model trains none")
    if l1:
        loss = loss + l1 * l1_penalty(weights)
    if l2:
        loss = loss + l2 * l2_penalty(weights)
    return loss
