"""The same picture twice: byte for byte, or re-encoded, resized or nearly so. N pictures.

Two structures (see `picture_facts`) are compared band by band of frequency, since encoders and resizers weaken fine
detail but do not move it: 1 - sum of products / sum over bands of the products of lengths. The root of twice that is
their `distance`: 0 for equal ones, about 1.2 for unrelated photos. What counts as near depends on the company: of
handwritten digits many are alike, so a twin must be much nearer than others are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from satsuma.inspect.picture_facts import LEVELS, WAVES, PictureFacts

SURE = 0.02  # distance below which two are the same, whatever the company: JPEG of quality 50 makes 0.01 of a photo
FARTHEST = 0.13  # above which they are not; small pictures at half their size come so far
RATIO = 0.4  # of the distance to the fifth nearest other, below which a distance between the two counts as near
FIFTH = 5
FLAT = 2.0  # grey levels of contrast below which there is no structure to compare
BLOCK = 2**25  # pairs compared at once
ALIKE_SHARE, LEAST_ALIKE = 0.01, 10  # by features, a twin is among so many nearest; the larger counts


@dataclass(frozen=True, slots=True)
class TwinPair:
    """Two pictures, by place, that are the same. distance: 0 if byte for byte (`exact`). score: 0..1."""

    place: int
    other: int
    distance: float
    exact: bool

    @property
    def score(self) -> float:
        return 1.0 if self.exact else 0.99 - 0.49 * min(1.0, self.distance / FARTHEST)


def exact_twins(digests: Sequence[bytes]) -> dict[int, list[int]]:
    """First place → all places with the same bytes, where there are several; an empty digest equals none."""
    groups: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        if digest:
            groups.setdefault(digest, []).append(place)
    return {places[0]: places for places in groups.values() if len(places) > 1}


def near_twins(
    facts: Sequence[PictureFacts],
    features: np.ndarray | None = None,
    told: Callable[[int, int], None] | None = None,
) -> list[TwinPair]:
    """Pairs of pictures with the same structure, nearest first; of those with the same bytes the first speaks for all.

    `features` [N D]: a pair whose features are not among each other's nearest is dropped: alike only from afar.
    """
    firsts = {place: group[0] for group in exact_twins([f.digest for f in facts]).values() for place in group}
    unlike = np.array([i for i, f in enumerate(facts) if firsts.get(i, i) == i and has_structure(f)], np.int64)
    if len(unlike) < 2:
        return []
    structures = Structures(np.stack([facts[i].structure for i in unlike]))
    rows, columns, distances = structures.near_pairs(told)
    kept = distances <= np.maximum(SURE, RATIO * structures.company(rows, columns))
    pairs = zip(unlike[rows[kept]].tolist(), unlike[columns[kept]].tolist(), distances[kept].tolist(), strict=True)
    found = [TwinPair(min(a, b), max(a, b), distance, False) for a, b, distance in pairs]
    if features is not None:
        found = [twin for twin, alike in zip(found, alike_by(features, found), strict=True) if alike]
    return sorted(found, key=lambda t: (t.distance, t.place, t.other))


def has_structure(facts: PictureFacts) -> bool:
    """Whether there is more in a picture than one colour and noise."""
    if facts.problem or facts.structure is None:
        return False
    finest = facts.structure[~np.isnan(facts.structure[:, 0])][-1]
    return float(np.linalg.norm(finest)) > FLAT


class Structures:
    """Structures of N pictures [N 8 63], made ready to compare all with all."""

    def __init__(self, structures: np.ndarray) -> None:
        self.level = (~np.isnan(structures[:, :, 0])).sum(axis=1) - 1  # the finest of each
        self.ready = np.nan_to_num(structures)
        y, x = np.divmod(np.arange(1, WAVES * WAVES), WAVES)
        band = np.rint(np.hypot(y, x)).astype(int) - 1
        in_band = np.eye(band.max() + 1, dtype=np.float32)[band]  # [63 bands]
        self.lengths = np.sqrt(self.ready**2 @ in_band)  # [N 8 bands]

    def near_pairs(self, told: Callable[[int, int], None] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places of pairs nearer than `FARTHEST`, each once, and their distances. Two are compared at the finer
        level that both have.
        """
        limit = 1 - FARTHEST**2 / 2
        rows, columns, distances = [], [], []
        done, total = 0, len(self.level)
        for level in range(len(LEVELS)):
            own, all_at = np.flatnonzero(self.level == level), np.flatnonzero(self.level >= level)
            if not len(own):
                continue
            left, right = self.joined(own, level, 1.0), self.joined(all_at, level, -limit)
            step = max(1, BLOCK // len(all_at))
            for first in range(0, len(own), step):
                # of two at their own level each pair comes twice, so only those after the row are kept
                a, b = np.nonzero(left[first : first + step] @ right.T > 0)
                i, j = own[first + a], all_at[b]
                once = (i < j) | (self.level[j] > level)
                rows.append(i[once])
                columns.append(j[once])
                distances.append(self.distance(i[once], j[once], level))
                done += min(step, len(own) - first)
                if told is not None:
                    told(done, total)
        found = [np.concatenate(parts) for parts in (rows, columns, distances)]
        return found[0], found[1], found[2]

    def joined(self, places: np.ndarray, level: int, weight: float) -> np.ndarray:
        """Rows [M 63 + bands] whose product with others' is the product of structures less that of lengths."""
        return np.concatenate([self.ready[places, level], weight * self.lengths[places, level]], axis=1)

    def distance(self, i: np.ndarray, j: np.ndarray, level: int) -> np.ndarray:
        """The distance of pairs, exactly: [M]."""
        a, b = self.ready[i, level].astype(np.float64), self.ready[j, level].astype(np.float64)
        lengths = (self.lengths[i, level].astype(np.float64) * self.lengths[j, level]).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(0.0, 2 - 2 * (a * b).sum(axis=1) / np.maximum(lengths, 1e-12))))

    def company(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Of each pair how far the fifth nearest other is from the one of them that has the nearer company [M]."""
        asked = np.unique(np.concatenate([rows, columns])) if len(rows) else np.zeros(0, np.int64)
        fifth = np.zeros(len(self.level))
        for level in range(len(LEVELS)):
            for part in runs_of(asked[self.level[asked] == level], BLOCK // len(self.level)):
                fifth[part] = self.fifth_nearest(part, level)
        return np.asarray(np.minimum(fifth[rows], fifth[columns]))

    def fifth_nearest(self, places: np.ndarray, level: int) -> np.ndarray:
        """The distance [M] to the fifth nearest of those that have this level; in a small set, to the median one."""
        all_at = np.flatnonzero(self.level >= level)
        products = self.ready[places, level] @ self.ready[all_at, level].T
        lengths = self.lengths[places, level] @ self.lengths[all_at, level].T
        near = np.partition(-products / np.maximum(lengths, 1e-12), k := min(FIFTH, (len(all_at) - 1) // 2), axis=1)
        return np.asarray(np.sqrt(np.maximum(0.0, 2 + 2 * near[:, k])))  # itself is the nearest of all


def runs_of(places: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for first in range(0, len(places), max(1, size)):
        yield places[first : first + max(1, size)]


def alike_by(features: np.ndarray, twins: Sequence[TwinPair]) -> list[bool]:
    """Whether each pair's features [N D] are among each other's nearest, by their cosine."""
    if not twins:
        return []
    unit = features - features.mean(axis=0)
    unit = (unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    most = max(LEAST_ALIKE, round(ALIKE_SHARE * len(unit)))
    found = []
    for twin in twins:
        pair = unit[[twin.place, twin.other]]
        cosines_of_all = unit @ pair.T  # [N 2]
        own = float(pair[0] @ pair[1])
        rank = (cosines_of_all > own + 1e-6).sum(axis=0).min() - 1  # itself is one
        found.append(bool(rank < most))
    return found
