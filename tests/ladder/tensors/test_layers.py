"""Layers of the tensors rung: started, and giving values and gradients, as torch's (or Satsuma's) layers do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import (
    DTYPES,
    QUICK,
    SEEDS,
    assert_close,
    assert_same_results,
    assert_same_weights,
    both,
    normal,
)
from torch import nn

from satsuma.ladder.tensors.linear import Embedding
from satsuma.ladder.tensors.model import state_dict
from satsuma.nn.heads import AdaptiveConcatPool2d, SigmoidRange
from satsuma.nn.layers import GaussianNoise

SIZE = st.integers(1, 7)


def spread(*shape, dtype, seed):
    """Normal numbers that differ along the first dimension: a normalisation divides by how much, at times by near 0."""
    steps = 5 * torch.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (normal(*shape, seed=seed) + steps).to(dtype)


@QUICK
@given(st.lists(SIZE, min_size=1, max_size=3), SIZE, SIZE, st.booleans(), DTYPES, SEEDS)
def test_linear(batch, features, outputs, bias, dtype, seed):
    twin, production = both("Linear", features, outputs, bias=bias, dtype=dtype, seed=seed)
    assert_same_results(twin, production, normal(*batch, features, dtype=dtype, seed=seed), seed=seed)


@QUICK
@given(st.data(), DTYPES, SEEDS)
def test_conv2d(data, dtype, seed):
    groups, kernel = (
        data.draw(st.sampled_from((1, 1, 2, 3))),
        data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
    )
    stride, padding = (
        data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        data.draw(st.sampled_from((0, 1, (2, 1)))),
    )
    channels, outputs = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    settings = {"stride": stride, "padding": padding, "groups": groups, "bias": data.draw(st.booleans())}
    twin, production = both("Conv2d", channels, outputs, kernel, dtype=dtype, seed=seed, **settings)
    assert_same_results(twin, production, normal(2, channels, height, width, dtype=dtype, seed=seed), seed=seed)


@pytest.mark.parametrize("kind", ["MaxPool2d", "AvgPool2d"])
@QUICK
@given(data=st.data(), dtype=DTYPES, seed=SEEDS)
def test_pooling(kind, data, dtype, seed):
    kernel = data.draw(st.sampled_from((2, 3, (2, 3))))
    stride, padding = data.draw(st.sampled_from((None, 1, 2, (3, 1)))), data.draw(st.sampled_from((0, 1)))
    settings = {"ceil_mode": data.draw(st.booleans())}
    if kind == "AvgPool2d":
        settings["count_include_pad"] = data.draw(st.booleans())
    twin, production = both(kind, kernel, stride=stride, padding=padding, dtype=dtype, **settings)
    x = normal(2, 3, data.draw(st.integers(3, 9)), data.draw(st.integers(3, 9)), dtype=dtype, seed=seed)
    if data.draw(st.booleans()):
        x = x.round()  # many equal numbers: which of them gets the gradient?
    assert_same_results(twin, production, x, seed=seed)


@pytest.mark.parametrize("kind", ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d", AdaptiveConcatPool2d])
@QUICK
@given(st.tuples(SIZE, SIZE, SIZE, SIZE), st.sampled_from((1, 2, (3, 5))), st.booleans(), DTYPES, SEEDS)
def test_pooling_to_shares_of_the_picture(kind, shape, size, rounded, dtype, seed):
    twin, production = both(kind, size, dtype=dtype)
    x = normal(*shape, dtype=dtype, seed=seed)
    assert_same_results(twin, production, x.round() if rounded else x, seed=seed)


@QUICK
@given(st.sampled_from(((5, 3), (5, 3, 7), (5, 3, 2, 7), (2, 1))), st.floats(0.01, 0.9), DTYPES, SEEDS)
def test_batch_norm_in_training_and_evaluation(shape, momentum, dtype, seed):
    kind = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    twin, production = both(kind, shape[1], eps=1e-3, momentum=momentum, dtype=dtype)
    for layer in (twin, production):
        layer.weight.data = normal(shape[1], dtype=dtype, seed=seed)
        layer.bias.data = normal(shape[1], dtype=dtype, seed=seed + 1)
    for i in range(3):
        assert_same_results(twin, production, spread(*shape, dtype=dtype, seed=seed + i), seed=seed)
        assert_same_weights(twin, production, 1e-5 if dtype == torch.float32 else 1e-12)  # running statistics too
    before = {name: tensor.clone() for name, tensor in state_dict(twin).items()}
    twin.training = False
    production.eval()
    assert_same_results(twin, production, normal(*shape, dtype=dtype, seed=seed + 9), seed=seed)
    assert all(torch.equal(before[name], tensor) for name, tensor in state_dict(twin).items())


@QUICK
@given(st.sampled_from((3, (3,), (2, 3), (5, 2, 3))), DTYPES, SEEDS)
def test_layer_norm(shape, dtype, seed):
    twin, production = both("LayerNorm", shape, dtype=dtype)
    for layer in (twin, production):
        layer.weight.data = normal(*layer.weight.shape, dtype=dtype, seed=seed)
        layer.bias.data = normal(*layer.bias.shape, dtype=dtype, seed=seed + 1)
    x = spread(3, 7, 5, 2, dtype=dtype, seed=seed).permute(1, 2, 3, 0)  # [7 5 2 3], spread over the last
    assert_same_results(twin, production, x, seed=seed)


@pytest.mark.parametrize("settings", [{"elementwise_affine": False}, {"bias": False}])
def test_layer_norm_without(settings):
    twin, production = both("LayerNorm", (3, 5), **settings)
    assert_same_results(twin, production, normal(7, 3, 5))


@QUICK
@given(st.sampled_from(((2, 6), (2, 6, 5), (2, 6, 3, 5))), st.sampled_from((1, 2, 3)), DTYPES, SEEDS)
def test_group_norm(shape, groups, dtype, seed):
    twin, production = both("GroupNorm", groups, 6, eps=1e-2, dtype=dtype)
    for layer in (twin, production):
        layer.weight.data = normal(6, dtype=dtype, seed=seed)
        layer.bias.data = normal(6, dtype=dtype, seed=seed + 1)
    assert_same_results(twin, production, normal(*shape, dtype=dtype, seed=seed), seed=seed, tolerance=None)


@QUICK
@given(st.sampled_from((0.0, 0.5, 1.0)), DTYPES, SEEDS)
def test_dropout_of_channels_has_torchs_own_mask(p, dtype, seed):
    twin, production = both("Dropout2d", p)
    assert_same_results(twin, production, normal(3, 5, 2, 2, dtype=dtype, seed=seed), seed=seed)
    twin.training = False
    assert twin(x := normal(1, 1, 1, 1)) is x


@QUICK
@given(st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)), st.lists(SIZE, min_size=1, max_size=4), DTYPES, SEEDS)
def test_dropout_has_torchs_own_mask_and_draws_as_many_numbers(p, shape, dtype, seed):
    twin, production = both("Dropout", p)
    x = normal(*shape, dtype=dtype, seed=seed)
    assert_same_results(twin, production, x, seed=seed)
    states = []
    for layer in (twin, production):
        torch.manual_seed(seed)
        states.append((layer(x), torch.get_rng_state()))
    assert torch.equal(states[0][0], states[1][0])
    assert torch.equal(states[0][1], states[1][1])
    twin.training = False
    assert twin(x) is x


@QUICK
@given(st.sampled_from((0.0, 0.3)), DTYPES, SEEDS)
def test_gaussian_noise(std, dtype, seed):
    twin, production = both(GaussianNoise, std)
    x = normal(3, 5, dtype=dtype, seed=seed)
    assert_same_results(twin, production, x, seed=seed)
    twin.training = False
    assert twin(x) is x


@QUICK
@given(SIZE, SIZE, st.lists(SIZE, min_size=1, max_size=2), DTYPES, SEEDS)
def test_embedding(things, features, shape, dtype, seed):
    twin, production = both("Embedding", things, features, dtype=dtype, seed=seed)
    indices = torch.randint(0, things, tuple(shape), generator=torch.Generator().manual_seed(seed))
    direction = normal(*shape, features, dtype=dtype, seed=seed)
    gradients = []
    for layer in (twin, production):
        out = layer(indices)
        assert torch.equal(out, production(indices))
        (out * direction).sum().backward()
        gradients.append(layer.weight.grad)
    assert_close(*gradients, 1e-5 if dtype == torch.float32 else 1e-9)
    assert Embedding.__call__(twin, torch.tensor(0)).shape == (features,)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@QUICK
@given(batch=SIZE, features=SIZE, hidden=SIZE, dtype=DTYPES, seed=SEEDS)
def test_rnn_cell(nonlinearity, batch, features, hidden, dtype, seed):
    twin, production = both("RNNCell", features, hidden, nonlinearity=nonlinearity, dtype=dtype, seed=seed)
    x, h = normal(batch, features, dtype=dtype, seed=seed), normal(batch, hidden, dtype=dtype, seed=seed + 1)
    assert_same_results(twin, production, x, h, seed=seed)
    assert_close(twin(x), production(x), 1e-5 if dtype == torch.float32 else 1e-9)


@QUICK
@given(batch=SIZE, features=SIZE, hidden=SIZE, dtype=DTYPES, seed=SEEDS)
def test_lstm_cell_over_a_sequence(batch, features, hidden, dtype, seed):
    twin, production = both("LSTMCell", features, hidden, dtype=dtype, seed=seed)
    xs = [normal(batch, features, dtype=dtype, seed=seed + t) for t in range(5)]
    gradients = []
    for cell in (twin, production):
        state = None
        for x in xs:
            state = cell(x, state)
        h, c = state
        (h.sum() + (c * c).sum()).backward()
        gradients.append([h, c, cell.weight_ih.grad, cell.weight_hh.grad, cell.bias_ih.grad, cell.bias_hh.grad])
    for value, expected in zip(*gradients, strict=True):
        assert_close(value, expected, 1e-4 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize(
    "kind",
    ["Sigmoid", "Tanh", "ReLU", "GELU", "SiLU", "Hardsigmoid", "Hardswish", "Flatten", "Identity", "ReLU6", "Softplus"],
)
def test_layers_without_arguments(kind):
    twin, production = both(kind)
    tolerance = 1e-7 if kind == "Hardsigmoid" else 1e-9  # torch takes 1/6 in float32 there
    assert_same_results(twin, production, 3 * normal(2, 3, 5), tolerance=tolerance)


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("LeakyReLU", (0.2,)),
        ("Softmax", (1,)),
        ("LogSoftmax", (2,)),
        (SigmoidRange, (-1, 3)),
        ("ELU", (0.3,)),
        ("Flatten", (0, 1)),
        ("Unflatten", (1, (3, 1))),
    ],
)
def test_layers_with_arguments(kind, args):
    twin, production = both(kind, *args)
    assert_same_results(twin, production, 3 * normal(2, 3, 5))


def test_the_comparison_sees_a_difference():
    twin, production = both("Linear", 3, 2)
    twin.weight.data[0, 0] += 1e-6
    with pytest.raises(AssertionError):
        assert_same_results(twin, production, normal(5, 3))
    conv, nn_conv = both("Conv2d", 1, 1, 3)
    nn_conv.padding = (1, 1)
    with pytest.raises(AssertionError):
        assert_same_results(conv, nn_conv, normal(2, 1, 5, 5))
    assert isinstance(nn_conv, nn.Module)
