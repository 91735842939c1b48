"""Odd pictures, outliers and small classes: what is planted is found, and in a homogeneous set nothing is."""

import cv2
import numpy as np
import pytest
from tests.inspect.textures import scaled, texture

from satsuma.inspect.imbalance import small_classes
from satsuma.inspect.odd_pictures import odd_pictures
from satsuma.inspect.outliers import neighbour_distances, outliers, unit_rows
from satsuma.inspect.picture_facts import look_at_all


def reasons(pictures: list[np.ndarray]) -> dict[int, str]:
    return {o.place: o.reason for o in odd_pictures(look_at_all(pictures, len(pictures)))}


USUAL = [texture(seed) for seed in range(40)]


def test_a_homogeneous_set_has_no_odd_pictures() -> None:
    assert reasons(USUAL) == {}
    assert reasons([USUAL[0]] * 30) == {}


def test_each_kind_of_odd_picture_is_found_with_its_reason() -> None:
    odd = {
        "all black": np.zeros((96, 128, 3), np.uint8),
        "all white": np.full((96, 128, 3), 255, np.uint8),
        "all of one colour (brightness 76": np.full((96, 128, 3), (255, 0, 0), np.uint8),
        "much larger": scaled(texture(50), 8),
        "much smaller": scaled(texture(51), 0.2),
        "much wider": texture(52, 40, 400),
        "much taller": texture(53, 400, 40),
        "much darker": texture(54) // 8,
        "blurred": cv2.GaussianBlur(texture(55), (0, 0), 9),
        "grey, where": np.ascontiguousarray(texture(56)[..., :1].repeat(3, 2)),
    }
    found = reasons([*(texture(seed) for seed in range(160)), *odd.values()])
    assert set(found) == set(range(160, 160 + len(odd)))
    for place, said in enumerate(odd, 160):
        assert said in found[place]


def test_a_few_pictures_say_nothing_of_what_is_usual() -> None:
    assert reasons([*USUAL[:3], scaled(USUAL[4], 8)]) == {}


def test_outliers_are_those_planted_within_their_class() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1, 2], [80, 90, 5])
    centres = rng.normal(size=(3, 32)) * 4
    features = centres[groups] + rng.normal(size=(175, 32)) * 0.5
    assert outliers(features, groups) == []
    features[7], features[100] = centres[1], centres[0]  # of each other's class
    found = outliers(features, groups)
    assert {o.place for o in found} == {7, 100}
    assert all(o.in_class and o.distance > o.usual for o in found)
    features[100] = rng.normal(size=32) * 40
    assert 100 in {o.place for o in outliers(features)}
    assert all(not o.in_class for o in outliers(features))


def test_neighbour_distances_are_those_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsuma.inspect.outliers.BLOCK", 100)
    unit = unit_rows(np.random.default_rng(2).normal(size=(37, 5)))
    by_hand = [np.sort(np.linalg.norm(unit - row, axis=1))[1:11].mean() for row in unit]
    assert np.allclose(neighbour_distances(unit, 10), by_hand, atol=1e-3)


def test_small_classes_of_one_label_and_of_several() -> None:
    assert [s.name for s in small_classes(np.repeat([0, 1, 2, 3], [100, 90, 8, 0]), "abcd")] == ["d", "c"]
    assert small_classes(np.repeat([0, 1, 2], [3, 4, 4]), "abc") == []
    several = np.zeros((50, 3), bool)
    several[:, 0], several[:40, 1], several[:2, 2] = True, True, True
    assert [(s.name, s.count, s.score > 0.9) for s in small_classes(several, "abc")] == [("c", 2, True)]
