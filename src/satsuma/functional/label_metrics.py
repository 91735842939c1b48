"""Metrics where any number of labels may be right at once. They take the whole validation set, as all metrics do.

Shapes: N items, K labels. `predictions` [N K] are logits, or probabilities with `sigmoid=False`; `targets` [N K] are 0
or 1. Raises ValueError if the shapes differ. A label is said where its probability is at or above `threshold`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from satsuma.functional.losses import refuse_broadcast, shape_text

AVERAGES = ("macro", "micro", "samples")


def accuracy_multi(predictions: Tensor, targets: Tensor, *, threshold: float = 0.5, sigmoid: bool = True) -> Tensor:
    """The share of all N×K yes-or-no answers that are right.

    Where most labels are absent from most items it is high whatever is said: look at `f1_multi` as well.

    >>> accuracy_multi(torch.tensor([[2.0, -1.0, 3.0]]), torch.tensor([[1, 0, 0]]))
    tensor(0.6667)
    """
    said = labels_said("accuracy_multi", predictions, targets, threshold, sigmoid)
    return (said == (targets == 1)).float().mean()


def f_beta(
    predictions: Tensor,
    targets: Tensor,
    *,
    beta: float = 1.0,
    threshold: float = 0.5,
    sigmoid: bool = True,
    average: str = "macro",
) -> Tensor:
    """`(1 + β²) P R / (β² P + R)` of precision P and recall R: above 1, `beta` weighs finding more than being right.

    average: "macro", the mean over labels; "micro", all N×K answers as one; "samples", the mean over items. Where
    nothing is said and nothing is there, the score is 0.

    >>> f_beta(torch.tensor([[2.0, -1.0], [3.0, 1.0]]), torch.tensor([[1, 1], [0, 1]]), average="micro")
    tensor(0.6667)
    """
    if average not in AVERAGES:
        raise ValueError(f"f_beta: average is {average!r}; expected one of {', '.join(AVERAGES)}")
    if not beta > 0:
        raise ValueError(f"f_beta: beta must be above 0, got {beta}")
    said = labels_said("f_beta", predictions, targets, threshold, sigmoid)
    there = targets == 1
    over = {"macro": (0,), "micro": (0, 1), "samples": (1,)}[average]
    hits = (said & there).sum(over)  # [K], [] or [N]
    weight = beta * beta
    return divided((1 + weight) * hits, weight * there.sum(over) + said.sum(over)).mean()


def f1_multi(
    predictions: Tensor, targets: Tensor, *, threshold: float = 0.5, sigmoid: bool = True, average: str = "macro"
) -> Tensor:
    """The harmonic mean of precision and recall, by default the mean over labels: `f_beta` with `beta=1`.

    >>> f1_multi(torch.tensor([[2.0, -1.0], [3.0, 1.0]]), torch.tensor([[1, 1], [0, 1]]))
    tensor(0.6667)
    """
    return f_beta(predictions, targets, threshold=threshold, sigmoid=sigmoid, average=average)


def average_precision(predictions: Tensor, targets: Tensor) -> Tensor:
    """The area under the steps of one label's precision over recall: `Σ (Rₙ - Rₙ₋₁) Pₙ` over its distinct scores.

    predictions: [N] or [N 1], any scores, the higher the surer. targets: the same shape, 0 or 1. NaN without a yes.
    It is scikit-learn's definition: no interpolation, equal scores count as one threshold.

    >>> average_precision(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    tensor(0.8333)
    """
    if predictions.ndim != 1 and (predictions.ndim != 2 or predictions.shape[1] != 1):
        raise ValueError(
            f"average_precision: predictions {shape_text(predictions)}; expected the scores of one label, [N] or "
            f"[N 1]. For several labels use mean_average_precision"
        )
    if predictions.shape != targets.shape:
        refuse_broadcast("average_precision", predictions, targets)
    return label_average_precisions(predictions.reshape(-1, 1), targets.reshape(-1, 1))[0]


def mean_average_precision(predictions: Tensor, targets: Tensor) -> Tensor:
    """The mean of `average_precision` over the labels that at least one item has (NaN if there is none).

    predictions: [N K], any scores: only their order within a column counts, so there is no threshold.

    >>> predictions = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.1, 0.5]])
    >>> mean_average_precision(predictions, torch.tensor([[1, 0, 0], [0, 1, 0]]))
    tensor(0.7500)
    """
    found = label_average_precisions(predictions, targets)
    return found[~found.isnan()].mean()


def label_average_precisions(predictions: Tensor, targets: Tensor) -> Tensor:
    """Each label's average precision, [K]; NaN for a label that no item has."""
    check_labels("mean_average_precision", predictions, targets)
    scores, order = predictions.double().t().contiguous().sort(dim=1, descending=True)  # [K N]
    hits = (targets == 1).t().gather(1, order).double()  # [K N]
    falling = -scores
    last = torch.searchsorted(falling, falling, right=True) - 1  # [K N] the last place of those with an equal score
    precision = hits.cumsum(1).gather(1, last) / (last + 1)  # [K N]
    return ((hits * precision).sum(1) / hits.sum(1)).float()


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How well one label is found. `items`: how many have it; `said`: how many are said to."""

    label: Any
    items: int
    said: int
    precision: float
    recall: float
    f1: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class LabelReport:
    """The scores of every label, in the order of the vocabulary; its repr is a table."""

    rows: tuple[LabelScores, ...]

    def __repr__(self) -> str:
        width = max(len("label"), *(len(str(row.label)) for row in self.rows))
        lines = [f"{'label':<{width}}  items   said  precision  recall      f1      AP"]
        for row in self.rows:
            counts = f"{row.label!s:<{width}}  {row.items:5}  {row.said:5}"
            lines.append(
                f"{counts}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:6.3f}  {row.average_precision:6.3f}"
            )
        return "\n".join(lines)


def label_report(
    predictions: Tensor, targets: Tensor, vocab: Sequence[Any], *, threshold: float = 0.5, sigmoid: bool = True
) -> LabelReport:
    """Precision, recall, F1 and average precision of every label. `vocab`: the K labels in the columns' order.

    >>> label_report(torch.tensor([[2.0, -1.0], [3.0, 1.0]]), torch.tensor([[1, 1], [0, 1]]), ["cat", "dog"])
    label  items   said  precision  recall      f1      AP
    cat        1      2      0.500   1.000   0.667   0.500
    dog        2      1      1.000   0.500   0.667   1.000
    """
    said = labels_said("label_report", predictions, targets, threshold, sigmoid)
    if len(vocab) != said.shape[1]:
        raise ValueError(f"label_report: {len(vocab)} labels for {said.shape[1]} columns")
    there = targets == 1
    hits, items, answers = (said & there).sum(0), there.sum(0), said.sum(0)  # [K] each
    columns = (items, answers, divided(hits, answers), divided(hits, items), divided(2 * hits, items + answers))
    values = zip(vocab, *(c.tolist() for c in (*columns, label_average_precisions(predictions, targets))), strict=True)
    return LabelReport(tuple(LabelScores(*row) for row in values))


def labels_said(name: str, predictions: Tensor, targets: Tensor, threshold: float, sigmoid: bool) -> Tensor:
    """Which labels are said, bool [N K]."""
    check_labels(name, predictions, targets)
    probabilities = predictions.sigmoid() if sigmoid else predictions
    return probabilities >= threshold


def check_labels(name: str, predictions: Tensor, targets: Tensor) -> None:
    """Raise the ValueError that says what a metric of labels expects, unless the shapes fit."""
    if predictions.shape != targets.shape:
        refuse_broadcast(name, predictions, targets)
    if predictions.ndim != 2:
        raise ValueError(f"{name}: predictions {shape_text(predictions)}; expected [N K], one column a label")


def divided(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole` as float32, and 0 where `whole` is 0."""
    return torch.where(whole > 0, part / whole.clamp_min(1e-12), 0.0).float()
