"""Each loss and its gradient equal the library's, value and automatic gradient; and the lessons' numbers."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ladder.numpy.twin import assert_equal, numbers, twin
from torch import nn

from satsuma.data.seeds import MIX
from satsuma.data.seeds import numpy_generator as production_generator
from satsuma.functional import losses as production
from satsuma.functional import metrics as production_metrics
from satsuma.ladder.numpy import losses, metrics, weighted_losses
from satsuma.ladder.numpy.losses import binary_loss, indicator, mnist_loss
from satsuma.ladder.numpy.mixing import mixup, mixup_values
from satsuma.ladder.numpy.penalties import add_l1_gradients, add_l2_gradients, l1_penalty, l2_penalty, penalised_weights
from satsuma.ladder.numpy.seeds import numpy_generator
from satsuma.train.mixing import MixUp
from satsuma.train.objectives import supervised_mixed

small = st.integers(1, 7)
seeds = st.integers(0, 2**32)
VALUES = [("mse", {}), ("mae", {}), ("smooth_l1", {}), ("smooth_l1", {"beta": 0.3})]
YES_NO = [
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy", {"label_smoothing": 0.1}),
    ("mnist_loss", {}),
]
CLASSES = [("nll", {}), ("cross_entropy", {}), ("cross_entropy", {"label_smoothing": 0.1})]


def assert_same_loss(name, options, predictions, targets):
    predictions = predictions.clone().requires_grad_(True)
    theirs = getattr(production, name)(predictions, targets, **options)
    theirs.backward()
    ours = getattr(losses, name)(predictions.detach().numpy(), targets.numpy(), **options)
    assert isinstance(ours, float)
    assert_equal(ours, theirs)
    gradient = getattr(losses, f"{name}_gradient")(predictions.detach().numpy(), targets.numpy(), **options)
    assert_equal(gradient, predictions.grad)


@pytest.mark.parametrize(("name", "options"), VALUES)
@given(shape=st.lists(small, min_size=1, max_size=3), seed=seeds, spread=st.sampled_from([0.1, 1, 10]))
@settings(max_examples=30, deadline=None)
def test_losses_of_values(name, options, shape, seed, spread):
    assert_same_loss(name, options, numbers(*shape, seed=seed, spread=spread), numbers(*shape, seed=seed + 1))


@pytest.mark.parametrize(("name", "options"), YES_NO)
@given(shape=st.lists(small, min_size=1, max_size=3), seed=seeds, spread=st.sampled_from([0.1, 1, 50]))
@settings(max_examples=30, deadline=None)
def test_losses_of_yes_or_no(name, options, shape, seed, spread):
    targets = (numbers(*shape, seed=seed + 1) > 0).long()
    assert_same_loss(name, options, numbers(*shape, seed=seed, spread=spread), targets)


@given(shape=st.lists(small, min_size=1, max_size=3), seed=seeds)
@settings(deadline=None)
def test_losses_of_probabilities(shape, seed):
    p = numbers(*shape, seed=seed).sigmoid().requires_grad_(True)
    y = (numbers(*shape, seed=seed + 1) > 0).long()
    assert_same_loss("mnist_loss", {"sigmoid": False}, p.detach(), y)
    theirs = production.binary_loss(y, p)
    theirs.backward()
    assert_equal(binary_loss(y.numpy(), p.detach().numpy()), theirs)
    assert_equal(losses.binary_loss_gradient(y.numpy(), p.detach().numpy()), p.grad)


@pytest.mark.parametrize(("name", "options"), CLASSES)
@given(b=small, k=small, seed=seeds, spread=st.sampled_from([0.1, 1, 300]))
@settings(deadline=None)
def test_losses_of_classes(name, options, b, k, seed, spread):
    targets = torch.randint(k, (b,), generator=torch.Generator().manual_seed(seed))
    assert_same_loss(name, options, numbers(b, k, seed=seed, spread=spread), targets)


@given(b=small, k=small, seed=seeds, label_smoothing=st.sampled_from([0.0, 0.2]))
@settings(deadline=None)
def test_cross_entropy_with_probabilities_as_targets(b, k, seed, label_smoothing):
    wanted = numbers(b, k, seed=seed + 1).softmax(1)
    assert_same_loss("cross_entropy", {"label_smoothing": label_smoothing}, numbers(b, k, seed=seed), wanted)


@given(b=small, k=small, seed=seeds, label_smoothing=st.sampled_from([0.0, 0.1]))
@settings(deadline=None)
def test_losses_with_weights_for_classes(b, k, seed, label_smoothing):
    targets = torch.randint(k, (b,), generator=torch.Generator().manual_seed(seed))
    weight = numbers(k, seed=seed + 1).abs() + 0.1
    logits = numbers(b, k, seed=seed, spread=3)
    smoothed = {"label_smoothing": label_smoothing}
    assert_same_weighted("cross_entropy", logits, targets, weight=weight, **smoothed)
    assert_same_weighted("nll", logits, targets, weight=weight)
    yes = (numbers(b, k, seed=seed + 2) > 0).long()
    assert_same_weighted("binary_cross_entropy", logits, yes, pos_weight=weight, **smoothed)


def assert_same_weighted(name, logits, targets, **options):
    logits = logits.clone().requires_grad_(True)
    theirs = getattr(production, name)(logits, targets, **options)
    theirs.backward()
    arrays = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in options.items()}
    given_ = (logits.detach().numpy(), targets.numpy())
    assert_equal(getattr(weighted_losses, f"weighted_{name}")(*given_, **arrays), theirs)
    assert_equal(getattr(weighted_losses, f"weighted_{name}_gradient")(*given_, **arrays), logits.grad)


@given(b=small, k=small, seed=seeds, alpha=st.floats(0.1, 3), label_smoothing=st.sampled_from([0.0, 0.1]))
@settings(deadline=None)
def test_mixup_is_the_librarys(b, k, seed, alpha, label_smoothing):
    x, targets = numbers(b, 3, 2, seed=seed), torch.randint(k, (b,), generator=torch.Generator().manual_seed(seed))
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, k)).double()
    loss_func = partial(production.cross_entropy, label_smoothing=label_smoothing)
    batch = MixUp(alpha)(x, targets, rng=production_generator(seed, MIX, 0, 5))
    theirs = supervised_mixed(model, *batch, loss_func=loss_func)
    theirs.backward()
    blends, wanted = mixup(x.numpy(), targets.numpy(), alpha=alpha, classes=k, rng=numpy_generator(seed, MIX, 0, 5))
    ours = twin(model)
    logits = ours.forward(blends)
    assert_equal(losses.cross_entropy(logits, wanted, label_smoothing=label_smoothing), theirs)
    ours.backward(losses.cross_entropy_gradient(logits, wanted, label_smoothing=label_smoothing))
    assert_equal(ours.gradients["1.weight"], model[1].weight.grad)


@given(b=small, k=small, seed=seeds, alpha=st.floats(0.1, 3), label_smoothing=st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=20)
def test_mixup_of_yes_or_no_is_the_librarys(b, k, seed, alpha, label_smoothing):
    x, targets = numbers(b, 3, seed=seed), (numbers(b, k, seed=seed + 1) > 0).double()
    model = nn.Linear(3, k).double()
    loss_func = partial(production.binary_cross_entropy, label_smoothing=label_smoothing)
    batch = MixUp(alpha)(x, targets, rng=production_generator(seed, MIX, 0, 5))
    theirs = supervised_mixed(model, *batch, loss_func=loss_func)
    theirs.backward()
    blends, wanted = mixup_values(x.numpy(), targets.numpy(), alpha=alpha, rng=numpy_generator(seed, MIX, 0, 5))
    ours = twin(model)
    logits = ours.forward(blends)
    assert_equal(losses.binary_cross_entropy(logits, wanted, label_smoothing=label_smoothing), theirs)
    ours.backward(losses.binary_cross_entropy_gradient(logits, wanted, label_smoothing=label_smoothing))
    assert_equal(ours.gradients["weight"], model.weight.grad)


@pytest.mark.parametrize(("name", "options"), [*VALUES, *YES_NO, *CLASSES])
def test_gradients_against_finite_differences(name, options):
    x = numbers(3, 5).numpy()
    yes_no = (numbers(3, 5, seed=1).numpy() > 0).astype(float)
    targets = np.array([4, 0, 2]) if (name, options) in CLASSES else yes_no
    loss = partial(getattr(losses, name), targets=targets, **options)
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        slopes[place] = (loss(x + step) - loss(x - step)) / 2e-6
    np.testing.assert_allclose(getattr(losses, f"{name}_gradient")(x, targets, **options), slopes, atol=1e-8)


def test_gradients_of_float32_are_float32():
    x = numbers(3, 5).float().numpy()
    assert losses.mse_gradient(x, np.ones_like(x)).dtype == np.float32
    assert losses.mae_gradient(x, np.ones_like(x)).dtype == np.float32
    assert losses.smooth_l1_gradient(x, np.ones_like(x)).dtype == np.float32
    assert losses.cross_entropy_gradient(x, np.array([0, 1, 2]), label_smoothing=0.1).dtype == np.float32
    assert losses.nll_gradient(x, np.array([0, 1, 2])).dtype == np.float32
    assert losses.binary_cross_entropy_gradient(x, np.ones_like(x), label_smoothing=0.1).dtype == np.float32
    assert losses.mnist_loss_gradient(x, np.ones((3, 5), np.int64)).dtype == np.float32


def test_large_logits_cost_what_they_should():
    logits, targets = np.array([-1e4, 1e4, -1e4, 1e4]), np.array([0.0, 1.0, 1.0, 0.0])
    with np.errstate(all="raise", under="ignore"):
        assert losses.binary_cross_entropy(logits, targets) == 5000
        assert losses.binary_cross_entropy_gradient(logits, targets).tolist() == [0, 0, -0.25, 0.25]


def test_the_lessons_numbers():
    predictions, targets = np.array([0.9, 0.4, 0.2]), np.array([1, 0, 1])  # LESSONS A.3
    assert round(mnist_loss(predictions, targets, sigmoid=False), 4) == 0.4333
    assert round(mnist_loss(np.array([0.9, 0.4, 0.8]), targets, sigmoid=False), 4) == 0.2333
    y, p = np.array([1, 0, 0, 1]), np.array([0.9, 0.1, 0.2, 0.8])  # LESSONS C.2
    assert binary_loss(y, p) == pytest.approx(0.164252033486018, abs=1e-15)
    assert indicator(np.array([1, 0, 2]), 3, np.dtype(float)).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]  # E.3


@given(n=small, k=st.integers(2, 7), seed=seeds)
@settings(deadline=None)
def test_metrics(n, k, seed):
    predictions = numbers(n, k, seed=seed)
    targets = torch.randint(k, (n,), generator=torch.Generator().manual_seed(seed))
    for name in ("accuracy", "error_rate"):
        theirs = getattr(production_metrics, name)(predictions, targets)
        assert_equal(getattr(metrics, name)(predictions.numpy(), targets.numpy()), theirs, 1e-6)
    for best in range(1, k + 1):
        theirs = production_metrics.top_k_accuracy(predictions, targets, k=best)
        assert_equal(metrics.top_k_accuracy(predictions.numpy(), targets.numpy(), k=best), theirs, 1e-6)
    for name in ("rmse", "r2_score"):
        wanted = numbers(n + 1, k, seed=seed + 2), numbers(n + 1, k, seed=seed + 3)
        assert_equal(getattr(metrics, name)(*(w.numpy() for w in wanted)), getattr(production_metrics, name)(*wanted))
    yes = (numbers(n, k, seed=seed + 1) > 0).long()
    for options in ({}, {"threshold": 0.7}, {"sigmoid": False}):
        theirs = production_metrics.binary_accuracy(predictions, yes, **options)
        assert_equal(metrics.binary_accuracy(predictions.numpy(), yes.numpy(), **options), theirs, 1e-6)


def test_penalties():
    weights = {"a.weight": numbers(2, 3), "a.bias": numbers(3), "b.weight": numbers(2, 1, 2, 2)}
    weights["b.weight"][0, 0, 0, 0] = 0
    trained = [w.requires_grad_(True) for w in weights.values() if w.ndim >= 2]
    (0.3 * production.l1_penalty(trained) + 0.7 * production.l2_penalty(trained)).backward()
    arrays = {name: w.detach().numpy() for name, w in weights.items()}
    matrices = [arrays["a.weight"], arrays["b.weight"]]
    assert_equal(l1_penalty(matrices), production.l1_penalty(trained))
    assert_equal(l2_penalty(matrices), production.l2_penalty(trained))
    gradients = {name: np.ones_like(w) for name, w in arrays.items()}
    add_l1_gradients(arrays, gradients, l1=0.3)
    add_l2_gradients(arrays, gradients, l2=0.7)
    assert [w.shape for w in penalised_weights(arrays)] == [w.shape for w in matrices]
    for name, w in weights.items():
        assert_equal(gradients[name] - 1, np.zeros(3) if w.grad is None else w.grad)
