"""Objectives: from a model and a batch to the loss that is minimised. B batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.functional.each_loss import loss_weights, reduction_of, unreduced_losses
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
    return loss_func(forward(model, noised(batch[:n_inp], input_noise), autocast), *batch[n_inp:])


def noised(inputs: tuple[Tensor, ...], input_noise: float) -> tuple[Tensor, ...]:
    """Floating-point inputs plus Gaussian noise of deviation `input_noise`."""
    if not input_noise:
        return inputs
    return tuple(x + torch.randn_like(x) * input_noise if x.is_floating_point() else x for x in inputs)


def supervised_mixed(
    model: nn.Module,
    *batch: Tensor,
    loss_func: Callable[..., Tensor],
    n_inp: int = 1,
    autocast: torch.dtype | None = None,
    input_noise: float = 0.0,
) -> Tensor:
    """`supervised` for a batch that `MixUp` or `CutMix` made: each sample's loss is shared between two targets.

    batch: inputs, targets, the partners' targets, and the shares [B] that the own targets have. Shares of 1 give what
    `supervised` gives. `loss_func` must be able to give each sample's own loss, by `reduction="none"`.
    """
    inputs, shares = batch[:n_inp], batch[-1]
    targets = batch[n_inp:-1]
    own, partners = targets[: len(targets) // 2], targets[len(targets) // 2 :]
    outputs = forward(model, noised(inputs, input_noise), autocast)
    first, second = unreduced_losses(loss_func, outputs, own), unreduced_losses(loss_func, outputs, partners)  # [B ...]
    share = shares.to(first.dtype).reshape(-1, *[1] * (first.ndim - 1))
    losses = torch.lerp(second, first, share)
    if reduction_of(loss_func) == "sum":
        return losses.sum()
    counts, others = loss_weights(loss_func, own), loss_weights(loss_func, partners)
    if counts is None or others is None:
        return losses.mean()
    return losses.sum() / torch.lerp(others.to(first.dtype), counts.to(first.dtype), share).sum()


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
