import pytest
import torch
from torch.nn import functional as F

from satsuma.vision.augment import RandomFlip, RandomLighting, RandomRotate, RandomShift

ALL = [RandomFlip(), RandomShift(), RandomRotate(), RandomLighting()]
X = torch.rand(11, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def rng(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("transform", ALL)
def test_without_a_generator_nothing_changes(transform):
    assert transform(X) is X
    assert transform(X, rng=None) is X


@pytest.mark.parametrize("transform", ALL)
def test_the_same_generator_gives_the_same(transform):
    before = X.clone()
    one, two, other = transform(X, rng=rng()), transform(X, rng=rng()), transform(X, rng=rng(5))
    assert one.shape == X.shape
    assert one.dtype == X.dtype
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(X, before)


@pytest.mark.parametrize("transform", ALL)
def test_each_image_has_its_own_draw(transform):
    same = X[:1].expand(11, -1, -1, -1)
    assert len({tuple(image.flatten().tolist()) for image in transform(same, rng=rng())}) > 1


def test_flip_mirrors_left_and_right():
    assert torch.equal(RandomFlip(1.0)(X, rng=rng()), X.flip(3))
    assert torch.equal(RandomFlip(0.0)(X, rng=rng()), X)
    flipped = (RandomFlip()(X, rng=rng()) != X).flatten(1).any(1)
    assert torch.equal(flipped, torch.rand(11, generator=rng()) < 0.5)


def test_shift_moves_whole_pixels_and_repeats_the_edge():
    padded = F.pad(X, (2, 2, 2, 2), mode="replicate")
    windows = [padded[:, :, r : r + 5, c : c + 7] for r in range(5) for c in range(5)]
    moved = RandomShift(2)(X, rng=rng())
    for i in range(len(X)):
        assert any(torch.equal(moved[i], window[i]) for window in windows)
    assert torch.equal(RandomShift(0)(X, rng=rng()), X)


def test_rotation_by_nothing_is_identity():
    torch.testing.assert_close(RandomRotate(0.0, 1.0)(X, rng=rng()), X, atol=1e-5, rtol=0)


def test_rotation_turns_without_stretching():
    # turning a disc changes nothing, also in a picture that is no square
    rows, cols = torch.meshgrid(torch.arange(61) - 30.0, torch.arange(101) - 50.0, indexing="ij")
    disc = torch.sigmoid(15 - (rows**2 + cols**2).sqrt())[None, None]
    turned = RandomRotate(90.0, 1.0)(disc.repeat(5, 1, 1, 1), rng=rng())
    assert (turned - disc).abs().max() < 0.06


def test_zoom_keeps_the_centre():
    x = torch.rand(5, 1, 7, 7)
    torch.testing.assert_close(RandomRotate(0.0, 1.5)(x, rng=rng())[:, :, 3, 3], x[:, :, 3, 3])


def test_lighting_scales_about_the_mean_and_shifts():
    draw = torch.rand(2, 11, generator=rng()) * 2 - 1
    lit = RandomLighting(brightness=0.1, contrast=0.2)(X, rng=rng())
    torch.testing.assert_close(lit.mean((1, 2, 3)), X.mean((1, 2, 3)) + draw[1] * 0.1)
    torch.testing.assert_close(lit.flatten(1).std(1), X.flatten(1).std(1) * (1 + draw[0] * 0.2))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"p is a probability, 0 to 1, got 50"):
        RandomFlip(50)
    with pytest.raises(ValueError, match=r"zoom is the largest factor, 1 or more, got 0"):
        RandomRotate(zoom=0)
    for kind, wrong, right in [
        (RandomShift, "pixel", "pixels"),
        (RandomRotate, "degree", "degrees"),
        (RandomLighting, "bright", "brightness"),
    ]:
        with pytest.raises(TypeError, match=f"did you mean '{right}'"):
            kind(**{wrong: 1})
