"""What a loss implies about outputs, and which way a metric is better."""

import functools

import pytest
import torch
import torchmetrics
from torch import nn
from torch.nn import functional as F

from satsuma.functional.links import activation_for, better_direction, decode_for, part_name
from satsuma.functional.losses import binary_cross_entropy, cross_entropy, mae, mnist_loss, mse, nll
from satsuma.functional.metrics import accuracy, error_rate, top_k_accuracy

CLASS_LOSSES = (cross_entropy, F.cross_entropy, nn.CrossEntropyLoss(), nn.CrossEntropyLoss)
LOG_LOSSES = (nll, F.nll_loss, nn.NLLLoss())
YES_LOSSES = (mnist_loss, binary_cross_entropy, F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss())
VALUE_LOSSES = (mse, mae, F.mse_loss, nn.MSELoss(), F.l1_loss, nn.L1Loss(), len)


@pytest.fixture
def outputs():
    return torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(42))


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, functools.partial(cross_entropy, label_smoothing=0.1)])
def test_cross_entropy_means_a_softmax_over_dimension_1(loss, outputs):
    torch.testing.assert_close(activation_for(loss)(outputs), outputs.softmax(1))
    assert torch.equal(decode_for(loss)(outputs), outputs.argmax(1))


@pytest.mark.parametrize("loss", LOG_LOSSES)
def test_nll_means_logs_of_probabilities(loss, outputs):
    torch.testing.assert_close(activation_for(loss)(outputs.log_softmax(1)), outputs.softmax(1))
    assert torch.equal(decode_for(loss)(outputs), outputs.argmax(1))


@pytest.mark.parametrize("loss", YES_LOSSES)
def test_yes_or_no_losses_mean_a_sigmoid_and_a_half(loss, outputs):
    torch.testing.assert_close(activation_for(loss)(outputs), outputs.sigmoid())
    assert torch.equal(decode_for(loss)(outputs.sigmoid()), outputs >= 0)


@pytest.mark.parametrize("loss", [functools.partial(mnist_loss, sigmoid=False), nn.BCELoss(), F.binary_cross_entropy])
def test_losses_on_probabilities_leave_them_alone_and_still_decide_at_a_half(loss):
    probabilities = torch.tensor([0.2, 0.7])
    assert activation_for(loss)(probabilities) is probabilities
    assert decode_for(loss)(probabilities).tolist() == [False, True]


def test_the_outermost_partial_has_the_last_word(outputs):
    inner = functools.partial(mnist_loss, sigmoid=False)
    loss = functools.partial(functools.partial(inner, reduction="sum"), sigmoid=True)
    torch.testing.assert_close(activation_for(loss)(outputs), outputs.sigmoid())


@pytest.mark.parametrize("loss", VALUE_LOSSES)
def test_other_losses_leave_values_as_they_are(loss, outputs):
    assert activation_for(loss)(outputs) is outputs
    assert decode_for(loss)(outputs) is outputs


def test_directions_are_known_for_our_own_and_torchs():
    assert better_direction(accuracy) == better_direction(functools.partial(top_k_accuracy, k=3)) == "higher"
    assert [better_direction(m) for m in (error_rate, mse, cross_entropy, nn.MSELoss(), F.l1_loss)] == ["lower"] * 5


def test_torchmetrics_say_their_own():
    assert better_direction(torchmetrics.Accuracy(task="multiclass", num_classes=3)) == "higher"
    assert better_direction(torchmetrics.MeanSquaredError()) == "lower"


def test_a_name_alone_says_nothing():
    def user_accuracy(predictions, targets):
        return (predictions == targets).mean()

    user_accuracy.__name__ = "accuracy"
    assert better_direction(user_accuracy) is None


def test_part_names():
    assert part_name(error_rate) == "error_rate"
    assert part_name(functools.partial(top_k_accuracy, k=3)) == "top_k_accuracy(k=3)"
    assert part_name(functools.partial(mse, torch.zeros(5, 2), reduction="sum")) == "mse(tensor[5 2], reduction='sum')"
    assert part_name(functools.partial(map, error_rate)) == "map(error_rate)"
    assert part_name(torchmetrics.MeanSquaredError()) == "MeanSquaredError"
    assert part_name(nn.ReLU) == "ReLU"
