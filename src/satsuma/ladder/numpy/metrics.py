"""Metrics: how good the predictions are, for people to read; over the whole validation set at once.

Legend: N items, K classes.
"""

import numpy as np

from satsuma.ladder.numpy.activations import Sigmoid


def accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of items whose highest number stands at the right class. predictions: [N K]. targets: integers [N].

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), np.array([1, 0, 0]))
    1.0
    """
    return float((predictions.argmax(1) == targets).mean())


def error_rate(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of items that `accuracy` does not count.

    >>> error_rate(np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), np.array([1, 0, 0]))
    0.0
    """
    return float((predictions.argmax(1) != targets).mean())


def binary_accuracy(
    predictions: np.ndarray, targets: np.ndarray, *, threshold: float = 0.5, sigmoid: bool = True
) -> float:
    """The share of yes-or-no answers that are right: probability at or above `threshold` means yes. One shape.

    >>> binary_accuracy(np.array([[2.0], [-1.0], [0.5], [-3.0]]), np.array([[1], [0], [0], [0]]))
    0.75
    """
    probabilities = Sigmoid().forward(predictions) if sigmoid else predictions
    return float(((probabilities >= threshold) == (targets == 1)).mean())


def top_k_accuracy(predictions: np.ndarray, targets: np.ndarray, *, k: int = 5) -> float:
    """The share of items whose right class is among the `k` highest numbers. predictions: [N K]. targets: [N].

    >>> top_k_accuracy(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([1, 2]), k=2)
    0.5
    """
    best = np.argsort(-predictions, axis=1, kind="stable")[:, :k]  # [N k]
    return float((best == targets[:, None]).any(1).mean())


def rmse(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The square root of the mean squared error, in the targets' own unit. Both of one shape.

    >>> rmse(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    2.1213203435596424
    """
    return float(np.sqrt(((predictions - targets) ** 2).mean()))


def r2_score(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of the targets' variance that is explained, the mean over columns. Both of one shape, [N] or [N D].

    >>> r2_score(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    missed = ((targets - predictions) ** 2).sum(0)  # [] or [D]
    spread = ((targets - targets.mean(0)) ** 2).sum(0)
    return float((1 - missed / spread).mean())
