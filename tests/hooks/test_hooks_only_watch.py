"""Removing a hook can never change the weights: a fit with each equals the fit without, to the last bit."""

import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.hooks.interrupt import StopOnInterrupt
from satsuma.hooks.progress import Progress
from satsuma.hooks.recorder import Recorder
from satsuma.hooks.stop_request import StopOnRequest

N, D, K = 53, 7, 3


class Nosy(sm.Hook):
    """A user's hook that does what it can get wrong: evaluates, predicts, draws random numbers, looks at gradients."""

    def on_step(self, run, row):
        assert all(p.grad is not None for p in run.model.parameters())
        run.model.eval()
        with torch.no_grad():
            run.model(torch.randn(2, D))
        torch.manual_seed(row.step)

    def on_epoch(self, run, row):
        sm.set_seed(0)


HOOKS = {
    "progress lines": lambda folder: Progress("lines"),
    "progress bar": lambda folder: Progress("bar"),
    "progress html": lambda folder: Progress("html"),
    "recorder in memory": lambda folder: Recorder(),
    "recorder with a file": lambda folder: Recorder(folder / "history.jsonl"),
    "checkpoint": lambda folder: sm.Checkpoint(folder, monitor="accuracy", better="higher"),
    "interrupt": lambda folder: StopOnInterrupt(),
    "stop on request": lambda folder: StopOnRequest(folder),
    "activation statistics": lambda folder: sm.ActivationStats(every=1),
    "a user's": lambda folder: Nosy(),
}


def fitted_weights(hooks):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator)
    data = sm.DataLoaders.from_arrays(x, x[:, :K].argmax(1), bs=11)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.4), nn.Linear(5, K))
    learn = sm.Learner(data, model, metrics=sm.accuracy, progress=False, hooks=hooks)
    learn.fit_one_cycle(2, 0.05)
    return model.state_dict()


@pytest.fixture(scope="module")
def without():
    return fitted_weights(())


@pytest.mark.parametrize("name", HOOKS)
def test_with_the_hook_the_weights_are_the_same(name, without, tmp_path, fake_jupyter):
    with_it = fitted_weights([HOOKS[name](tmp_path)])
    for key, value in without.items():
        assert torch.equal(value, with_it[key]), key


def test_the_learners_own_table_files_and_recorder_change_nothing(without, tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator)
    data = sm.DataLoaders.from_arrays(x, x[:, :K].argmax(1), bs=11)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.4), nn.Linear(5, K))
    learn = sm.Learner(data, model, metrics=sm.accuracy, run_dir=tmp_path / "run")
    learn.fit_one_cycle(2, 0.05)
    for key, value in without.items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert "accuracy" in capsys.readouterr().out
