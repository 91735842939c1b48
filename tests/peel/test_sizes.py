"""How long the scripts are: as short as a page of one's own, or they would not be read."""

import functools

import pytest
from tests.peel.digits import ten_digits
from tests.peel.recipes import arrays, learner, transfer

import satsuma as sm


def mnist_mlp():
    """The model of the manual: MNIST's digits as vectors, one hidden layer, one cycle."""
    learn = learner(arrays(*ten_digits(), bs=64), functools.partial(sm.mlp, (64, 30, 10)), metrics=sm.accuracy)
    learn.fit_one_cycle(1, 0.01)
    return learn


def length(script):
    return len(script.text.splitlines())


@pytest.mark.parametrize(("depth", "most"), [("loop", 101), ("torch", 150), ("numpy", 295)])
def test_a_perceptron(depth, most):
    assert length(mnist_mlp().peel(depth)) <= most


@pytest.mark.slow
def test_transfer_learning_of_pictures(tmp_path):
    learn = transfer(tmp_path)
    learn.fine_tune(1)
    assert length(learn.peel("torch")) <= 1140
