"""Penalties on large weights: added to the loss, and their gradients to the weights' gradients. w a weight."""

from collections.abc import Iterable

import numpy as np


def l1_penalty(weights: Iterable[np.ndarray]) -> float:
    """Σ |w|: pulls useless weights to exactly 0 (Tibshirani 1996, the lasso).

    >>> l1_penalty([np.array([1.0, -2.0]), np.array([[3.0]])])
    6.0
    """
    return float(sum(np.abs(w).sum() for w in weights))


def l2_penalty(weights: Iterable[np.ndarray]) -> float:
    """Σ w²: shrinks weights in proportion (Hoerl and Kennard 1970, ridge regression).

    >>> l2_penalty([np.array([1.0, -2.0]), np.array([[3.0]])])
    14.0
    """
    return float(sum((w**2).sum() for w in weights))


def penalised_weights(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The matrices and kernels: biases and normalisation are not penalised."""
    return {name: w for name, w in parameters.items() if w.ndim >= 2}


def add_penalty_gradients(
    parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], *, l1: float = 0.0, l2: float = 0.0
) -> None:
    """Add the gradient of `l1 Σ |w| + l2 Σ w²` to the weights' gradients, in place."""
    for name, w in penalised_weights(parameters).items():
        # d|w|/dw = sign(w), dw²/dw = 2 w
        gradients[name] += l1 * np.sign(w) + 2 * l2 * w
