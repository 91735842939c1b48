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


def penalised_weights(parameters: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The matrices and kernels: biases and normalisation are not penalised."""
    return [w for w in parameters.values() if w.ndim >= 2]


def add_l1_gradients(parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], *, l1: float) -> None:
    """Add the gradient of `l1 Σ |w|` to the weights' gradients, in place: d|w|/dw = sign(w)."""
    for name, w in parameters.items():
        if w.ndim >= 2:
            gradients[name] += l1 * np.sign(w)


def add_l2_gradients(parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], *, l2: float) -> None:
    """Add the gradient of `l2 Σ w²` to the weights' gradients, in place: dw²/dw = 2 w."""
    for name, w in parameters.items():
        if w.ndim >= 2:
            gradients[name] += 2 * l2 * w
