"""Losses: how wrong the predictions are, as one number whose gradient can be followed downhill.

Every loss takes `(predictions, targets)` and a `reduction`: "mean" (the default), "sum", or "none" for each item's own.

Shapes: B batch, K classes.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F


def mnist_loss(predictions: Tensor, targets: Tensor, *, sigmoid: bool = True, reduction: str = "mean") -> Tensor:
    """Distance from the right answer: `1 - p` where the target is 1 and `p` where it is 0.

    predictions: any shape, float; with `sigmoid=True` any real numbers, otherwise probabilities in 0..1.
    targets: the same shape, 0 or 1. Raises ValueError if the shapes differ.
    Source: Howard and Gugger 2020, "Deep Learning for Coders with fastai and PyTorch", chapter 4.

    >>> targets = torch.tensor([1, 0, 1])
    >>> mnist_loss(torch.tensor([0.9, 0.4, 0.2]), targets, sigmoid=False)
    tensor(0.4333)
    >>> mnist_loss(torch.tensor([0.9, 0.4, 0.8]), targets, sigmoid=False)
    tensor(0.2333)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("mnist_loss", predictions, targets)
    probabilities = predictions.sigmoid() if sigmoid else predictions
    return reduced_loss(torch.where(targets == 1, 1 - probabilities, probabilities), reduction)


