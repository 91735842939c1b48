"""Each layer equals torch's: outputs, and gradients by hand against automatic ones; float64 to 1e-9."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ids import plain
from tests.ladder.numpy.twin import assert_equal, assert_same_layer, numbers, torch_state, torchs_bernoulli, twin
from torch import nn

from satsuma.ladder.numpy.convolution import col2im, im2col
from satsuma.ladder.numpy.layers import Dropout, GaussianNoise, Linear, Sequential
from satsuma.ladder.numpy.model import (
    load_state,
    named_layers,
    set_dtype,
    set_training,
    state,
)
from satsuma.ladder.numpy.random import Generator, bernoulli

small = st.integers(1, 7)
seeds = st.integers(0, 2**32)


@given(b=small, d=small, k=small, bias=st.booleans(), seed=seeds)
@settings(deadline=None)
def test_linear(b, d, k, bias, seed):
    assert_same_layer(nn.Linear(d, k, bias=bias).double(), numbers(b, d, seed=seed))


@pytest.mark.parametrize("module", [nn.ReLU(), nn.LeakyReLU(0.2), nn.Sigmoid(), nn.Tanh()], ids=plain)
@given(shape=st.lists(small, min_size=1, max_size=4), seed=seeds, spread=st.sampled_from([0.1, 1, 30]))
@settings(max_examples=30, deadline=None)
def test_activations(module, shape, seed, spread):
    assert_same_layer(module, numbers(*shape, seed=seed, spread=spread))


@pytest.mark.parametrize("module", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1)], ids=plain)
@given(b=small, k=small, seed=seeds, spread=st.sampled_from([0.1, 1, 300]))
@settings(deadline=None)
def test_softmax(module, b, k, seed, spread):
    assert_same_layer(module, numbers(b, k, seed=seed, spread=spread))


@pytest.mark.parametrize("module", [nn.ReLU(), nn.LeakyReLU()], ids=plain)
def test_the_slope_at_zero_is_torchs(module):
    assert_same_layer(module, torch.tensor([-0.0, 0.0, 1.0], dtype=torch.float64))


def test_large_numbers_overflow_nowhere():
    x = np.array([[-1e4, 0.0, 1e4]])
    with np.errstate(all="raise", under="ignore"):
        for module in (nn.Sigmoid(), nn.Softmax(dim=1), nn.LogSoftmax(dim=1)):
            assert_equal(twin(module).forward(x), module(torch.from_numpy(x)))


def test_flatten_and_identity():
    assert_same_layer(nn.Flatten(), numbers(2, 3, 5, 7))
    assert_same_layer(nn.Identity(), numbers(2, 3, 5, 7))


@st.composite
def pictures_and_windows(draw):
    """(B, C, H, W), kernel, stride, padding that fit together."""
    k = draw(st.integers(1, 4))
    padding = draw(st.integers(0, k // 2))
    height, width = draw(st.integers(k, 8)), draw(st.integers(k, 8))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), height, width), k, draw(st.integers(1, 3)), padding


@given(case=pictures_and_windows(), out=st.integers(1, 4), bias=st.booleans(), seed=seeds)
@settings(deadline=None)
def test_conv2d(case, out, bias, seed):
    shape, k, stride, padding = case
    module = nn.Conv2d(shape[1], out, k, stride=stride, padding=padding, bias=bias).double()
    assert_same_layer(module, numbers(*shape, seed=seed))


@given(case=pictures_and_windows(), seed=seeds, ties=st.booleans())
@settings(deadline=None)
def test_max_pool(case, seed, ties):
    shape, k, stride, padding = case
    x = numbers(*shape, seed=seed)
    assert_same_layer(nn.MaxPool2d(k, stride=stride, padding=padding), x.round() if ties else x)


@given(case=pictures_and_windows(), seed=seeds)
@settings(deadline=None)
def test_avg_pool(case, seed):
    shape, k, stride, padding = case
    assert_same_layer(nn.AvgPool2d(k, stride=stride, padding=padding), numbers(*shape, seed=seed))


@given(b=small, c=small, h=small, w=small, size=small, seed=seeds)
@settings(deadline=None)
def test_adaptive_avg_pool(b, c, h, w, size, seed):
    assert_same_layer(nn.AdaptiveAvgPool2d(size), numbers(b, c, h, w, seed=seed))


@given(case=pictures_and_windows(), seed=seeds)
@settings(deadline=None)
def test_col2im_is_the_transpose_of_im2col(case, seed):
    shape, k, stride, padding = case
    x = numbers(*shape, seed=seed).numpy()
    patches = im2col(x, k, stride, padding)
    error = numbers(*patches.shape, seed=seed + 1).numpy()
    assert_equal((patches * error).sum(), (x * col2im(error, shape, stride, padding)).sum())


@given(n=st.integers(2, 9), d=small, training=st.booleans(), momentum=st.sampled_from([0.1, 0.5]), seed=seeds)
@settings(deadline=None)
def test_batch_norm_1d(n, d, training, momentum, seed):
    module = nn.BatchNorm1d(d, momentum=momentum).double().train(training)
    check_batch_norm(module, numbers(n, d, seed=seed), seed)


@given(b=st.integers(1, 3), c=small, h=st.integers(2, 5), w=small, training=st.booleans(), seed=seeds)
@settings(deadline=None)
def test_batch_norm_2d(b, c, h, w, training, seed):
    check_batch_norm(nn.BatchNorm2d(c).double().train(training), numbers(b, c, h, w, seed=seed), seed)


def check_batch_norm(module, x, seed):
    d = module.num_features
    with torch.no_grad():  # numbers that leave no term of the formulas 0 or 1
        module.weight.copy_(numbers(d, seed=seed + 1))
        module.bias.copy_(numbers(d, seed=seed + 2))
        module.running_mean.copy_(numbers(d, seed=seed + 3))
        module.running_var.copy_(numbers(d, seed=seed + 4).abs() + 0.5)
    before = twin(module)
    after = assert_same_layer(module, x, tolerance=1e-7)  # few items of near-equal size leave few digits to either
    for name, theirs in torch_state(module).items():
        assert_equal(state(after)[name], theirs)
    assert (state(before)["num_batches_tracked"] < state(after)["num_batches_tracked"]) == module.training


def test_batch_norm_to_nine_digits():
    assert_same_layer(nn.BatchNorm1d(5).double(), numbers(31, 5))
    assert_same_layer(nn.BatchNorm2d(3).double(), numbers(2, 3, 5, 7))


@given(shape=st.lists(small, min_size=1, max_size=3), p=st.sampled_from([0.0, 0.2, 0.5, 1.0]), seed=seeds)
@settings(deadline=None)
def test_dropout_drops_what_torch_drops(shape, p, seed):
    x = numbers(*shape, seed=seed).requires_grad_(True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        y = nn.functional.dropout(x, p)
    y.sum().backward()
    layer = Dropout(p, Generator(seed), torchs_bernoulli())
    assert_equal(layer.forward(x.detach().numpy()), y)
    assert_equal(layer.backward(np.ones(shape)), x.grad)
    layer.training = False
    assert_equal(layer.forward(x.detach().numpy()), x)
    assert_equal(layer.backward(np.ones(shape)), np.ones(shape))


def test_dropout_in_float32_stays_there():
    layer = Dropout(0.5, Generator(1), bernoulli)
    assert layer.forward(np.ones((3, 5), np.float32)).dtype == np.float32


@given(b=small, d=small, seed=seeds)
@settings(deadline=None)
def test_gaussian_noise_is_torchs(b, d, seed):
    from satsuma.nn.layers import GaussianNoise as Production

    x = numbers(b, d, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        y = Production(0.3)(x)
    layer = GaussianNoise(0.3, Generator(seed))
    assert_equal(layer.forward(x.numpy()), y)
    assert_equal(layer.backward(x.numpy()), x)
    layer.training = False
    assert_equal(layer.forward(x.numpy()), x)


def nested():
    return nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(15, 7), nn.BatchNorm1d(7), nn.ReLU()),
        nn.Linear(7, 2),
    )


def test_names_are_torchs():
    model = twin(nested())
    assert list(model.parameters) == [name for name, _ in nested().named_parameters()]
    assert state(model).keys() == nested().state_dict().keys()
    assert list(twin(nn.Linear(3, 2)).parameters) == ["weight", "bias"]
    assert [name for name, _ in named_layers(model)] == ["0.", "1.0.", "1.1.", "1.2.", "2."]


def test_state_goes_there_and_back():
    module = nested().double()
    model = twin(module)
    for name, theirs in torch_state(module).items():
        assert_equal(state(model)[name], theirs)
        assert state(model)[name].dtype == theirs.dtype
    assert_same_layer(module, numbers(11, 3, 5), tolerance=1e-8)


def test_load_state_refuses_what_does_not_fit():
    model = Sequential(Linear(3, 2, Generator(0)))
    with pytest.raises(ValueError, match=r"0\.bias"):
        load_state(model, {"0.weight": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="shape"):
        load_state(model, {"0.weight": np.zeros((3, 2)), "0.bias": np.zeros(2)})


def test_set_training_reaches_every_layer_that_cares():
    model = Sequential(Linear(3, 2, Generator(0)), Sequential(Dropout(0.5, Generator(0), bernoulli)))
    set_training(model, False)
    assert not model.layers[1].layers[0].training


def test_float32_stays_float32():
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 5),
        nn.Tanh(),
        nn.Linear(5, 3),
        nn.Sigmoid(),
        nn.LogSoftmax(dim=1),
    )
    model = assert_same_layer(module, numbers(5, 2, 7, 7).float(), tolerance=1e-5)
    assert model.backward(np.ones((5, 3), np.float32)).dtype == np.float32
    set_dtype(model, np.float64)
    assert {a.dtype.name for a in state(model).values()} == {"float64", "int64"}
