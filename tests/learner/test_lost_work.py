"""However a fit ends, what was trained is kept, and what is said of the weights is true of them."""

import json
import math
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F

import satsuma as sm

pytestmark = pytest.mark.usefixtures("no_scripts")

N, D, K, BS = 53, 7, 3, 11
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
Y = X[:, :K].argmax(1)


def classes():
    return sm.DataLoaders.from_arrays(X, Y, bs=BS)


def made():
    return sm.linear_model(D, K)


def quiet(data=None, model=made, **settings):
    return sm.Learner(classes() if data is None else data, model, **{"progress": False, **settings})


def facts_of(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["satsuma"])["facts"]


def test_facts_and_report_are_of_the_epoch_whose_weights_are_kept(tmp_path, capsys):
    values = iter([0.3, 0.9, 0.5, 0.4])

    def score(outputs, targets):
        return next(values)

    learn = quiet(metrics=score, progress=True)
    learn.checked = True
    stopping = sm.EarlyStopping(monitor="score", better="higher", patience=2)
    table = learn.fit(9, 0.1, early_stopping=stopping)
    assert (len(table), learn.weights_epoch, table.weights_epoch) == (4, 1, 1)
    assert "the weights are epoch 1's" in repr(table)
    assert "score 0.9000" in repr(table)
    assert "the weights are those of epoch 1, the best" in capsys.readouterr().out
    facts = facts_of(learn.export(tmp_path / "model.safetensors"))
    assert (facts["epoch"], facts["result"]["score"]) == (1, 0.9)
    learn.metrics = ()
    assert "score 0.9000" in learn.report(tmp_path / "report.html").read_text()
    learn.path = tmp_path
    learn.save("mine")
    learn.load("mine")
    assert "result" not in facts_of(learn.export(tmp_path / "model.safetensors"))


def test_an_evaluation_that_fails_later_keeps_the_epoch(tmp_path):
    calls = []

    def moody(outputs, targets):
        calls.append(1)
        if len(calls) > 2 + 2:  # two looks before the first step, and two losses of training's first epoch
            raise RuntimeError("evaluation broke")
        return F.cross_entropy(outputs, targets)

    data = sm.DataLoaders(sm.DataLoader((X, Y), 27, True), sm.DataLoader((X[:9], Y[:9]), 9))
    learn = quiet(data, loss_func=moody, run_dir=tmp_path)
    with pytest.raises(RuntimeError, match="evaluation broke"):
        learn.fit(2)
    assert [row.valid_loss for row in learn.recorder.epochs] == [None]
    assert (tmp_path / "checkpoints" / "last.safetensors").exists()


class Failing(sm.Hook):
    def on_epoch(self, run, row):
        raise RuntimeError("my hook failed")


def test_a_hook_that_fails_loses_nothing(tmp_path):
    learn = quiet(run_dir=tmp_path, hooks=Failing())
    with pytest.raises(RuntimeError, match="my hook failed"):
        learn.fit(1)
    assert len(learn.recorder.epochs) == 1
    assert (tmp_path / "checkpoints" / "best.safetensors").exists()


def test_a_fit_that_never_steps_leaves_the_folder_free(tmp_path):
    def broken(groups, lr):
        optimizer = torch.optim.SGD(groups, lr=lr)
        optimizer.step = lambda: 1 / 0
        return optimizer

    learn = quiet(run_dir=tmp_path, opt_func=broken)
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
    assert learn.calls == []
    assert not (tmp_path / "history.jsonl").exists()
    assert quiet(run_dir=tmp_path).fit(1)


def test_a_closed_output_ends_no_training(monkeypatch):
    class Closed:
        encoding = "ascii"

        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert len(quiet(progress=True).fit(2)) == 2


def test_a_validation_loss_that_is_always_nan_is_said_once():
    data = sm.DataLoaders(sm.DataLoader((X, Y), BS, True), sm.DataLoader((X[:9], Y[:9]), 9))

    class Broken(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (1.0 if self.training else math.nan)

    learn = quiet(
        data,
        Broken(D, K),
        loss_func=F.cross_entropy,
    )
    with pytest.warns(UserWarning, match="NaN|never had") as told:
        learn.fit(2, early_stopping=sm.EarlyStopping(patience=9))
    said = [str(w.message) for w in told]
    assert ["valid_loss is NaN" in s for s in said] == [True, False]
    assert "valid_loss never had a value that is a number, in 2 epochs" in said[1]


def test_broken_running_statistics_are_refused():
    learn = quiet(model=nn.Sequential(nn.Linear(D, K), nn.BatchNorm1d(K)))
    learn.model[1].running_var.fill_(math.nan)
    with pytest.raises(ValueError, match=r"NaN or infinite before the first step, in 1\.running_var"):
        learn.fit(1)


def test_numpy_whole_numbers_are_whole_numbers():
    a, b = quiet(seed=np.int64(3)), quiet(seed=3)
    assert a.fit(np.int64(1))[0].train_loss == b.fit(1)[0].train_loss
