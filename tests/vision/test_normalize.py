import numpy as np
import pytest
import torch

from satsuma.vision.colour import plain_colours
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize


def test_fitted_batches_have_mean_0_and_deviation_1():
    x = torch.rand(7, 3, 5, 2, dtype=torch.float64) * torch.tensor([1.0, 0.2, 0.5])[:, None, None]
    y = Normalize().fit(x)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3, dtype=x.dtype), atol=1e-3, rtol=0)
    torch.testing.assert_close(y.transpose(0, 1).flatten(1).std(1), torch.ones(3, dtype=x.dtype), atol=2e-3, rtol=0)


def test_decode_undoes_it():
    x = torch.rand(2, 3, 5, 7)
    normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(normalize.decode(normalize(x)), x)
    assert normalize(x)[1, 2, 3, 4].item() == pytest.approx((x[1, 2, 3, 4].item() - 0.406) / 0.225, abs=1e-5)


def test_one_value_serves_all_channels():
    assert Normalize((0.5,), (0.25,))(torch.ones(2, 3, 5)).unique().tolist() == [2]


def test_values_that_are_given_are_not_fitted_again():
    given = Normalize((0.5,), (0.5,))
    assert given.fit(torch.rand(2, 1, 3)) is given


def test_a_channel_that_never_changes_can_be_divided_by():
    assert Normalize().fit(torch.zeros(2, 1, 3))(torch.zeros(2, 1, 3)).abs().max() == 0


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="2 means but 1 deviations"):
        Normalize((0.5, 0.5), (0.5,))
    with pytest.raises(ValueError, match="a deviation must be above 0"):
        Normalize((0.5,), (0.0,))
    with pytest.raises(ValueError, match="3 channel means for images of 1 channels"):
        Normalize(IMAGENET_MEAN, IMAGENET_STD)(torch.zeros(2, 1, 5, 5))
    with pytest.raises(ValueError, match="has no values yet"):
        Normalize()(torch.zeros(2, 1, 5, 5))
    with pytest.raises(TypeError, match="did you mean 'mean'"):
        Normalize(means=(0.5,))


def test_as_a_colour_transform_it_is_the_batch_transform():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for normalize in (Normalize(IMAGENET_MEAN, IMAGENET_STD), Normalize((0.5,), (0.25,))):
        expected = normalize(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255.0)[0]
        for rng in (None, np.random.default_rng(1)):
            found = normalize.colour(plain_colours(3), rng).apply(picture)
            torch.testing.assert_close(torch.from_numpy(found).permute(2, 0, 1), expected, atol=1e-6, rtol=1e-6)


def test_as_a_colour_transform_it_needs_values_that_fit():
    with pytest.raises(ValueError, match="has no values yet"):
        Normalize().colour(plain_colours(3))
    with pytest.raises(ValueError, match="3 channel means for images of 1 channels"):
        Normalize(IMAGENET_MEAN, IMAGENET_STD).colour(plain_colours(1))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="mean is finite numbers"):
        Normalize((bad,), (1.0,))
    with pytest.raises(ValueError, match="std is finite numbers"):
        Normalize((0.5,), (bad,))
    with pytest.raises(TypeError, match=r"mean is a number for each channel, such as mean=\(0\.5,\), got 0\.5"):
        Normalize(0.5, 0.5)
