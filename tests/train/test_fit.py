"""`fit`: the loop plus evaluation and hooks; however it ends, nothing is left lying about."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.data.loader import DataLoader
from satsuma.functional.metrics import accuracy
from satsuma.hooks.base import Hook
from satsuma.optim.schedules import constant
from satsuma.train.early_stopping import EarlyStopping, resolved
from satsuma.train.evaluate import evaluate
from satsuma.train.fit import NonFiniteLossError, Validation, fit
from satsuma.train.loop import train
from satsuma.train.objectives import supervised
from satsuma.train.run import Run

N, D, K, BS = 53, 7, 3, 11
STEPS = 5  # an epoch

generator = torch.Generator().manual_seed(0)
X = torch.randn(N, D, generator=generator)
TRAIN = DataLoader((X, X[:, :K].argmax(1)), BS, True)
VALID = DataLoader((X[:23] + 0.1, X[:23, :K].argmax(1)), 7)
VALIDATION = Validation(data=VALID, loss_func=F.cross_entropy, metrics=[accuracy])


def make_run(**settings):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(D, 13), nn.ReLU(), nn.Dropout(0.2), nn.Linear(13, K))
    objective = functools.partial(supervised, loss_func=F.cross_entropy)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Run(model=model, optimizer=optimizer, **{"objective": objective, "schedule": constant, **settings})


class Diary(Hook):
    """Writes down what it is told; `at` names the call at which it raises or asks for a stop."""

    def __init__(self, fail_at="", stop_at=None):
        self.lines, self.fail_at, self.stop_at = [], fail_at, stop_at

    def note(self, name, value=None):
        self.lines.append((name, value))
        if name == self.fail_at:
            raise RuntimeError(f"{name} failed")

    def on_fit_start(self, run, plan):
        self.plan = plan
        self.note("start")

    def on_step(self, run, row):
        self.note("step", row)
        if row.step == self.stop_at:
            run.stop = "enough"

    def on_epoch(self, run, row):
        self.note("epoch", row)

    def on_fit_end(self, run):
        self.note("end")


def test_rows_are_what_the_loop_and_evaluate_give():
    plain, fitted = make_run(), make_run()
    losses = [s.loss.item() for s in train(plain, TRAIN, epochs=2)]
    rows = fit(fitted, TRAIN, epochs=2, batch_size=BS, validation=VALIDATION)
    assert [row.epoch for row in rows] == [0, 1]
    assert [row.train_loss for row in rows] == pytest.approx([sum(losses[:STEPS]) / STEPS, sum(losses[STEPS:]) / STEPS])
    judged = evaluate(plain.model, VALID, loss_func=F.cross_entropy, metrics=[accuracy])
    assert (rows[-1].valid_loss, rows[-1].metrics) == (judged.loss, judged.metrics)
    assert (rows[0].value("accuracy"), rows[0].value("none")) == (rows[0].metrics["accuracy"], None)
    for a, b in zip(plain.model.parameters(), fitted.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_hooks_are_told_everything_in_order():
    diary = Diary()
    rows = fit(make_run(max_norm=1.0), TRAIN, epochs=2, batch_size=BS, validation=VALIDATION, hooks=[diary])
    names = [name for name, _ in diary.lines]
    assert names == ["start", *["step"] * STEPS, "epoch", *["step"] * STEPS, "epoch", "end"]
    assert [row.step for name, row in diary.lines if name == "step"] == list(range(1, 11))
    assert all(row.grad_norm > 0 and row.lr == 0.1 for name, row in diary.lines if name == "step")
    assert [row for name, row in diary.lines if name == "epoch"] == rows
    plan = diary.plan
    assert (plan.epochs, plan.steps_per_epoch, plan.batch_size, plan.has_valid) == (2, STEPS, BS, True)
    assert plan.metrics == ("accuracy",)


def test_without_validation_rows_have_none():
    (row,) = fit(make_run(), TRAIN, epochs=1)
    assert (row.valid_loss, row.metrics) == (None, {})


@pytest.mark.parametrize("stop_at", [1, 4, 5, 6])
def test_a_stop_within_an_epoch_is_evaluated_and_told(stop_at):
    diary, run = Diary(stop_at=stop_at), make_run()
    rows = fit(run, TRAIN, epochs=9, validation=VALIDATION, hooks=[diary])
    assert run.step == stop_at
    assert len(rows) == math.ceil(stop_at / STEPS)
    last = [row.loss for name, row in diary.lines if name == "step"][(len(rows) - 1) * STEPS :]
    assert rows[-1].train_loss == pytest.approx(sum(last) / len(last))
    assert rows[-1].valid_loss is not None


def test_a_reader_on_a_gpu_waits_for_many_losses_at_once(monkeypatch):
    """The same rows, whether losses are read one by one or in groups that do not divide the epoch."""
    one_by_one = Diary()
    fit(make_run(), TRAIN, epochs=2, hooks=[one_by_one])
    monkeypatch.setattr("satsuma.train.fit.DRAIN", 3)
    monkeypatch.setattr(nn.Parameter, "device", property(lambda self: torch.device("meta")), raising=False)
    grouped = Diary()
    fit(make_run(), TRAIN, epochs=2, hooks=[grouped])
    steps = [[row for name, row in diary.lines if name == "step"] for diary in (one_by_one, grouped)]
    assert steps[0] == steps[1]


def test_the_global_generator_and_gradients_are_left_as_found():
    run, state = make_run(), torch.get_rng_state()
    fit(run, TRAIN, epochs=1, validation=VALIDATION)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in run.model.parameters())


@pytest.mark.parametrize("call", ["start", "step", "epoch", "end"])
def test_when_a_hook_fails_the_others_are_still_told_of_the_end(call):
    first, bad, last = Diary(), Diary(fail_at=call), Diary()
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match=f"{call} failed"):
        fit(make_run(), TRAIN, epochs=1, hooks=[first, bad, last])
    assert first.lines[-1] == ("end", None)
    if call == "start":
        assert last.lines == []  # never started, so never ended
    else:
        assert last.lines[-1] == ("end", None)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_stops_at_its_step():
    diary, run = Diary(), make_run()
    plain = run.objective
    run.objective = lambda model, x, y: plain(model, x, y) * (math.nan if run.step == 6 else 1.0)
    with pytest.raises(FloatingPointError, match="the loss became nan at step 7, epoch 1") as caught:
        fit(run, TRAIN, epochs=9, hooks=[diary])
    assert isinstance(caught.value, NonFiniteLossError)
    assert (caught.value.step, caught.value.epoch) == (7, 1)
    names = [name for name, _ in diary.lines]
    assert names == ["start", *["step"] * 5, "epoch", "step", "end"]


def test_a_metric_that_fails_later_is_nan_and_training_goes_on():
    calls = []

    def moody(outputs, targets):
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("only one class")
        return 0.5

    validation = Validation(data=VALID, loss_func=F.cross_entropy, metrics=[moody])
    with pytest.warns(UserWarning, match="metric moody failed on outputs .23 3., targets .23.: only one class"):
        rows = fit(make_run(), TRAIN, epochs=3, validation=validation)
    assert [str(row.metrics["moody"]) for row in rows] == ["0.5", "nan", "0.5"]


def test_the_best_weights_come_back_also_when_the_fit_fails():
    run = make_run()
    stopping = resolved(EarlyStopping(monitor="train_loss"), (), has_valid=False)
    kept = {}

    class Fail(Hook):
        def on_epoch(self, run, row):
            kept.update({k: v.clone() for k, v in run.model.state_dict().items()})

        def on_step(self, run, row):
            if row.step == STEPS + 2:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fit(run, TRAIN, epochs=3, hooks=[Fail()], early_stopping=stopping)
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, kept[name]), name


def test_an_epoch_that_is_stopped_by_hand_still_counts_for_the_best():
    run = make_run()
    stopping = resolved(EarlyStopping(patience=1, better="higher"), (), has_valid=True)
    values = iter([1.0, 2.0])
    validation = Validation(data=VALID, loss_func=lambda p, t: torch.tensor(next(values)))
    diary = Diary(stop_at=STEPS + 1)
    fit(run, TRAIN, epochs=5, validation=validation, early_stopping=stopping, hooks=[diary])
    again = make_run()
    fit(again, TRAIN, epochs=5, hooks=[Diary(stop_at=STEPS + 1)])
    for a, b in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
