"""Optimisers of the tensors rung: bit for bit torch's, step by step; and the loop drives them."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import DTYPES, QUICK, SEEDS, assert_close, normal

from satsuma.ladder.tensors.adam import Adam, AdamW
from satsuma.ladder.tensors.adaptive import AdaGrad, RMSprop
from satsuma.ladder.tensors.groups import clip_grad_norm_
from satsuma.ladder.tensors.sgd import SGD
from satsuma.optim import optimizers

plain = {"foreach": False}
CASES = {
    "SGD": (SGD, partial(torch.optim.SGD, **plain), {}),
    "SGD momentum": (SGD, partial(torch.optim.SGD, **plain), {"momentum": 0.9}),
    "SGD Nesterov": (SGD, partial(torch.optim.SGD, **plain), {"momentum": 0.8, "nesterov": True}),
    "AdaGrad": (AdaGrad, partial(torch.optim.Adagrad, **plain), {}),
    "RMSprop": (RMSprop, partial(torch.optim.RMSprop, **plain), {}),
    "RMSprop momentum": (RMSprop, partial(torch.optim.RMSprop, **plain), {"momentum": 0.9}),
    "Adam": (Adam, partial(torch.optim.Adam, **plain), {}),
    "Adam betas": (Adam, partial(torch.optim.Adam, **plain), {"betas": (0.8, 0.95), "eps": 1e-5}),
    "AdamW": (AdamW, partial(torch.optim.AdamW, **plain), {}),
}


def drive(optimizer, parameters, centres, steps=20):
    """Steps down a bumpy bowl, while rate and momentum change as schedules would have it; the weights after each."""
    trail = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("base_lr", group["lr"]) * (1 + step) / steps
            if "betas" in group:
                group["betas"] = (0.85 + step / 200, group["betas"][1])
            elif group.get("momentum"):
                group["momentum"] = 0.85 + step / 200
        optimizer.zero_grad()
        used = parameters if step % 5 else parameters[:1]  # at times some parameters have no gradient
        sum((3 * (w - c).square() + w.cos()).sum() for w, c in zip(used, centres, strict=False)).backward()
        optimizer.step()
        trail.append([w.detach().clone() for w in parameters])
    return trail


def start(shapes, dtype, seed):
    return [normal(*shape, dtype=dtype, seed=seed + i).requires_grad_() for i, shape in enumerate(shapes)]


SHAPES = st.lists(st.lists(st.integers(1, 19), max_size=2), min_size=1, max_size=3)


@pytest.mark.parametrize("case", CASES)
@QUICK
@given(shapes=SHAPES, weight_decay=st.sampled_from((None, 0.0, 0.1)), dtype=DTYPES, seed=SEEDS)
def test_every_step_is_torchs_to_the_last_bit(case, shapes, weight_decay, dtype, seed):
    ours, torchs, settings = CASES[case]
    settings = settings if weight_decay is None else {**settings, "weight_decay": weight_decay}
    centres = [normal(*shape, dtype=dtype, seed=seed + 50 + i) for i, shape in enumerate(shapes)]
    trails = []
    for opt_func in (ours, torchs):
        parameters = start(shapes, dtype, seed)
        trails.append(drive(opt_func(parameters, lr=0.05, **settings), parameters, centres))
    for mine, others in zip(*trails, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, others, strict=True))


@pytest.mark.parametrize("ours", [SGD, AdaGrad, RMSprop, Adam, AdamW])
def test_equal_to_satsumas_with_groups_of_their_own(ours):
    shapes = [(5, 3), (3,), (2, 7)]
    centres = [normal(*shape, seed=50 + i) for i, shape in enumerate(shapes)]
    trails, groups = [], []
    for opt_func in (ours, getattr(optimizers, ours.__name__)):
        parameters = start(shapes, torch.float64, 0)
        given = [
            {"params": parameters[:1], "lr": 0.01, "weight_decay": 0.2, "layer_group": 0},
            {"params": parameters[1:], "weight_decay": 0.0, "layer_group": 1},
        ]
        optimizer = opt_func(given, lr=0.05)
        groups.append([(g["lr"], g["weight_decay"], g["layer_group"]) for g in optimizer.param_groups])
        trails.append(drive(optimizer, parameters, centres))
    assert groups[0] == groups[1]
    for a, b in zip(trails[0][-1], trails[1][-1], strict=True):
        assert_close(a, b, 1e-12)  # satsuma's may be torch's fused ones, which round elsewhere


@pytest.mark.parametrize("ours", [SGD, AdaGrad, RMSprop, Adam, AdamW])
def test_the_defaults_are_satsumas(ours):
    mine = ours([torch.zeros(1)], lr=0.1).param_groups[0]
    others = getattr(optimizers, ours.__name__)([torch.zeros(1)], lr=0.1).param_groups[0]
    others["decay"] = others.get("alpha")
    assert {name: value for name, value in mine.items() if name != "params"} == {
        name: others[name] for name in mine if name != "params"
    }


@QUICK
@given(SHAPES, st.sampled_from((0.1, 1.0, 1000.0)), DTYPES, SEEDS)
def test_clipping_is_torchs(shapes, max_norm, dtype, seed):
    results = []
    for clip in (clip_grad_norm_, torch.nn.utils.clip_grad_norm_):
        parameters = [*start(shapes, dtype, seed), torch.zeros(2)]  # the last has no gradient
        for i, w in enumerate(parameters[:-1]):
            w.grad = 3 * normal(*w.shape, dtype=dtype, seed=seed + 9 + i)
        norm = clip(parameters, max_norm)
        results.append([norm, *[w.grad for w in parameters[:-1]]])
    for a, b in zip(*results, strict=True):
        assert_close(a, b, 1e-12 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradients_belong_to_the_caller(case):
    """Who zeroes or scales gradients in place does not reach into an optimiser's memory, nor it into them."""
    ours, torchs, settings = CASES[case]
    ends = []
    for opt_func in (ours, torchs):
        w = normal(5).requires_grad_()
        optimizer = opt_func([w], lr=0.1, **settings)
        w.grad = torch.zeros(5, dtype=torch.float64)
        for step in range(4):
            w.grad.copy_(normal(5, seed=step))
            optimizer.step()
            assert torch.equal(w.grad, normal(5, seed=step))
        ends.append(w.detach())
    assert torch.equal(*ends)
