"""Recipes drawn at random: each is peeled and reproduced at every depth, or refused by name and with the reason."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.peel.digits import pictures
from tests.peel.recipes import DEPTHS, arrays, learner
from tests.peel.run_script import run_script
from tests.peel.trained import assert_reproduces, ruff, saved
from torch import nn

import satsuma as sm
from satsuma.errors import PeelError

N = 90


def settings_of(loss: str, **values: Any) -> dict[str, Any]:
    """Those that are not None, and with what fits the loss."""
    kept = {name: value for name, value in values.items() if value is not None}
    if loss not in ("cross_entropy", "binary_cross_entropy"):
        kept.pop("label_smoothing", None)
    return kept


LOSSES: dict[str, tuple[Any, Any]] = {  # the loss, its metric
    "cross_entropy": (sm.cross_entropy, sm.accuracy),
    "nll": (sm.nll, sm.error_rate),
    "mse": (sm.mse, sm.rmse),
    "mae": (sm.mae, sm.r2_score),
    "smooth_l1": (sm.smooth_l1, sm.rmse),
    "mnist_loss": (sm.mnist_loss, sm.binary_accuracy),
    "binary_cross_entropy": (sm.binary_cross_entropy, sm.binary_accuracy),
}
ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, functools.partial(nn.LeakyReLU, 0.1)]


def data_for(loss: str, pixels: np.ndarray, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Inputs, targets that fit the loss, and how many outputs they take."""
    if loss in ("cross_entropy", "nll"):
        return pixels, digits % 4, 4
    if loss in ("mnist_loss", "binary_cross_entropy"):
        return pixels, (digits > 4).astype(np.float32), 1
    return pixels, digits.astype(np.float32) / 5, 1


@st.composite
def models(draw: st.DrawFn, loss: str, outputs: int) -> Any:
    """A function that builds a perceptron, a linear model or a convolutional network, for pictures [B 1 8 8]."""
    kind = draw(st.sampled_from(["mlp", "mlp", "mlp", "linear", "conv"]))
    if kind == "linear":
        parts: list[Any] = [nn.Flatten, functools.partial(nn.Linear, 64, outputs)]
    elif kind == "conv":
        convolution = functools.partial(nn.Conv2d, 1, 3, 3, padding=draw(st.integers(0, 1)))
        pool = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
        average = functools.partial(nn.AdaptiveAvgPool2d, 1)
        parts = [convolution, nn.ReLU, functools.partial(pool, 2), average, nn.Flatten]
        parts.append(functools.partial(nn.Linear, 3, outputs))
    else:
        perceptron = functools.partial(
            sm.mlp,
            (64, *draw(st.lists(st.integers(3, 12), min_size=1, max_size=2)), outputs),
            activation=draw(st.sampled_from(ACTIVATIONS)),
            dropout=draw(st.sampled_from([0.0, 0.0, 0.3])),
            input_dropout=draw(st.sampled_from([0.0, 0.0, 0.1])),
            noise=draw(st.sampled_from([0.0, 0.0, 0.2])),
            batch_norm=draw(st.booleans()),
            flatten=True,
        )
        if loss != "nll":
            return perceptron
        parts = [perceptron]
    if loss == "nll":
        parts.append(functools.partial(nn.LogSoftmax, 1))
    return functools.partial(built_of, tuple(parts))


def built_of(parts: tuple[Any, ...]) -> nn.Module:
    """The parts built in turn, one after the other."""
    return nn.Sequential(*[part() for part in parts])


@st.composite
def optimisers(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from([sm.SGD, sm.SGD, sm.Adam, sm.AdamW, sm.AdaGrad, sm.RMSprop]))
    if kind is sm.SGD and draw(st.booleans()):
        return functools.partial(kind, momentum=0.9, nesterov=draw(st.booleans()))
    if kind is sm.Adam and draw(st.booleans()):
        return functools.partial(kind, betas=(0.8, 0.99), eps=1e-5)
    return kind


@st.composite
def calls(draw: st.DrawFn, metric: str, lr: float) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """How it is trained: a method's name, and its arguments."""
    kind = draw(st.sampled_from(["fit", "fit", "fit_one_cycle", "fit_one_cycle", "fine_tune"]))
    epochs = draw(st.integers(1, 2))
    options: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        options["early_stopping"] = sm.EarlyStopping(monitor=draw(st.sampled_from([metric, "valid_loss"])), patience=1)
    if kind == "fit":
        schedule = [sm.constant, functools.partial(sm.linear, total=8), functools.partial(sm.inverse_decay, k=0.1)]
        options["schedule"] = draw(st.sampled_from(schedule))
        return kind, (epochs, lr), options
    if kind == "fit_one_cycle":
        options["moms"] = draw(st.sampled_from([None, (0.9, 0.8)]))
        return kind, (epochs, lr), options
    return kind, (1, lr), options


@st.composite
def recipes(draw: st.DrawFn) -> tuple[sm.Learner, tuple[str, tuple[Any, ...], dict[str, Any]]]:
    loss = draw(st.sampled_from(list(LOSSES)))
    loss_func, metric = LOSSES[loss]
    x, y, outputs = data_for(loss, *pictures(N, 8))
    model = draw(models(loss, outputs))
    dls = arrays(
        x,
        y,
        bs=draw(st.sampled_from([16, 25])),
        drop_last=draw(st.booleans()),
        valid_pct=draw(st.sampled_from([0.2, 0.3])),
    )
    opt_func = draw(optimisers())
    instance = draw(st.integers(0, 3)) == 0
    if instance:
        torch.manual_seed(draw(st.integers(0, 9)))
    chosen = settings_of(
        loss,
        wd=draw(st.sampled_from([None, None, 0.1])),
        micro=draw(st.sampled_from([None, None, 7])),
        max_norm=draw(st.sampled_from([None, None, 0.3])),
        l1=draw(st.sampled_from([None, None, None, 0.01])),
        l2=draw(st.sampled_from([None, None, None, 0.02])),
        input_noise=draw(st.sampled_from([None, None, None, 0.1])),
        label_smoothing=draw(st.sampled_from([None, None, 0.1])),
        mixup=draw(st.sampled_from([None, None, sm.MixUp(0.4)])),
    )
    learn = learner(
        dls,
        model() if instance else model,
        loss_func=loss_func,
        metrics=draw(st.sampled_from([(), metric])),
        opt_func=opt_func,
        seed=draw(st.integers(0, 2**40)),
        **chosen,
    )
    name = metric.__name__ if learn.metrics else "valid_loss"
    lr = 0.2 if opt_func is sm.SGD else 0.01
    return learn, draw(calls(name, lr))


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_random_recipe_is_reproduced_or_refused(depth):
    outcomes = []

    @settings(max_examples=5)
    @given(recipes())
    def check(drawn):
        learn, (method, arguments, options) = drawn
        getattr(learn, method)(*arguments, **options)
        try:
            script = learn.peel(depth)
        except PeelError as error:
            outcomes.append(str(error))
            return
        outcomes.append("")
        with tempfile.TemporaryDirectory() as folder:
            file = saved(script, Path(folder) / "script")
            assert ruff(file, "check") == ""
            assert_reproduces(learn, run_script(file, depth=depth), 0 if depth in ("loop", "torch") else 1e-4)

    check()
    assert all(len(outcome.split()) > 5 for outcome in outcomes if outcome), f"say what and why: {outcomes}"
    assert outcomes.count("") > len(outcomes) // 2, f"most is refused at {depth}: {sorted(set(outcomes))}"
