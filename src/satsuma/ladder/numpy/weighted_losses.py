"""Losses in which some classes cost more than others, and beside each its gradient by hand.

Source: King and Zeng 2001, "Logistic Regression in Rare Events Data", for weights against unequal numbers of examples.

Legend: J the loss, a a logit, Y the softmax of the logits, T the indicator matrix, N numbers, B batch, K classes.
"""

# mypy: disable-error-code="no-any-return"

import numpy as np

from satsuma.ladder.numpy.activations import log_softmax, sigmoid, softmax
from satsuma.ladder.numpy.losses import indicator


def weighted_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, *, weight: np.ndarray, label_smoothing: float = 0.0
) -> float:
    """`cross_entropy` where a miss of class k costs `weight[k]`: J = -Σ T weight log Y / Σ_n weight[t[n]].

    logits: [B K]. targets: class numbers, integers [B]. weight: [K].

    >>> logits, targets = np.array([[2.0, 0.0], [2.0, 0.0]]), np.array([0, 1])
    >>> round(weighted_cross_entropy(logits, targets, weight=np.array([1.0, 3.0])), 4)
    1.6269
    """
    costs = indicator(targets, logits.shape[1], logits.dtype, label_smoothing) * weight  # [B K]
    return float(-(costs * log_softmax(logits)).sum() / weight[targets].sum())


def weighted_cross_entropy_gradient(
    logits: np.ndarray, targets: np.ndarray, *, weight: np.ndarray, label_smoothing: float = 0.0
) -> np.ndarray:
    # as for cross_entropy with C = T weight, whose rows do not sum to 1:
    # -Σ_k C[k] ((1 if k=j else 0) - Y[j]) = Y[j] Σ_k C[k] - C[j]
    costs = indicator(targets, logits.shape[1], logits.dtype, label_smoothing) * weight
    return (softmax(logits) * costs.sum(1, keepdims=True) - costs) / weight[targets].sum()


def weighted_nll(log_probabilities: np.ndarray, targets: np.ndarray, *, weight: np.ndarray) -> float:
    """`nll` where a miss of class k costs `weight[k]`: J = -Σ_n weight[t[n]] log_p[n, t[n]] / Σ_n weight[t[n]].

    >>> weighted_nll(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([0, 1]), weight=np.array([1.0, 3.0]))
    3.25
    """
    costs = weight[targets]  # [B]
    return float(-(costs * log_probabilities[np.arange(len(targets)), targets]).sum() / costs.sum())


def weighted_nll_gradient(log_probabilities: np.ndarray, targets: np.ndarray, *, weight: np.ndarray) -> np.ndarray:
    # -weight[t]/Σ weight[t] at each right class, 0 elsewhere
    grad = np.zeros_like(log_probabilities)
    grad[np.arange(len(targets)), targets] = -weight[targets] / weight[targets].sum()
    return grad


def weighted_binary_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, *, pos_weight: np.ndarray, label_smoothing: float = 0.0
) -> float:
    """`binary_cross_entropy` where a missed yes costs `pos_weight` times as much, one number a column.

    J = Σ (pos_weight t log(1 + exp(-a)) + (1 - t) log(1 + exp(a))) / N

    >>> logits, targets = np.array([[2.0], [-1.0]]), np.array([[1], [1]])
    >>> round(weighted_binary_cross_entropy(logits, targets, pos_weight=np.array([2.0])), 4)
    1.4402
    """
    targets = targets * (1 - label_smoothing) + label_smoothing / 2
    missed_yes, false_yes = np.logaddexp(0, -logits), np.logaddexp(0, logits)
    return float((pos_weight * targets * missed_yes + (1 - targets) * false_yes).mean())


def weighted_binary_cross_entropy_gradient(
    logits: np.ndarray, targets: np.ndarray, *, pos_weight: np.ndarray, label_smoothing: float = 0.0
) -> np.ndarray:
    # d log(1 + exp(-a))/da = -sigmoid(-a),  d log(1 + exp(a))/da = sigmoid(a)
    targets = targets * (1 - label_smoothing) + label_smoothing / 2
    return ((1 - targets) * sigmoid(logits) - pos_weight * targets * sigmoid(-logits)) / logits.size
