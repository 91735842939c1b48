"""Which samples to look at: the most correct, the most incorrect, the most uncertain. N samples, K classes.

Source: the first lessons of Howard and Thomas, *Practical Deep Learning for Coders*, fast.ai 2017.
"""

import numpy as np
import numpy.typing as npt

from satsuma.inspect.certainty import class_place
from satsuma.inspect.predictions import Predictions

IntArray = npt.NDArray[np.int64]


def rank_losses(found: Predictions, k: int) -> np.ndarray:
    """The places of the `k` highest losses; one that is NaN counts as the highest."""
    return lowest(-np.nan_to_num(found.losses, nan=np.inf), k)


def rank_correct(found: Predictions, label: str | None, k: int) -> np.ndarray:
    """The places of `k` that were right, the surest first."""
    sure, right, _, there = of_truth(found, label)
    places = np.flatnonzero(right & there)
    return places[lowest(-sure[places], k)]


def rank_incorrect(found: Predictions, label: str | None, k: int) -> np.ndarray:
    """The places of `k` that were wrong, where the truth was held least likely first."""
    sure, right, _, there = of_truth(found, label)
    places = np.flatnonzero(~right & there)
    return places[lowest(sure[places], k)]


def rank_uncertain(found: Predictions, label: str | None, k: int) -> np.ndarray:
    """The `k` places where the model could hardly decide, the closest first."""
    _, _, margin, there = of_truth(found, label)
    places = np.flatnonzero(there)
    return places[lowest(margin[places], k)]


def lowest(values: np.ndarray, k: int) -> IntArray:
    """The places of the `k` lowest values [N], the lowest first, equal ones in their order.

    >>> lowest(np.array([3.0, 1.0, 2.0, 1.0]), 3).tolist()
    [1, 3, 2]
    """
    places = np.arange(len(values))
    if k < len(values):
        places = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
    return places[np.argsort(values[places], kind="stable")][:k]


def of_truth(found: Predictions, label: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four arrays [N]: the probability given to the truth, whether the answer was right, how clear it was, and whether
    the sample counts (with `label`, if it is of that class).

    How clear: the distance between the two highest probabilities (Scheffer, Decomain and Wrobel 2001, *Active hidden
    Markov models for information extraction*). Several labels are as sure as the least sure of them, and all samples
    count; with `label` only that one is looked at.
    """
    everywhere = np.ones(len(found), dtype=bool)
    if found.kind == "category":
        there = everywhere if label is None else found.targets == class_place(found, label)
        own = np.flatnonzero(there)
        sure, margin = np.zeros((2, len(found)), dtype=np.float32)
        sure[own] = found.outputs[own, found.targets[own]]
        margin[own] = margins(found.outputs[own])
        return sure, found.right, margin, there
    columns = slice(None) if label is None else [class_place(found, label)]
    stated, targets = found.outputs[:, columns], found.targets[:, columns]  # [N k]
    sure = np.where(targets, stated, 1 - stated).min(1)
    right = (found.decided[:, columns] == targets).all(1)
    return sure, right, np.abs(2 * stated - 1).min(1), everywhere


def margins(probabilities: np.ndarray) -> np.ndarray:
    """[N]: the highest of each row [K] less the second highest; 1 where there is only one."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), dtype=np.float32)
    top = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])


def drawn_places(mask: np.ndarray, k: int, seed: int) -> np.ndarray:
    """`k` of the places where `mask` [N] is true, at random and without repetition; all in their order if fewer."""
    places = np.flatnonzero(mask)
    if len(places) <= k:
        return places
    return np.random.default_rng(seed).choice(places, k, replace=False)
