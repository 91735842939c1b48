"""The profile: it changes nothing, and its stages add up."""

import copy
import random
import time

import numpy as np
import pytest
import torch
from tests.data.fakes import Pictures, Slow
from torch import nn

from satsuma.data import stopwatch
from satsuma.data.loader import DataLoader
from satsuma.train.fit import Validation
from satsuma.train.loop import train
from satsuma.train.profile import LOOP_STAGES, FirstBatches, Profile, profile
from satsuma.train.run import Run

N, K = 23, 3


def constant(step):
    return 1.0


class SlowLayer(nn.Module):
    def forward(self, x):
        time.sleep(0.005)
        return x


def make_run(*layers):
    torch.manual_seed(1)
    model = nn.Sequential(
        *layers, nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.2), nn.Flatten(), nn.Linear(75, K)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Run(model=model, optimizer=optimizer, objective=objective, schedule=constant)


def objective(model, x, y):
    return nn.functional.cross_entropy(model(x), y)


def make_data(kind=Pictures, n=N, **settings):
    return DataLoader(kind(n), 5, True, drop_last=True, **settings)


def make_validation(metrics=()):
    return Validation(data=DataLoader(Pictures(11), 5), loss_func=nn.functional.cross_entropy, metrics=metrics)


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@pytest.mark.parametrize("micro", [None, 2])
def test_the_run_is_as_if_it_had_never_been(micro):
    untouched, profiled, data = make_run(), make_run(), make_data()
    before = copy.deepcopy(profiled.optimizer.state_dict())
    drawn = states()
    profile(profiled, data, validation=make_validation(), steps=7, warmup=2, micro=micro)
    assert states() == drawn
    assert (profiled.step, profiled.stop, data.passes, profiled.model.training) == (0, "", 0, True)
    assert str(profiled.optimizer.state_dict()) == str(before)
    for a, b in zip(untouched.model.state_dict().values(), profiled.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    losses = [[s.loss.item() for s in train(run, make_data(), epochs=2)] for run in (untouched, profiled)]
    assert losses[0] == losses[1]


def test_metrics_keep_their_state():
    class Counting:
        total = 0

        def reset(self):
            self.total = 0

        def update(self, outputs, targets):
            self.total += len(targets)

        def compute(self):
            return self.total

    metric = Counting()
    metric.total = 7
    profile(make_run(), make_data(), validation=make_validation([metric]), steps=2)
    assert metric.total == 7


def test_stages_and_shares():
    found = profile(make_run(), make_data(workers=2), validation=make_validation(), steps=5)
    assert tuple(found.seconds) == LOOP_STAGES
    assert all(spent > 0 for spent in found.seconds.values())
    assert sum(found.shares.values()) == pytest.approx(1)
    assert sum(found.sample_shares.values()) == pytest.approx(1)
    assert (found.steps, found.batch_size, found.workers, found.worker_kind) == (5, 5, 2, "threads")
    assert found.samples_per_s == pytest.approx(5 / sum(found.seconds[s] for s in LOOP_STAGES[:4]))


def test_without_validation_nothing_is_evaluated():
    assert profile(make_run(), make_data(), steps=2).seconds["evaluation"] == 0


def test_data_in_memory_has_no_stages_of_a_sample():
    data = DataLoader((torch.rand(23, 3, 5, 7), torch.arange(23) % K), 5, True)
    found = profile(make_run(), data, steps=2)
    assert found.sample_seconds == {}
    assert "the loader  " not in str(found)


class Staged(Pictures):
    def timed_sample(self, index, rng):
        assert rng is not None
        return {"decode": 0.002, "warp": 0.001}


def test_what_a_data_set_tells_of_its_samples():
    found = profile(make_run(), make_data(Staged), steps=2)
    assert found.sample_seconds == pytest.approx({"decode": 0.002, "warp": 0.001})
    assert "decode            10.00   66.7%" in str(found)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_what_bounds_the_run(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    slow_data = profile(make_run(), make_data(Slow), steps=5)
    assert slow_data.advice.startswith("The loader bounds this run")
    assert "workers=" in slow_data.advice
    slow_model = profile(make_run(SlowLayer()), make_data(), steps=5)
    assert slow_model.advice.startswith("The model bounds this run")
    assert "forward takes 100% of a step" in slow_model.advice
    assert str(slow_model).endswith(slow_model.advice)


@pytest.mark.parametrize(
    ("seconds", "sample", "said"),
    [
        ({"wait": 9.0}, {"decode": 3.0, "warp": 1.0}, "decode is 75% of making a sample; keep decoded pixels"),
        ({"wait": 9.0}, {"other": 3.0}, 'try worker_kind="processes"'),
        ({"wait": 9.0}, {}, "waits 75% of its training time."),
        ({"evaluation": 30.0}, {}, "evaluation takes 91% of an epoch"),
        ({}, {"decode": 1.0}, "loading takes about 67% of the 2 cores"),
    ],
)
def test_advice(seconds, sample, said):
    stages = {"wait": 0.0, "forward": 1.0, "backward": 1.5, "step": 0.5, "evaluation": 0.0, **seconds}
    found = Profile(
        seconds=stages, sample_seconds=sample, steps=3, batch_size=4, workers=2, worker_kind="threads", device="cpu",
        cores=2,
    )  # fmt: skip
    assert said in found.advice


def test_more_steps_than_an_epoch_has():
    assert profile(make_run(), make_data(n=10), steps=7, warmup=0).steps == 7


def test_the_first_batches():
    data = make_data()
    some = FirstBatches(data, 3)
    assert len(some) == 3
    got, want = list(some.epoch(1, start=1)), list(data.epoch(1))[1:3]
    assert all(torch.equal(a, b) for x, y in zip(got, want, strict=True) for a, b in zip(x, y, strict=True))
    assert len(FirstBatches(data, 99)) == len(data)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="steps is a whole number, 1 or more, got 0"):
        profile(make_run(), make_data(), steps=0)
