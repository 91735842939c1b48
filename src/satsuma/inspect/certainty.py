"""How far stated probabilities can be believed, and from which one to say yes. N samples, K classes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from satsuma.errors import nearest
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.tables import ShownTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of the answers given with about the same confidence: how many were right. `bins` equal parts of 0..1.

    `error` is the expected calibration error: the mean of |confidence - accuracy| over all answers.
    Source: Guo, Pleiss, Sun and Weinberger 2017, *On Calibration of Modern Neural Networks*.
    """

    counts: np.ndarray  # int64 [bins]
    confidence: np.ndarray  # float64 [bins], the mean in each bin; NaN where there is none
    accuracy: np.ndarray  # float64 [bins]: the share that was right
    error: float
    of: str  # what the answers are: "answers", or "labels"

    def table(self) -> ShownTable:
        """The bins that hold answers."""
        n = len(self.counts)
        rows = tuple(
            (f"{i / n:.2f} to {(i + 1) / n:.2f}", int(c), float(p), float(a))
            for i, (c, p, a) in enumerate(zip(self.counts, self.confidence, self.accuracy, strict=True))
            if c
        )
        header = ("stated", self.of, "mean stated", "came true")
        return ShownTable(f"Expected calibration error {self.error:.4f}", header, rows)

    def plot(self) -> "Figure":
        """The reliability diagram, above how many answers each bin holds."""
        from satsuma.plots.calibration import plot_reliability

        return plot_reliability(self.counts, self.confidence, self.accuracy, self.error, self.of)

    def __repr__(self) -> str:
        return f"expected calibration error {self.error:.4f}\n{self.table()!r}"

    def _repr_html_(self) -> str:
        return str(self.plot()._repr_html_())


def calibrated(found: Predictions, bins: int) -> Calibration:
    """Of classes the surest one's probability against whether it was right; of labels each yes or no by itself."""
    if not isinstance(bins, int) or bins < 2:
        raise ValueError(f"calibration: bins is a whole number of 2 or more, got {bins!r}")
    if found.kind == "multi":
        return binned(found.outputs.ravel(), found.targets.ravel(), bins, "labels")
    surest = found.outputs.max(1) if len(found) else np.zeros(0)
    return binned(surest, found.decided == found.targets, bins, "answers")


def binned(stated: np.ndarray, came_true: np.ndarray, bins: int, of: str) -> Calibration:
    """`Calibration` of probabilities [N] and whether they came true, bool [N]. Bins are (low, high]."""
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], stated.astype(np.float64))
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(places, stated, minlength=bins) / counts
        accuracy = np.bincount(places, came_true, minlength=bins) / counts
    gaps = np.nan_to_num(np.abs(confidence - accuracy))
    return Calibration(counts, confidence, accuracy, float((gaps * counts).sum() / max(len(stated), 1)), of)


def best_threshold(stated: np.ndarray, there: np.ndarray, beta: float) -> tuple[float, float]:
    """The threshold on probabilities [N] with the highest F-beta, and that score. `there`: bool [N].

    It lies halfway between the last probability that counts as yes and the next lower one, so that rounding does not
    matter. Of thresholds with equal scores the highest is taken.

    >>> best_threshold(np.array([0.25, 0.5, 0.6, 0.9]), np.array([False, True, True, True]), 1.0)
    (0.375, 1.0)
    """
    order = np.argsort(-stated)
    sorted_ = stated[order].astype(np.float64)  # falling
    hits = np.cumsum(there[order])
    last = np.flatnonzero(np.append(np.diff(sorted_) < 0, True))  # of those with an equal probability
    scores = f_beta_of(hits[last], last + 1, int(there.sum()), beta)
    best = int(np.argmax(scores))
    here = last[best]
    below = sorted_[here + 1] if here + 1 < len(sorted_) else 0.0
    return float((sorted_[here] + below) / 2), float(scores[best])


def f_beta_of(hits: np.ndarray, said: np.ndarray, there: int, beta: float) -> np.ndarray:
    """F-beta of counts; 0 where nothing was said and nothing is there."""
    weight = beta * beta
    whole = weight * there + said
    return np.asarray(np.where(whole > 0, (1 + weight) * hits / np.maximum(whole, 1e-12), 0.0))


def threshold_table(found: Predictions, beta: float, label: str | None) -> ShownTable:
    """The best threshold for each label, and for all labels as one; of two classes for saying `label`."""
    if not beta > 0:
        raise ValueError(f"best_thresholds: beta is above 0, got {beta!r}")
    columns = list(range(len(found.vocab)))
    if found.kind == "category":
        columns = [1 if label is None else class_place(found, label)]
    elif label is not None:
        columns = [class_place(found, label)]
    score = "f1" if beta == 1 else f"f{beta:g}"
    rows = []
    for k in columns:
        there = found.targets == k if found.kind == "category" else found.targets[:, k]
        said = found.decided == k if found.kind == "category" else found.decided[:, k]
        rows.append((found.vocab[k], *threshold_row(found.outputs[:, k], there, said, beta)))
    several = len(rows) > 1
    if several:
        every = threshold_row(found.outputs.ravel(), found.targets.ravel(), found.decided.ravel(), beta)
        rows.append(("one for all", *every))
    return ShownTable(
        f"Thresholds with the highest {score} on {len(found)} samples",
        ("label" if found.kind == "multi" else "class", "threshold", score, f"{score} now", "samples"),
        tuple(rows),
        totals=int(several),
        note="Chosen on these samples, they look better here than they will on new ones.",
    )


def threshold_row(
    stated: np.ndarray, there: np.ndarray, said: np.ndarray, beta: float
) -> tuple[float | None, float | None, float, int]:
    """Threshold, its score, the score of what was decided, and how many are there."""
    n = int(there.sum())
    now = float(f_beta_of(np.asarray((said & there).sum()), np.asarray(said.sum()), n, beta))
    if n == 0:
        return None, None, now, 0
    threshold, score = best_threshold(stated, there, beta)
    return threshold, score, now, n


def class_place(found: Predictions, label: str) -> int:
    """The place of a class in the vocabulary. `ValueError` that suggests the nearest for one that there is not."""
    if str(label) not in found.vocab:
        raise ValueError(f"there is no class {label!r}: {nearest(str(label), found.vocab)}")
    return found.vocab.index(str(label))
