"""Effects: where they strike, how often, and what they leave alone."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.ids import plain

from satsuma.vision.effects import (
    CoarseDropout,
    RandomBlur,
    RandomErasing,
    RandomJPEG,
    RandomNoise,
    mean_colour,
    normal_quantiles,
)

ALL = [RandomErasing(p=1.0), CoarseDropout(p=1.0), RandomNoise(p=1.0), RandomBlur(p=1.0), RandomJPEG(p=1.0)]
H, W = 46, 62


def picture(channels=3, seed=0):
    """Smooth colours: uint8 [H W C]."""
    low = np.random.default_rng(seed).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return cv2.resize(low, (W, H), interpolation=cv2.INTER_CUBIC).reshape(H, W, channels)


def rng(seed=3):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transform", ALL, ids=plain)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_goes_in_and_another_comes_out(transform, channels):
    before = picture(channels)
    given = before.copy()
    given.flags.writeable = False  # a cache may hold it
    one = transform.pixels(given, rng())
    assert one.shape == given.shape
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert np.array_equal(one, transform.pixels(given, rng()))
    assert not np.array_equal(one, given)
    assert not np.array_equal(one, transform.pixels(given, rng(4)))
    if channels == 4 and not isinstance(transform, RandomBlur):
        assert np.array_equal(one[..., 3], given[..., 3])


@pytest.mark.parametrize("transform", ALL, ids=plain)
def test_without_a_generator_nothing_changes(transform):
    given, batch = picture(), torch.rand(2, 3, H, W)
    image = Image.fromarray(given)
    assert transform.training_only
    assert transform.pixels(given, None) is given
    assert transform(given) is given
    assert transform(image) is image
    assert transform(batch) is batch


@pytest.mark.parametrize("transform", [RandomErasing, CoarseDropout, RandomNoise, RandomBlur, RandomJPEG])
def test_p_is_how_often(transform):
    given, source = picture()[:9, :9], rng()
    changed = [transform(p=0.3).pixels(given, source) is not given for _ in range(600)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize("transform", ALL, ids=plain)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_alone_on_images_and_arrays(transform, mode):
    given = picture(len(mode))
    expected = transform.pixels(given, rng())
    given, expected = (given[..., 0], expected[..., 0]) if mode == "L" else (given, expected)
    found = transform(Image.fromarray(given), rng())
    assert found.mode == mode
    assert np.array_equal(np.asarray(found), expected)
    assert np.array_equal(transform(given, rng()), expected)


@pytest.mark.parametrize("transform", ALL, ids=plain)
def test_alone_on_a_float_batch_each_sample_has_its_own_draw(transform):
    x = torch.from_numpy(picture()).permute(2, 0, 1).expand(3, -1, -1, -1) / 255.0
    one = transform(x, torch.Generator().manual_seed(5))
    assert one.shape == x.shape
    assert one.dtype == x.dtype
    assert torch.equal(one, transform(x, torch.Generator().manual_seed(5)))
    assert not torch.equal(one[0], one[1])
    assert torch.equal((one * 255).round() / 255, one)
    assert not torch.equal(one, x)
    untouched = torch.rand(2, 3, H, W)
    assert torch.equal(type(transform)(p=0)(untouched, torch.Generator()), untouched)


def box_of(changed):
    """The rectangle [H W] that is True: its sides; it must be whole."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return len(rows), len(columns)


def test_erasing_erases_rectangles_of_the_areas_and_ratios_asked_for():
    blank, source, erase = np.zeros((H, W, 1), np.uint8), rng(), RandomErasing(1.0, 0.1, 0.3, 0.5, fill=200)
    sides = np.array([box_of(erase.pixels(blank, source)[..., 0] == 200) for _ in range(400)])
    areas, ratios = sides.prod(1) / (H * W), sides[:, 0] / sides[:, 1]
    assert 0.09 < areas.min() < 0.12
    assert 0.28 < areas.max() < 0.31
    assert 0.46 < ratios.min() < 0.55
    assert 1.8 < ratios.max() < 2.15


