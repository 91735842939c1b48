"""What optimisers share: parameter groups, and gradients clipped before a step.

A *group* is a dict: "params", a list of tensors, and the settings they are trained with ("lr", "weight_decay", ...).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


def listed_groups(params: Params, defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """Groups, each with the defaults for what it does not say itself. Plain tensors are one group.

    >>> listed_groups([{"params": [], "lr": 0.1}, {"params": []}], {"lr": 1.0})
    [{'lr': 0.1, 'params': []}, {'lr': 1.0, 'params': []}]
    """
    listed: list[Any] = list(params)
    groups = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]
    return [{**defaults, **group, "params": list(group["params"])} for group in groups]


def clear_gradients_of(groups: list[dict[str, Any]]) -> None:
    """Forget all gradients, so that the next backward pass does not add to them."""
    for group in groups:
        for w in group["params"]:
            w.grad = None


@torch.no_grad()
def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shrink all gradients alike, in place, until their joint length is at most `max_norm`; the length before, [].

    Source: Pascanu, Mikolov and Bengio 2013, "On the Difficulty of Training Recurrent Neural Networks".

    >>> w = torch.zeros(2)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], 1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = [w.grad for w in parameters if w.grad is not None]
    lengths = torch.stack([torch.linalg.vector_norm(g) for g in gradients])  # [number of gradients]
    length: Tensor = torch.linalg.vector_norm(lengths)  # []
    factor = torch.clamp(max_norm / (length + 1e-6), max=1.0)  # []
    for g in gradients:
        g.mul_(factor)
    return length