def binary_loss(y: Tensor, p: Tensor, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy of two classes, from probabilities: `-(y log p + (1 - y) log(1 - p))`.

    y: 0 or 1. p: the same shape, strictly between 0 and 1. Raises ValueError if the shapes differ.
    It reads like the formula, truth first; to train, use `binary_cross_entropy`, which is safe near 0 and 1.

    >>> p = torch.tensor([0.9, 0.1, 0.2, 0.8], dtype=torch.float64)
    >>> round(binary_loss(torch.tensor([1, 0, 0, 1]), p).item(), 12)
    0.164252033486
    """
    if y.shape != p.shape:
        refuse_broadcast("binary_loss", p, y)
    return reduced_loss(-(y * torch.log(p) + (1 - y) * torch.log(1 - p)), reduction)


def binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    pos_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of yes-or-no answers, from logits; any number of labels may be right at once.

    logits: any shape, any real numbers. targets: the same shape, 0..1 (integers and booleans are read as floats).
    label_smoothing: moves targets 0 and 1 this far towards 1/2 (0.1 makes them 0.05 and 0.95).
    pos_weight: how much more a missed yes costs, one number a column. Raises ValueError if the shapes differ.

    >>> binary_cross_entropy(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]))
    tensor(0.2201)
    """
    if logits.shape != targets.shape:
        refuse_broadcast("binary_cross_entropy", logits, targets)
    if not targets.is_floating_point():
        targets = targets.to(logits.dtype)
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight, reduction=reduction)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log of the softmax probability of the right class.

    logits: [B K] or [B K ...], any real numbers. targets: class numbers, int64, [B] or [B ...], each in 0..K-1; or
    probabilities of the classes, float, of the logits' shape. weight: [K], what a miss of each class costs.
    label_smoothing: the share of the target spread evenly over all classes (Szegedy and others 2016, "Rethinking the
    Inception Architecture for Computer Vision"). Raises ValueError if shapes, types or labels do not fit.

    >>> cross_entropy(torch.tensor([[0.02, -2.49, 1.25]]), torch.tensor([2]))
    tensor(0.2746)
    """
    if targets.dtype is not torch.int64 or targets.ndim != logits.ndim - 1 or targets.size(0) != logits.size(0):
        check_class_targets("cross_entropy", logits, targets, soft=True)
    try:
        return F.cross_entropy(logits, targets, weight=weight, label_smoothing=label_smoothing, reduction=reduction)
    except IndexError as error:  # checking every label first would cost a pass, and on a GPU a wait, at every step
        raise ValueError(describe_bad_labels("cross_entropy", logits, targets)) from error


def nll(log_probabilities: Tensor, targets: Tensor, *, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """Picks minus the right class's number from each row. It takes no log: the rows hold logs already.

    log_probabilities: [B K] or [B K ...], as `log_softmax` gives them. targets: class numbers, int64, [B] or [B ...].
    weight: [K], what a miss of each class costs. Raises ValueError if shapes, types or labels do not fit.
    `nll(log_softmax(logits, dim=1), targets)` is `cross_entropy(logits, targets)`.

    >>> nll(torch.tensor([[-0.2, -1.7], [-2.3, -0.1]]), torch.tensor([0, 0]), reduction="none")
    tensor([0.2000, 2.3000])
    """
    rows = log_probabilities.size(0)
    if targets.dtype is not torch.int64 or targets.ndim != log_probabilities.ndim - 1 or targets.size(0) != rows:
        check_class_targets("nll", log_probabilities, targets, soft=False)
    try:
        return F.nll_loss(log_probabilities, targets, weight=weight, reduction=reduction)
    except IndexError as error:
        raise ValueError(describe_bad_labels("nll", log_probabilities, targets)) from error


def mse(predictions: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """Mean squared error. Both of one shape, or ValueError; integer targets are read as floats.

    >>> mse(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(2.)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("mse", predictions, targets)
    if not targets.is_floating_point():
        targets = targets.to(predictions.dtype)
    return F.mse_loss(predictions, targets, reduction=reduction)


def mae(predictions: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """Mean absolute error: far-off targets pull less than in `mse`. Both of one shape, or ValueError.

    >>> mae(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(1.)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("mae", predictions, targets)
    return F.l1_loss(predictions, targets, reduction=reduction)


def smooth_l1(predictions: Tensor, targets: Tensor, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Squared error within `beta`, absolute error beyond it. Both of one shape, or ValueError.

    Source: Girshick 2015, "Fast R-CNN".

    >>> smooth_l1(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("smooth_l1", predictions, targets)
    if not targets.is_floating_point():
        targets = targets.to(predictions.dtype)
    return F.smooth_l1_loss(predictions, targets, beta=beta, reduction=reduction)


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


def reduced_loss(losses: Tensor, reduction: str) -> Tensor:
    """Each item's loss as it is ("none"), averaged ("mean") or added up ("sum"); ValueError for another word."""
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is {reduction!r}; expected 'mean', 'sum' or 'none'")


def shape_text(tensor: Tensor) -> str:
    """A shape as messages show it: `[32 1]`."""
    return "[" + " ".join(str(size) for size in tensor.shape) + "]"


def refuse_broadcast(name: str, predictions: Tensor, targets: Tensor) -> None:
    """Raise the ValueError that says what two unequal shapes would silently become, and how to make them equal."""
    shapes = f"{name}: predictions {shape_text(predictions)} against targets {shape_text(targets)}"
    repair = "make the shapes equal"
    if targets.shape == (*predictions.shape, 1):
        repair += f" (targets.squeeze({predictions.ndim}) or predictions.unsqueeze({predictions.ndim}))"
    elif predictions.shape == (*targets.shape, 1):
        repair += f" (predictions.squeeze({targets.ndim}) or targets.unsqueeze({targets.ndim}))"
    try:
        grown = torch.broadcast_tensors(predictions, targets)[0]  # type: ignore[no-untyped-call]  # a view: no memory
    except RuntimeError:
        raise ValueError(f"{shapes} do not fit together; {repair}") from None
    raise ValueError(f"{shapes} would broadcast to {shape_text(grown)}; {repair}")


def check_class_targets(name: str, logits: Tensor, targets: Tensor, *, soft: bool) -> None:
    """Raise the ValueError that says how class targets should look. Probabilities of `logits`' shape pass if `soft`."""
    if soft and targets.is_floating_point() and targets.shape == logits.shape:
        return
    given = f"{name}: logits {shape_text(logits)} with targets {shape_text(targets)} of {targets.dtype}"
    if logits.ndim < 2:
        raise ValueError(f"{given}; expected logits [B K], one column a class. Use logits.unsqueeze(0) for one item")
    expected = "[" + " ".join(str(size) for size in (logits.shape[0], *logits.shape[2:])) + "]"
    if targets.is_floating_point() and targets.ndim == logits.ndim - 1:
        raise ValueError(f"{given}; expected class numbers {expected} of torch.int64. Use targets.long()")
    if targets.shape == (logits.shape[0], 1, *logits.shape[2:]):
        raise ValueError(f"{given}; expected class numbers {expected}. Use targets.squeeze(1)")
    if targets.ndim != logits.ndim - 1 or targets.shape[0] != logits.shape[0]:
        raise ValueError(f"{given}; expected one class number for each item of the batch, {expected}")
    if targets.dtype is not torch.int64:
        raise ValueError(f"{given}; expected class numbers of torch.int64. Use targets.long()")


def describe_bad_labels(name: str, logits: Tensor, targets: Tensor) -> str:
    """The sentence for labels outside 0..K-1. It reads all labels, so it is for the moment after an error."""
    classes, lowest, highest = logits.shape[1], int(targets.min()), int(targets.max())
    given = f"{name}: logits {shape_text(logits)} but labels"
    if highest >= classes:
        return (
            f"{given} reach {highest}. {classes} classes give labels 0..{classes - 1}. "
            f"Build the model with classes={highest + 1}."
        )
    return f"{given} go down to {lowest}. {classes} classes give labels 0..{classes - 1}. Number the classes from 0."
