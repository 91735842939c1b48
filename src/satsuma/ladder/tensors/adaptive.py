"""Optimisers whose step adapts to each number's own past gradients.

In the rules, w is a parameter, g its gradient, η the rate `lr`. `add(x, alpha=a)` is `+ a x` and `addcdiv_(x, y,
value=a)` is `+= a x / y`, rounded as torch's own optimisers round.
"""

from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.groups import Params, clear_gradients_of, listed_groups


class AdaGrad:
    """Steps shrink where gradients have been large: `cache += g²; w -= η g / (√cache + eps)`.

    weight_decay λ adds `λ w` to g.
    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".

    >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> (w * torch.tensor([5.0, 0.1])).sum().backward()
    >>> AdaGrad([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000, 0.9000])
    """

    def __init__(self, params: Params, lr: float, *, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        self.param_groups: list[dict[str, Any]] = listed_groups(
            params, {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        )
        self.cache: dict[Tensor, Tensor] = {}  # of each parameter, of its shape

    def zero_grad(self) -> None:
        clear_gradients_of(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad
                if group["weight_decay"]:
                    g = g.add(w, alpha=group["weight_decay"])  # g + λ w
                if w not in self.cache:
                    self.cache[w] = torch.zeros_like(w)
                cache = self.cache[w].addcmul_(g, g)  # cache += g²
                w.addcdiv_(g, cache.sqrt().add_(group["eps"]), value=-group["lr"])  # w -= η g / (√cache + eps)


class RMSprop:
    """AdaGrad with a leaking cache: `cache = decay cache + (1 - decay) g²; w -= η g / (√cache + eps)`.

    momentum μ: `v = μ v + g / (√cache + eps); w -= η v`. weight_decay λ adds `λ w` to g.
    Source: Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> (w**2).backward()
    >>> RMSprop([w], lr=0.01).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        decay: float = 0.99,
        momentum: float = 0.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = listed_groups(params, defaults)
        self.cache: dict[Tensor, Tensor] = {}  # of each parameter, of its shape
        self.velocity: dict[Tensor, Tensor] = {}  # likewise

    def zero_grad(self) -> None:
        clear_gradients_of(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, decay, momentum = group["lr"], group["decay"], group["momentum"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad
                if group["weight_decay"]:
                    g = g.add(w, alpha=group["weight_decay"])  # g + λ w
                if w not in self.cache:
                    self.cache[w], self.velocity[w] = torch.zeros_like(w), torch.zeros_like(w)
                cache, v = self.cache[w], self.velocity[w]
                cache.mul_(decay).addcmul_(g, g, value=1 - decay)  # cache = decay cache + (1 - decay) g²
                size = cache.sqrt().add_(group["eps"])  # √cache + eps
                if momentum:
                    v.mul_(momentum).addcdiv_(g, size)  # v = μ v + g / size
                    w.add_(v, alpha=-lr)  # w -= η v
                else:
                    w.addcdiv_(g, size, value=-lr)  # w -= η g / size
