import numpy as np
import pytest
from PIL import Image, ImageOps

from satsuma.vision.resize import Resize

BILINEAR = Image.Resampling.BILINEAR
NOISE = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)
WIDE, TALL = Image.fromarray(NOISE), Image.fromarray(NOISE.swapaxes(0, 1))


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("image", [WIDE, TALL])
@pytest.mark.parametrize("size", [(55, 70), (70, 55), (110, 130)])
def test_squish_is_pillows_resize(image, size):
    same(Resize(size, method="squish")(image), image.resize(size[::-1], BILINEAR))


def test_crop_takes_the_middle_in_validation():
    same(Resize(70)(WIDE), WIDE.crop((20, 0, 90, 70)))
    same(Resize(70)(TALL), TALL.crop((0, 20, 70, 90)))
    same(Resize(49)(WIDE), WIDE.resize((49, 49), BILINEAR, box=(20, 0, 90, 70)))
    same(Resize((35, 55))(WIDE), WIDE.resize((55, 35), BILINEAR))


def test_pad_is_pillows_pad():
    same(Resize(70, "pad")(WIDE), ImageOps.pad(WIDE, (70, 70), BILINEAR))
    assert np.asarray(Resize(70, "pad")(WIDE))[:12].max() == 0


@pytest.mark.parametrize("seed", range(7))
def test_crop_is_at_random_in_training(seed):
    left = int(np.random.default_rng(seed).random() * 40)
    cut = np.asarray(Resize(70)(WIDE, rng=np.random.default_rng(seed))).astype(int)
    # between two neighbouring cuts, as the place is not a whole pixel
    neighbours = [np.asarray(WIDE.crop((left + i, 0, left + 70 + i, 70))).astype(int) for i in (0, 1)]
    assert (np.minimum(*neighbours) - 1 <= cut).all()
    assert (cut <= np.maximum(*neighbours) + 1).all()


def test_the_same_generator_cuts_the_same():
    cuts = [np.asarray(Resize(70)(WIDE, rng=np.random.default_rng(s))) for s in (5, 5, 7)]
    same(cuts[0], cuts[1])
    assert (cuts[0] != cuts[2]).any()


@pytest.mark.parametrize("method", ["crop", "squish", "pad"])
@pytest.mark.parametrize("size", [1, 7, 224, (3, 5), [5, 3]])
@pytest.mark.parametrize("source", [(1, 1), (500, 3), (3, 500)])
def test_the_size_is_height_then_width(method, size, source):
    image = Resize(size, method)(Image.new("RGB", source), np.random.default_rng(0))
    assert image.size == ((size, size) if isinstance(size, int) else (size[1], size[0]))


def test_a_resize_is_a_value():
    assert Resize([5, 7]) == Resize((5, 7))
    assert hash(Resize([5, 7])) == hash(Resize((5, 7)))
    assert repr(Resize(224)) == "Resize(size=224, method='crop')"


@pytest.mark.parametrize("size", [0, (5,), (5, 7, 3), (5, -1), "224", (2.5, 3)])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match=r"size is a number of pixels, or \(height, width\), got"):
        Resize(size)


def test_misspelt_arguments_are_refused():
    with pytest.raises(ValueError, match="method is one of crop, squish, pad, got 'stretch'"):
        Resize(5, "stretch")
    with pytest.raises(TypeError, match=r"Resize\(\) has no argument 'metod': did you mean 'method'"):
        Resize(5, metod="pad")
