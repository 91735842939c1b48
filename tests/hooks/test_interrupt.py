"""`StopOnInterrupt`: the first Ctrl-C ends the fit in good order, the second at once."""

import signal
import threading

import pytest
import torch

import satsuma as sm
from satsuma.hooks.interrupt import INTERRUPTED, StopOnInterrupt
from satsuma.optim.schedules import constant
from satsuma.train.run import Run

pytestmark = pytest.mark.usefixtures("no_scripts")


def make_run():
    model = torch.nn.Linear(1, 1)
    return Run(
        model=model, optimizer=torch.optim.SGD(model.parameters()), objective=torch.nn.L1Loss(), schedule=constant
    )


def test_the_first_sets_stop_the_second_raises_and_the_handler_comes_back():
    before = signal.getsignal(signal.SIGINT)
    run, hook = make_run(), StopOnInterrupt()
    hook.on_fit_start(run, None)
    signal.raise_signal(signal.SIGINT)
    assert run.stop == INTERRUPTED
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    hook.on_fit_end(run)
    assert signal.getsignal(signal.SIGINT) is before
    hook.on_fit_end(run)  # told twice does no harm


def test_another_thread_trains_without_touching_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        hook = StopOnInterrupt()
        hook.on_fit_start(make_run(), None)
        seen.append(hook.run)
        hook.on_fit_end(make_run())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
    assert signal.getsignal(signal.SIGINT) is before


def learner(hooks, **settings):
    x = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x, x[:, :3].argmax(1), bs=11)
    return sm.Learner(data, lambda: sm.mlp((7, 3)), hooks=hooks, progress=False, metrics=sm.accuracy, **settings)


class PressAt(sm.Hook):
    """Presses Ctrl-C after a step."""

    def __init__(self, *steps):
        self.steps = steps

    def on_step(self, run, row):
        if row.step in self.steps:
            signal.raise_signal(signal.SIGINT)


def pressing_metric(times):
    calls = []

    def metric(outputs, targets):
        calls.append(1)
        if len(calls) in times:
            signal.raise_signal(signal.SIGINT)
        return 0.5

    return metric


def test_ctrl_c_in_a_fit_ends_the_epoch_evaluated_recorded_and_saved(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    learn = learner([PressAt(6)], run_dir=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        learn.fit(9)
    assert len(learn.recorder.epochs) == 2
    assert len(learn.recorder.losses) == 6
    assert learn.recorder.epochs[-1].valid_loss is not None
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is before
    learn.hooks = ()
    assert learn.fit(1)[0].epoch == 2  # and the next fit goes on with new orders


def test_ctrl_c_while_evaluating_finishes_the_evaluation():
    learn = learner([])
    learn.metrics = (pressing_metric([2]),)  # the first call is the check before training
    with pytest.raises(KeyboardInterrupt):
        learn.fit(9)
    assert [row.metrics for row in learn.recorder.epochs] == [{"metric": 0.5}]
    assert learn.model.training


def test_twice_ends_at_once_and_still_leaves_everything_in_order(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    learn = learner([PressAt(6, 7)], run_dir=tmp_path / "run")

    class Again(sm.Hook):
        def on_epoch(self, run, row):
            if run.stop:
                signal.raise_signal(signal.SIGINT)

    learn.hooks += (Again(),)
    with pytest.raises(KeyboardInterrupt):
        learn.fit(9)
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "run" / "history.jsonl").read_text().count('"step", "epoch"') == 6
    assert learn.epochs_done == 2
