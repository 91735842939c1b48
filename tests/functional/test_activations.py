"""Activations: the lessons' numbers, the formulas, and the worked network."""

import math

import pytest
import torch

from satsuma.functional.activations import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh

ACTIVATIONS = torch.tensor([0.02, -2.49, 1.25], dtype=torch.float64)


@pytest.fixture
def x():
    return torch.randn(5, 7, generator=torch.Generator().manual_seed(42), dtype=torch.float64)


def test_softmax_has_the_lessons_numbers():
    assert ACTIVATIONS.exp().tolist() == pytest.approx([1.02, 0.08, 3.49], abs=0.005)
    assert ACTIVATIONS.exp().sum().item() == pytest.approx(4.59, abs=0.005)
    assert softmax(ACTIVATIONS).tolist() == pytest.approx([0.22, 0.02, 0.76], abs=0.005)


def test_softmax_picks_one_because_exp_grows_so_fast():
    assert math.exp(4) == pytest.approx(54.6, abs=0.05)
    assert math.exp(8) == pytest.approx(2981, abs=0.5)
    assert softmax(torch.tensor([4.0, 8.0]))[1] > 0.98


def test_the_sigmoid_of_a_difference_is_the_softmax_of_two():
    pairs = torch.randn(7, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(sigmoid(pairs[:, 0] - pairs[:, 1]), softmax(pairs, dim=1)[:, 0])


def test_formulas(x):
    torch.testing.assert_close(sigmoid(x), 1 / (1 + torch.exp(-x)))
    torch.testing.assert_close(tanh(x), (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()))
    torch.testing.assert_close(relu(x), x * (x > 0))
    torch.testing.assert_close(leaky_relu(x, 0.2), torch.where(x > 0, x, 0.2 * x))
    torch.testing.assert_close(softmax(x, dim=1), x.exp() / x.exp().sum(1, keepdim=True))
    torch.testing.assert_close(log_softmax(x, dim=0), softmax(x, dim=0).log())


def test_log_softmax_is_finite_where_the_log_of_softmax_is_not():
    far = torch.tensor([0.0, 200.0])
    assert torch.isinf(softmax(far).log()[0])
    assert log_softmax(far).tolist() == [-200.0, 0.0]


def test_the_worked_network():
    """Three layers of two sigmoid units, by hand in Lee's lectures."""
    weights = [[[1.0, -2], [-1, 1]], [[2, -1], [-2, -1]], [[3, -1], [-1, 4]]]  # row = unit
    biases = [[1.0, 0], [0, 0], [-2, 2]]
    expected = {
        (1.0, -1.0): [[0.98, 0.12], [0.86, 0.11], [0.62, 0.83]],
        (0.0, 0.0): [[0.73, 0.50], [0.72, 0.12], [0.51, 0.85]],
    }
    for start, layers in expected.items():
        a = torch.tensor(start)
        for weight, bias, outputs in zip(weights, biases, layers, strict=True):
            a = sigmoid(torch.tensor(weight, dtype=torch.float32) @ a + torch.tensor(bias))
            assert a.tolist() == pytest.approx(outputs, abs=0.0051)
