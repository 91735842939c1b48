"""Samples unlike all others of their class, by features. N samples, D features."""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS, OF_FEW = 10, 3  # in a class; in all samples, for a class with few
LIMIT = 6.0  # robust deviations above the class's median; of a normal distribution none in a thousand million
FEWEST = 12  # samples of a class; below that all samples are one class
BLOCK = 2**25  # distances at once


@dataclass(frozen=True, slots=True)
class Outlier:
    """place: of the sample. distance: mean distance to its nearest neighbours; usual: the class's median of it.

    deviations: by how many robust deviations it is above. in_class: whether neighbours are of the same class.
    """

    place: int
    distance: float
    usual: float
    deviations: float
    in_class: bool


def outliers(features: np.ndarray, groups: np.ndarray | None = None) -> list[Outlier]:
    """Samples far from the others of their group, farthest first.

    `features` [N D]; `groups` int [N]: the classes, or None. What is compared is the mean Euclidean distance to the
    `NEIGHBOURS` nearest in the group (for groups of fewer than `FEWEST` to the `OF_FEW` nearest of all), of features
    that are standardised and brought to length 1.
    """
    unit = unit_rows(features)
    labels = np.zeros(len(unit), np.int64) if groups is None else np.asarray(groups).copy()
    counts = np.bincount(labels)
    few = counts[labels] < FEWEST
    found: list[Outlier] = []
    for label in np.unique(labels[~few]):
        members = np.flatnonzero(labels == label)
        found += far_ones(members, neighbour_distances(unit[members], NEIGHBOURS), groups is not None)
    if few.any() and len(unit) >= FEWEST:
        every = neighbour_distances(unit, OF_FEW)
        found += [o for o in far_ones(np.arange(len(unit)), every, False) if few[o.place]]
    return sorted(found, key=lambda o: (-o.deviations, o.place))


def far_ones(members: np.ndarray, distances: np.ndarray, in_class: bool) -> list[Outlier]:
    """Those of a group that are more than `LIMIT` robust deviations above its median."""
    usual = float(np.median(distances))
    spread = 1.4826 * float(np.median(np.abs(distances - usual)))
    spread = max(spread, 0.05 * usual, 1e-6)  # of a group in which all are alike, nobody is far
    deviations = (distances - usual) / spread
    return [
        Outlier(int(members[i]), float(distances[i]), usual, float(deviations[i]), in_class)
        for i in np.flatnonzero(deviations > LIMIT)
    ]


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Features standardised column by column, each row then of length 1: float32 [N D]."""
    x = np.asarray(features, np.float32).reshape(len(features), -1)
    deviation = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(deviation > 1e-6, deviation, np.inf)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.maximum(length, 1e-6), np.float32)


def neighbour_distances(unit: np.ndarray, nearest: int) -> np.ndarray:
    """Of each row of `unit` [N D] the mean distance [N] to the `nearest` others."""
    nearest = min(nearest, len(unit) - 1)
    found = np.zeros(len(unit))
    step = max(1, BLOCK // len(unit))
    for first in range(0, len(unit), step):
        likeness = unit[first : first + step] @ unit.T
        near = np.partition(-likeness, nearest, axis=1)[:, : nearest + 1]  # itself among them, at distance 0
        distance = np.sqrt(np.maximum(2 + 2 * near, 0))
        found[first : first + step] = (distance.sum(axis=1) - distance.min(axis=1)) / nearest
    return found
