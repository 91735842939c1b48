"""Linear models: shapes, parts, and what the lessons claim of them."""

import pytest
import torch
from torch import nn

from satsuma.nn.layers import GaussianNoise
from satsuma.nn.linear import linear_model, logistic_regression, mlp, simple_net


def kinds(model):
    return [type(part).__name__ for part in model]


def parameter_shapes(model):
    return [tuple(p.shape) for p in model.parameters()]


def test_linear_model_is_x_w_plus_b():
    model, x = linear_model(5, 3), torch.randn(7, 5)
    torch.testing.assert_close(model(x), x @ model.weight.T + model.bias)


def test_logistic_regression_gives_logits_or_logs_of_probabilities():
    torch.manual_seed(42)
    logits, logs = logistic_regression(5, 3), logistic_regression(5, 3, log_softmax=True)
    logs.load_state_dict(logits.state_dict())
    x = torch.randn(7, 5)
    torch.testing.assert_close(logs(x), logits(x).log_softmax(1))
    torch.testing.assert_close(logs(x).exp().sum(1), torch.ones(7))


def test_logistic_regression_takes_pictures():
    model = logistic_regression(2 * 3 * 5, 7, flatten=True)
    assert model(torch.zeros(11, 2, 3, 5)).shape == (11, 7)


def test_simple_net_is_the_books():
    model = simple_net()
    assert kinds(model) == ["Linear", "ReLU", "Linear"]
    assert parameter_shapes(model) == [(30, 784), (30,), (1, 30), (1,)]


def test_without_the_relu_two_linear_layers_are_one():
    torch.manual_seed(42)
    first, _, last = simple_net(5, 7, 3).double()
    x = torch.randn(11, 5, dtype=torch.float64)
    one = nn.Linear(5, 3, dtype=torch.float64)
    one.load_state_dict({"weight": last.weight @ first.weight, "bias": last.weight @ first.bias + last.bias})
    torch.testing.assert_close(nn.Sequential(first, last)(x), one(x))


def test_mlp_has_an_activation_after_every_layer_but_the_last():
    model = mlp((5, 7, 11, 3), activation=nn.Sigmoid)
    assert kinds(model) == ["Linear", "Sigmoid", "Linear", "Sigmoid", "Linear"]
    assert parameter_shapes(model) == [(7, 5), (7,), (11, 7), (11,), (3, 11), (3,)]
    assert kinds(mlp((5, 3))) == ["Linear"]


def test_mlp_puts_every_option_in_its_place():
    model = mlp((6, 7, 5), dropout=0.5, input_dropout=0.2, noise=0.1, batch_norm=True, flatten=True)
    hidden = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(model) == ["Flatten", "GaussianNoise", "Dropout", *hidden, "Linear"]
    assert [part.p for part in model if isinstance(part, nn.Dropout)] == [0.2, 0.5]
    assert model(torch.zeros(11, 2, 3)).shape == (11, 5)


def test_mlp_wants_two_sizes():
    with pytest.raises(ValueError, match=r"mlp: sizes=\(784,\); expected at least features in and features out"):
        mlp((784,))


def test_dropout_keeps_the_expectation():
    """Dropping half of the units doubles the rest: the mean over masks is the network without dropout."""
    torch.manual_seed(42)
    model = mlp((5, 64, 3), dropout=0.5, input_dropout=0.2).double()
    first, _, drop, _ = list(model)[1:]
    ones = torch.ones(20_000, 7, dtype=torch.float64)
    assert set(drop(ones).unique().tolist()) == {0.0, 2.0}  # keep 0.5
    torch.testing.assert_close(drop(ones).mean(), ones.mean(), rtol=0.02, atol=0)
    x = torch.randn(1, 5, dtype=torch.float64)
    linear_part = first(x)
    averaged = first(model[0](x.repeat(20_000, 1))).mean(0, keepdim=True)  # keep 0.8
    torch.testing.assert_close(averaged, linear_part, rtol=0, atol=0.05)
    model.eval()
    assert torch.equal(drop(ones), ones)


def test_noise_is_for_training_only():
    torch.manual_seed(42)
    noise, x = GaussianNoise(0.3), torch.zeros(101, 103)
    noisy = noise(x)
    assert noisy.std().item() == pytest.approx(0.3, rel=0.05)
    assert noisy.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.eval()(x) is x
    assert noise.std == 0.3
    assert repr(noise) == "GaussianNoise(std=0.3)"
    with pytest.raises(ValueError, match="expected 0 or more"):
        GaussianNoise(-1)
