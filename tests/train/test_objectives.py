"""Objectives against the sums written out."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.train.objectives import forward, penalised, supervised

X, Y = torch.randn(5, 7), torch.randn(5, 3)


def test_supervised_splits_the_batch_into_inputs_and_targets():
    layer = nn.Bilinear(7, 7, 3)
    loss = supervised(layer, X, 2 * X, Y, loss_func=F.mse_loss, n_inp=2)
    assert torch.equal(loss, F.mse_loss(layer(X, 2 * X), Y))


def test_input_noise_is_normal_noise_from_the_global_generator():
    layer = nn.Linear(7, 3)
    torch.manual_seed(3)
    loss = supervised(layer, X, Y, loss_func=F.mse_loss, input_noise=0.2)
    torch.manual_seed(3)
    assert torch.equal(loss, F.mse_loss(layer(X + torch.randn_like(X) * 0.2), Y))


def test_integers_get_no_noise():
    tokens = torch.arange(5)
    loss = supervised(nn.Embedding(5, 3), tokens, Y, loss_func=F.mse_loss, input_noise=9.0)
    assert torch.isfinite(loss)


def test_penalties_take_weights_and_leave_biases():
    model = nn.Sequential(nn.Linear(7, 2), nn.BatchNorm1d(2), nn.Linear(2, 3))
    plain = functools.partial(supervised, loss_func=F.mse_loss)
    matrices = [model[0].weight, model[2].weight]
    expected = plain(model, X, Y) + 0.3 * sum(w.abs().sum() for w in matrices)
    expected = expected + 0.7 * sum(w.square().sum() for w in matrices)
    torch.testing.assert_close(penalised(model, X, Y, objective=plain, l1=0.3, l2=0.7), expected)


def test_a_penalty_without_weights_is_refused():
    plain = functools.partial(supervised, loss_func=F.mse_loss)
    with pytest.raises(ValueError, match="l1 and l2 penalise weights of two dimensions"):
        penalised(nn.LayerNorm(7), X, X, objective=plain, l1=1.0)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 3)

    def forward(self, x):
        return self.layer(x), self.layer(x) * 2


def test_autocast_gives_float32_back_also_in_tuples():
    assert forward(nn.Linear(7, 3), (X,), torch.bfloat16).dtype == torch.float32
    assert [part.dtype for part in forward(Two(), (X,), torch.bfloat16)] == [torch.float32] * 2