def test_erasing_fills_with_noise_of_all_values_or_the_mean():
    given = picture()
    noise = RandomErasing(1.0, 0.4, 0.4, 1.0).pixels(given, rng())
    inside = noise[(noise != given).any(2)]
    assert inside.mean() == pytest.approx(127.5, abs=4)
    assert inside.std() == pytest.approx(np.arange(256).std(), abs=4)
    mean = RandomErasing(1.0, 0.4, 0.4, 1.0, fill="mean").pixels(given, rng())
    inside = np.unique(mean[(mean != given).any(2)], axis=0)
    assert np.array_equal(inside, [np.rint(given.mean((0, 1)))])


def test_erasing_what_cannot_hold_the_rectangle_leaves_it():
    thin = np.zeros((1, 100, 3), np.uint8)
    assert RandomErasing(1.0, 0.4, 0.4, 1.0).pixels(thin, rng()) is thin


def test_dropout_makes_up_to_so_many_holes():
    blank, source, drop = np.zeros((400, 600, 1), np.uint8), rng(), CoarseDropout(1.0, 3, 0.02, fill=255)
    counts = [cv2.connectedComponents(drop.pixels(blank, source))[0] - 1 for _ in range(300)]
    assert set(counts) == {1, 2, 3}
    assert np.mean(counts) == pytest.approx(2, abs=0.15)


def test_dropout_makes_holes_of_the_size_asked_for_anywhere():
    blank, source, drop = np.zeros((400, 600, 1), np.uint8), rng(), CoarseDropout(1.0, 1, 0.1, fill=255)
    found = [drop.pixels(blank, source)[..., 0] == 255 for _ in range(400)]
    sides = np.array([box_of(hole) for hole in found])
    assert 38 <= sides[:, 0].max() <= 41
    assert 57 <= sides[:, 1].max() <= 61
    assert np.median(sides, 0) == pytest.approx([30, 45], abs=2)
    often = np.mean(found, 0)
    assert often[:40, :60].mean() == pytest.approx(often[180:220, 270:330].mean(), abs=0.004)  # corner, middle


def test_noise_has_the_deviation_drawn_and_no_bias():
    grey = np.full((200, 300, 3), 128, np.uint8)
    source = rng()
    source.random()
    deviation = source.uniform(0, 0.1) * 255
    found = RandomNoise(0.1, p=1.0).pixels(grey, rng()).astype(float) - 128
    assert found.std() == pytest.approx(np.sqrt(deviation**2 + 1 / 12), rel=0.01)  # 1/12: rounding to whole values
    assert found.mean() == pytest.approx(0, abs=0.1)
    assert (np.abs(found) < deviation).mean() == pytest.approx(0.683, abs=0.05)
    assert abs(np.corrcoef(found[:, :-1].ravel(), found[:, 1:].ravel())[0, 1]) < 0.01


def test_noise_stops_at_black_and_white():
    ends = np.repeat(np.array([0, 255], np.uint8), 3000).reshape(60, 100, 1)
    found = RandomNoise(1.0, p=1.0).pixels(ends, rng()).astype(int) - ends
    assert (found[:30] >= 0).all()
    assert (found[30:] <= 0).all()
    assert found.any()


def test_the_table_of_the_normal_distribution_is_one():
    z = normal_quantiles()
    assert z.mean() == pytest.approx(0, abs=1e-9)
    assert z.std() == pytest.approx(1, abs=1e-3)
    assert z[round(65536 * 0.975)] == pytest.approx(1.96, abs=1e-3)


