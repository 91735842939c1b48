"""Optimisers: rules for moving parameters by their gradients, step for step as torch's.

Each takes the parameters by name and groups of them (see `groups.py`), and has a class of its own for each rule.
`step(gradients)` changes the parameters' arrays in place. A schedule changes the groups' "lr" and the optimiser's
`momentum`, which for Adam and AdamW is β₁.

Legend: w a parameter, g its gradient dJ/dw, η the rate "lr", λ the weight decay, t the number of the step.
"""

# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np


class SGD:
    """Stochastic gradient descent: `w -= η g`.

    Source: Robbins and Monro 1951, "A Stochastic Approximation Method".

    >>> w = np.array([1.0])
    >>> SGD({"w": w}, [{"params": ["w"], "lr": 0.1}]).step({"w": 2 * w})
    >>> w
    array([0.8])
    """

    def __init__(self, parameters: dict[str, np.ndarray], groups: list[dict[str, Any]]) -> None:
        self.parameters, self.param_groups = parameters, groups

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                self.parameters[name] -= group["lr"] * gradients[name]


class MomentumSGD:
    """Gradient descent with momentum μ: `v = μ v + g; w -= η v`.

    Source: Polyak 1964, "Some Methods of Speeding up the Convergence of Iteration Methods".
    """

    def __init__(
        self, parameters: dict[str, np.ndarray], groups: list[dict[str, Any]], *, momentum: float = 0.9
    ) -> None:
        self.parameters, self.param_groups, self.momentum = parameters, groups, momentum
        self.velocity = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                v = self.velocity[name]
                v[...] = self.momentum * v + gradients[name]
                self.parameters[name] -= group["lr"] * v


class NesterovSGD:
    """Momentum with the gradient as if its step had been taken already: `v = μ v + g; w -= η (g + μ v)`.

    Source: Sutskever and others 2013, "On the Importance of Initialization and Momentum in Deep Learning".
    """

    def __init__(
        self, parameters: dict[str, np.ndarray], groups: list[dict[str, Any]], *, momentum: float = 0.9
    ) -> None:
        self.parameters, self.param_groups, self.momentum = parameters, groups, momentum
        self.velocity = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                v = self.velocity[name]
                v[...] = self.momentum * v + gradients[name]
                self.parameters[name] -= group["lr"] * (gradients[name] + self.momentum * v)


class AdaGrad:
    """Steps shrink where gradients have been large: `cache += g²; w -= η g / (√cache + eps)`.

    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".
    """

    def __init__(self, parameters: dict[str, np.ndarray], groups: list[dict[str, Any]], *, eps: float = 1e-10) -> None:
        self.parameters, self.param_groups, self.eps = parameters, groups, eps
        self.cache = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                g, cache = gradients[name], self.cache[name]
                cache += g**2
                self.parameters[name] -= group["lr"] * g / (np.sqrt(cache) + self.eps)


class RMSprop:
    """AdaGrad with a leaking cache: `cache = decay cache + (1 - decay) g²; w -= η g / (√cache + eps)`.

    Source: Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera.
    """

    def __init__(
        self, parameters: dict[str, np.ndarray], groups: list[dict[str, Any]], *, decay: float = 0.99, eps: float = 1e-8
    ) -> None:
        self.parameters, self.param_groups, self.decay, self.eps = parameters, groups, decay, eps
        self.cache = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                g, cache = gradients[name], self.cache[name]
                cache[...] = self.decay * cache + (1 - self.decay) * g**2
                self.parameters[name] -= group["lr"] * (g / (np.sqrt(cache) + self.eps))


class MomentumRMSprop:
    """`RMSprop` whose quotient goes through momentum μ: `v = μ v + g / (√cache + eps); w -= η v`."""

    def __init__(
        self,
        parameters: dict[str, np.ndarray],
        groups: list[dict[str, Any]],
        *,
        decay: float = 0.99,
        momentum: float = 0.9,
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.param_groups, self.decay, self.eps = parameters, groups, decay, eps
        self.momentum = momentum
        self.cache, self.velocity = ({n: np.zeros_like(w) for n, w in parameters.items()} for _ in range(2))

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                g, cache, v = gradients[name], self.cache[name], self.velocity[name]
                cache[...] = self.decay * cache + (1 - self.decay) * g**2
                v[...] = self.momentum * v + g / (np.sqrt(cache) + self.eps)
                self.parameters[name] -= group["lr"] * v


class Adam:
    """Running means of g and g², their ratio the step: `w -= η m̂ / (√v̂ + eps)`.

    `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`; the hats divide by `1 - βᵗ`, as both start at 0.
    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
    """

    def __init__(
        self,
        parameters: dict[str, np.ndarray],
        groups: list[dict[str, Any]],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.param_groups, self.eps, self.steps = parameters, groups, eps, 0
        self.momentum, self.beta2 = betas
        self.m = {name: np.zeros_like(w) for name, w in parameters.items()}
        self.v = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        self.steps += 1
        beta1, beta2 = self.momentum, self.beta2
        for group in self.param_groups:
            for name in group["params"]:
                g, m, v = gradients[name], self.m[name], self.v[name]
                m += (1 - beta1) * (g - m)
                v[...] = beta2 * v + (1 - beta2) * g**2
                root = np.sqrt(v) / (1 - beta2**self.steps) ** 0.5  # √v̂
                self.parameters[name] -= group["lr"] / (1 - beta1**self.steps) * m / (root + self.eps)


class AdamW:
    """Adam whose weight decay is its own step, `w -= η λ w` (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        parameters: dict[str, np.ndarray],
        groups: list[dict[str, Any]],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.param_groups, self.eps, self.steps = parameters, groups, eps, 0
        self.momentum, self.beta2 = betas
        self.m = {name: np.zeros_like(w) for name, w in parameters.items()}
        self.v = {name: np.zeros_like(w) for name, w in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        self.steps += 1
        beta1, beta2 = self.momentum, self.beta2
        for group in self.param_groups:
            for name in group["params"]:
                g, m, v = gradients[name], self.m[name], self.v[name]
                self.parameters[name] *= 1 - group["lr"] * group["weight_decay"]
                m += (1 - beta1) * (g - m)
                v[...] = beta2 * v + (1 - beta2) * g**2
                root = np.sqrt(v) / (1 - beta2**self.steps) ** 0.5  # √v̂
                self.parameters[name] -= group["lr"] / (1 - beta1**self.steps) * m / (root + self.eps)
