"""Layers that multiply by a matrix, look a row up in one, or leave everything as it is.

Shapes: B batch, D features in, K features out.
"""

import torch
from torch import Tensor

from satsuma.ladder.tensors.init import start_bias, start_weight


class Linear:
    """A straight line: `x @ weight.T + bias`, [B ... D] to [B ... K].

    >>> layer = Linear(2, 1)
    >>> layer.weight.data, layer.bias.data = torch.tensor([[3.0, -1.0]]), torch.tensor([0.5])
    >>> layer(torch.tensor([[1.0, 2.0]])).detach()
    tensor([[1.5000]])
    """

    training = True

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = start_weight(torch.empty(out_features, in_features))  # [K D]
        self.bias = start_bias(self.weight) if bias else None  # [K]

    def __call__(self, x: Tensor) -> Tensor:  # [B ... D]
        out = x @ self.weight.T  # [B ... K]
        return out if self.bias is None else out + self.bias


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `Linear` does, with weights [K D] and bias [K] from elsewhere: [B ... D] to [B ... K]."""
    out = x @ weight.T  # [B ... K]
    return out if bias is None else out + bias


class Embedding:
    """A vector for each of `num_embeddings` things, learnt: numbers [B ...] to their rows [B ... D].

    It is `Linear` on one-hot rows, without writing the zeros.

    >>> layer = Embedding(3, 2)
    >>> bool((layer(torch.tensor([2, 0, 2])) == layer.weight[[2, 0, 2]]).all())
    True
    """

    training = True

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = torch.empty(num_embeddings, embedding_dim).normal_().requires_grad_()  # [num_embeddings D]

    def __call__(self, indices: Tensor) -> Tensor:  # int64 [B ...]
        return self.weight[indices]  # [B ... D]


class Flatten:
    """All but the first dimension in one: [B C H W] to [B C*H*W]; or all from `start_dim` to `end_dim`.

    >>> Flatten()(torch.zeros(2, 3, 5, 7)).shape
    torch.Size([2, 105])
    """

    training = True

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        return x.flatten(self.start_dim, self.end_dim)  # [B D]


class Unflatten:
    """One dimension as several: [B C*H*W] to [B C H W] with `dim` 1 and `unflattened_size` (C, H, W).

    >>> Unflatten(1, (3, 5, 7))(torch.zeros(2, 105)).shape
    torch.Size([2, 3, 5, 7])
    """

    training = True

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        self.dim, self.unflattened_size = dim, unflattened_size

    def __call__(self, x: Tensor) -> Tensor:  # [B ... D ...]
        before, after = x.shape[: self.dim], x.shape[self.dim :][1:]
        return x.reshape(*before, *self.unflattened_size, *after)


class Identity:
    """What comes in goes out: the place of a layer that is not there.

    >>> Identity()(torch.tensor([2.0]))
    tensor([2.])
    """

    training = True

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        return x  # [B ...]
