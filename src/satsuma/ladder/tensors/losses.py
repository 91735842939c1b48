"""Losses: how wrong the predictions are, as one number whose gradient can be followed downhill.

Every loss takes `(predictions, targets)` and a `reduction`: "mean" (the default), "sum", or "none" for each item's own.

Shapes: B batch, K classes.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from satsuma.ladder.tensors.activations import log_softmax, sigmoid


def reduced_loss(losses: Tensor, reduction: str) -> Tensor:
    """Each item's loss as it is ("none"), averaged ("mean") or added up ("sum")."""
    if reduction == "none":
        return losses  # [B ...]
    return losses.mean() if reduction == "mean" else losses.sum()  # []


# Classes


def nll(log_probabilities: Tensor, targets: Tensor, *, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """Picks minus the right class's number from each row. It takes no log: the rows hold logs already.

    log_probabilities: [B K] or [B K ...]. targets: class numbers, int64, [B] or [B ...]. weight: [K], what a miss of
    each class costs; the mean is then over the weights.

    >>> nll(torch.tensor([[-0.2, -1.7], [-2.3, -0.1]]), torch.tensor([0, 0]), reduction="none")
    tensor([0.2000, 2.3000])
    """
    losses = -log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)  # [B ...]
    if weight is None:
        return reduced_loss(losses, reduction)
    costs = weight[targets]  # [B ...]
    return (costs * losses).sum() / costs.sum() if reduction == "mean" else reduced_loss(costs * losses, reduction)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log of the softmax probability of the right class.

    logits: [B K] or [B K ...]. targets: class numbers, int64, [B] or [B ...], or probabilities of the logits' shape.
    weight: [K], what a miss of each class costs. label_smoothing: the share of the target spread evenly over all
    classes (Szegedy and others 2016, "Rethinking the Inception Architecture for Computer Vision").

    >>> cross_entropy(torch.tensor([[0.02, -2.49, 1.25]]), torch.tensor([2]))
    tensor(0.2746)
    """
    if label_smoothing or targets.is_floating_point():
        return soft_cross_entropy(logits, targets, label_smoothing, weight, reduction)
    return nll(log_softmax(logits, dim=1), targets, weight=weight, reduction=reduction)


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float, weight: Tensor | None, reduction: str
) -> Tensor:
    """`cross_entropy` where every class may have a share of the target."""
    classes, given_shares = logits.shape[1], targets.is_floating_point()
    one_hot = targets if given_shares else torch.zeros_like(logits).scatter(1, targets.unsqueeze(1), 1.0)  # [B K ...]
    shares = one_hot * (1 - label_smoothing) + label_smoothing / classes  # [B K ...]
    costs = torch.ones(classes).to(logits) if weight is None else weight  # [K]
    losses = -(log_softmax(logits, dim=1).movedim(1, -1) * costs * shares.movedim(1, -1)).sum(-1)  # [B ...]
    if reduction != "mean" or given_shares:
        return reduced_loss(losses, reduction)
    return losses.sum() / costs[targets].sum()  # []


# Yes or no


def mnist_loss(predictions: Tensor, targets: Tensor, *, sigmoid: bool = True, reduction: str = "mean") -> Tensor:
    """Distance from the right answer: `1 - p` where the target is 1 and `p` where it is 0. Both of one shape.

    sigmoid: predictions are any numbers; otherwise probabilities.
    Source: Howard and Gugger 2020, "Deep Learning for Coders with fastai and PyTorch", chapter 4.

    >>> targets = torch.tensor([1, 0, 1])
    >>> mnist_loss(torch.tensor([0.9, 0.4, 0.2]), targets, sigmoid=False)
    tensor(0.4333)
    """
    probabilities = probabilities_of(predictions) if sigmoid else predictions  # [B ...]
    return reduced_loss(torch.where(targets == 1, 1 - probabilities, probabilities), reduction)


def probabilities_of(logits: Tensor) -> Tensor:
    """The sigmoid, where an argument of that name is in its way."""
    return sigmoid(logits)


def binary_loss(y: Tensor, p: Tensor, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy of two classes, from probabilities: y 0 or 1, p of the same shape, strictly between 0 and 1.

    >>> p = torch.tensor([0.9, 0.1, 0.2, 0.8], dtype=torch.float64)
    >>> round(binary_loss(torch.tensor([1, 0, 0, 1]), p).item(), 12)
    0.164252033486
    """
    return reduced_loss(-(y * torch.log(p) + (1 - y) * torch.log(1 - p)), reduction)


def binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    pos_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`binary_loss` of the logits' sigmoid, safe for logits of any size. targets: of the logits' shape, 0..1.

    label_smoothing: moves targets 0 and 1 this far towards 1/2. pos_weight: what a missed yes costs, [columns].

    >>> binary_cross_entropy(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]))
    tensor(0.2201)
    """
    y = targets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2  # [B ...]
    zeros = torch.zeros_like(logits)
    log_yes = -torch.logaddexp(zeros, -logits)  # [B ...]: log(sigmoid(x)) = -log(1 + exp(-x))
    log_no = -torch.logaddexp(zeros, logits)  # [B ...]: log(1 - sigmoid(x)) = -log(1 + exp(x))
    cost = 1.0 if pos_weight is None else pos_weight
    return reduced_loss(-(cost * y * log_yes + (1 - y) * log_no), reduction)


def cross_entropy_of_probabilities(predictions: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """`binary_loss`, predictions first, where 0 and 1 are allowed: no log is taken as less than -100.

    >>> cross_entropy_of_probabilities(torch.tensor([0.5, 0.0]), torch.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 100.0000])
    """
    log_yes, log_no = torch.log(predictions).clamp_min(-100), torch.log(1 - predictions).clamp_min(-100)
    return reduced_loss(-(targets * log_yes + (1 - targets) * log_no), reduction)


# Numbers


def mse(predictions: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """Mean squared error. Both of one shape.

    >>> mse(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(2.)
    """
    return reduced_loss((predictions - targets) ** 2, reduction)


def mae(predictions: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """Mean absolute error: far-off targets pull less than in `mse`. Both of one shape.

    >>> mae(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(1.)
    """
    return reduced_loss((predictions - targets).abs(), reduction)


def smooth_l1(predictions: Tensor, targets: Tensor, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Squared error within `beta`, absolute error beyond it. Both of one shape; beta above 0 (0 would be `mae`).

    Source: Girshick 2015, "Fast R-CNN".

    >>> smooth_l1(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    missed = predictions - targets  # [B ...]
    distance = missed.abs()  # [B ...]
    return reduced_loss(torch.where(distance < beta, missed**2 / (2 * beta), distance - beta / 2), reduction)


# Penalties


def l1_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """The sum of absolute values: added to a loss, it pulls useless weights to exactly 0 (Tibshirani 1996, the lasso).

    >>> l1_penalty([torch.tensor([1.0, -2.0]), torch.tensor([[3.0]])])
    tensor(6.)
    """
    return torch.stack([p.abs().sum() for p in parameters]).sum()


def l2_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """The sum of squares: added to a loss, it shrinks weights in proportion (Hoerl and Kennard 1970, ridge regression).

    >>> l2_penalty([torch.tensor([1.0, -2.0]), torch.tensor([[3.0]])])
    tensor(14.)
    """
    return torch.stack([p.square().sum() for p in parameters]).sum()
