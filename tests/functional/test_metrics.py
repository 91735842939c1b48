"""Metrics against scikit-learn and torchmetrics."""

import pytest
import torch
from sklearn import metrics as sk

from satsuma.functional.metrics import accuracy, binary_accuracy, error_rate, r2_score, rmse, top_k_accuracy


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(42)


def test_accuracy_and_error_rate_are_sklearns(generator):
    predictions, targets = torch.randn(101, 7, generator=generator), torch.randint(7, (101,), generator=generator)
    expected = sk.accuracy_score(targets.numpy(), predictions.argmax(1).numpy())
    assert accuracy(predictions, targets).item() == pytest.approx(expected)
    assert error_rate(predictions, targets).item() == pytest.approx(1 - expected)


def test_accuracy_counts_pixels_where_each_has_a_class(generator):
    predictions = torch.randn(2, 5, 3, 7, generator=generator)  # [N K H W]
    targets = torch.randint(5, (2, 3, 7), generator=generator)
    expected = (predictions.argmax(1) == targets).double().mean().item()
    assert accuracy(predictions, targets).item() == pytest.approx(expected)


def test_top_k_accuracy_is_sklearns_and_top_1_is_accuracy(generator):
    predictions, targets = torch.randn(101, 7, generator=generator), torch.randint(7, (101,), generator=generator)
    for k in (2, 3, 5):
        expected = sk.top_k_accuracy_score(targets.numpy(), predictions.numpy(), k=k, labels=range(7))
        assert top_k_accuracy(predictions, targets, k=k).item() == pytest.approx(expected)
    assert top_k_accuracy(predictions, targets, k=1) == accuracy(predictions, targets)
    assert top_k_accuracy(predictions, targets, k=7) == 1


def test_binary_accuracy_asks_for_a_probability_of_a_half(generator):
    logits, targets = torch.randn(101, 1, generator=generator), torch.randint(2, (101, 1), generator=generator)
    expected = sk.accuracy_score(targets.numpy(), (logits.sigmoid() >= 0.5).numpy())
    assert binary_accuracy(logits, targets).item() == pytest.approx(expected)
    assert binary_accuracy(logits.sigmoid(), targets, sigmoid=False) == binary_accuracy(logits, targets)
    assert binary_accuracy(logits.squeeze(1), targets.squeeze(1).float()) == binary_accuracy(logits, targets)


def test_binary_accuracy_moves_with_its_threshold():
    probabilities, targets = torch.tensor([0.3, 0.6, 0.9]), torch.tensor([0, 0, 1])
    found = [binary_accuracy(probabilities, targets, threshold=t, sigmoid=False).item() for t in (0.2, 0.5, 0.7)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_nudged_weight_does_not_move_the_accuracy(generator):
    """Why a metric cannot be the loss: its gradient is 0 almost everywhere."""
    x, weights = torch.randn(101, 5, generator=generator), torch.randn(5, 1, generator=generator)
    targets = torch.randint(2, (101, 1), generator=generator)
    nudged = weights.clone()
    nudged[0] *= 1.0001
    assert not torch.equal(x @ nudged, x @ weights)
    assert binary_accuracy(x @ nudged, targets) == binary_accuracy(x @ weights, targets)


def test_regression_metrics_are_sklearns(generator):
    predictions, targets = (torch.randn(101, 3, generator=generator) for _ in range(2))
    assert r2_score(predictions, targets).item() == pytest.approx(sk.r2_score(targets, predictions), rel=1e-5)
    assert rmse(predictions, targets).item() == pytest.approx(sk.mean_squared_error(targets, predictions) ** 0.5)
    column = r2_score(predictions[:, 0], targets[:, 0]).item()
    assert column == pytest.approx(sk.r2_score(targets[:, 0], predictions[:, 0]), rel=1e-5)
    assert r2_score(targets, targets) == 1


@pytest.mark.parametrize("metric", [accuracy, error_rate, top_k_accuracy])
@pytest.mark.parametrize(
    ("predictions", "targets"),
    [
        (torch.zeros(5), torch.zeros(5, dtype=torch.int64)),
        (torch.zeros(5, 1), torch.zeros(5, 1, dtype=torch.int64)),
        (torch.zeros(5, 3), torch.zeros(5, 1, dtype=torch.int64)),
        (torch.zeros(5, 3), torch.zeros(5)),
        (torch.zeros(5, 3), torch.zeros(7, dtype=torch.int64)),
    ],
)
def test_class_metrics_point_to_binary_accuracy(metric, predictions, targets):
    with pytest.raises(ValueError, match=r"expected \[N K\].*use binary_accuracy") as caught:
        metric(predictions, targets)
    assert str(caught.value).startswith(f"{metric.__name__}: predictions [5")


@pytest.mark.parametrize("metric", [binary_accuracy, rmse, r2_score])
def test_shapes_that_would_broadcast_are_refused(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__}: .* would broadcast to \[5 5\]"):
        metric(torch.zeros(5), torch.zeros(5, 1))


def test_top_k_beyond_the_classes_is_refused():
    with pytest.raises(ValueError, match=r"k=5 of 3 classes; expected 1..3"):
        top_k_accuracy(torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64), k=5)
