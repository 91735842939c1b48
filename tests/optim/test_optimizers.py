"""Optimisers: the update rules against NumPy loops, and on small problems what each source claims."""

from functools import partial

import numpy as np
import pytest
import torch

from satsuma.functional.losses import l1_penalty, l2_penalty, mse
from satsuma.optim.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop

SCALES = np.array([1.0, 3.0, 0.2])


def gradient(w):
    """Of the bowl sum(SCALES * w**2) / 2 + sum(sin w)."""
    return SCALES * w + np.cos(w)


def run_numpy(rule, steps=7):
    w, memory = np.array([2.0, -1.0, 0.5]), {}
    for t in range(1, steps + 1):
        w = rule(w, gradient(w), memory, t)
    return w


def run_torch(opt_func, steps=7):
    w = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64, requires_grad=True)
    optimizer = opt_func([w])
    for _ in range(steps):
        optimizer.zero_grad()
        (torch.tensor(SCALES) * w**2 / 2 + w.sin()).sum().backward()
        optimizer.step()
    return w.detach().numpy()


# The rules, η = 0.1


def sgd_rule(w, g, memory, t):
    return w - 0.1 * g


def momentum_rule(w, g, memory, t):
    memory["dw"] = 0.9 * memory.get("dw", 0) - 0.1 * g
    return w + memory["dw"]


def nesterov_rule(w, g, memory, t):
    memory["dw"] = 0.9 * memory.get("dw", 0) - 0.1 * g
    return w + 0.9 * memory["dw"] - 0.1 * g


def decayed_sgd_rule(w, g, memory, t):
    return w - 0.1 * (g + 0.05 * w)


def adagrad_rule(w, g, memory, t):
    memory["cache"] = memory.get("cache", 0) + g**2
    return w - 0.1 * g / (np.sqrt(memory["cache"]) + 1e-10)


def rmsprop_rule(w, g, memory, t):
    memory["cache"] = 0.99 * memory.get("cache", 0) + 0.01 * g**2
    return w - 0.1 * g / (np.sqrt(memory["cache"]) + 1e-8)


def adam_rule(w, g, memory, t):
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
    m_hat, v_hat = memory["m"] / (1 - 0.9**t), memory["v"] / (1 - 0.999**t)
    return w - 0.1 * m_hat / (np.sqrt(v_hat) + 1e-8)


def decayed_adam_rule(w, g, memory, t):
    return adam_rule(w, g + 0.05 * w, memory, t)


def adamw_rule(w, g, memory, t):
    return adam_rule(w * (1 - 0.1 * 0.05), g, memory, t)


@pytest.mark.parametrize(
    ("opt_func", "rule"),
    [
        (SGD, sgd_rule),
        (partial(SGD, momentum=0.9), momentum_rule),
        (partial(SGD, momentum=0.9, nesterov=True), nesterov_rule),
        (partial(SGD, weight_decay=0.05), decayed_sgd_rule),
        (AdaGrad, adagrad_rule),
        (RMSprop, rmsprop_rule),
        (Adam, adam_rule),
        (partial(Adam, weight_decay=0.05), decayed_adam_rule),
        (partial(AdamW, weight_decay=0.05), adamw_rule),
    ],
)
def test_update_rules_written_out(opt_func, rule):
    np.testing.assert_allclose(run_torch(partial(opt_func, lr=0.1)), run_numpy(rule), rtol=1e-9)


@pytest.mark.parametrize("opt_func", [SGD, partial(SGD, momentum=0.9), AdaGrad, Adam, AdamW])
def test_fused_or_not_is_the_same_mathematics(opt_func):
    fused, plain = (run_torch(partial(opt_func, lr=0.1, fused=fused)) for fused in (True, False))
    np.testing.assert_allclose(fused, plain, rtol=1e-9)


# What they return


def test_they_are_torchs_optimisers_fused_where_that_exists():
    weights = [torch.zeros(3, requires_grad=True)]
    for opt_func, theirs in (
        (SGD, torch.optim.SGD),
        (AdaGrad, torch.optim.Adagrad),
        (Adam, torch.optim.Adam),
        (AdamW, torch.optim.AdamW),
    ):
        optimizer = opt_func(iter(weights), lr=0.1)
        assert type(optimizer) is theirs
        assert optimizer.defaults["fused"] is True
        assert opt_func([{"params": weights}], lr=0.1, fused=False).defaults["fused"] is False
    assert type(RMSprop(weights, lr=0.1)) is torch.optim.RMSprop


