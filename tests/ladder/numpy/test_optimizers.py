"""Each optimiser takes torch's steps, one by one, also when a schedule changes its groups."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ladder.numpy.twin import assert_equal, numbers, twin_optimizer, twin_step

from satsuma.ladder.numpy.groups import clip_gradients, param_groups
from satsuma.ladder.numpy.optimizers import SGD
from satsuma.optim import optimizers as production

RULES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("AdaGrad", {}),
    ("RMSprop", {}),
    ("RMSprop", {"decay": 0.9, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"betas": (0.8, 0.95), "eps": 1e-3}),
    ("AdamW", {}),
]
SHAPES = {"0.weight": (2, 3), "0.bias": (3,), "2.weight": (5, 2)}


def start(seed=0):
    tensors = {name: numbers(*shape, seed=seed + i) for i, (name, shape) in enumerate(SHAPES.items())}
    return tensors, {name: t.numpy().copy() for name, t in tensors.items()}


def take_steps(theirs, ours, tensors, arrays, *, steps, seed=0, change=None):
    """Both optimisers `steps` times with the same gradients; after each the parameters are equal."""
    for step in range(steps):
        gradients = {
            name: numbers(*shape, seed=seed + 100 * step + i) for i, (name, shape) in enumerate(SHAPES.items())
        }
        for name, tensor in tensors.items():
            tensor.grad = gradients[name]
        if change is not None:
            change(theirs, ours, step)
        theirs.step()
        twin_step(ours, {name: g.numpy().copy() for name, g in gradients.items()})
        for name, tensor in tensors.items():
            assert_equal(arrays[name], tensor)


@pytest.mark.parametrize(("name", "options"), RULES)
@given(weight_decay=st.sampled_from([None, 0.0, 0.1]), lr=st.floats(1e-4, 1), seed=st.integers(0, 2**20))
@settings(max_examples=10, deadline=None)
def test_takes_torchs_steps(name, options, weight_decay, lr, seed):
    options = options if weight_decay is None else {**options, "weight_decay": weight_decay}
    tensors, arrays = start(seed)
    theirs = getattr(production, name)(tensors.values(), lr=lr, **options)
    ours = twin_optimizer(name, arrays, lr=lr, **options)
    take_steps(theirs, ours, tensors, arrays, steps=7, seed=seed)


def one_cycle_like(theirs, ours, step):
    """A rate and a momentum that change at every step, as `satsuma.train` sets them."""
    momentum = 0.95 - 0.02 * step
    for group in theirs.param_groups:
        group["lr"] = group["base_lr"] * (0.5 + 0.3 * step)
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group.get("momentum"):
            group["momentum"] = momentum
    for group in ours.param_groups:
        group["lr"] = group["base_lr"] * (0.5 + 0.3 * step)
    if hasattr(ours, "momentum"):
        ours.momentum = momentum


@pytest.mark.parametrize(("name", "options"), RULES)
def test_groups_with_rates_of_their_own_under_a_schedule(name, options):
    tensors, arrays = start()
    decayed = [tensors["0.weight"], tensors["2.weight"]]
    groups = [
        {"params": decayed, "weight_decay": 0.1, "lr": 0.02, "base_lr": 0.02},
        {"params": [tensors["0.bias"]], "weight_decay": 0.0, "base_lr": 0.05},
    ]
    theirs = getattr(production, name)(groups, lr=0.05, **options)
    groups = param_groups(arrays, lr=0.05, weight_decay=0.1)
    groups[0]["base_lr"] = 0.02
    ours = twin_optimizer(name, arrays, lr=0.05, groups=groups, **options)
    assert [group["base_lr"] for group in ours.param_groups] == [0.02, 0.05]
    take_steps(theirs, ours, tensors, arrays, steps=7, change=one_cycle_like)


def test_what_is_in_no_group_stays_as_it_is():
    _, arrays = start()
    before = arrays["0.weight"].copy()
    SGD(arrays, [{"params": ["0.bias"], "lr": 1.0}]).step({"0.bias": np.ones(3)})
    assert (arrays["0.weight"] == before).all()


@pytest.mark.parametrize(("name", "options"), RULES)
def test_float32_stays_float32_and_torchs(name, options):
    tensors, arrays = start()
    tensors = {k: t.float() for k, t in tensors.items()}
    arrays = {k: a.astype(np.float32) for k, a in arrays.items()}
    theirs = getattr(production, name)(tensors.values(), lr=0.01, **options)
    ours = twin_optimizer(name, arrays, lr=0.01, **options)
    for step in range(10):
        gradients = {k: numbers(*t.shape, seed=step).float() for k, t in tensors.items()}
        for k, t in tensors.items():
            t.grad = gradients[k]
        theirs.step()
        twin_step(ours, {k: g.numpy().copy() for k, g in gradients.items()})
    for k, t in tensors.items():
        assert arrays[k].dtype == np.float32
        assert_equal(arrays[k], t, 2e-6)


@given(max_norm=st.floats(1e-3, 20), seed=st.integers(0, 2**20))
@settings(deadline=None)
def test_clipping(max_norm, seed):
    tensors, arrays = start(seed)
    for tensor in tensors.values():
        tensor.grad = tensor.clone()
    theirs = torch.nn.utils.clip_grad_norm_(tensors.values(), max_norm)
    assert_equal(clip_gradients(arrays, max_norm=max_norm), theirs)
    for name, tensor in tensors.items():
        assert_equal(arrays[name], tensor.grad)


def test_functions_that_can_be_solved():
    """LESSONS E.5: x² + x has its minimum at -1/2; u² + u + 1 from u = 20, rate 0.3, twelve steps."""
    x = np.array([3.0])
    descent = SGD({"x": x}, [{"params": ["x"], "lr": 0.1}])
    for _ in range(200):
        descent.step({"x": 2 * x + 1})
    assert x[0] == pytest.approx(-0.5, abs=1e-12)
    u = np.array([20.0])
    descent = SGD({"u": u}, [{"params": ["u"], "lr": 0.3}])
    for _ in range(12):
        descent.step({"u": 2 * u + 1})
    assert u[0] == pytest.approx(-0.5 + 20.5 * 0.4**12, abs=1e-12)  # each step leaves 1 - 2 * 0.3 of the distance
