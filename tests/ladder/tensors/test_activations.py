"""Activations of the tensors rung: values and gradients as torch's, also where a naive formula would overflow."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import DTYPES, QUICK, SEEDS, TOLERANCE, assert_close, assert_same_results, normal
from torch.nn import functional as F

from satsuma.ladder.tensors import activations

# torch multiplies hardsigmoid's gradient by 1/6 in float32, whatever the dtype
ROUNDED = {"hardsigmoid": 1e-7}
PRODUCTION = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "silu": F.silu,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
}


def tolerance_of(name, dtype):
    return max(TOLERANCE[dtype], ROUNDED.get(name, 0.0))


@pytest.mark.parametrize("name", PRODUCTION)
@QUICK
@given(scale=st.sampled_from((0.1, 1.0, 30.0)), dtype=DTYPES, seed=SEEDS)
def test_equal_to_torchs(name, scale, dtype, seed):
    x = scale * normal(3, 5, 7, dtype=dtype, seed=seed)
    assert_same_results(getattr(activations, name), PRODUCTION[name], x, seed=seed, tolerance=tolerance_of(name, dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", PRODUCTION)
def test_equal_to_torchs_at_odd_places(name, dtype):
    x = torch.tensor([-1000.0, -100.0, -20.0, -1e-4, 0.0, 1e-4, 20.0, 100.0, 1000.0], dtype=dtype)
    assert_same_results(getattr(activations, name), PRODUCTION[name], x, tolerance=tolerance_of(name, dtype))


@pytest.mark.parametrize("name", ["hardsigmoid", "hardswish"])
def test_the_corners(name):
    x = torch.tensor([-3.0, 3.0], dtype=torch.float64)
    assert_close(getattr(activations, name)(x), PRODUCTION[name](x), 1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@QUICK
@given(st.sampled_from((-1, 0, 1, 2)), st.sampled_from((0.1, 1.0, 300.0)), DTYPES, SEEDS)
def test_softmax(name, dim, scale, dtype, seed):
    x = scale * normal(2, 3, 5, dtype=dtype, seed=seed)
    for row in (x, x.round()):  # several largest numbers
        ours, torchs = getattr(activations, name), getattr(torch, name)
        out, expected = ours(row, dim), torchs(row, dim)
        assert_close(out, expected, TOLERANCE[dtype])
        assert_same_results(OfDim(ours, dim), OfDim(torchs, dim), row, seed=seed)


class OfDim:
    def __init__(self, function, dim):
        self.function, self.dim = function, dim

    def __call__(self, x):
        return self.function(x, self.dim)


def test_leaky_relu_with_a_slope():
    x = normal(5, 7)
    assert_close(activations.leaky_relu(x, 0.3), F.leaky_relu(x, 0.3), 0)
