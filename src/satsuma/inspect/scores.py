"""Scores of classes and labels from what was decided: confusions, precision, recall. N samples, K classes."""

from typing import Any

import numpy as np
import torch

from satsuma.functional.label_metrics import label_average_precisions
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.tables import ShownTable, plain_row

WILSON_Z = 1.959963984540054  # of 95%


def confusion_counts(targets: np.ndarray, decided: np.ndarray, classes: int) -> np.ndarray:
    """int64 [K K]: how many samples of class (row) were said to be of class (column). Both arguments int64 [N].

    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(targets * classes + decided, minlength=classes * classes).reshape(classes, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """float64 [K K]: each row divided by its sum; rows without a sample are 0."""
    return divided_or_zero(counts, counts.sum(1, keepdims=True))


def confused_pairs(counts: np.ndarray, vocab: tuple[str, ...], min_val: int) -> list[tuple[str, str, int]]:
    """(is, said, how often) of the confusions [K K] seen `min_val` times or more, the most frequent first."""
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    rows, columns = np.nonzero(wrong >= max(min_val, 1))
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return [(vocab[i], vocab[j], int(wrong[i, j])) for i, j in zip(rows[order], columns[order], strict=True)]


def report_table(found: Predictions) -> ShownTable:
    """Precision, recall, F1 and number of samples of each class (or label), and their means."""
    multi = found.kind == "multi"
    if multi:
        hits = (found.decided & found.targets).sum(0)  # [K]
        support, said = found.targets.sum(0), found.decided.sum(0)
    else:
        counts = confusion_counts(found.targets, found.decided, len(found.vocab))
        hits, support, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    scores = precision_recall_f1(hits, said, support)  # [3 K]
    extra = [average_precisions(found), said] if multi else []
    rows = [plain_row(row) for row in zip(found.vocab, *scores, support, *extra, strict=True)]
    total = int(support.sum())
    means: list[tuple[Any, ...]]
    means = [("macro mean", *scores.mean(1).tolist(), total), ("weighted mean", *weighted(scores, support), total)]
    if multi:
        micro = precision_recall_f1(hits.sum(), said.sum(), support.sum())
        means.insert(0, ("micro mean", *micro.tolist(), total))
        there = extra[0][~np.isnan(extra[0])]
        precision = (None, float(there.mean()) if len(there) else None, None)
        means = [(*row, mean, int(said.sum())) for row, mean in zip(means, precision, strict=True)]
        title = f"Scores of {len(found.vocab)} labels, {len(found)} samples"
    else:
        right = int(hits.sum())
        title = f"Scores of {len(found.vocab)} classes: {right} of {total} right, accuracy {right / max(total, 1):.4f}"
    more = ("average precision", "said") if multi else ()
    header = ("label" if multi else "class", "precision", "recall", "f1", "samples", *more)
    return ShownTable(title, header, (*rows, *means), totals=len(means))


def precision_recall_f1(hits: np.ndarray, said: np.ndarray, there: np.ndarray) -> np.ndarray:
    """[3 ...]: precision, recall and F1 of counts [...]; 0 where nothing was said, or nothing was there."""
    parts = (divided_or_zero(hits, said), divided_or_zero(hits, there), divided_or_zero(2 * hits, said + there))
    return np.stack(parts)


def weighted(scores: np.ndarray, support: np.ndarray) -> list[float]:
    """The mean of scores [3 K] over classes, each counted by its samples."""
    shares = divided_or_zero(support, support.sum())
    means: list[float] = (scores * shares).sum(1).tolist()
    return means


def average_precisions(found: Predictions) -> np.ndarray:
    """Each label's average precision [K]; NaN for a label that no sample has."""
    scores = label_average_precisions(torch.from_numpy(found.outputs), torch.from_numpy(found.targets))
    return np.asarray(scores.numpy())


def divided_or_zero(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole` in float64, 0 where `whole` is."""
    return np.asarray(np.where(whole > 0, part / np.maximum(whole, 1), 0.0))


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """Between what shares the true one lies, at 95%, when `hits` of `n` were seen.

    Source: Wilson 1927, *Probable inference, the law of succession, and statistical inference*.

    >>> [round(end, 3) for end in wilson_interval(9, 10)]
    [0.596, 0.982]
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, WILSON_Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = WILSON_Z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return middle - half if hits > 0 else 0.0, middle + half if hits < n else 1.0
