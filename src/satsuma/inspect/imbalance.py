"""Classes with far fewer samples than the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALL_SHARE = 0.2  # of the median class, below which a class is told
FEWEST_SAMPLES = 5  # below which it is told also where that is up to half of the median


@dataclass(frozen=True, slots=True)
class SmallClass:
    """A class and how many training samples it has, beside the median class."""

    name: str
    count: int
    median: float

    @property
    def score(self) -> float:
        """0..1: 1 for a class without any sample."""
        return 1.0 - min(1.0, self.count / max(self.median, FEWEST_SAMPLES))


def small_classes(labels: np.ndarray, vocab: Sequence[str]) -> list[SmallClass]:
    """Classes of `vocab` (K) with few of the training `labels`, int [N] or bool [N K]; the smallest first.

    >>> small_classes(np.repeat([0, 1, 2], [50, 60, 3]), ["cat", "dog", "yak"])
    [SmallClass(name='yak', count=3, median=50.0)]
    """
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(vocab))
    median = float(np.median(counts))
    least = max(SMALL_SHARE * median, min(FEWEST_SAMPLES, median / 2))
    few = [k for k, count in enumerate(counts) if count < least]
    return [SmallClass(vocab[k], int(counts[k]), median) for k in sorted(few, key=lambda k: (counts[k], vocab[k]))]
