"""Optimisers: rules for moving parameters by their gradients, step for step as torch's.

`param_groups` are dictionaries: the names of the group's parameters in "params", its rate in "lr" (a schedule sets it
to a multiple of "base_lr") and what else the rule takes. `step(gradients)` changes the parameters' arrays in place.

Legend: w a parameter, g its gradient dJ/dw, η the rate "lr", λ the weight decay, t the number of the step.
"""

# mypy: disable-error-code="no-any-return"

from collections.abc import Sequence
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class SGD:
    """Stochastic gradient descent: `w -= η g`; with momentum μ, `v = μ v + g; w -= η v`; Nesterov `w -= η (g + μ v)`.

    Sources: Robbins and Monro 1951, "A Stochastic Approximation Method"; Polyak 1964, "Some Methods of Speeding up the
    Convergence of Iteration Methods"; Sutskever and others 2013, "On the Importance of Initialization and Momentum in
    Deep Learning".

    >>> w = np.array([1.0])
    >>> SGD({"w": w}, lr=0.1).step({"w": 2 * w})
    >>> w
    array([0.8])
    """

    def __init__(
        self,
        parameters: Arrays,
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        groups: Sequence[dict[str, Any]] = (),
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        self.parameters, self.param_groups = parameters, filled_groups(parameters, groups, options)
        self.velocity = zeros_for(parameters)

    def step(self, gradients: Arrays) -> None:
        for group in self.param_groups:
            momentum = group["momentum"]
            for name in group["params"]:
                w, v = self.parameters[name], self.velocity[name]
                g = gradients[name] + group["weight_decay"] * w
                v[...] = momentum * v + g
                w -= group["lr"] * (g + momentum * v if group["nesterov"] else v)


class AdaGrad:
    """Steps shrink where gradients have been large: `cache += g²; w -= η g / (√cache + eps)`.

    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".
    """

    def __init__(
        self,
        parameters: Arrays,
        *,
        lr: float,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        groups: Sequence[dict[str, Any]] = (),
    ) -> None:
        options = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        self.parameters, self.param_groups = parameters, filled_groups(parameters, groups, options)
        self.cache = zeros_for(parameters)

    def step(self, gradients: Arrays) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                w, cache = self.parameters[name], self.cache[name]
                g = gradients[name] + group["weight_decay"] * w
                cache += g**2
                w -= group["lr"] * g / (np.sqrt(cache) + group["eps"])


class RMSprop:
    """AdaGrad with a leaking cache: `cache = decay cache + (1 - decay) g²; w -= η g / (√cache + eps)`.

    With momentum μ the quotient goes through `v = μ v + g / (√cache + eps); w -= η v`.
    Source: Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera.
    """

    def __init__(
        self,
        parameters: Arrays,
        *,
        lr: float,
        decay: float = 0.99,
        momentum: float = 0.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        groups: Sequence[dict[str, Any]] = (),
    ) -> None:
        options = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        self.parameters, self.param_groups = parameters, filled_groups(parameters, groups, options)
        self.cache, self.velocity = zeros_for(parameters), zeros_for(parameters)

    def step(self, gradients: Arrays) -> None:
        for group in self.param_groups:
            for name in group["params"]:
                w, cache, v = self.parameters[name], self.cache[name], self.velocity[name]
                g = gradients[name] + group["weight_decay"] * w
                cache[...] = group["decay"] * cache + (1 - group["decay"]) * g**2
                v[...] = group["momentum"] * v + g / (np.sqrt(cache) + group["eps"])
                w -= group["lr"] * v


class Adam:
    """Running means of g and g², their ratio the step: `w -= η m̂ / (√v̂ + eps)`.

    `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`; the hats divide by `1 - βᵗ`, as both start at 0.
    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
    """

    def __init__(
        self,
        parameters: Arrays,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        groups: Sequence[dict[str, Any]] = (),
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.parameters, self.param_groups = parameters, filled_groups(parameters, groups, options)
        self.m, self.v, self.steps = zeros_for(parameters), zeros_for(parameters), 0

    def step(self, gradients: Arrays) -> None:
        self.steps += 1
        for group in self.param_groups:
            for name in group["params"]:
                w = self.parameters[name]
                g = gradients[name] + group["weight_decay"] * w
                w -= adam_step(g, self.m[name], self.v[name], self.steps, group)


class AdamW:
    """Adam whose weight decay is its own step, `w -= η λ w`, not scaled by the gradients' history.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def __init__(
        self,
        parameters: Arrays,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        groups: Sequence[dict[str, Any]] = (),
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.parameters, self.param_groups = parameters, filled_groups(parameters, groups, options)
        self.m, self.v, self.steps = zeros_for(parameters), zeros_for(parameters), 0

    def step(self, gradients: Arrays) -> None:
        self.steps += 1
        for group in self.param_groups:
            for name in group["params"]:
                w = self.parameters[name]
                w *= 1 - group["lr"] * group["weight_decay"]
                w -= adam_step(gradients[name], self.m[name], self.v[name], self.steps, group)


def adam_step(g: np.ndarray, m: np.ndarray, v: np.ndarray, t: int, group: dict[str, Any]) -> np.ndarray:
    """η m̂ / (√v̂ + eps), after g has entered the running means `m` and `v` in place."""
    beta1, beta2 = group["betas"]
    m += (1 - beta1) * (g - m)
    v[...] = beta2 * v + (1 - beta2) * g**2
    root: np.ndarray = np.sqrt(v) / (1 - beta2**t) ** 0.5  # √v̂
    return group["lr"] / (1 - beta1**t) * m / (root + group["eps"])


def filled_groups(
    parameters: Arrays, groups: Sequence[dict[str, Any]], options: dict[str, Any]
) -> list[dict[str, Any]]:
    """The groups with `options` where they have none of their own; no groups: all parameters are one."""
    filled = [{**options, **group} for group in groups or ({"params": list(parameters)},)]
    return [{"base_lr": group["lr"], **group} for group in filled]


def zeros_for(parameters: Arrays) -> Arrays:
    """An array of zeros like each parameter."""
    return {name: np.zeros_like(w) for name, w in parameters.items()}
