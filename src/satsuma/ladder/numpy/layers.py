"""Layers with their gradients by hand.

`forward(x)` gives the output and keeps what the gradients need. `backward(grad)` takes grad = dJ/d(output), the error
that comes back from the layer to the right; it sets `gradients`, dJ/d(parameter) by name, and returns dJ/dx, the error
for the layer to the left. Gradients are set, not added up: there is nothing to zero. A layer has `parameters` and
`gradients` if it learns, and `training` if it behaves otherwise while it does. A layer stands at one place of a model.

Source: Rumelhart, Hinton and Williams 1986, "Learning Representations by Back-Propagating Errors".

Legend: J the loss, B batch, D features in, K features out.
"""

# mypy: disable-error-code="no-any-return"

from collections.abc import Callable
from typing import Any

import numpy as np

from satsuma.ladder.numpy.init import first_numbers
from satsuma.ladder.numpy.random import Generator, normal


class Linear:
    """`x @ w.T + b`: [B D] to [B K].

    >>> Linear(2, 1, Generator(42)).forward(np.zeros((1, 2)))
    array([[-0.16565566]])
    """

    def __init__(self, in_features: int, out_features: int, generator: Generator, *, bias: bool = True) -> None:
        self.parameters = {"weight": first_numbers((out_features, in_features), in_features, generator)}  # w [K D]
        if bias:
            self.parameters["bias"] = first_numbers((out_features,), in_features, generator)  # b [K]
        self.gradients: dict[str, np.ndarray] = {}

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x  # [B D]
        y = x @ self.parameters["weight"].T  # [B K]
        return y + self.parameters["bias"] if "bias" in self.parameters else y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y[n,k] = Σ_d x[n,d] w[k,d] + b[k], so with delta = dJ/dy [B K]
        #   dJ/dw[k,d] = Σ_n delta[n,k] x[n,d]    dJ/dw = delta.T @ x  (textbooks, whose W is w.T: dJ/dW = x.T @ delta)
        #   dJ/db[k]   = Σ_n delta[n,k]           dJ/db = delta.sum(0)
        #   dJ/dx[n,d] = Σ_k delta[n,k] w[k,d]    dJ/dx = delta @ w
        self.gradients["weight"] = grad.T @ self.x  # [K D]
        if "bias" in self.parameters:
            self.gradients["bias"] = grad.sum(0)  # [K]
        return grad @ self.parameters["weight"]  # [B D]


class Identity:
    """Nothing happens: [B ...] to [B ...]."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x

    def backward(self, grad: np.ndarray) -> np.ndarray:
        return grad


class Flatten:
    """Each item as one row: [B ...] to [B D]."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        return grad.reshape(self.shape)


class Dropout:
    """While training, drops each number with probability `p` and makes up for it in the others; any shape.

    `draw`: `bernoulli`, or on Intel processors `bernoulli_intel`, which says what is kept.
    Source: Srivastava and others 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """

    def __init__(self, p: float, generator: Generator, draw: Callable[..., np.ndarray]) -> None:
        self.p, self.generator, self.draw, self.training = p, generator, draw, True

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.scale = np.ones((), x.dtype)
        if self.training and self.p == 1:
            self.scale = np.zeros((), x.dtype)
        elif self.training and self.p > 0:
            kept = self.draw(x.shape, self.generator, p=1 - self.p)
            self.scale = kept.astype(x.dtype) / (1 - self.p)  # as many on average as without: nothing to do later
        return x * self.scale

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y = scale x, so dJ/dx = scale dJ/dy: what was dropped learns nothing
        return grad * self.scale


class GaussianNoise:
    """Adds normal noise of deviation `std` while training; any shape.

    Source: Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization".
    """

    def __init__(self, std: float, generator: Generator) -> None:
        self.std, self.generator, self.training = std, generator, True

    def forward(self, x: np.ndarray) -> np.ndarray:
        if not self.training or self.std == 0:
            return x
        return x + self.std * normal(x.shape, self.generator, dtype=x.dtype.type)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y = x + a number that does not depend on x
        return grad


class Sequential:
    """One layer after another. Backwards, the error visits them from the last to the first: the chain rule."""

    def __init__(self, *layers: Any) -> None:
        self.layers = layers

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad: np.ndarray) -> np.ndarray:
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """What is learnt, by the names that torch gives: "0.weight", "0.bias", "2.weight". The arrays, no copies."""
        inner = [getattr(layer, "parameters", {}) for layer in self.layers]
        return {f"{i}.{name}": w for i, arrays in enumerate(inner) for name, w in arrays.items()}

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """What the last `backward` found, by the same names."""
        inner = [getattr(layer, "gradients", {}) for layer in self.layers]
        return {f"{i}.{name}": g for i, arrays in enumerate(inner) for name, g in arrays.items()}
