"""Labels that may be wrong, by confident learning. N samples, K classes.

Source: Northcutt, Jiang and Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels*, JAIR 2021.
"""

from dataclasses import dataclass

import numpy as np

FEWEST = 3  # samples that a class must have before one of them is doubted: the others are all that it was learnt from
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class LabelCandidates:
    """Samples whose label may be wrong, the surest first: places [M], the classes they may be [M], scores [M] in 0..1.

    `joint` [K K]: how many samples labelled i seem to be j; its rows sum to the labels' counts.
    """

    places: np.ndarray
    suggestions: np.ndarray
    scores: np.ndarray
    joint: np.ndarray


def class_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each class the mean probability [K] that its own samples are given; 1 for a class without any."""
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=own, minlength=classes)
    return np.divide(sums, counts, out=np.ones(classes), where=counts > 0)


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many samples labelled i are confidently j, float [K K], scaled so that rows sum to the labels' counts.

    A sample is confidently of the likeliest class whose probability reaches that class's own threshold, and is not
    counted where none does.

    >>> confident_joint(np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.9, 0.1]]), np.array([0, 0, 1, 1]))
    array([[2., 0.],
           [1., 1.]])
    """
    classes = probabilities.shape[1]
    reached = np.where(probabilities >= class_thresholds(probabilities, labels) - 1e-9, probabilities, -1.0)
    sure = reached.max(axis=1) >= 0
    counted = np.zeros((classes, classes))
    np.add.at(counted, (labels[sure], reached.argmax(axis=1)[sure]), 1.0)
    counts = np.bincount(labels, minlength=classes).astype(float)
    rows = counted.sum(axis=1)
    empty = rows == 0
    counted[empty, empty] = 1.0  # a class of which nothing is sure is believed
    return np.asarray(counted * (counts / np.where(empty, 1.0, rows))[:, None])


def label_candidates(probabilities: np.ndarray, labels: np.ndarray) -> LabelCandidates:
    """Samples whose label may be wrong, from out-of-fold `probabilities` [N K] and `labels` int [N].

    As many as the confident joint holds off its diagonal, of those to which another class is likelier, ranked by the
    probability of the label times its odds against the likeliest other class. Classes with fewer than `FEWEST` samples
    are passed over. Raises `ValueError` for arrays that do not fit, or that are no probabilities.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"label_candidates: probabilities are [N K] and labels [N]; got {list(probabilities.shape)} and "
            f"{list(labels.shape)}"
        )
    if len(labels) == 0 or not np.isfinite(probabilities).all() or probabilities.min() < 0:
        raise ValueError("label_candidates: expected one sample or more, and probabilities that are finite and not < 0")
    everyone = np.arange(len(labels))
    own = probabilities[everyone, labels]
    others = probabilities.copy()
    others[everyone, labels] = -1.0
    suggestions = others.argmax(axis=1)
    best = others[everyone, suggestions]
    joint = confident_joint(probabilities, labels)
    known = np.bincount(labels, minlength=probabilities.shape[1])[labels] >= FEWEST
    doubted = np.flatnonzero((best > own) & known)
    weight = own[doubted] ** 2 / np.maximum(best[doubted], TINY)  # below 1, since best > own
    order = np.argsort(weight, kind="stable")[: round(float(joint.sum() - joint.trace()))]
    places = doubted[order]
    return LabelCandidates(places, suggestions[places], 1.0 - weight[order], joint)
