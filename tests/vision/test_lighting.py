"""Random light: distributions as fastai's, matrices as torchvision defines them."""

import colorsys
import math

import numpy as np
import pytest
import torch
from PIL import Image
from tests.ids import plain

from satsuma.vision.colour import plain_colours
from satsuma.vision.lighting import (
    LUMA,
    Brightness,
    Contrast,
    Hue,
    RandomGrey,
    Saturation,
    factor_within,
    hue_matrix,
    saturation_matrix,
)

ALL = [Brightness(p=1.0), Contrast(p=1.0), Saturation(p=1.0), Hue(p=1.0), RandomGrey(p=1.0)]
PLAIN = plain_colours(3)
PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def rng(seed=3):
    return np.random.default_rng(seed)


def drawn(transform, n=4000):
    source = rng()
    return [transform.colour(PLAIN, source) for _ in range(n)]


@pytest.mark.parametrize("transform", ALL, ids=plain)
def test_without_a_generator_nothing_changes(transform):
    assert transform.training_only
    assert transform.colour(PLAIN, None) is PLAIN
    assert transform(PICTURE) is PICTURE
    batch = torch.rand(2, 3, 5, 7)
    assert transform(batch) is batch
    image = Image.fromarray(PICTURE)
    assert transform(image) is image


@pytest.mark.parametrize("transform", ALL, ids=plain)
def test_the_same_generator_gives_the_same(transform):
    one = transform(PICTURE, rng())
    assert one.shape == PICTURE.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, transform(PICTURE, rng()))
    assert not np.array_equal(one, PICTURE)
    assert np.array_equal(one, np.asarray(transform(Image.fromarray(PICTURE), rng())))
    if not isinstance(transform, RandomGrey):
        assert not np.array_equal(one, transform(PICTURE, rng(4)))


@pytest.mark.parametrize("transform", [Brightness, Contrast, Saturation, Hue, RandomGrey])
def test_p_is_how_often(transform):
    changed = [colours is not PLAIN for colours in drawn(transform(p=0.3))]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.03)
    assert all(colours is PLAIN for colours in drawn(transform(p=0), 50))


def test_brightness_moves_mid_grey_as_fastai_does():
    greys = [1 / (1 + math.exp(-c.shift)) for c in drawn(Brightness(0.4, p=1.0))]  # what 0.5 becomes
    assert np.quantile(greys, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7], abs=0.01)
    assert {c.scale for c in drawn(Brightness(0.4, p=1.0), 50)} == {1.0}


def test_contrast_is_log_uniform_as_fastais():
    factors = [c.scale for c in drawn(Contrast(0.2, p=1.0))]
    expected = [0.8, 0.8**0.5, 1, 1.25**0.5, 1.25]
    assert np.quantile(factors, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx(expected, abs=0.01)
    assert {c.shift for c in drawn(Contrast(p=1.0), 50)} == {0.0}


def test_saturation_draws_from_the_same_factors():
    source = rng()
    source.random()  # for p
    assert Saturation(0.3, p=1.0).colour(PLAIN, rng()) == PLAIN.mixed(saturation_matrix(factor_within(0.3, source)))


def test_saturation_is_the_blend_with_grey_that_torchvision_makes():
    x = rng().random((11, 3))
    grey = x @ np.array([0.2989, 0.587, 0.114])  # torchvision's rgb_to_grayscale
    for factor in (0.0, 0.5, 1.0, 1.4):
        np.testing.assert_allclose(
            x @ saturation_matrix(factor).T, factor * x + (1 - factor) * grey[:, None], atol=2e-4
        )


@pytest.mark.parametrize("turn", [-0.3, -0.1, 0.05, 0.25, 0.5])
def test_hue_keeps_greys_and_brightness(turn):
    matrix = hue_matrix(turn)
    np.testing.assert_allclose(matrix @ np.ones(3), np.ones(3), atol=1e-9)
    np.testing.assert_allclose(np.array(LUMA) @ matrix, LUMA, atol=1e-9)
    np.testing.assert_allclose(matrix @ hue_matrix(-turn), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(hue_matrix(turn / 2) @ hue_matrix(turn / 2), matrix, atol=1e-9)
    assert hue_matrix(1.0) == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("turn", [-0.1, 0.1])
def test_hue_turns_as_far_and_the_same_way_round_as_hsv(turn):
    turns = []
    for hue in np.arange(24) / 24:
        colour = 0.5 + 0.2 * (np.array(colorsys.hsv_to_rgb(hue, 0.5, 1)) - 0.5)
        found = colorsys.rgb_to_hsv(*(hue_matrix(turn) @ colour))[0]
        turns.append((found - hue + 0.5) % 1 - 0.5)
    assert np.mean(turns) == pytest.approx(turn, abs=0.01)  # all round the circle
    assert np.abs(np.array(turns) - turn).max() < 0.08  # here faster, there slower


def test_hue_draws_both_ways():
    source = rng()
    source.random()
    assert Hue(0.2, p=1.0).colour(PLAIN, rng()) == PLAIN.mixed(hue_matrix(source.uniform(-0.2, 0.2)))


def test_grey_is_grey():
    found = RandomGrey(p=1.0)(PICTURE, rng())
    np.testing.assert_array_equal(found, np.repeat(found[..., :1], 3, 2))
    assert np.abs(found[..., 0] - PICTURE @ np.array(LUMA)).max() <= 0.5 + 1e-3


def test_transparency_and_pictures_of_one_channel():
    clear = np.dstack((PICTURE, PICTURE[..., 0]))
    for transform in ALL:
        found = transform(clear, rng())
        assert np.array_equal(found[..., 3], clear[..., 3])
        assert np.array_equal(found[..., :3], transform(PICTURE, rng()))
        single = transform(PICTURE[..., 0], rng())
        assert np.array_equal(single, PICTURE[..., 0]) == isinstance(transform, Saturation | Hue | RandomGrey)


def test_no_light_at_all_is_allowed():
    for transform in (Brightness(0, p=1.0), Contrast(0, p=1.0), Saturation(0.0, p=1.0), Hue(0.0, p=1.0)):
        assert np.array_equal(transform(PICTURE, rng()), PICTURE)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="Brightness: max_lighting is from 0 to below 1, got 1"):
        Brightness(1)
    with pytest.raises(ValueError, match="Contrast: p is a probability, 0 to 1, got 75"):
        Contrast(p=75)
    with pytest.raises(ValueError, match=r"Saturation: max_lighting is from 0 to below 1, got -0.1"):
        Saturation(-0.1)
    with pytest.raises(ValueError, match="Hue: max_hue is a share, 0 to 1, got 30"):
        Hue(30)
    with pytest.raises(ValueError, match="RandomGrey: p is a probability"):
        RandomGrey(-1)
    with pytest.raises(TypeError, match="did you mean 'max_lighting'"):
        Brightness(max_lightning=0.2)
