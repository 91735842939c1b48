"""Activations as layers, to stand in a `Sequential`. Any shape; each is the function of its name."""

import math

from torch import Tensor

from satsuma.ladder.tensors.activations import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)


class Sigmoid:
    """Any number to 0..1.

    >>> import torch
    >>> Sigmoid()(torch.tensor([0.0]))
    tensor([0.5000])
    """

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return sigmoid(x)


class Tanh:
    """Any number to -1..1, 0 to 0."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return tanh(x)


class ReLU:
    """Keeps what is positive, 0 for the rest."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return relu(x)


class LeakyReLU:
    """Keeps what is positive, a small share of the rest."""

    training = True

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def __call__(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)


class ReLU6:
    """Keeps what is positive up to 6."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return relu6(x)


class ELU:
    """Keeps what is positive, a curve to `-alpha` for the rest."""

    training = True

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)


class Softplus:
    """A ReLU without a corner."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return softplus(x)


class GELU:
    """A ReLU with a soft knee."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return gelu(x)


class SiLU:
    """`x * sigmoid(x)`."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return silu(x)


class Hardsigmoid:
    """A straight line in place of the sigmoid's curve."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return hardsigmoid(x)


class Hardswish:
    """`x * hardsigmoid(x)`."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        return hardswish(x)


class Softmax:
    """Probabilities: numbers in 0..1 that sum to 1 along `dim`."""

    training = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, x: Tensor) -> Tensor:
        return softmax(x, self.dim)


class LogSoftmax:
    """Logs of probabilities, along `dim`."""

    training = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, x: Tensor) -> Tensor:
        return log_softmax(x, self.dim)


class SigmoidRange:
    """Outputs kept between two numbers: `low + (high - low) * sigmoid(x)`.

    >>> import torch
    >>> SigmoidRange(-1, 1)(torch.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """

    training = True

    def __init__(self, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"SigmoidRange: low={low}, high={high}; expected two finite numbers, the lower one first")
        self.low, self.high = low, high

    def __call__(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * sigmoid(x)
