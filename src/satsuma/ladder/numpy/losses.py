"""Losses, and beside each its gradient by hand: `NAME_gradient` is dJ/d(predictions), of the predictions' shape.

Every loss is a mean: over all N numbers, or over the B rows where a row is one prediction of K classes.

Legend: J the loss, p a prediction, t its target, N numbers, B batch, K classes.
"""

# mypy: disable-error-code="no-any-return"

import numpy as np

from satsuma.ladder.numpy.activations import Sigmoid, log_softmax, sigmoid, softmax


def mse(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared error: J = Σ (p - t)² / N. Both of one shape.

    >>> mse(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    2.0
    """
    return float(((predictions - targets) ** 2).mean())


def mse_gradient(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # dJ/dp = 2 (p - t) / N
    return 2 * (predictions - targets) / predictions.size


def mae(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean absolute error: J = Σ |p - t| / N. Both of one shape.

    >>> mae(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    1.0
    """
    return float(np.abs(predictions - targets).mean())


def mae_gradient(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # d|d|/dd = sign(d); where the prediction is exactly right, 0
    return np.sign(predictions - targets) / predictions.size


def smooth_l1(predictions: np.ndarray, targets: np.ndarray, *, beta: float = 1.0) -> float:
    """Squared error within `beta`, absolute error beyond it. Both of one shape. (Girshick 2015, "Fast R-CNN".)

    >>> smooth_l1(np.array([0.5, 3.0]), np.array([0.0, 0.0]))
    1.3125
    """
    distance = np.abs(predictions - targets)
    return float(np.where(distance < beta, distance**2 / (2 * beta), distance - beta / 2).mean())


def smooth_l1_gradient(predictions: np.ndarray, targets: np.ndarray, *, beta: float = 1.0) -> np.ndarray:
    # d(d²/2β)/dd = d/β within, sign(d) beyond: together d/β cut off at -1 and 1
    return np.clip((predictions - targets) / beta, -1, 1) / predictions.size


def nll(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Minus the right class's log-probability. log_probabilities: [B K]. targets: class numbers, integers [B].

    >>> nll(np.array([[-0.2, -1.7], [-2.3, -0.1]]), np.array([0, 0]))
    1.25
    """
    return float(-log_probabilities[np.arange(len(targets)), targets].mean())


def nll_gradient(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # J = -Σ_n log_p[n, t[n]] / B: -1/B at each right class, 0 elsewhere
    grad = np.zeros_like(log_probabilities)
    grad[np.arange(len(targets)), targets] = -1 / len(targets)
    return grad


def cross_entropy(logits: np.ndarray, targets: np.ndarray, *, label_smoothing: float = 0.0) -> float:
    """J = -Σ T log Y / B, where Y is the softmax of the logits and T the `indicator` matrix. logits: [B K].

    >>> round(cross_entropy(np.array([[0.02, -2.49, 1.25]]), np.array([2])), 4)
    0.2746
    """
    wanted = indicator(targets, logits.shape[1], logits.dtype, label_smoothing)
    return float(-(wanted * log_softmax(logits)).sum(1).mean())


def cross_entropy_gradient(logits: np.ndarray, targets: np.ndarray, *, label_smoothing: float = 0.0) -> np.ndarray:
    # with a = logits and log Y[k] = a[k] - log Σ exp(a):  d(log Y[k])/da[j] = (1 if k=j else 0) - Y[j]
    # dJ/da[j] = -Σ_k T[k] ((1 if k=j else 0) - Y[j]) / B = (Y[j] - T[j]) / B, as each row of T sums to 1
    wanted = indicator(targets, logits.shape[1], logits.dtype, label_smoothing)
    return (softmax(logits) - wanted) / len(logits)


def indicator(targets: np.ndarray, classes: int, dtype: np.dtype, label_smoothing: float = 0.0) -> np.ndarray:
    """T [B K]: 1 at each item's class, else 0. targets: class numbers, integers [B]; or probabilities [B K].

    label_smoothing: the share of each row that is spread evenly over all classes (Szegedy and others 2016,
    "Rethinking the Inception Architecture for Computer Vision").

    >>> indicator(np.array([2, 0]), 3, np.dtype(np.float32))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    rows = targets if targets.ndim == 2 else targets[:, None] == np.arange(classes)
    wanted = rows.astype(dtype)
    return wanted * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else wanted


def binary_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Cross-entropy of two classes, from probabilities: J = -Σ (y log p + (1 - y) log(1 - p)) / N. One shape.

    >>> round(binary_loss(np.array([1, 0, 0, 1]), np.array([0.9, 0.1, 0.2, 0.8])), 15)
    0.164252033486018
    """
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def binary_loss_gradient(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    # dJ/dp = -(y/p - (1 - y)/(1 - p)) / N = (p - y) / (p (1 - p) N)
    return (p - y) / (p * (1 - p) * p.size)


def binary_cross_entropy(logits: np.ndarray, targets: np.ndarray, *, label_smoothing: float = 0.0) -> float:
    """`binary_loss` of p = sigmoid(logits), safe for logits of any size. targets: 0..1, the same shape.

    -log p = log(1 + exp(-a)) and -log(1 - p) = a - log p, so that each number costs a (1 - t) + log(1 + exp(-a)).
    label_smoothing: moves targets this far towards 1/2.

    >>> round(binary_cross_entropy(np.array([2.0, -1.0]), np.array([1, 0])), 4)
    0.2201
    """
    targets = targets * (1 - label_smoothing) + label_smoothing / 2
    return float((logits * (1 - targets) + np.logaddexp(0, -logits)).mean())


def binary_cross_entropy_gradient(
    logits: np.ndarray, targets: np.ndarray, *, label_smoothing: float = 0.0
) -> np.ndarray:
    # d log(1 + exp(-a))/da = -exp(-a)/(1 + exp(-a)) = sigmoid(a) - 1, so dJ/da = (sigmoid(a) - t) / N
    targets = targets * (1 - label_smoothing) + label_smoothing / 2
    return (sigmoid(logits) - targets) / logits.size


def mnist_loss(predictions: np.ndarray, targets: np.ndarray, *, sigmoid: bool = True) -> float:
    """Distance from the right answer: `1 - p` where the target is 1 and `p` where it is 0, in the mean. One shape.

    predictions: with `sigmoid` any numbers, of which p is the sigmoid; without it p itself.
    Source: Howard and Gugger 2020, "Deep Learning for Coders with fastai and PyTorch", chapter 4.

    >>> round(mnist_loss(np.array([0.9, 0.4, 0.2]), np.array([1, 0, 1]), sigmoid=False), 4)
    0.4333
    """
    probabilities = Sigmoid().forward(predictions) if sigmoid else predictions
    return float(np.where(targets == 1, 1 - probabilities, probabilities).mean())


def mnist_loss_gradient(predictions: np.ndarray, targets: np.ndarray, *, sigmoid: bool = True) -> np.ndarray:
    # dJ/dp = -1/N where the target is 1, else 1/N; then back through the sigmoid
    grad = np.where(targets == 1, -1, 1).astype(predictions.dtype) / predictions.size
    if not sigmoid:
        return grad
    activation = Sigmoid()
    activation.forward(predictions)
    return activation.backward(grad)
