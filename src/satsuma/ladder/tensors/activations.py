"""Activations: the non-linear functions between layers, and those that make probabilities of the last one.

All take and give float tensors of any shape. What is written in a roundabout way would overflow if it were not.
"""

import math

import torch
from torch import Tensor


def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`: any number to 0..1. For x below 0, `exp(x) / (1 + exp(x))`, which is the same.

    >>> sigmoid(torch.tensor([-1000.0, 0.0, 1.25 - 0.02]))
    tensor([0.0000, 0.5000, 0.7738])
    """
    small = torch.exp(torch.where(x >= 0, -x, x))  # exp(-|x|), in 0..1: exp(-x) itself overflows below -88
    return torch.where(x >= 0, 1, small) / (1 + small)


def tanh(x: Tensor) -> Tensor:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`: any number to -1..1, here divided through by the larger of the two.

    >>> tanh(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """
    small = torch.exp(torch.where(x >= 0, -2 * x, 2 * x))  # exp(-2|x|), in 0..1
    return torch.where(x >= 0, 1 - small, small - 1) / (1 + small)


def relu(x: Tensor) -> Tensor:
    """Keeps what is positive, 0 for the rest. Its gradient at 0 is 0.

    Source: Nair and Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".

    >>> relu(torch.tensor([-2.0, 3.0]))
    tensor([-0., 3.])
    """
    return x * (x > 0)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere: a gradient is left on either side, so no unit dies.

    Source: Maas, Hannun and Ng 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models".

    >>> leaky_relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.0200,  0.0000,  3.0000])
    """
    return torch.where(x > 0, x, negative_slope * x)


def relu6(x: Tensor) -> Tensor:
    """`relu`, and 6 for what is larger.

    >>> relu6(torch.tensor([-2.0, 3.0, 7.0]))
    tensor([0., 3., 6.])
    """
    return x * ((x > 0) & (x < 6)) + 6 * (x >= 6)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, `alpha (exp(x) - 1)` elsewhere.

    Source: Clevert, Unterthiner and Hochreiter 2016, "Fast and Accurate Deep Network Learning by Exponential Linear
    Units (ELUs)".

    >>> elu(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.6321,  0.0000,  3.0000])
    """
    return torch.where(x > 0, x, alpha * torch.expm1(torch.where(x > 0, 0, x)))


def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`: a ReLU without a corner.

    >>> softplus(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.3133, 0.6931, 1.3133])
    """
    return torch.logaddexp(x, torch.zeros_like(x))


def gelu(x: Tensor) -> Tensor:
    """`x` times the share of a normal distribution that lies below x: a ReLU with a soft knee.

    Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".

    >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def silu(x: Tensor) -> Tensor:
    """`x * sigmoid(x)`, also known as swish.

    Source: Elfwing, Uchibe and Doya 2018, "Sigmoid-Weighted Linear Units for Neural Network Function Approximation".

    >>> silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return x * sigmoid(x)


def hardsigmoid(x: Tensor) -> Tensor:
    """A straight line from 0 at -3 to 1 at 3 in place of the sigmoid's curve.

    >>> hardsigmoid(torch.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return torch.where(x <= -3, 0, torch.where(x >= 3, 1, (x + 3) / 6))


def hardswish(x: Tensor) -> Tensor:
    """`x * hardsigmoid(x)`: swish without an exponential.

    Source: Howard and others 2019, "Searching for MobileNetV3".

    >>> hardswish(torch.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000, 0.6667, 4.0000])
    """
    return x * hardsigmoid(x)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """`exp(x) / exp(x).sum(dim)`: numbers in 0..1 that sum to 1 along `dim`.

    Source: Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs".

    >>> softmax(torch.tensor([0.02, -2.49, 1.25]))
    tensor([0.2221, 0.0180, 0.7599])
    """
    small = torch.exp(x - x.amax(dim, keepdim=True).detach())  # in 0..1: a common factor falls out of the fraction
    return small / small.sum(dim, keepdim=True)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """The log of `softmax`: `x - log(exp(x).sum(dim))`, exact where the softmax itself would round to 0 or 1.

    >>> log_softmax(torch.tensor([0.0, 200.0]))
    tensor([-200.,    0.])
    """
    small = x - x.amax(dim, keepdim=True).detach()  # 0 at the most, so that exp cannot overflow
    return small - small.exp().sum(dim, keepdim=True).log()
