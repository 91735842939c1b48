"""What is done to gradients and groups before a step: who decays, and how long the gradients may be together."""

from typing import Any

import numpy as np


def param_groups(parameters: dict[str, np.ndarray], *, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: matrices and kernels decay; biases and normalisation (one dimension) do not.

    >>> param_groups({"0.weight": np.zeros((3, 5)), "0.bias": np.zeros(3)}, weight_decay=0.1)
    [{'params': ['0.weight'], 'weight_decay': 0.1}, {'params': ['0.bias'], 'weight_decay': 0.0}]
    """
    decayed = [name for name, w in parameters.items() if w.ndim >= 2]
    undecayed = [name for name, w in parameters.items() if w.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": undecayed, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def clip_gradients(gradients: dict[str, np.ndarray], *, max_norm: float) -> float:
    """Scale the gradients in place to a joint length of at most `max_norm`; their length before that.

    Source: Pascanu, Mikolov and Bengio 2013, "On the Difficulty of Training Recurrent Neural Networks".

    >>> g = {"w": np.array([3.0, 4.0])}
    >>> clip_gradients(g, max_norm=1.0), g["w"].round(4)
    (5.0, array([0.6, 0.8]))
    """
    norm = float(np.sqrt(sum((g**2).sum() for g in gradients.values())))
    for g in gradients.values():
        g *= min(1.0, max_norm / (norm + 1e-6))
    return norm
