"""Activations and their slopes. `grad` is dJ/dy, the error that comes back; each `backward` returns dJ/dx.

Between layers they work number by number, y = f(x), so that dJ/dx = dJ/dy f'(x). Softmax mixes the K numbers of a row.

Legend: J the loss, B batch, K classes.
"""

# mypy: disable-error-code="no-any-return"

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    """`1 / (1 + exp(-x))`: any number to 0..1.

    >>> sigmoid(np.array([-1000.0, 0.0, 1.0]))
    array([0.        , 0.5       , 0.73105858])
    """
    return np.exp(-np.logaddexp(0, -x))  # the same in logs, log(1 + exp(-x)): exp(1000) is never computed


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """`exp(x) / exp(x).sum()` along `axis`: numbers in 0..1 that sum to 1.

    >>> softmax(np.array([0.02, -2.49, 1.25])).round(4)
    array([0.2221, 0.018 , 0.7599])
    """
    powers = np.exp(x - x.max(axis, keepdims=True))  # numerator and denominator over exp(largest): none overflows
    return powers / powers.sum(axis, keepdims=True)


def log_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """The log of `softmax`, in one go: exact where the softmax itself would round to 0 or 1.

    >>> log_softmax(np.array([0.0, 200.0]))
    array([-200.,    0.])
    """
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


class Sigmoid:
    """`1 / (1 + exp(-x))`, any shape."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = sigmoid(x)
        return self.y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y = 1/(1+e), e = exp(-x): dy/dx = e/(1+e)² = y (1 - y), never more than 1/4
        return grad * self.y * (1 - self.y)


class Tanh:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`, any shape."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = np.tanh(x)
        return self.y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y = s/c with s' = c, c' = s: dy/dx = (c² - s²)/c² = 1 - y²
        return grad * (1 - self.y**2)


class ReLU:
    """`x * (x > 0)`, any shape (Nair and Hinton 2010, "Rectified Linear Units Improve ... Boltzmann Machines")."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # dy/dx = 1 where x > 0, else 0: the unit step
        return grad * self.positive


class LeakyReLU:
    """`x` where positive, else `negative_slope * x`, any shape (Maas, Hannun and Ng 2013, "Rectifier ... Models")."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.positive = x > 0
        return np.where(self.positive, x, self.negative_slope * x)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        return np.where(self.positive, grad, self.negative_slope * grad)


class Softmax:
    """The softmax of each row: [B K] to [B K]."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = softmax(x)
        return self.y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y[k] = exp(x[k])/S, S = Σ exp(x): dy[k]/dx[j] = y[k] (1 if k=j else 0) - y[k] y[j]
        # dJ/dx[j] = Σ_k grad[k] dy[k]/dx[j] = y[j] (grad[j] - Σ_k grad[k] y[k])
        return self.y * (grad - (grad * self.y).sum(-1, keepdims=True))


class LogSoftmax:
    """The log of the softmax of each row: [B K] to [B K]."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.log_y = log_softmax(x)
        return self.log_y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # log y[k] = x[k] - log S: d(log y[k])/dx[j] = (1 if k=j else 0) - y[j]
        # dJ/dx[j] = grad[j] - y[j] Σ_k grad[k]
        return grad - np.exp(self.log_y) * grad.sum(-1, keepdims=True)
