"""Functions of the tensors rung that stand for torch.nn.functional's, and those that look between pixels."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import DTYPES, QUICK, SEEDS, assert_close, assert_same_results, normal
from torch import nn
from torch.nn import functional as F

from satsuma.functional import each_loss as production
from satsuma.functional import losses as production_losses
from satsuma.ladder.tensors import functional, losses, sampling
from satsuma.ladder.tensors.convolution import conv2d
from satsuma.ladder.tensors.each_loss import loss_weights, unreduced_losses
from satsuma.ladder.tensors.linear import affine

CASES = [
    (functional.max_pool2d, F.max_pool2d, (3,), {"stride": 2, "padding": 1, "ceil_mode": True}),
    (functional.avg_pool2d, F.avg_pool2d, (2, 3), {"ceil_mode": True, "count_include_pad": False}),
    (functional.adaptive_avg_pool2d, F.adaptive_avg_pool2d, ((3, 2),), {}),
    (functional.adaptive_max_pool2d, F.adaptive_max_pool2d, (2,), {}),
    (functional.pad, F.pad, ((1, 2, 0, 3),), {"value": -1.5}),
    (functional.normalize, F.normalize, (), {"dim": 2}),
    (functional.normalize, F.normalize, (1.0, -1), {}),
    (functional.layer_norm, F.layer_norm, ((7, 8),), {}),
    (functional.dropout, F.dropout, (0.3,), {}),
    (functional.dropout, F.dropout, (0.3,), {"training": False}),
]


@pytest.mark.parametrize(("ours", "torchs", "args", "settings"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_to_torchs(ours, torchs, args, settings, dtype):
    def of_x(function):
        return lambda x: function(x, *args, **settings)

    assert_same_results(of_x(ours), of_x(torchs), normal(2, 3, 7, 8, dtype=dtype), seed=1)


def test_one_hot():
    numbers = torch.tensor([[1, 0, 2], [2, 2, 0]])
    for settings in ({}, {"num_classes": 5}):
        assert torch.equal(functional.one_hot(numbers, **settings), F.one_hot(numbers, **settings))


def test_layers_with_weights_from_elsewhere():
    x, weight, bias = normal(5, 4, 6, 7), normal(6, 2, 3, 3, seed=1), normal(6, seed=2)
    ours, torchs = (f(x, weight, bias, (2, 1), 1, groups=2) for f in (conv2d, F.conv2d))
    assert_close(ours, torchs, 1e-9)
    assert_close(conv2d(x, weight[:, :, :1], groups=2), F.conv2d(x, weight[:, :, :1], groups=2), 1e-9)
    assert_close(affine(x, normal(3, 7)), F.linear(x, normal(3, 7)), 1e-9)
    assert_close(affine(x, normal(6, 7), bias), F.linear(x, normal(6, 7), bias), 1e-9)
    scale = normal(6, 7), normal(6, 7, seed=3)
    assert_close(functional.layer_norm(x, (6, 7), *scale), F.layer_norm(x, (6, 7), *scale), 1e-9)


@QUICK
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)), st.tuples(st.integers(1, 9), st.integers(1, 9)), DTYPES, SEEDS
)
def test_interpolation(shape, size, dtype, seed):
    torchs = partial(F.interpolate, size=size, mode="bilinear", antialias=True)
    # torch counts pixels in float32 where it makes a picture of float64 smaller
    x = normal(2, 3, *shape, dtype=dtype, seed=seed)
    assert_same_results(partial(sampling.interpolate, size=size), torchs, x, tolerance=1e-5)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@QUICK
@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.sampled_from((0.5, 1.0, 4.0)), DTYPES, SEEDS)
def test_grids(padding_mode, shape, scale, dtype, seed):
    grid = scale * normal(2, 3, 5, 2, dtype=dtype, seed=seed + 1)
    torchs = partial(F.grid_sample, padding_mode=padding_mode, align_corners=False)
    ours = partial(sampling.grid_sample, padding_mode=padding_mode)
    x = normal(2, 3, *shape, dtype=dtype, seed=seed)
    expected = torchs(x, grid)
    assert_close(ours(x, grid), expected, 1e-4 if dtype == torch.float32 else 1e-9)
    results = []
    for function in (ours, torchs):
        pixels = x.clone().requires_grad_()
        (function(pixels, grid) * expected).sum().backward()
        results.append(pixels.grad)
    assert_close(*results, 1e-3 if dtype == torch.float32 else 1e-9)


class Huber(nn.Module):
    reduction = "mean"

    def forward(self, outputs, targets):
        return F.huber_loss(outputs, targets, reduction=self.reduction)


def test_each_items_own_loss():
    logits, labels, costs = normal(5, 3), torch.tensor([0, 2, 1, 1, 0]), torch.tensor([1.0, 2.0, 3.0]).double()
    pairs = [
        (losses.cross_entropy, production_losses.cross_entropy),
        (partial(losses.nll, weight=costs), partial(production_losses.nll, weight=costs)),
        (partial(losses.cross_entropy, label_smoothing=0.1), partial(F.cross_entropy, label_smoothing=0.1)),
    ]
    for ours, theirs in pairs:
        assert_close(
            unreduced_losses(ours, logits, (labels,)), production.unreduced_losses(theirs, logits, (labels,)), 1e-9
        )
        assert_close(loss_weights(ours, (labels,)), production.loss_weights(theirs, (labels,)), 0)
    assert loss_weights(losses.mse, (labels,)) is None
    assert loss_weights(losses.cross_entropy, (logits,)) is None
    layer = Huber()
    assert_close(
        unreduced_losses(layer, logits, (0 * logits,)), production.unreduced_losses(layer, logits, (0 * logits,)), 0
    )
    assert layer.reduction == "mean"
