"""Metrics: how good the predictions are, for people to read. A metric takes the whole validation set at once.

Every metric is `(predictions, targets) -> scalar tensor`. `mse` and `mae` from `losses.py` are metrics as well.

Shapes: N items, K classes.
"""

from torch import Tensor

from satsuma.functional.losses import mse, refuse_broadcast, shape_text


def accuracy(predictions: Tensor, targets: Tensor) -> Tensor:
    """The share of items whose highest number stands at the right class.

    predictions: [N K] or [N K ...], logits or probabilities. targets: class numbers, [N] or [N ...].
    Raises ValueError if the shapes do not fit.

    >>> import torch
    >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), torch.tensor([1, 0, 1]))
    tensor(0.6667)
    """
    check_class_predictions("accuracy", predictions, targets)
    return (predictions.argmax(1) == targets).float().mean()


def error_rate(predictions: Tensor, targets: Tensor) -> Tensor:
    """The share of items that `accuracy` does not count: `1 - accuracy`.

    >>> import torch
    >>> error_rate(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), torch.tensor([1, 0, 1]))
    tensor(0.3333)
    """
    check_class_predictions("error_rate", predictions, targets)
    return (predictions.argmax(1) != targets).float().mean()


def top_k_accuracy(predictions: Tensor, targets: Tensor, *, k: int = 5) -> Tensor:
    """The share of items whose right class is among the `k` highest numbers.

    predictions: [N K]. targets: class numbers, [N]. Raises ValueError if the shapes do not fit, or `k` is not in 1..K.

    >>> import torch
    >>> top_k_accuracy(torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), torch.tensor([1, 2]), k=2)
    tensor(0.5000)
    """
    check_class_predictions("top_k_accuracy", predictions, targets)
    if not 1 <= k <= predictions.shape[1]:
        raise ValueError(f"top_k_accuracy: k={k} of {predictions.shape[1]} classes; expected 1..{predictions.shape[1]}")
    best = predictions.topk(k, dim=1).indices  # [N k]
    return (best == targets.unsqueeze(1)).any(1).float().mean()


def binary_accuracy(predictions: Tensor, targets: Tensor, *, threshold: float = 0.5, sigmoid: bool = True) -> Tensor:
    """The share of yes-or-no answers that are right: probability at or above `threshold` means yes.

    predictions: any shape; logits, or probabilities with `sigmoid=False`. targets: the same shape, 0 or 1.
    Raises ValueError if the shapes differ.

    >>> import torch
    >>> binary_accuracy(torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[1], [0], [0]]))
    tensor(0.6667)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("binary_accuracy", predictions, targets)
    probabilities = predictions.sigmoid() if sigmoid else predictions
    return ((probabilities >= threshold) == (targets == 1)).float().mean()


def rmse(predictions: Tensor, targets: Tensor) -> Tensor:
    """The square root of the mean squared error, in the targets' own unit. Both of one shape, or ValueError.

    >>> import torch
    >>> rmse(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 1.0]))
    tensor(2.8284)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("rmse", predictions, targets)
    return mse(predictions, targets).sqrt()


def r2_score(predictions: Tensor, targets: Tensor) -> Tensor:
    """The share of the targets' variance that is explained: 1 is perfect, 0 is no better than their mean.

    Both of one shape, [N] or [N D], or ValueError. Columns are scored alone, then averaged; a column whose targets are
    all equal has no variance to explain and gives -inf or nan.

    >>> import torch
    >>> r2_score(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 2.0, 3.0]))
    tensor(0.5000)
    """
    if predictions.shape != targets.shape:
        refuse_broadcast("r2_score", predictions, targets)
    targets = targets.to(predictions.dtype)
    missed = (targets - predictions).square().sum(0)  # [] or [D]
    spread = (targets - targets.mean(0)).square().sum(0)
    return (1 - missed / spread).mean()


def check_class_predictions(name: str, predictions: Tensor, targets: Tensor) -> None:
    """Raise the ValueError that says what a many-class metric expects, unless the shapes fit."""
    one_column_a_class = predictions.ndim >= 2 and predictions.shape[1] > 1
    one_label_an_item = targets.shape == (*predictions.shape[:1], *predictions.shape[2:])
    if one_column_a_class and one_label_an_item and not targets.is_floating_point():
        return
    given = f"{name}: predictions {shape_text(predictions)} with targets {shape_text(targets)} of {targets.dtype}"
    raise ValueError(
        f"{given}; expected [N K], one column a class, and integer class numbers [N]. "
        "For yes-or-no answers in one column use binary_accuracy"
    )
