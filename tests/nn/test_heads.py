"""Heads: fastai's layers in fastai's order, and pooling equal to torch's."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.nn.heads import AdaptiveConcatPool2d, SigmoidRange, create_head


@pytest.mark.parametrize("size", [1, 2])
def test_concatenated_pooling_is_the_largest_then_the_mean(size):
    x = torch.randn(2, 3, 5, 7)
    both = torch.cat([F.adaptive_max_pool2d(x, size), F.adaptive_avg_pool2d(x, size)], 1)
    torch.testing.assert_close(AdaptiveConcatPool2d(size)(x), both)


def test_gradients_of_the_pooling_are_torchs():
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 6, 1, 1, dtype=torch.float64)
    (ours,) = torch.autograd.grad((AdaptiveConcatPool2d()(x) * weight).sum(), x)
    both = torch.cat([F.adaptive_max_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1)], 1)
    (theirs,) = torch.autograd.grad((both * weight).sum(), x)
    torch.testing.assert_close(ours, theirs)


def test_the_layers_and_their_order_are_fastais():
    layers = create_head(512, 37)
    assert [type(layer) for layer in layers] == [
        AdaptiveConcatPool2d,
        nn.Flatten,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
        nn.ReLU,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
    ]
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.25, 0.5]
    assert [layer.bias for layer in layers if isinstance(layer, nn.Linear)] == [None, None]
    assert sum(p.numel() for p in layers.parameters()) == 546_304  # fastai 2.8, create_head(512, 37)


def test_linear_layers_start_with_he_normal():
    torch.manual_seed(42)
    layers = create_head(512, 500)
    assert layers[4].weight.std().item() == pytest.approx((2 / 1024) ** 0.5, rel=0.01)
    assert layers[8].weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.01)


def test_without_the_first_normalisation_the_first_linear_layer_has_a_bias_of_zeros():
    layers = create_head(5, 3, hidden=7, first_bn=False, concat_pool=False, dropout=0)
    assert [type(layer) for layer in layers][:3] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    assert layers[2].bias.tolist() == [0] * 7


@pytest.mark.parametrize("concat_pool", [True, False])
def test_outputs_have_the_shape_that_was_asked_for(concat_pool):
    assert create_head(5, 3, hidden=7, concat_pool=concat_pool)(torch.randn(2, 5, 11, 13)).shape == (2, 3)


def test_outputs_stay_within_the_range():
    head = create_head(5, 3, y_range=(-2, 7)).eval()
    out = head(1e6 * torch.randn(53, 5, 2, 2))
    assert out.min() >= -2
    assert out.max() <= 7
    assert out.max() - out.min() > 8
    assert SigmoidRange(-2, 7)(torch.zeros(1)).item() == 2.5


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match="the lower one first"):
        SigmoidRange(low, high)


@pytest.mark.parametrize("hidden", [1.5, -1, 0, True])
def test_a_width_that_is_none_is_refused(hidden):
    with pytest.raises(ValueError, match="create_head: hidden is a whole number, 1 or more, got"):
        create_head(5, 3, hidden=hidden)


@pytest.mark.parametrize("y_range", [3, (1,), ("a", "b"), "ab"])
def test_what_is_no_pair_of_numbers_is_no_range(y_range):
    with pytest.raises(ValueError, match="y_range is two numbers"):
        create_head(5, 3, y_range=y_range)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"outputs": 0}, "outputs is a whole number, 1 or more, got 0"),
        ({"dropout": 1.5}, r"dropout is a share, 0 to below 1, got 1\.5"),
        ({"dropout": "a"}, "dropout is a share"),
    ],
)
def test_outputs_and_dropout_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        create_head(5, **{"outputs": 3, **settings})


def test_numbers_of_numpy_make_a_head():
    head = create_head(5, np.int64(3), hidden=np.int64(7), y_range=np.array([0.0, 1.0]))
    assert head(torch.randn(2, 5, 11, 13)).shape == (2, 3)
