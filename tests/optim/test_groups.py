"""Parameter groups and the rates that go with them."""

from functools import partial

import pytest
import torch
from torch import nn

from satsuma.nn.cnn import small_cnn
from satsuma.nn.linear import simple_net
from satsuma.optim.groups import build_optimizer, param_groups, spread_rates
from satsuma.optim.optimizers import SGD, Adam, AdamW


def shapes(group):
    return [tuple(p.shape) for p in group["params"]]


@pytest.fixture
def layers():
    """Two layer groups: the first and the last linear layer of a small network."""
    first, _, last = simple_net(5, 7, 3)
    return [list(first.parameters()), list(last.parameters())]


def test_matrices_decay_and_biases_do_not():
    decayed, spared = param_groups(simple_net(5, 7, 3), weight_decay=0.1)
    assert shapes(decayed) == [(7, 5), (3, 7)]
    assert shapes(spared) == [(7,), (3,)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_normalisation_does_not_decay():
    _, spared = param_groups(small_cnn(), weight_decay=0.1)
    assert all(p.ndim == 1 for p in spared["params"])
    assert len(spared["params"]) == 4 * 2 + 1  # scale and shift of four norms, one bias


def test_no_given_decay_leaves_the_optimisers_own_for_matrices():
    decayed, spared = param_groups(simple_net(5, 7, 3), weight_decay=None)
    assert "weight_decay" not in decayed
    assert spared["weight_decay"] == 0.0
    optimizer = build_optimizer(partial(AdamW, weight_decay=0.03), simple_net(5, 7, 3), lr=0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.03, 0.0]


def test_everything_decays_on_request():
    (group,) = param_groups(simple_net(5, 7, 3), weight_decay=0.1, no_decay_bias_norm=False)
    assert len(group["params"]) == 4
    assert group["weight_decay"] == 0.1


def test_layer_groups_are_numbered_and_frozen_ones_left_out(layers):
    for p in layers[0]:
        p.requires_grad_(False)
    groups = param_groups(layers, weight_decay=0.1)
    assert [group["layer_group"] for group in groups] == [1, 1]
    assert [shapes(group) for group in groups] == [[(3, 7)], [(3,)]]


def test_every_parameter_is_in_one_group_and_shared_ones_once():
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model[1].weight = model[0].weight
    listed = [p for group in param_groups(model, weight_decay=0.1) for p in group["params"]]
    assert {id(p) for p in listed} == {id(p) for p in model.parameters()}
    assert len(listed) == 3


def test_rates_are_spread_over_layer_groups():
    assert spread_rates(0.1, 3) == (0.1, 0.1, 0.1)
    assert spread_rates(slice(0.1), 3) == pytest.approx((0.01, 0.01, 0.1))
    assert spread_rates(slice(1e-5, 1e-3), 3) == pytest.approx((1e-5, 1e-4, 1e-3))
    assert spread_rates((0.1, 0.2, 0.3), 3) == (0.1, 0.2, 0.3)


def test_one_layer_group_has_the_last_rate():
    assert spread_rates(slice(1e-5, 1e-3), 1) == spread_rates(slice(1e-3), 1) == spread_rates(1e-3, 1) == (1e-3,)


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        ((0.1, 0.2), "2 rates for 3 layer groups"),
        (slice(None), "expected slice"),
        (slice(0.0, 0.1), "positive rates"),
        (-0.1, "expected rates of 0 or more"),
    ],
)
def test_rates_that_do_not_fit_are_refused(lr, message):
    with pytest.raises(ValueError, match=message):
        spread_rates(lr, 3)


def test_the_optimiser_knows_each_groups_base_rate(layers):
    optimizer = build_optimizer(Adam, layers, lr=slice(1e-4, 1e-2), weight_decay=0.1)
    rates = [(group["layer_group"], group["base_lr"], group["lr"]) for group in optimizer.param_groups]
    expected = [(0, 1e-4, 1e-4), (0, 1e-4, 1e-4), (1, 1e-2, 1e-2), (1, 1e-2, 1e-2)]
    assert rates == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(
    "opt_func",
    [
        SGD,
        partial(SGD, momentum=0.9),
        torch.optim.SGD,
        partial(torch.optim.SGD, momentum=0.9),
        torch.optim.NAdam,
        AdamW,
    ],
)
def test_ours_and_torchs_optimisers_both_step(opt_func):
    model = simple_net(5, 7, 3)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = build_optimizer(opt_func, model, lr=0.1)
    model(torch.randn(11, 5)).square().sum().backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_two_groups_only_where_something_decays():
    assert len(build_optimizer(SGD, simple_net(), lr=0.1).param_groups) == 1
    assert len(build_optimizer(SGD, simple_net(), lr=0.1, weight_decay=0.0).param_groups) == 1
    assert len(build_optimizer(SGD, simple_net(), lr=0.1, weight_decay=0.1).param_groups) == 2
    assert len(build_optimizer(AdamW, simple_net(), lr=0.1).param_groups) == 2


def test_grouping_changes_no_number():
    results = []
    for grouped in (True, False):
        torch.manual_seed(42)
        model, x = simple_net(5, 7, 3), torch.randn(11, 5)
        optimizer = build_optimizer(SGD, model, lr=0.1) if grouped else SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(results[0], results[1])


def test_a_wholly_frozen_model_is_refused():
    model = simple_net().requires_grad_(False)
    with pytest.raises(ValueError, match=r"no trainable parameters. Is all of the model frozen"):
        build_optimizer(SGD, model, lr=0.1)