def test_blur_is_a_gaussian_one():
    dot = np.zeros((41, 41, 1), np.uint8)
    dot[20, 20] = 255
    found = RandomBlur(1.5, 1.5, p=1.0).pixels(dot, rng())[..., 0].astype(float)
    away = np.arange(41) - 20
    bell = np.exp(-(away**2) / (2 * 1.5**2))
    bell /= bell.sum()
    assert np.abs(found - 255 * np.outer(bell, bell)).max() <= 1
    flat = np.full((7, 5, 3), 77, np.uint8)
    assert np.array_equal(RandomBlur(p=1.0).pixels(flat, rng()), flat)  # the edges do not darken


def test_jpeg_is_what_pillow_makes_of_it():
    given = picture()
    found = RandomJPEG(20, 20, p=1.0).pixels(given, rng())
    file = io.BytesIO()
    Image.fromarray(given).save(file, "JPEG", quality=20, subsampling="4:2:0")
    expected = np.asarray(Image.open(file)).astype(int)
    lost = np.abs(expected - given).mean()
    assert lost > 3
    assert np.abs(found - expected).mean() < lost / 4  # the fast transform and upsampling


def test_mean_colour_of_every_number_of_channels():
    for channels in (1, 3):
        given = picture(channels)
        assert np.array_equal(mean_colour(given), np.rint(given.mean((0, 1))))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_tiny_pictures_survive(size):
    for channels in (1, 3, 4):
        tiny = np.full((*size, channels), 90, np.uint8)
        for seed in range(5):
            for transform in ALL:
                assert transform.pixels(tiny, rng(seed)).shape == tiny.shape


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="RandomErasing: p is a probability, 0 to 1, got 5"):
        RandomErasing(5)
    with pytest.raises(ValueError, match="RandomErasing: needs min_area <= max_area"):
        RandomErasing(min_area=0.6)
    with pytest.raises(ValueError, match='fill is "noise", "mean" or a value from 0 to 255, got \'black\''):
        RandomErasing(fill="black")
    with pytest.raises(ValueError, match="CoarseDropout: fill is"):
        CoarseDropout(fill=300)
    with pytest.raises(ValueError, match="max_holes is a number of holes, 1 or more, got 0"):
        CoarseDropout(max_holes=0)
    with pytest.raises(ValueError, match="RandomNoise: max_std is a share, 0 to 1, got 12"):
        RandomNoise(12)
    with pytest.raises(ValueError, match="RandomBlur: sigmas must be above 0 and rise, got 3 to 2"):
        RandomBlur(2, 3)
    with pytest.raises(ValueError, match="RandomJPEG: min_quality is a quality, a whole number, 1 to 100, got 0"):
        RandomJPEG(0)
    with pytest.raises(TypeError, match="did you mean 'max_sigma'"):
        RandomBlur(max_sigmas=2)
    with pytest.raises(ValueError, match=r"RandomBlur: expected a float batch \[B C H W\]"):
        RandomBlur()(torch.zeros(3, H, W), torch.Generator())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomBlur(max_sigma=float("inf")), "max_sigma is pixels, 0 to below 100, got inf"),
        (lambda: RandomBlur(max_sigma=1e6), "max_sigma is pixels, 0 to below 100, got 1000000"),
        (lambda: RandomJPEG(min_quality=1.5), "min_quality is a quality, a whole number, 1 to 100, got 1.5"),
        (lambda: RandomJPEG(80, 30), "qualities must rise, got 80 to 30"),
    ],
)
def test_settings_beyond_use_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_generator_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="RandomBlur: for a picture, rng is a NumPy generator"):
        RandomBlur()(np.zeros((5, 7, 3), np.uint8), torch.Generator())
    with pytest.raises(TypeError, match=r"RandomBlur: for a batch, rng is a torch\.Generator"):
        RandomBlur()(torch.zeros(2, 3, 5, 7), np.random.default_rng(0))


def test_a_batch_of_bytes_is_told_what_to_do():
    with pytest.raises(
        ValueError, match=r"RandomBlur: .* got \[2, 3, 5, 7\] of torch\.uint8; use batch\.float\(\) / 255"
    ):
        RandomBlur()(torch.zeros(2, 3, 5, 7, dtype=torch.uint8))
