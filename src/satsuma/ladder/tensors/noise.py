"""Noise against overfitting: in training only, drawn from torch's global generator."""

import torch
from torch import Tensor


class Dropout:
    """Each number 0 with probability `p` in training, the others made `1 / (1 - p)` times as large; any shape.

    So the expected sum stays the same, and in evaluation nothing has to change.
    On a CPU the mask is torch's own, from the same state of the generator; on a GPU it is another of the same kind.
    Source: Srivastava and others 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".

    >>> _ = torch.manual_seed(3)
    >>> Dropout(0.5)(torch.ones(6))
    tensor([2., 2., 0., 2., 0., 0.])
    """

    training = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = torch.empty_like(x).bernoulli_(1 - self.p)  # [B ...]: 1 for what stays
        return x * kept.div_(1 - self.p)  # [B ...]


class Dropout2d:
    """Whole channels 0 with probability `p` in training, the others made larger: [B C H W], the shape stays.

    Source: Tompson and others 2015, "Efficient Object Localization Using Convolutional Networks".
    """

    training = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = x.new_empty((*x.shape[:2], *[1] * (x.ndim - 2))).bernoulli_(1 - self.p)  # [B C 1 1]: 1 for what stays
        return x * kept.div_(1 - self.p)  # [B C H W]


class GaussianNoise:
    """Adds normal noise of deviation `std` in training; any shape.

    Source: Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization".

    >>> GaussianNoise(0.0)(torch.ones(2))
    tensor([1., 1.])
    """

    training = True

    def __init__(self, std: float) -> None:
        self.std = std

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        if not self.training or self.std == 0:
            return x
        return x + self.std * torch.randn_like(x)  # [B ...]