def test_parameters_that_no_fused_kernel_takes_get_the_plain_version():
    complex_weights = [torch.zeros(3, dtype=torch.complex64, requires_grad=True)]
    assert SGD(complex_weights, lr=0.1).defaults["fused"] is False
    assert SGD([torch.zeros(3, device="meta", requires_grad=True)], lr=0.1).defaults["fused"] is False


def test_defaults_are_the_fields():
    weights = [torch.zeros(3, requires_grad=True)]
    assert AdamW(weights, lr=0.1).defaults["weight_decay"] == 0.01
    assert Adam(weights, lr=0.1).defaults["betas"] == (0.9, 0.999)
    assert AdaGrad(weights, lr=0.1).defaults["eps"] == 1e-10
    assert RMSprop(weights, lr=0.1).defaults["alpha"] == 0.99


# Functions that can be solved


def descend(function, start, opt_func, steps):
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = opt_func([x])
    for _ in range(steps):
        optimizer.zero_grad()
        function(x).sum().backward()
        optimizer.step()
    return x.detach()


def test_x_squared_plus_x_is_lowest_at_minus_a_half():
    found = descend(lambda x: x**2 + x, 3.0, partial(SGD, lr=0.1), 200)
    assert found.item() == pytest.approx(-0.5, abs=1e-9)


def test_u_squared_plus_u_plus_1_from_20_in_twelve_steps():
    """Each step multiplies the distance to -1/2 by 1 - 2 * 0.3."""
    found = descend(lambda u: u**2 + u + 1, 20.0, partial(SGD, lr=0.3), 12)
    assert found.item() == pytest.approx(-0.5 + 20.5 * 0.4**12, abs=1e-12)
    assert found.item() == pytest.approx(-0.5, abs=1e-3)


def test_a_rate_too_large_diverges_and_one_too_small_takes_for_ever():
    start, steps = 20.0, 12
    assert abs(descend(lambda u: u**2 + u + 1, start, partial(SGD, lr=1.1), steps)) > start
    assert descend(lambda u: u**2 + u + 1, start, partial(SGD, lr=1e-4), steps) > 19.9


def test_gradients_add_up_until_they_are_set_to_zero():
    x = torch.tensor(3.0, requires_grad=True)
    (x**2).backward()
    once = x.grad.item()
    (x**2).backward()
    assert x.grad.item() == 2 * once
    SGD([x], lr=0.1).zero_grad()
    (x**2).backward()
    assert x.grad.item() == once


# What the sources claim


def valley(x):
    """Steep one way and flat the other: curvatures 1 and 100."""
    return (torch.tensor([1.0, 100.0], dtype=torch.float64) * x**2).sum() / 2


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_gets_along_a_valley_where_plain_descent_crawls(nesterov):
    """Polyak 1964: the rate is bound by the steep side; momentum adds up along the flat one. Rates best for each."""
    plain = descend(valley, [1.0, 1.0], partial(SGD, lr=2 / 101), 100)
    pushed = descend(valley, [1.0, 1.0], partial(SGD, lr=0.01, momentum=0.8, nesterov=nesterov), 100)
    assert valley(pushed) < 1e-3 * valley(plain)


def sparse_regression(opt_func, steps=300):
    """The final error where one feature is there always and nine in one item of fifty each."""
    generator = torch.Generator().manual_seed(42)
    x = torch.zeros(450, 10, dtype=torch.float64)
    x[:, 0] = 1
    x[torch.arange(450), 1 + torch.arange(450) % 50 % 9] = (torch.arange(450) % 50 < 9).double()
    truth = torch.randn(10, generator=generator, dtype=torch.float64)
    w = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer = opt_func([w])
    for _ in range(steps):
        optimizer.zero_grad()
        mse(x @ w, x @ truth).backward()
        optimizer.step()
    return (w.detach() - truth)[1:].abs().max().item()


def test_adagrad_learns_rare_features_that_descent_neglects():
    """Duchi, Hazan and Singer 2011. Plain descent at its best rate, close below where the frequent feature diverges."""
    assert sparse_regression(partial(AdaGrad, lr=0.5)) < 0.01
    assert sparse_regression(partial(SGD, lr=0.9)) > 10 * sparse_regression(partial(AdaGrad, lr=0.5))


