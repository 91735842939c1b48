"""One table against the chain of float operations that it stands for, in float64."""

import doctest
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from satsuma.vision import colour
from satsuma.vision.colour import (
    ColourMap,
    colour_on_device,
    coloured_alone,
    colours_on_floats,
    picture_pixels,
    plain_colours,
)
from satsuma.vision.lighting import Brightness

H, W = 5, 7
EPS = 1e-7  # as in fastai
MEAN, STD = (0.485, 0.456, 0.406, 0.3), (0.229, 0.224, 0.225, 0.2)
MATRIX = np.array([(0.7, 0.2, 0.1), (-0.1, 1.2, -0.1), (0.3, 0.3, 0.4)])


def pixels(channels, seed=0):
    """Every one of the 256 values at least once: uint8 [52 7 C]."""
    values = np.arange(52 * W * channels) % 256
    return np.random.default_rng(seed).permutation(values).astype(np.uint8).reshape(52, W, channels)


def chain(picture, *, tones=(), matrix=None, mean=(0.0,), std=(1.0,)):
    """/255, logit, multiply, add, sigmoid, mix, normalise: float64, step by step."""
    x = picture.astype(np.float64) / 255
    y = x.copy()
    for scale, shift in tones:  # each tone by itself, there and back
        y = np.clip(y, EPS, 1 - EPS)
        y = 1 / (1 + np.exp(-(np.log(y / (1 - y)) * scale + shift)))
    if picture.shape[2] == 4:
        y[..., 3] = x[..., 3]
    if matrix is not None:
        y[..., :3] = np.einsum("ij,hwj->hwi", matrix, y[..., :3])
    return (y - np.array(mean)) / np.array(std)


def mapped(channels, *, tones=(), matrix=None, normal=False):
    colours = plain_colours(channels)
    for scale, shift in tones:
        colours = colours.toned(scale, shift)
    if matrix is not None:
        colours = colours.mixed(matrix)
    return colours.normalised(MEAN[:channels], STD[:channels]) if normal else colours


