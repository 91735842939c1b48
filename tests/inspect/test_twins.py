"""Planted copies are found and pictures that are only alike are not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.inspect.textures import encoded, scaled, texture

from satsuma.inspect.picture_facts import LEVELS, look_at, look_at_all, structure_at
from satsuma.inspect.twins import Structures, exact_twins, near_twins

ORIGINALS = 60
SIDES = (Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)


def pairs_in(sources: Sequence[Any], features: np.ndarray | None = None) -> set[tuple[int, int]]:
    return {(t.place, t.other) for t in near_twins(look_at_all(sources, len(sources)), features)}


@pytest.fixture(scope="module")
def originals() -> list[np.ndarray]:
    return [texture(seed) for seed in range(ORIGINALS)]


@pytest.mark.parametrize(
    "copy",
    [lambda p, q=q: encoded(p, q) for q in (50, 75, 95)]
    + [lambda p, s=s, how=how: scaled(p, s, how) for s in (0.5, 0.8, 1.3, 2.0) for how in SIDES]
    + [lambda p: encoded(scaled(p, 0.6), 60), lambda p: scaled(p, 0.5).repeat(1, 0)],
)
def test_each_copy_is_found_and_nothing_else(originals: list[np.ndarray], copy: Any) -> None:
    copies = [np.ascontiguousarray(c) if isinstance(c := copy(p), np.ndarray) else c for p in originals[:12]]
    assert pairs_in([*originals, *copies]) == {(i, ORIGINALS + i) for i in range(12)}


def test_small_grey_ones_are_told_from_those_that_are_only_alike() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits = [
        np.asarray(Image.fromarray((d * 255 / 16).astype(np.uint8)).resize((24, 24), Image.Resampling.BICUBIC))
        for d in datasets.load_digits().images
    ]
    copies = [encoded(d, 60) for d in digits[:50]] + [scaled(d, 0.6) for d in digits[50:100]]
    copies += [scaled(d, 2.0) for d in digits[100:150]]
    found = pairs_in([*digits, *copies])
    planted = {(i, len(digits) + i) for i in range(150)}
    assert len(found & planted) >= 149  # a recall of 0.99
    assert len(found - planted) <= 1  # of 1,797, in which many are alike


def test_of_equal_bytes_the_first_speaks_for_all(originals: list[np.ndarray]) -> None:
    raw = encoded(originals[0], 90)
    facts = look_at_all([raw, originals[1], raw, encoded(originals[0], 60)], 4)
    assert exact_twins([f.digest for f in facts]) == {0: [0, 2]}
    assert [(t.place, t.other, t.exact) for t in near_twins(facts)] == [(0, 3, False)]


def test_pictures_of_one_colour_are_no_near_twins() -> None:
    rng = np.random.default_rng(0)
    dark = [rng.integers(3, size=(64, 64, 3), dtype=np.uint8) for _ in range(9)]
    assert pairs_in(dark) == set()


def test_features_far_apart_speak_against_a_near_twin(originals: list[np.ndarray]) -> None:
    sources = [*originals, encoded(originals[3], 80)]
    features = np.random.default_rng(1).normal(size=(len(sources), 16))
    features[-1] = features[3]
    assert pairs_in(sources, features) == {(3, ORIGINALS)}
    features[-1] = -features[3]
    assert pairs_in(sources, features) == set()


def test_all_pairs_in_blocks_are_those_one_by_one(originals: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = [scaled(p, (0.1 + 0.05 * (i % 5))) for i, p in enumerate(originals)]
    kept = Structures(np.stack([look_at(p).structure for p in [*mixed, *mixed[:7]]]))  # type: ignore[arg-type]
    assert len(np.unique(kept.level)) > 2
    monkeypatch.setattr("satsuma.inspect.twins.BLOCK", 100)
    rows, columns, distances = kept.near_pairs(None)
    found = {(min(a, b), max(a, b)): d for a, b, d in zip(rows.tolist(), columns.tolist(), distances, strict=True)}
    assert len(found) == len(rows)
    n = len(mixed) + 7
    for i in range(n):
        for j in range(i + 1, n):
            level = min(kept.level[i], kept.level[j])
            distance = kept.distance(np.array([i]), np.array([j]), level)[0]
            assert (distance < 0.13) == ((i, j) in found), (i, j, distance)


def test_structure_knows_no_brightness_and_little_of_sharpening() -> None:
    grey = texture(1).mean(axis=2).astype(np.uint8) // 2
    assert np.abs(structure_at(grey, 32) - structure_at(grey + 60, 32)).max() < 1e-3
    assert structure_at(grey, 8).reshape(-1)[-1] == 0  # the finest waves of a small square are left out


def test_a_damaged_picture_is_told_and_passed_over() -> None:
    facts = look_at(b"\xff\xd8\xff nothing")
    assert facts.problem
    assert facts.structure is None
    assert near_twins([facts, facts]) == []
    assert len(LEVELS) == len(look_at(texture(1)).structure)  # type: ignore[arg-type]
