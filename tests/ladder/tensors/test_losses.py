"""Losses of the tensors rung: values and gradients as those of functional/losses.py."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import DTYPES, QUICK, SEEDS, assert_close, assert_same_results, normal

from satsuma.functional import losses as production
from satsuma.ladder.tensors import losses

WORDS = ("mean", "sum", "none")
REDUCTIONS = st.sampled_from(WORDS)
MORE = st.sampled_from(((), (2,), (2, 5)))  # dimensions after [B K]


def labels(classes, *shape, seed):
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(seed))


def compare(name, predictions, *, targets, seed, **settings):
    ours = partial(OfTargets, getattr(losses, name))
    theirs = partial(OfTargets, getattr(production, name))
    assert_same_results(ours(targets, settings), theirs(targets, settings), predictions, seed=seed)


class OfTargets:
    def __init__(self, loss, targets, settings):
        self.loss, self.targets, self.settings = loss, targets, settings

    def __call__(self, predictions):
        return self.loss(predictions, self.targets, **self.settings)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", WORDS)
@QUICK
@given(classes=st.integers(2, 7), more=MORE, dtype=DTYPES, seed=SEEDS)
def test_nll(weighted, reduction, classes, more, dtype, seed):
    weight = normal(classes, dtype=dtype, seed=seed).abs() + 0.1 if weighted else None
    targets = labels(classes, 5, *more, seed=seed)
    x = normal(5, classes, *more, dtype=dtype, seed=seed)
    compare("nll", x, targets=targets, seed=seed, weight=weight, reduction=reduction)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", WORDS)
@QUICK
@given(classes=st.integers(2, 7), more=MORE, soft=st.booleans(), dtype=DTYPES, seed=SEEDS)
def test_cross_entropy(weighted, smoothing, reduction, classes, more, soft, dtype, seed):
    weight = normal(classes, dtype=dtype, seed=seed).abs() + 0.1 if weighted else None
    targets = labels(classes, 5, *more, seed=seed)
    if soft:
        targets = torch.softmax(normal(5, classes, *more, dtype=dtype, seed=seed + 1), 1)
    x = 5 * normal(5, classes, *more, dtype=dtype, seed=seed)
    settings = {"label_smoothing": smoothing, "weight": weight, "reduction": reduction}
    compare("cross_entropy", x, targets=targets, seed=seed, **settings)


@QUICK
@given(st.sampled_from((0.0, 0.2)), st.booleans(), st.sampled_from((1.0, 300.0)), REDUCTIONS, DTYPES, SEEDS)
def test_binary_cross_entropy(smoothing, weighted, scale, reduction, dtype, seed):
    pos_weight = normal(3, dtype=dtype, seed=seed).abs() if weighted else None
    # float32 cancels near the largest logits, where both formulas lose digits: it is tried at moderate ones
    x = (scale if dtype == torch.float64 else 1.0) * normal(5, 3, dtype=dtype, seed=seed)
    x[0] = 0  # where a formula with |x| has the wrong gradient
    settings = {"label_smoothing": smoothing, "pos_weight": pos_weight, "reduction": reduction}
    for targets in (labels(2, 5, 3, seed=seed), torch.sigmoid(normal(5, 3, dtype=dtype, seed=seed + 1))):
        compare("binary_cross_entropy", x, targets=targets, seed=seed, **settings)


@QUICK
@given(REDUCTIONS, DTYPES, SEEDS)
def test_losses_from_probabilities(reduction, dtype, seed):
    p, y = torch.sigmoid(normal(5, 3, dtype=dtype, seed=seed)), labels(2, 5, 3, seed=seed)
    compare("mnist_loss", p, targets=y, seed=seed, sigmoid=False, reduction=reduction)
    compare("mnist_loss", 9 * p - 5, targets=y, seed=seed, reduction=reduction)
    assert_close(losses.binary_loss(y, p, reduction=reduction), production.binary_loss(y, p, reduction=reduction), 0)


@QUICK
@given(REDUCTIONS, DTYPES, SEEDS)
def test_cross_entropy_of_probabilities_at_the_ends_too(reduction, dtype, seed):
    p, y = torch.sigmoid(normal(5, 3, dtype=dtype, seed=seed)), labels(2, 5, 3, seed=seed).to(dtype)
    ours, torchs = losses.cross_entropy_of_probabilities, torch.nn.functional.binary_cross_entropy
    assert_same_results(OfTargets(ours, y, {"reduction": reduction}), OfTargets(torchs, y, {"reduction": reduction}), p)
    ends = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=dtype), torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=dtype)
    assert_close(ours(*ends, reduction=reduction), torchs(*ends, reduction=reduction), 0)


@QUICK
@given(REDUCTIONS, st.booleans(), DTYPES, SEEDS)
def test_losses_of_numbers(reduction, whole, dtype, seed):
    x, y = normal(5, 3, dtype=dtype, seed=seed), normal(5, 3, dtype=dtype, seed=seed + 1)
    if whole:
        y = y.round().long()
        x[0] = y[0]  # a perfect prediction
    for name, settings in (("mse", {}), ("mae", {}), ("smooth_l1", {}), ("smooth_l1", {"beta": 0.3})):
        compare(name, x, targets=y, seed=seed, reduction=reduction, **settings)


@pytest.mark.parametrize("name", ["l1_penalty", "l2_penalty"])
def test_penalties(name):
    tensors = [normal(3, 5), normal(2)]
    assert_close(getattr(losses, name)(tensors), getattr(production, name)(tensors), 0)