CASES = [
    {"tones": (), "matrix": None, "normal": False},
    {"tones": (), "matrix": None, "normal": True},
    {"tones": [(1.0, 0.4)], "matrix": None, "normal": True},
    {"tones": [(0.8, 0.0)], "matrix": None, "normal": False},
    {"tones": [(1.2, -0.3)], "matrix": MATRIX, "normal": True},
    {"tones": [], "matrix": MATRIX, "normal": False},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_map_is_the_chain(channels, case):
    picture = pixels(channels)
    found = mapped(channels, **case).apply(picture)
    matrix = None if channels == 1 else case["matrix"]
    normal = {"mean": MEAN[:channels], "std": STD[:channels]} if case["normal"] else {}
    assert found.dtype == np.float32
    assert found.shape == picture.shape
    np.testing.assert_allclose(
        found, chain(picture, tones=case["tones"], matrix=matrix, **normal), atol=1e-6, rtol=1e-6
    )


def test_tones_compose_in_the_order_given():
    tones = [(1.0, 0.5), (0.7, 0.0), (1.0, -0.2), (1.1, 0.0)]
    picture = np.clip(pixels(3), 2, 253)  # the oracle clips at every step, the map once
    np.testing.assert_allclose(mapped(3, tones=tones).apply(picture), chain(picture, tones=tones), atol=1e-6)
    other = mapped(3, tones=tones[::-1]).apply(picture)
    np.testing.assert_allclose(other, chain(picture, tones=tones[::-1]), atol=1e-6)
    assert np.abs(other - mapped(3, tones=tones).apply(picture)).max() > 0.01


def test_matrices_and_normalisations_compose():
    other = MATRIX.T - 0.1
    picture = pixels(3)
    colours = plain_colours(3).mixed(MATRIX).mixed(other).normalised((0.5,), (0.2,)).normalised(MEAN[:3], STD[:3])
    expected = (chain(picture, matrix=other @ MATRIX, mean=(0.5,), std=(0.2,)) - MEAN[:3]) / np.array(STD[:3])
    np.testing.assert_allclose(colours.apply(picture), expected, rtol=1e-5, atol=2e-6)


def test_tone_acts_before_mixing_before_normalising_whatever_the_order_asked_for():
    one = plain_colours(3).toned(1.1, 0.2).mixed(MATRIX).normalised(MEAN[:3], STD[:3])
    assert plain_colours(3).normalised(MEAN[:3], STD[:3]).mixed(MATRIX).toned(1.1, 0.2) == one


def test_plain_colours_are_exactly_a_255th():
    picture = pixels(3)
    assert np.array_equal(plain_colours(3).apply(picture), (picture / 255).astype(np.float32))


@pytest.mark.parametrize("matrix", [None, MATRIX])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_it_writes_into_its_row_of_a_batch(channels, matrix):
    batch = np.full((3, 52, W, channels), 9.0, np.float32)
    colours, picture = mapped(channels, tones=[(1.1, 0.2)], matrix=matrix, normal=True), pixels(channels)
    row = batch[1]
    assert colours.apply(picture, row) is row
    assert np.array_equal(batch[1], colours.apply(picture))
    assert (batch[[0, 2]] == 9).all()


def test_views_of_pictures_are_read_as_they_look():
    colours, picture = mapped(3, tones=[(1.1, 0.2)], normal=True), pixels(3)
    for view in (picture[:, ::-1], picture[::2, 1:4], picture[..., ::-1]):
        assert np.array_equal(colours.apply(view), colours.apply(np.ascontiguousarray(view)))
    read_only = picture.copy()
    read_only.flags.writeable = False
    assert np.array_equal(colours.apply(read_only), colours.apply(picture))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_device_does_the_same(channels):
    pictures = np.stack([pixels(channels, seed) for seed in range(2)])
    maps = [mapped(channels, **CASES[2]), mapped(channels, **CASES[4])]
    tables, matrices = zip(*(m.table_and_matrix() for m in maps), strict=True)
    tables, matrices = torch.from_numpy(np.stack(tables)), torch.from_numpy(np.stack(matrices))
    assert tables.shape == (2, 256, channels)
    assert matrices.shape == (2, channels, channels + 1)
    found = colour_on_device(torch.from_numpy(pictures), tables, matrices)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    expected = np.stack([m.apply(p) for m, p in zip(maps, pictures, strict=True)]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)
    plain = colour_on_device(torch.from_numpy(pictures), tables[:1].expand(2, -1, -1))
    np.testing.assert_array_equal(plain[1, :, :, :].permute(1, 2, 0).numpy(), maps[0].apply(pictures[1]))


def test_as_uint8_rounds_and_clips_and_leaves_normalising_out():
    picture = pixels(3)
    strong = mapped(3, tones=[(1.2, 0.1)], matrix=MATRIX * 1.5, normal=True)
    expected = chain(picture, tones=[(1.2, 0.1)], matrix=MATRIX * 1.5) * 255
    assert expected.max() > 256
    assert np.abs(strong.as_uint8(picture) - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-4
    assert mapped(3, normal=True).as_uint8(picture) is picture


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_as_uint8_of_a_tone_alone(channels):
    picture = pixels(channels)
    found = mapped(channels, tones=[(1.2, 0.4)], normal=True).as_uint8(picture)
    assert found.shape == picture.shape
    assert np.abs(found - chain(picture, tones=[(1.2, 0.4)]) * 255).max() <= 0.5 + 1e-4


def test_the_strongest_tones_stay_numbers():
    found = plain_colours(3).toned(1e6, 1e4).apply(pixels(3))
    assert np.isfinite(found).all()
    assert (found.min(), found.max()) == (0, 1)


@dataclass(frozen=True)
class Drawn:
    """A colour transform with one random tone, one mixing."""

    def colour(self, colours, rng):
        return colours if rng is None else colours.toned(1.0, rng.uniform(0.2, 0.9)).mixed(MATRIX)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_alone_on_images_and_arrays(mode):
    channels = len(mode)
    picture = pixels(channels)
    if channels == 1:
        picture = picture[..., 0]
    rng = np.random.default_rng
    expected = Drawn().colour(plain_colours(channels), rng(3)).as_uint8(picture.reshape(52, W, channels))
    found = coloured_alone(Drawn(), Image.fromarray(picture), rng(3))
    assert found.mode == mode
    assert np.array_equal(np.asarray(found), expected.reshape(picture.shape))
    assert np.array_equal(coloured_alone(Drawn(), picture, rng(3)), expected.reshape(picture.shape))
    assert coloured_alone(Drawn(), picture) is picture


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_alone_on_a_float_batch_each_sample_has_its_own_draw(channels):
    x = torch.from_numpy(pixels(channels)).permute(2, 0, 1).expand(3, -1, -1, -1) / 255.0
    generator = torch.Generator
    one = coloured_alone(Drawn(), x, generator().manual_seed(5))
    assert one.shape == x.shape
    assert torch.equal(one, coloured_alone(Drawn(), x, generator().manual_seed(5)))
    assert not torch.equal(one, coloured_alone(Drawn(), x, generator().manual_seed(6)))
    assert not torch.equal(one[0], one[1])
    assert coloured_alone(Drawn(), x) is x


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_are_mapped_as_bytes_are(channels):
    maps = [mapped(channels, **case) for case in CASES]
    picture = pixels(channels)
    x = torch.from_numpy(picture.astype(np.float64) / 255).permute(2, 0, 1).expand(len(maps), -1, -1, -1)
    expected = np.stack([m.apply(picture) for m in maps]).transpose(0, 3, 1, 2)
    found = colours_on_floats(x, maps)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)
    assert torch.equal(found[0], x[0])  # nothing was asked for


def test_bad_input_is_refused():
    colours = plain_colours(3)
    with pytest.raises(TypeError, match="ColourMap: expected a uint8 array, got float32"):
        colours.apply(np.zeros((H, W, 3), np.float32))
    with pytest.raises(ValueError, match=r"expected a picture \[H W C\] of 3 channels, got \[5, 7\]"):
        colours.apply(np.zeros((H, W), np.uint8))
    with pytest.raises(ValueError, match=r"of 3 channels, got \[5, 7, 1\]"):
        colours.apply(np.zeros((H, W, 1), np.uint8))
    for bad in (
        np.zeros((H, W, 3)),
        np.zeros((H + 1, W, 3), np.float32),
        np.zeros((H, 2 * W, 3), np.float32)[:, ::2],
        np.zeros((3, H, W), np.float32).transpose(1, 2, 0),
    ):
        with pytest.raises(ValueError, match=r"expected contiguous float32 \(5, 7, 3\)"):
            colours.apply(np.zeros((H, W, 3), np.uint8), bad)
    with pytest.raises(ValueError, match="2 channel means for images of 3 channels"):
        colours.normalised((0.5, 0.5), (0.2, 0.2))
    with pytest.raises(ValueError, match="an image of mode P"):
        picture_pixels("Hue", Image.new("P", (W, H)))
    with pytest.raises(TypeError, match=r"Hue: expected a PIL image, a uint8 array or a float batch .* got str"):
        picture_pixels("Hue", "cat.jpg")
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        picture_pixels("Hue", np.zeros((H, W, 2), np.uint8))
    with pytest.raises(ValueError, match=r"Drawn: expected a float batch \[B C H W\]"):
        coloured_alone(Drawn(), torch.zeros(3, H, W))


def test_a_map_is_a_value():
    assert mapped(3, tones=[(1.1, 0.2)], matrix=MATRIX) == mapped(3, tones=[(1.1, 0.2)], matrix=MATRIX)
    assert eval(repr(mapped(3, matrix=MATRIX, normal=True)), {"ColourMap": ColourMap}) == mapped(
        3, matrix=MATRIX, normal=True
    )


def test_doctests():
    assert doctest.testmod(colour).failed == 0


def test_a_generator_of_another_kind_and_an_empty_picture_are_refused():
    with pytest.raises(TypeError, match="Brightness: for a picture, rng is a NumPy generator"):
        Brightness()(np.zeros((5, 7, 3), np.uint8), 0)
    with pytest.raises(TypeError, match=r"Brightness: for a batch, rng is a torch\.Generator"):
        Brightness()(torch.zeros(2, 3, 5, 7), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"Brightness: expected a picture of one pixel or more, got \[0, 5, 3\]"):
        Brightness()(np.zeros((0, 5, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"Brightness: .* got \[2, 3, 5, 7\] of torch\.uint8; use batch\.float\(\) / 255"
    ):
        Brightness()(torch.zeros(2, 3, 5, 7, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"Brightness: .* got str; read a file by read_image\(path\)"):
        Brightness()("x.jpg")
