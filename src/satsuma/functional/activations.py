"""Activations: the non-linear functions between layers, and those that make probabilities of the last one.

All take and give float tensors of any shape.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`: any number to 0..1. For labels of which several may hold at once.

    The sigmoid of a difference of two activations is the softmax of the two:

    >>> sigmoid(torch.tensor(1.25) - torch.tensor(0.02)), softmax(torch.tensor([1.25, 0.02]))[0]
    (tensor(0.7738), tensor(0.7738))
    """
    return torch.sigmoid(x)


def tanh(x: Tensor) -> Tensor:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`: any number to -1..1, 0 to 0. Its slope is `1 - tanh(x)²`.

    >>> tanh(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """
    return torch.tanh(x)


def relu(x: Tensor) -> Tensor:
    """`x * (x > 0)`: keeps what is positive, 0 for the rest. Without it two linear layers would be one.

    Source: Nair and Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".

    >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])
    """
    return F.relu(x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere: a gradient is left on either side, so no unit dies.

    Source: Maas, Hannun and Ng 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models".

    >>> leaky_relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.0200,  0.0000,  3.0000])
    """
    return F.leaky_relu(x, negative_slope)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """`exp(x) / exp(x).sum(dim)`: numbers in 0..1 that sum to 1 along `dim`. For one label among many.

    The exponential picks one: exp(4) is 54.6 and exp(8) is 2981.

    >>> activations = torch.tensor([0.02, -2.49, 1.25])
    >>> activations.exp(), activations.exp().sum()
    (tensor([1.0202, 0.0829, 3.4903]), tensor(4.5935))
    >>> softmax(activations)
    tensor([0.2221, 0.0180, 0.7599])
    """
    return torch.softmax(x, dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """The log of `softmax`, computed in one go: exact where the softmax itself would round to 0 or 1.

    >>> log_softmax(torch.tensor([0.0, 200.0]))
    tensor([-200.,    0.])
    """
    return torch.log_softmax(x, dim)
