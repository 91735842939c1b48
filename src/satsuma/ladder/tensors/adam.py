"""Adam, and AdamW, which decays weights apart from the gradient.

In the rules, w is a parameter, g its gradient, η the rate `lr`, m and v running means of g and g², t the step.
`lerp_(x, a)` is `+= a (x - itself)`, `addcmul_(x, y, value=a)` is `+= a x y` and `addcdiv_(x, y, value=a)` is
`+= a x / y`, rounded as torch's own optimisers round.
"""

from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.groups import Params, clear_gradients_of, listed_groups


class Adam:
    """Running means of g and g², their ratio the step: `w -= η m̂ / (√v̂ + eps)`.

    `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`; the hats divide by `1 - βᵗ`, as both start at 0.
    weight_decay λ adds `λ w` to g; `AdamW` has a better way.
    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".

    >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> (w * torch.tensor([5.0, 0.1])).sum().backward()
    >>> Adam([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000, 0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = listed_groups(params, defaults)
        self.steps: dict[Tensor, int] = {}  # t, of each parameter
        self.means: dict[Tensor, Tensor] = {}  # m, of its shape
        self.squares: dict[Tensor, Tensor] = {}  # v, of its shape

    def zero_grad(self) -> None:
        clear_gradients_of(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad
                if group["weight_decay"]:
                    g = g.add(w, alpha=group["weight_decay"])  # g + λ w
                if w not in self.steps:
                    self.steps[w], self.means[w], self.squares[w] = 0, torch.zeros_like(w), torch.zeros_like(w)
                self.steps[w] += 1
                t, m, v = self.steps[w], self.means[w], self.squares[w]
                m.lerp_(g, 1 - beta1)  # m = β₁ m + (1 - β₁) g
                v.mul_(beta2).addcmul_(g, g, value=1 - beta2)  # v = β₂ v + (1 - β₂) g²
                size = (v.sqrt() / (1 - beta2**t) ** 0.5).add_(group["eps"])  # √v̂ + eps
                w.addcdiv_(m, size, value=-(lr / (1 - beta1**t)))  # w -= η m̂ / (√v̂ + eps)


class AdamW:
    """Adam whose weight decay is its own step, `w -= η λ w`, not scaled by the gradients' history.

    `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`, `w -= η m̂ / (√v̂ + eps)`; the hats divide by `1 - βᵗ`, as both
    start at 0.
    Sources: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; Kingma and Ba 2015, "Adam: A Method
    for Stochastic Optimization".

    >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> (w * torch.tensor([5.0, 0.1])).sum().backward()
    >>> AdamW([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8990, 0.8990])
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = listed_groups(params, defaults)
        self.steps: dict[Tensor, int] = {}  # t, of each parameter
        self.means: dict[Tensor, Tensor] = {}  # m, of its shape
        self.squares: dict[Tensor, Tensor] = {}  # v, of its shape

    def zero_grad(self) -> None:
        clear_gradients_of(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad
                w.mul_(1 - lr * group["weight_decay"])  # w -= η λ w
                if w not in self.steps:
                    self.steps[w], self.means[w], self.squares[w] = 0, torch.zeros_like(w), torch.zeros_like(w)
                self.steps[w] += 1
                t, m, v = self.steps[w], self.means[w], self.squares[w]
                m.lerp_(g, 1 - beta1)  # m = β₁ m + (1 - β₁) g
                v.mul_(beta2).addcmul_(g, g, value=1 - beta2)  # v = β₂ v + (1 - β₂) g²
                size = (v.sqrt() / (1 - beta2**t) ** 0.5).add_(group["eps"])  # √v̂ + eps
                w.addcdiv_(m, size, value=-(lr / (1 - beta1**t)))  # w -= η m̂ / (√v̂ + eps)
