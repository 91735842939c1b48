"""`Checkpoint`: the last and the best weights, whatever happens later."""

import types

import pytest
from torch import nn

from satsuma.hooks.checkpoint import Checkpoint
from satsuma.train.checkpoint import load_weights
from satsuma.train.fit import EpochRow, Plan

PLAN = Plan(3, 0, 1, 1, True, ("accuracy",))


def play(hook, values):
    """One epoch for each value; the model's only weight is the number of the epoch."""
    model = nn.Linear(1, 1, bias=False)
    run = types.SimpleNamespace(model=model)
    hook.on_fit_start(run, PLAN)
    for epoch, value in enumerate(values):
        nn.init.constant_(model.weight, epoch)
        hook.on_epoch(run, EpochRow(epoch, 1.0, value, {"accuracy": value}, 1.0, 1.0))


def weight_in(path):
    model = nn.Linear(1, 1, bias=False)
    load_weights(model, path)
    return int(model.weight)


@pytest.mark.parametrize(
    ("settings", "best"), [({}, 2), ({"monitor": "accuracy", "better": "higher"}, 1), ({"monitor": "train_loss"}, 0)]
)
def test_best_and_last(tmp_path, settings, best):
    play(Checkpoint(tmp_path / "kept", **settings), [0.5, 0.9, 0.3, 0.4])
    assert weight_in(tmp_path / "kept" / "best.safetensors") == best
    assert weight_in(tmp_path / "kept" / "last.safetensors") == 3


def test_a_later_fit_has_to_beat_the_earlier_best(tmp_path):
    hook = Checkpoint(tmp_path)
    play(hook, [0.5, 0.1])
    play(hook, [0.9])
    assert weight_in(tmp_path / "best.safetensors") == 1


def test_a_failure_leaves_the_last_good_file(tmp_path, monkeypatch):
    hook = Checkpoint(tmp_path)
    play(hook, [0.5])
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        play(hook, [0.1])
    assert weight_in(tmp_path / "last.safetensors") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]


def test_the_direction_of_a_metric_is_asked_for():
    with pytest.raises(ValueError, match='say better="higher" or better="lower" for accuracy, got None'):
        Checkpoint("x", monitor="accuracy")
    with pytest.raises(ValueError, match="got 'up'"):
        Checkpoint("x", better="up")
    with pytest.raises(TypeError, match="no argument 'moniter': did you mean 'monitor'"):
        Checkpoint("x", moniter="accuracy")


def test_a_column_that_does_not_exist_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match=r"Checkpoint: cannot monitor 'acuracy', .* did you mean 'accuracy'"):
        play(Checkpoint(tmp_path, monitor="acuracy", better="higher"), [0.5])
    assert list(tmp_path.iterdir()) == []
