"""Optimisers: rules for moving parameters by their gradients. They are torch's, with defaults and sources in view.

Each takes parameters (or groups of them, see `groups.py`) and a rate, and returns the `torch.optim.Optimizer`. Any
class of torch.optim may stand where one of these does. `fused=None` picks torch's version with one kernel for all
parameters where there is one for these; `fused=False` never does (needed for sparse gradients).

In the rules, w is a parameter, g its gradient, η the rate `lr`.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from satsuma.errors import spelled

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


@spelled
def SGD(
    params: Params,
    lr: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    fused: bool | None = None,
) -> torch.optim.SGD:
    """Stochastic gradient descent: `w -= η g`; with momentum μ, `v = μ v + g; w -= η v`.

    With a constant rate that is the `dw = μ dw - η g; w += dw` of the textbooks. nesterov: the gradient as if the step
    of momentum had been taken already, `w -= η (g + μ v)`. weight_decay λ adds `λ w` to g.
    Sources: Robbins and Monro 1951, "A Stochastic Approximation Method"; Polyak 1964, "Some Methods of Speeding up the
    Convergence of Iteration Methods"; Sutskever and others 2013, "On the Importance of Initialization and Momentum in
    Deep Learning".

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> (w**2).backward()
    >>> SGD([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8000])
    """
    listed = listed_params(params)
    return torch.optim.SGD(
        listed,
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=can_fuse(listed, on=("cpu", "cuda")) if fused is None else fused,
    )


@spelled
def AdaGrad(
    params: Params, lr: float, *, eps: float = 1e-10, weight_decay: float = 0.0, fused: bool | None = None
) -> torch.optim.Adagrad:
    """Steps shrink where gradients have been large: `cache += g²; w -= η g / (√cache + eps)`.

    Rare features keep large steps, so it suits sparse inputs. The cache only grows: long runs slow down.
    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".
    """
    listed = listed_params(params)
    return torch.optim.Adagrad(
        listed,
        lr=lr,
        eps=eps,
        weight_decay=weight_decay,
        fused=can_fuse(listed, on=("cpu",)) if fused is None else fused,
    )


@spelled
def RMSprop(
    params: Params,
    lr: float,
    *,
    decay: float = 0.99,
    momentum: float = 0.0,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.RMSprop:
    """AdaGrad with a leaking cache: `cache = decay cache + (1 - decay) g²; w -= η g / (√cache + eps)`.

    Source: Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera. torch has no fused version of it.
    """
    listed = listed_params(params)
    return torch.optim.RMSprop(listed, lr=lr, alpha=decay, momentum=momentum, eps=eps, weight_decay=weight_decay)


@spelled
def Adam(
    params: Params,
    lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    fused: bool | None = None,
) -> torch.optim.Adam:
    """Running means of g and g², their ratio the step: `w -= η m̂ / (√v̂ + eps)`.

    `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`; the hats divide by `1 - βᵗ`, as both start at 0.
    The step does not change when all gradients are scaled. weight_decay λ adds `λ w` to g; `AdamW` has a better way.
    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
    """
    listed = listed_params(params)
    return torch.optim.Adam(
        listed,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        fused=can_fuse(listed, on=("cpu", "cuda")) if fused is None else fused,
    )


@spelled
def AdamW(
    params: Params,
    lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    fused: bool | None = None,
) -> torch.optim.AdamW:
    """Adam whose weight decay is its own step, `w -= η λ w`, not scaled by the gradients' history.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
    """
    listed = listed_params(params)
    return torch.optim.AdamW(
        listed,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        fused=can_fuse(listed, on=("cpu", "cuda")) if fused is None else fused,
    )


def listed_params(params: Params) -> list[Any]:
    """Parameters, or groups whose "params" are lists: an iterator could be gone through only once."""
    return [{**e, "params": listed_tensors(e["params"])} if isinstance(e, dict) else e for e in params]


def listed_tensors(params: Any) -> list[Any]:
    return [params] if isinstance(params, Tensor) else list(params)


def can_fuse(params: Iterable[Tensor | dict[str, Any]], *, on: tuple[str, ...]) -> bool:
    """Whether all of `params` are floating point numbers on one kind of device, and that is among `on`."""
    tensors: list[Tensor] = []
    for entry in params:
        tensors.extend(entry["params"] if isinstance(entry, dict) else [entry])
    kinds = {tensor.device.type for tensor in tensors}
    return len(kinds) == 1 and kinds <= set(on) and all(tensor.is_floating_point() for tensor in tensors)
