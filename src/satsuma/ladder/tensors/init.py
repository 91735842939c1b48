"""How weights start: drawn at random, as large as keeps a signal's deviation near 1 from layer to layer.

Each fills a weight [out in ...] in place and gives it back; the numbers are torch's own, from the same generator.
`generator=None` draws from torch's global one. What stands behind `in` is a convolution's kernel [kh kw].
"""

import math

import torch
from torch import Tensor


def fans(weight: Tensor) -> tuple[int, int]:
    """How many inputs each output of `weight` [out in ...] sums over, and how many outputs each input goes to.

    >>> fans(torch.zeros(3, 5, 2, 2))
    (20, 12)
    """
    kernel = math.prod(weight.shape[2:])  # 1 for a linear layer
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def kaiming_deviation(weight: Tensor, a: float, mode: str) -> float:
    """√(2 / ((1 + a²) fan)): right before a ReLU that lets a share `a` of what is negative through.

    Source: He and others 2015, "Delving Deep into Rectifiers".
    """
    fan = fans(weight)[0 if mode == "fan_in" else 1]
    return math.sqrt(2.0 / (1 + a**2)) / math.sqrt(fan)


@torch.no_grad()
def kaiming_normal_(
    weight: Tensor, a: float = 0.0, mode: str = "fan_in", generator: torch.Generator | None = None
) -> Tensor:
    """Normal numbers of He's deviation."""
    return weight.normal_(0, kaiming_deviation(weight, a, mode), generator=generator)


@torch.no_grad()
def kaiming_uniform_(
    weight: Tensor, a: float = 0.0, mode: str = "fan_in", generator: torch.Generator | None = None
) -> Tensor:
    """Uniform numbers of He's deviation: those in -b..b have deviation b/√3."""
    bound = math.sqrt(3.0) * kaiming_deviation(weight, a, mode)
    return weight.uniform_(-bound, bound, generator=generator)


def xavier_deviation(weight: Tensor) -> float:
    """√(2 / (inputs + outputs)), between what is best forwards and backwards.

    Source: Glorot and Bengio 2010, "Understanding the Difficulty of Training Deep Feedforward Neural Networks".
    """
    return math.sqrt(2.0 / sum(fans(weight)))


@torch.no_grad()
def xavier_normal_(weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Normal numbers of `gain` times Glorot's deviation."""
    return weight.normal_(0, gain * xavier_deviation(weight), generator=generator)


@torch.no_grad()
def xavier_uniform_(weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Uniform numbers of `gain` times Glorot's deviation."""
    bound = math.sqrt(3.0) * (gain * xavier_deviation(weight))
    return weight.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Normal numbers, any shape."""
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Uniform numbers in a..b, any shape."""
    return tensor.uniform_(a, b, generator=generator)


@torch.no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Normal numbers, any shape; what falls outside a..b is drawn anew."""
    drawn = tensor.normal_(mean, std, generator=generator)
    outside = (drawn < a) | (drawn > b)
    while outside.any():
        drawn = torch.where(outside, torch.empty_like(drawn).normal_(mean, std, generator=generator), drawn)
        outside = (drawn < a) | (drawn > b)
    return tensor.copy_(drawn)


@torch.no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere, any shape."""
    return tensor.fill_(val)


@torch.no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere, any shape."""
    return tensor.zero_()


@torch.no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere, any shape."""
    return tensor.fill_(1.0)


def start_weight(weight: Tensor) -> Tensor:
    """A new linear layer's or convolution's weight: uniform in ±1/√inputs, ready to learn.

    torch's way there is He's formula with a = √5, and so is this: the last bit is torch's as well.
    """
    return kaiming_uniform_(weight, a=math.sqrt(5)).requires_grad_()


def start_bias(weight: Tensor) -> Tensor:
    """A new bias [out] to go with `weight`: uniform in ±1/√inputs, ready to learn."""
    bound = 1 / math.sqrt(fans(weight)[0])
    return torch.empty(len(weight)).uniform_(-bound, bound).requires_grad_()
