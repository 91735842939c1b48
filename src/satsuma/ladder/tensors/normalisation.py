"""Normalisation: numbers of mean 0 and deviation 1 between layers, then a learnt scale and shift.

Sources: Ioffe and Szegedy 2015, "Batch Normalization"; Ba, Kiros and Hinton 2016, "Layer Normalization".

Shapes: B batch, C channels, H height, W width, D features, T places.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class BatchNorm1d:
    """Each feature normalised over the batch: [B D], or [B D T] over batch and places; the shape stays.

    In training by the batch's own mean and variance, which also move the running ones a tenth of the way (`momentum`).
    In evaluation by the running ones: what an item gets then does not depend on the others.

    >>> BatchNorm1d(1)(torch.tensor([[1.0], [3.0]])).detach().round(decimals=3)
    tensor([[-1.],
            [ 1.]])
    """

    training = True
    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = torch.ones(num_features).requires_grad_()  # [D]
        self.bias = torch.zeros(num_features).requires_grad_()  # [D]
        self.running_mean = torch.zeros(num_features)  # [D]
        self.running_var = torch.ones(num_features)  # [D]
        self.num_batches_tracked = torch.tensor(0)  # []

    def __call__(self, x: Tensor) -> Tensor:  # [B D] or [B D T]
        over = (0, 2)[: x.ndim - 1]  # all dimensions but the features'
        shape = (-1, 1)[: x.ndim - 1]  # so that a number a feature stands beside [B D] or [B D T]
        mean, variance = self.running_mean, self.running_var  # [D] each
        if self.training:
            mean, variance = x.mean(over), x.var(over, correction=0)  # [D] each
            n = x.numel() // len(mean)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(variance.detach() * n / (n - 1), self.momentum)  # unbiased: an estimate for others
            self.num_batches_tracked += 1
        normal = (x - mean.reshape(shape)) / (variance + self.eps).sqrt().reshape(shape)
        return normal * self.weight.reshape(shape) + self.bias.reshape(shape)  # [B D] or [B D T]


class BatchNorm2d:
    """Each channel normalised over batch and picture: [B C H W], the shape stays.

    In training by the batch's own mean and variance, which also move the running ones a tenth of the way (`momentum`).
    In evaluation by the running ones: what an item gets then does not depend on the others.

    >>> BatchNorm2d(1)(torch.tensor([[[[1.0, 3.0]]]])).detach().round(decimals=3)
    tensor([[[[-1.,  1.]]]])
    """

    training = True
    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = torch.ones(num_features).requires_grad_()  # [C]
        self.bias = torch.zeros(num_features).requires_grad_()  # [C]
        self.running_mean = torch.zeros(num_features)  # [C]
        self.running_var = torch.ones(num_features)  # [C]
        self.num_batches_tracked = torch.tensor(0)  # []

    def __call__(self, x: Tensor) -> Tensor:  # [B C H W]
        mean, variance = self.running_mean, self.running_var  # [C] each
        if self.training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)  # [C] each
            n = x.numel() // len(mean)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(variance.detach() * n / (n - 1), self.momentum)  # unbiased: an estimate for others
            self.num_batches_tracked += 1
        normal = (x - mean[:, None, None]) / (variance + self.eps).sqrt()[:, None, None]  # [B C H W]
        return normal * self.weight[:, None, None] + self.bias[:, None, None]  # [B C H W]


class LayerNorm:
    """Each item normalised over its own last dimensions, `normalized_shape`: [B ... D], the shape stays.

    elementwise_affine: scale and shift are learnt; bias: the shift too.

    >>> LayerNorm(2)(torch.tensor([[1.0, 3.0], [50.0, 10.0]])).detach().round(decimals=3)
    tensor([[-1.,  1.],
            [ 1., -1.]])
    """

    training = True

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        *,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.over = tuple(range(-len(shape), 0))  # the last dimensions, counted from the end
        self.weight = torch.ones(shape).requires_grad_() if elementwise_affine else None  # [D], or several
        self.bias = torch.zeros(shape).requires_grad_() if elementwise_affine and bias else None

    def __call__(self, x: Tensor) -> Tensor:  # [B ... D]
        mean = x.mean(self.over, keepdim=True)  # [B ... 1]
        variance = x.var(self.over, correction=0, keepdim=True)  # [B ... 1]
        out = (x - mean) / (variance + self.eps).sqrt()  # [B ... D]
        out = out if self.weight is None else out * self.weight
        return out if self.bias is None else out + self.bias


class GroupNorm:
    """Each item's channels normalised in `num_groups` groups, over group and picture: [B C ...], the shape stays.

    Source: Wu and He 2018, "Group Normalization".

    >>> GroupNorm(1, 2)(torch.tensor([[1.0, 3.0]])).detach().round(decimals=3)
    tensor([[-1.,  1.]])
    """

    training = True

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        self.num_groups, self.eps = num_groups, eps
        self.weight = torch.ones(num_channels).requires_grad_()  # [C]
        self.bias = torch.zeros(num_channels).requires_grad_()  # [C]

    def __call__(self, x: Tensor) -> Tensor:  # [B C ...]
        groups = x.reshape(len(x), self.num_groups, -1)  # [B G C/G*...]
        mean, variance = groups.mean(-1, keepdim=True), groups.var(-1, correction=0, keepdim=True)  # [B G 1] each
        normal = ((groups - mean) / (variance + self.eps).sqrt()).reshape(x.shape)  # [B C ...]
        shape = (-1, *[1] * (x.ndim - 2))  # so that a number a channel stands beside [B C ...]
        return normal * self.weight.reshape(shape) + self.bias.reshape(shape)  # [B C ...]
