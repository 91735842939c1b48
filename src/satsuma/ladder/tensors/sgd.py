"""Gradient descent, plain and with momentum.

In the rules, w is a parameter, g its gradient, η the rate `lr`, v a velocity. `add(x, alpha=a)` is `+ a x`, rounded
once; with two roundings the numbers would leave torch's in the last bit.
"""

from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.groups import Params, clear_gradients_of, listed_groups


class SGD:
    """Stochastic gradient descent: `w -= η g`; with momentum μ, `v = μ v + g; w -= η v`.

    nesterov: the gradient as if the step of momentum had been taken already, `w -= η (g + μ v)`. weight_decay λ adds
    `λ w` to g. Mutates the parameters, and `param_groups`' settings may be changed between steps.
    Sources: Robbins and Monro 1951, "A Stochastic Approximation Method"; Polyak 1964, "Some Methods of Speeding up the
    Convergence of Iteration Methods"; Sutskever and others 2013, "On the Importance of Initialization and Momentum in
    Deep Learning".

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> (w**2).backward()
    >>> SGD([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8000])
    """

    def __init__(
        self, params: Params, lr: float, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = listed_groups(params, defaults)
        self.velocity: dict[Tensor, Tensor] = {}  # of each parameter that has been moved, of its shape

    def zero_grad(self) -> None:
        clear_gradients_of(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad
                if group["weight_decay"]:
                    g = g.add(w, alpha=group["weight_decay"])  # g + λ w
                if momentum:
                    if w in self.velocity:
                        self.velocity[w].mul_(momentum).add_(g)  # v = μ v + g
                    else:
                        self.velocity[w] = g.clone()
                    v = self.velocity[w]
                    g = g.add(v, alpha=momentum) if group["nesterov"] else v  # g + μ v, or v
                w.add_(g, alpha=-lr)  # w -= η g
