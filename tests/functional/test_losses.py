"""Losses against the lessons' worked numbers, torch's own functions and the formulas written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from satsuma.functional.activations import log_softmax, relu, softmax
from satsuma.functional.losses import (
    binary_cross_entropy,
    binary_loss,
    cross_entropy,
    l1_penalty,
    l2_penalty,
    mae,
    mnist_loss,
    mse,
    nll,
    smooth_l1,
)

REDUCTIONS = ("none", "mean", "sum")
ELEMENTWISE = (mnist_loss, binary_cross_entropy, mse, mae, smooth_l1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(42)


# The lessons' numbers


def test_mnist_loss_has_the_books_numbers():
    targets = torch.tensor([1, 0, 1])
    each = mnist_loss(torch.tensor([0.9, 0.4, 0.2]), targets, sigmoid=False, reduction="none")
    assert each.tolist() == pytest.approx([0.1, 0.4, 0.8])
    assert each.mean().item() == pytest.approx(0.4333, abs=5e-5)
    assert mnist_loss(torch.tensor([0.9, 0.4, 0.8]), targets, sigmoid=False).item() == pytest.approx(0.2333, abs=5e-5)


def test_mnist_loss_takes_the_sigmoid_first(generator):
    predictions, targets = torch.randn(7, 1, generator=generator), torch.randint(2, (7, 1), generator=generator)
    squashed = mnist_loss(predictions.sigmoid(), targets, sigmoid=False)
    torch.testing.assert_close(mnist_loss(predictions, targets), squashed, rtol=0, atol=0)


def test_binary_loss_has_the_lessons_number_also_with_an_if():
    y, p = [1, 0, 0, 1], [0.9, 0.1, 0.2, 0.8]
    loss = binary_loss(torch.tensor(y), torch.tensor(p, dtype=torch.float64)).item()
    assert loss == pytest.approx(0.164252033486018, abs=1e-15)
    with_an_if = sum(-math.log(pi) if yi == 1 else -math.log(1 - pi) for yi, pi in zip(y, p, strict=True)) / 4
    assert loss == pytest.approx(with_an_if, abs=1e-15)


def test_the_many_class_form_by_one_hot_rows_is_cross_entropy(generator):
    logits = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (7,), generator=generator)
    indicators = F.one_hot(labels, 3)  # [N K]
    cost = -(indicators * torch.log(softmax(logits))).sum()
    torch.testing.assert_close(cross_entropy(logits, labels, reduction="sum"), cost)


def test_picking_by_index_is_the_many_class_form_of_where():
    probabilities = torch.tensor([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    labels = torch.tensor([0, 1, 1])
    picked = probabilities[range(3), labels]
    assert picked.tolist() == torch.where(labels == 0, probabilities[:, 0], probabilities[:, 1]).tolist()
    assert nll(probabilities, labels, reduction="none").tolist() == (-picked).tolist()  # nll takes no log


def test_log_softmax_then_nll_is_cross_entropy(generator):
    logits, labels = torch.randn(7, 3, generator=generator), torch.randint(3, (7,), generator=generator)
    for reduction in REDUCTIONS:
        two_steps = nll(log_softmax(logits, dim=1), labels, reduction=reduction)
        torch.testing.assert_close(cross_entropy(logits, labels, reduction=reduction), two_steps)


def test_none_shows_each_items_loss_and_mean_is_their_mean(generator):
    logits, labels = torch.randn(7, 3, generator=generator), torch.randint(3, (7,), generator=generator)
    each = cross_entropy(logits, labels, reduction="none")
    assert each.shape == (7,)
    torch.testing.assert_close(cross_entropy(logits, labels), each.mean())


def test_logs_tell_apart_what_probabilities_hide():
    probabilities = torch.tensor([0.99, 0.999], dtype=torch.float64)
    first, second = (-torch.log(probabilities)).tolist()
    assert first / second == pytest.approx(10, rel=0.01)


# torch's functions as oracles


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_elementwise_losses_equal_torchs(reduction, generator):
    predictions = torch.randn(5, 3, generator=generator)
    targets = torch.rand(5, 3, generator=generator)
    for ours, theirs in (
        (binary_cross_entropy, F.binary_cross_entropy_with_logits),
        (mse, F.mse_loss),
        (mae, F.l1_loss),
        (smooth_l1, F.smooth_l1_loss),
    ):
        expected = theirs(predictions, targets, reduction=reduction)
        torch.testing.assert_close(ours(predictions, targets, reduction=reduction), expected, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_class_losses_equal_torchs_with_weights_and_pictures(reduction, generator):
    logits = torch.randn(2, 5, 3, 7, generator=generator)  # [B K H W]
    labels = torch.randint(5, (2, 3, 7), generator=generator)  # [B H W]
    weight = torch.rand(5, generator=generator)
    ours = cross_entropy(logits, labels, weight=weight, label_smoothing=0.1, reduction=reduction)
    theirs = F.cross_entropy(logits, labels, weight=weight, label_smoothing=0.1, reduction=reduction)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    torch.testing.assert_close(
        nll(logits, labels, weight=weight, reduction=reduction),
        F.nll_loss(logits, labels, weight=weight, reduction=reduction),
        rtol=0,
        atol=0,
    )


def test_binary_cross_entropy_of_logits_is_binary_loss_of_probabilities(generator):
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(2, (5, 3), generator=generator)
    for reduction in REDUCTIONS:
        plain = binary_loss(targets, logits.sigmoid(), reduction=reduction)
        torch.testing.assert_close(binary_cross_entropy(logits, targets, reduction=reduction), plain)


def test_label_smoothing_moves_yes_and_no_towards_a_half(generator):
    logits = torch.randn(5, 3, generator=generator)
    targets = torch.randint(2, (5, 3), generator=generator)
    smoothed = torch.where(targets == 1, 0.95, 0.05)
    by_hand = F.binary_cross_entropy_with_logits(logits, smoothed)
    torch.testing.assert_close(binary_cross_entropy(logits, targets, label_smoothing=0.1), by_hand)


def test_pos_weight_multiplies_the_cost_of_a_missed_yes():
    logits, yes = torch.tensor([[-2.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    plain = binary_cross_entropy(logits, yes, reduction="none")
    weighted = binary_cross_entropy(logits, yes, pos_weight=torch.tensor([3.0, 5.0]), reduction="none")
    torch.testing.assert_close(weighted, plain * torch.tensor([3.0, 5.0]))


def test_soft_targets_are_probabilities_of_the_classes(generator):
    logits = torch.randn(5, 3, generator=generator)
    soft = softmax(torch.randn(5, 3, generator=generator))
    torch.testing.assert_close(cross_entropy(logits, soft), -(soft * log_softmax(logits)).sum(1).mean())


@pytest.mark.parametrize("loss", [mse, smooth_l1, mae, binary_cross_entropy, mnist_loss])
def test_integer_targets_are_read_as_numbers_and_gradients_flow(loss, generator):
    predictions = torch.randn(5, 3, generator=generator, requires_grad=True)
    targets = torch.randint(2, (5, 3), generator=generator)
    loss(predictions, targets).backward()
    from_integers, predictions.grad = predictions.grad, None
    loss(predictions, targets.float()).backward()
    assert from_integers.abs().sum() > 0
    torch.testing.assert_close(from_integers, predictions.grad, rtol=0, atol=0)


def test_penalties_are_sums_over_all_parameters(generator):
    parameters = [torch.randn(5, 3, generator=generator), torch.randn(7, generator=generator)]
    everything = torch.cat([p.flatten() for p in parameters])
    torch.testing.assert_close(l1_penalty(parameters), everything.abs().sum())
    torch.testing.assert_close(l2_penalty(parameters), everything.square().sum())


# Gradients by hand


def test_gradients_of_one_hidden_layer_by_hand(generator):
    """dJ/dV = Z.T @ (Y - T), dJ/dW = X.T @ ((Y - T) @ V.T * slope), and their sums for the biases."""
    x = torch.randn(11, 5, generator=generator, dtype=torch.float64)  # [N D]
    labels = torch.randint(3, (11,), generator=generator)
    t = F.one_hot(labels, 3).double()  # [N K]
    slopes = {
        torch.sigmoid: lambda z: z * (1 - z),
        torch.tanh: lambda z: 1 - z**2,
        relu: lambda z: (z > 0).double(),
    }
    for squash, slope in slopes.items():
        w, b, v, c = (
            torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
            for shape in ((5, 7), (7,), (7, 3), (3,))
        )
        z = squash(x @ w + b)  # [N M]
        logits = z @ v + c
        cross_entropy(logits, labels, reduction="sum").backward()
        with torch.no_grad():
            error = softmax(logits) - t  # [N K]
            hidden_error = error @ v.T * slope(z)  # [N M]
            torch.testing.assert_close(v.grad, z.T @ error)
            torch.testing.assert_close(c.grad, error.sum(0))
            torch.testing.assert_close(w.grad, x.T @ hidden_error)
            torch.testing.assert_close(b.grad, hidden_error.sum(0))


# Refusals


@pytest.mark.parametrize("loss", ELEMENTWISE)
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match=r"would broadcast to \[5 5\]; make the shapes equal") as caught:
        loss(torch.zeros(5), torch.zeros(5, 1))
    assert str(caught.value) == (
        f"{loss.__name__}: predictions [5] against targets [5 1] would broadcast to [5 5]; "
        "make the shapes equal (targets.squeeze(1) or predictions.unsqueeze(1))"
    )


def test_the_repair_is_named_for_the_other_side_too():
    with pytest.raises(ValueError, match=r"\(predictions.squeeze\(1\) or targets.unsqueeze\(1\)\)"):
        mse(torch.zeros(5, 1), torch.zeros(5))
    with pytest.raises(ValueError, match=r"predictions \[5\] against targets \[3\] do not fit together"):
        mse(torch.zeros(5), torch.zeros(3))
    with pytest.raises(ValueError, match=r"binary_loss: predictions \[5\] against targets \[5 1\]"):
        binary_loss(torch.zeros(5, 1), torch.full((5,), 0.5))


@pytest.mark.parametrize("loss", [cross_entropy, nll])
def test_labels_beyond_the_classes_are_explained(loss):
    with pytest.raises(ValueError, match="logits") as caught:
        loss(torch.zeros(32, 9), torch.arange(32) % 10)
    assert str(caught.value) == (
        f"{loss.__name__}: logits [32 9] but labels reach 9. "
        "9 classes give labels 0..8. Build the model with classes=10."
    )
    with pytest.raises(ValueError, match=r"labels go down to -1. 9 classes give labels 0..8"):
        loss(torch.zeros(2, 9), torch.tensor([0, -1]))


@pytest.mark.parametrize("loss", [cross_entropy, nll])
@pytest.mark.parametrize(
    ("targets", "advice"),
    [
        (torch.zeros(5, 1, dtype=torch.int64), r"Use targets.squeeze\(1\)"),
        (torch.zeros(5), r"Use targets.long\(\)"),
        (torch.zeros(5, dtype=torch.int32), r"Use targets.long\(\)"),
        (torch.zeros(7, dtype=torch.int64), r"expected one class number for each item of the batch, \[5\]"),
    ],
)
def test_class_targets_of_another_form_are_refused_with_the_repair(loss, targets, advice):
    with pytest.raises(ValueError, match=advice):
        loss(torch.zeros(5, 3), targets)


def test_one_item_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"logits.unsqueeze\(0\)"):
        cross_entropy(torch.zeros(3), torch.tensor([1]))


@pytest.mark.parametrize("loss", [mnist_loss, mse, cross_entropy])
def test_an_unknown_reduction_is_refused(loss):
    targets = torch.zeros(5, dtype=torch.int64) if loss is cross_entropy else torch.zeros(5, 3)
    with pytest.raises(ValueError, match="average"):
        loss(torch.zeros(5, 3), targets, reduction="average")
