"""Objectives against the sums written out."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.functional.losses import binary_cross_entropy, cross_entropy, mse
from satsuma.train.objectives import forward, penalised, supervised, supervised_mixed

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


# --- mixtures ------------------------------------------------------------------------------------------------------

LABELS = torch.tensor([0, 2, 1, 1, 0])
PARTNERS = torch.tensor([3, 0, 4, 1, 2])
SHARES = torch.tensor([1.0, 0.0, 0.3, 0.5, 0.9])
WEIGHT = torch.tensor([0.5, 2.0, 1.0])
LOSSES = [
    (cross_entropy, LABELS),
    (functools.partial(cross_entropy, label_smoothing=0.1), LABELS),
    (nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
    (cross_entropy, torch.softmax(Y, 1)),
    (binary_cross_entropy, (Y > 0).long()),
    (mse, Y),
    (nn.L1Loss(), Y),
    (nn.MSELoss(reduction="sum"), Y),
    (functools.partial(cross_entropy, weight=WEIGHT), LABELS),
    (nn.CrossEntropyLoss(weight=WEIGHT), LABELS),
]


@pytest.mark.parametrize(("loss", "targets"), LOSSES[:8])
def test_a_mixture_costs_its_share_of_both_targets(loss, targets):
    layer = nn.Linear(7, 3)
    found = supervised_mixed(layer, X, targets, targets[PARTNERS], SHARES, loss_func=loss)
    each = []
    for i in range(5):
        logits = layer(X[i : i + 1])
        j = PARTNERS[i]
        each.append(SHARES[i] * loss(logits, targets[i : i + 1]) + (1 - SHARES[i]) * loss(logits, targets[j : j + 1]))
    total = torch.stack(each)
    torch.testing.assert_close(found, total.sum() if getattr(loss, "reduction", "") == "sum" else total.mean())


@pytest.mark.parametrize(("loss", "targets"), LOSSES)
def test_whole_shares_are_the_plain_loss(loss, targets):
    layer = nn.Linear(7, 3)
    found = supervised_mixed(layer, X, targets, targets[PARTNERS], torch.ones(5), loss_func=loss)
    torch.testing.assert_close(found, supervised(layer, X, targets, loss_func=loss))
    found = supervised_mixed(layer, X, targets, targets[PARTNERS], torch.zeros(5), loss_func=loss)
    torch.testing.assert_close(found, supervised(layer, X, targets[PARTNERS], loss_func=loss))


def test_equal_shares_are_the_loss_of_blended_labels():
    layer, one_hot = nn.Linear(7, 3), F.one_hot(LABELS, 3).float()
    found = supervised_mixed(layer, X, LABELS, LABELS[PARTNERS], torch.full((5,), 0.3), loss_func=cross_entropy)
    torch.testing.assert_close(found, F.cross_entropy(layer(X), 0.3 * one_hot + 0.7 * one_hot[PARTNERS]))


def test_a_weighted_mixture_is_the_weighted_mean_over_all_that_takes_part():
    layer, loss = nn.Linear(7, 3), functools.partial(cross_entropy, weight=WEIGHT)
    found = supervised_mixed(layer, X, LABELS, LABELS[PARTNERS], SHARES, loss_func=loss)
    logs, others = torch.log_softmax(layer(X), 1), LABELS[PARTNERS]
    top = sum(
        -SHARES[i] * WEIGHT[LABELS[i]] * logs[i, LABELS[i]] - (1 - SHARES[i]) * WEIGHT[others[i]] * logs[i, others[i]]
        for i in range(5)
    )
    torch.testing.assert_close(found, top / (SHARES * WEIGHT[LABELS] + (1 - SHARES) * WEIGHT[others]).sum())


def test_mixtures_of_several_inputs_with_noise_and_penalties():
    layer = nn.Bilinear(7, 7, 3)
    mixed = functools.partial(supervised_mixed, loss_func=mse, n_inp=2, input_noise=0.1)
    torch.manual_seed(2)
    found = penalised(layer, X, X, Y, Y, SHARES, objective=mixed, l2=0.1)
    torch.manual_seed(2)
    plain = functools.partial(supervised, loss_func=mse, n_inp=2, input_noise=0.1)
    torch.testing.assert_close(found, penalised(layer, X, X, Y, objective=plain, l2=0.1))


def test_an_own_loss_without_reduction_is_refused():
    with pytest.raises(ValueError, match="needs each sample's own loss, which own_mse cannot give"):
        supervised_mixed(nn.Linear(7, 3), X, Y, Y, SHARES, loss_func=own_mse)


def own_mse(outputs, targets):
    return (outputs - targets).square().mean()
