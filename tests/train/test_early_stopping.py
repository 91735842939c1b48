"""Early stopping: the best weights come back, and what to watch is never guessed."""

import functools

import pytest
import torch
from torch import nn

from satsuma.functional.losses import mse
from satsuma.functional.metrics import accuracy, error_rate
from satsuma.train.early_stopping import BestWeights, EarlyStopping, direction_of, improves, resolved
from satsuma.train.fit import EpochRow


def row(epoch, value):
    return EpochRow(epoch, 1.0, value, {}, 0.1, 1.0)


def told(values, **settings):
    """The model's weight is the number of the epoch: which comes back, and after how many epochs it stopped."""
    model = nn.Linear(1, 1, bias=False)
    best = BestWeights(EarlyStopping(**{"better": "lower", **settings}), model)
    for epoch, value in enumerate(values):
        nn.init.constant_(model.weight, epoch)
        reason = best.after(row(epoch, value))
        if reason:
            break
    best.restore()
    return int(model.weight), epoch, reason


@pytest.mark.parametrize(
    ("values", "settings", "best", "stopped"),
    [
        ([5, 4, 3, 2], {"patience": 1}, 3, 3),
        ([5, 4, 6, 7, 1], {"patience": 2}, 1, 3),
        ([5, 4, 6, 3, 6, 6], {"patience": 2}, 3, 5),
        ([1, 2, 3, 3, 3], {"patience": 2, "better": "higher"}, 2, 4),
        ([5.0, 4.95, 4.9], {"patience": 2, "min_delta": 0.5}, 0, 2),
        ([float("nan"), 3, float("nan"), float("nan")], {"patience": 2}, 1, 3),
    ],
)
def test_it_stops_after_patience_and_restores_the_best(values, settings, best, stopped):
    weight, epoch, _ = told(values, **settings)
    assert (weight, epoch) == (best, stopped)


def test_the_reason_is_told():
    assert told([1, 2, 3], patience=2)[2] == "valid_loss has not improved for 2 epochs (best 1)"


def test_buffers_are_restored_as_well():
    model = nn.BatchNorm1d(3)
    best = BestWeights(EarlyStopping(better="lower"), model)
    best.after(row(0, 1.0))
    model(torch.randn(5, 3))
    assert int(model.num_batches_tracked) == 1
    best.restore()
    assert int(model.num_batches_tracked) == 0


def test_without_any_number_the_weights_stay():
    assert told([float("nan")] * 3, patience=9)[0] == 2


def test_improving_is_more_than_min_delta():
    assert improves(1.0, None, "lower", 0.0)
    assert not improves(1.0, 1.0, "lower", 0.0)
    assert not improves(0.9, 1.0, "lower", 0.2)
    assert improves(1.1, 1.0, "higher", 0.05)
    assert not improves(None, None, "lower", 0.0)


def test_directions_of_known_parts_are_known():
    metrics = (accuracy, error_rate, functools.partial(mse, reduction="mean"))
    assert direction_of("accuracy", None, metrics, True) == "higher"
    assert direction_of("error_rate", None, metrics, True) == "lower"
    assert direction_of("mse(reduction='mean')", None, metrics, True) == "lower"
    assert direction_of("valid_loss", None, (), True) == "lower"
    assert resolved(EarlyStopping(monitor="accuracy"), metrics, True).better == "higher"


def test_a_direction_is_asked_for_and_not_guessed():
    def accuracy_of_mine(outputs, targets):
        return 1.0

    with pytest.raises(
        ValueError, match="whether a higher or a lower accuracy_of_mine is better is not known; say bet"
    ):
        direction_of("accuracy_of_mine", None, (accuracy_of_mine,), True)
    assert direction_of("accuracy_of_mine", "higher", (accuracy_of_mine,), True) == "higher"


def test_a_column_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"cannot monitor 'acuracy', no such column: did you mean 'accuracy'?"):
        direction_of("acuracy", None, (accuracy,), True)
    with pytest.raises(ValueError, match=r"cannot monitor 'valid_loss', .* 'train_loss'|known: train_loss"):
        direction_of("valid_loss", None, (accuracy,), has_valid=False)


def test_torchmetrics_say_their_own_direction():
    torchmetrics = pytest.importorskip("torchmetrics", exc_type=ImportError)
    assert direction_of("MeanSquaredError", None, (torchmetrics.MeanSquaredError(),), True) == "lower"
    several = torchmetrics.MetricCollection([torchmetrics.classification.BinaryF1Score()])
    assert direction_of("BinaryF1Score", None, (several,), True) == "higher"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience must be 1 or more epochs, got 0"),
        ({"better": "up"}, ValueError, 'better is "lower" or "higher", got \'up\''),
        ({"patiance": 3}, TypeError, r"EarlyStopping\(\) has no argument 'patiance': did you mean 'patience'"),
    ],
)
def test_wrong_settings(settings, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**settings)
