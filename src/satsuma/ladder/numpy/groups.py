"""What is done to gradients and groups before a step: rates, who decays, how long the gradients may be together.

A group is a dictionary: the names of its parameters in "params", its rate in "lr", which a schedule sets to a multiple
of "base_lr", and its "weight_decay" where there is any.
"""

from typing import Any

import numpy as np


def param_groups(parameters: dict[str, np.ndarray], *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: matrices and kernels decay; biases and normalisation (one dimension) do not.

    >>> groups = param_groups({"0.weight": np.zeros((3, 5)), "0.bias": np.zeros(3)}, lr=0.5, weight_decay=0.1)
    >>> [(group["params"], group["weight_decay"]) for group in groups]
    [(['0.weight'], 0.1), (['0.bias'], 0.0)]
    """
    decayed = [name for name, w in parameters.items() if w.ndim >= 2]
    undecayed = [name for name, w in parameters.items() if w.ndim < 2]
    halves = [(decayed, weight_decay), (undecayed, 0.0)]
    return [{"params": names, "lr": lr, "base_lr": lr, "weight_decay": decay} for names, decay in halves if names]


def highest_rate(groups: list[dict[str, Any]]) -> float:
    """The rate of the group that learns fastest."""
    return max(float(group["lr"]) for group in groups)


def clip_gradients(gradients: dict[str, np.ndarray], *, max_norm: float) -> float:
    """Scale the gradients in place to a joint length of at most `max_norm`; their length before that.

    Source: Pascanu, Mikolov and Bengio 2013, "On the Difficulty of Training Recurrent Neural Networks".

    >>> g = {"w": np.array([3.0, 4.0])}
    >>> clip_gradients(g, max_norm=1.0), g["w"].round(4)
    (5.0, array([0.6, 0.8]))
    """
    norm = float(np.sqrt(sum((g**2).sum() for g in gradients.values())))
    for g in gradients.values():
        g[...] = g * min(1.0, max_norm / (norm + 1e-6))
    return norm


def add_weight_decay(
    parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], groups: list[dict[str, Any]]
) -> None:
    """Add `λ w` to the gradients in place: weight decay as all optimisers but AdamW have it."""
    for group in groups:
        for name in group["params"]:
            gradients[name] += group["weight_decay"] * parameters[name]
