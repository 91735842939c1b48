"""Models made of linear layers, from a straight line to a deep perceptron.

Shapes: B batch, D features in, K outputs or classes.
"""

import itertools
from collections.abc import Sequence

from torch import nn

from satsuma.errors import spelled
from satsuma.nn.layers import GaussianNoise


@spelled
def linear_model(n_in: int, n_out: int = 1) -> nn.Linear:
    """A straight line: `x @ w.T + b`, [B n_in] to [B n_out].

    >>> linear_model(784, 1)
    Linear(in_features=784, out_features=1, bias=True)
    """
    return nn.Linear(n_in, n_out)


@spelled
def logistic_regression(n_in: int, classes: int, *, log_softmax: bool = False, flatten: bool = False) -> nn.Sequential:
    """One linear layer to the classes, [B n_in] to [B classes]: logits, for `cross_entropy`.

    log_softmax: give log-probabilities instead, for `nll`. flatten: take images [B C H W] with C*H*W = n_in.

    >>> logistic_regression(784, 10, log_softmax=True)
    Sequential(
      (0): Linear(in_features=784, out_features=10, bias=True)
      (1): LogSoftmax(dim=1)
    )
    """
    parts: list[nn.Module] = [nn.Flatten()] if flatten else []
    parts.append(nn.Linear(n_in, classes))
    if log_softmax:
        parts.append(nn.LogSoftmax(dim=1))
    return nn.Sequential(*parts)


@spelled
def simple_net(n_in: int = 784, n_hidden: int = 30, n_out: int = 1) -> nn.Sequential:
    """The smallest network: linear, ReLU, linear; [B n_in] to [B n_out].

    Source: Howard and Gugger 2020, "Deep Learning for Coders with fastai and PyTorch", chapter 4.

    >>> simple_net()
    Sequential(
      (0): Linear(in_features=784, out_features=30, bias=True)
      (1): ReLU()
      (2): Linear(in_features=30, out_features=1, bias=True)
    )
    """
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out))


@spelled
def mlp(
    sizes: Sequence[int],
    *,
    activation: type[nn.Module] = nn.ReLU,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    noise: float = 0.0,
    batch_norm: bool = False,
    flatten: bool = False,
) -> nn.Sequential:
    """A perceptron of any depth: [B sizes[0]] to [B sizes[-1]], with `activation` after all layers but the last.

    sizes: features in, hidden..., features out. noise: deviation of normal noise on the inputs (training only).
    dropout, input_dropout: share of the hidden units and of the inputs that are *dropped* in training; the paper keeps
    0.5 and 0.8 of them, which is dropout=0.5, input_dropout=0.2 here (Srivastava and others 2014, "Dropout").
    batch_norm: normalise before each activation. flatten: take [B ...] inputs such as images.
    Raises ValueError for fewer than two sizes.

    >>> mlp((5, 7, 3), dropout=0.5)
    Sequential(
      (0): Linear(in_features=5, out_features=7, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.5, inplace=False)
      (3): Linear(in_features=7, out_features=3, bias=True)
    )
    """
    if len(sizes) < 2:
        raise ValueError(f"mlp: sizes={tuple(sizes)}; expected at least features in and features out, as (784, 10)")
    parts: list[nn.Module] = [nn.Flatten()] if flatten else []
    if noise:
        parts.append(GaussianNoise(noise))
    if input_dropout:
        parts.append(nn.Dropout(input_dropout))
    for n_in, n_out in itertools.pairwise(sizes[:-1]):
        parts.append(nn.Linear(n_in, n_out))
        if batch_norm:
            parts.append(nn.BatchNorm1d(n_out))
        parts.append(activation())
        if dropout:
            parts.append(nn.Dropout(dropout))
    parts.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*parts)