def test_rmsprop_forgets_a_storm_that_adagrad_never_does():
    """Tieleman and Hinton 2012: after one huge gradient the leaking cache lets steps grow again."""
    travelled = {}
    for opt_func in (partial(AdaGrad, lr=0.01), partial(RMSprop, lr=0.01, decay=0.9)):
        w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = opt_func([w])
        for slope in [1000.0] + [1.0] * 200:
            w.grad = torch.full_like(w, slope)
            optimizer.step()
        travelled[opt_func.func] = -w.item()
    assert travelled[RMSprop] > 10 * travelled[AdaGrad]


@pytest.mark.parametrize("opt_func", [Adam, RMSprop, AdaGrad])
def test_scaled_gradients_leave_the_steps_as_they_are(opt_func):
    """Kingma and Ba 2015: the step is a ratio, so a loss in other units trains the same. Plain descent does not."""
    paths = [
        descend(lambda x, s=scale: s * valley(x), [1.0, 1.0], partial(opt_func, lr=0.01, eps=1e-16), 50)
        for scale in (1.0, 1000.0)
    ]
    torch.testing.assert_close(paths[0], paths[1], rtol=1e-7, atol=1e-9)
    plain = [descend(lambda x, s=s: s * valley(x), [1.0, 1.0], partial(SGD, lr=0.001), 50) for s in (1.0, 2.0)]
    assert not torch.allclose(plain[0], plain[1], rtol=0.01)


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    moved = descend(valley, [1.0, -1.0], partial(Adam, lr=0.01), 1) - torch.tensor([1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(moved, torch.tensor([-0.01, 0.01], dtype=torch.float64), rtol=1e-6, atol=0)


def test_adamw_decays_by_its_own_step_and_adam_through_the_ratio():
    """Loshchilov and Hutter 2019: in AdamW a weight shrinks by ηλ however large its gradients have been."""
    shrunk = {}
    for opt_func in (Adam, AdamW):
        w = torch.ones(2, dtype=torch.float64, requires_grad=True)
        optimizer = opt_func([w], lr=0.01, weight_decay=0.1)
        for t in range(100):
            w.grad = torch.tensor([1.0, 100.0], dtype=torch.float64) * (-1) ** t  # no drift, two sizes
            optimizer.step()
        bare = torch.ones(2, dtype=torch.float64, requires_grad=True)
        undecayed = opt_func([bare], lr=0.01, weight_decay=0.0)
        for t in range(100):
            bare.grad = torch.tensor([1.0, 100.0], dtype=torch.float64) * (-1) ** t
            undecayed.step()
        shrunk[opt_func] = (bare - w).detach()
    torch.testing.assert_close(shrunk[AdamW][0], shrunk[AdamW][1], rtol=1e-3, atol=0)
    assert shrunk[Adam][0] > 10 * shrunk[Adam][1]


# Penalties


def fitted(penalty, strength, steps=3000):
    """A line through 50 points of 10 features of which 3 matter; the coefficients."""
    generator = torch.Generator().manual_seed(42)
    x = torch.randn(53, 10, generator=generator, dtype=torch.float64)
    truth = torch.tensor([3.0, 2.0, -1.0] + [0.0] * 7, dtype=torch.float64)
    y = x @ truth + 0.5 * torch.randn(53, generator=generator, dtype=torch.float64)
    w = torch.randn(10, generator=generator, dtype=torch.float64).requires_grad_()
    optimizer = SGD([w], lr=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + 0.01 * step)
        optimizer.zero_grad()
        (mse(x @ w, y) + strength * penalty([w])).backward()
        optimizer.step()
    return w.detach()


def test_l1_pulls_useless_inputs_to_zero_and_l2_shrinks_all():
    free, lasso, ridge = fitted(l1_penalty, 0.0), fitted(l1_penalty, 0.35), fitted(l2_penalty, 0.35)
    assert free[3:].abs().max() > 0.05
    assert lasso[3:].abs().max() < 0.005
    assert lasso[:3].abs().min() > 0.5
    assert ridge.norm() < 0.9 * free.norm()
    assert ridge[3:].abs().max() > 0.01


@pytest.mark.parametrize("opt_func", [SGD, AdaGrad, RMSprop, Adam, AdamW])
def test_groups_may_come_as_iterators(opt_func):
    first, second = torch.nn.Linear(2, 3), torch.nn.Linear(3, 5)
    optimizer = opt_func([{"params": first.parameters()}, {"params": second.parameters(), "lr": 1.0}], lr=0.1)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
