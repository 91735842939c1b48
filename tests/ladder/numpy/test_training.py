"""Whole models, trained: ten steps of NumPy and ten of torch end at the same weights."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ids import plain
from tests.ladder.numpy.twin import (
    assert_equal,
    built,
    numbers,
    torch_state,
    twin,
    twin_optimizer,
    twin_step,
)
from torch import nn

from satsuma.data.arrays import pixels_to_float as production_pixels
from satsuma.data.loader import DataLoader
from satsuma.data.seeds import STEP, mix_seed
from satsuma.functional import losses as production
from satsuma.ladder.numpy import activations, layers, losses
from satsuma.ladder.numpy.groups import param_groups
from satsuma.ladder.numpy.init import initialise
from satsuma.ladder.numpy.model import load_state, set_dtype, set_training, state
from satsuma.ladder.numpy.random import Generator
from satsuma.ladder.numpy.train import batch_order, pixels_to_float, predict
from satsuma.ladder.numpy.train import train as numpy_train
from satsuma.nn.cnn import small_cnn
from satsuma.nn.init import INIT_SCHEMES
from satsuma.nn.init import initialise as production_initialise
from satsuma.nn.linear import logistic_regression, mlp, simple_net
from satsuma.optim import optimizers as production_optimizers
from satsuma.optim.groups import build_optimizer
from satsuma.optim.schedules import one_cycle, one_cycle_momentum
from satsuma.train.loop import train
from satsuma.train.objectives import penalised, supervised
from satsuma.train.run import Run

ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh]
LOSSES = {
    "mse": ("values", {}),
    "mae": ("values", {}),
    "smooth_l1": ("values", {}),
    "binary_cross_entropy": ("yes_no", {}),
    "mnist_loss": ("yes_no", {}),
    "cross_entropy": ("classes", {"label_smoothing": 0.1}),
}
OPTIMIZERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("AdaGrad", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01}),
]


def targets_of(kind, outputs, seed):
    if kind == "values":
        return numbers(*outputs, seed=seed)
    if kind == "yes_no":
        return (numbers(*outputs, seed=seed) > 0).long()
    return torch.randint(outputs[1], outputs[:1], generator=torch.Generator().manual_seed(seed))


def assert_trains_alike(module, x, kind, loss, options, rule, rule_options, *, steps=10, tolerance=1e-9):
    """Ten steps of both, dropout seeded as the library's loop does; losses at each step and weights at the end."""
    generator = Generator(0)
    model = twin(module, generator)
    theirs = getattr(production_optimizers, rule)(module.parameters(), **rule_options)
    ours = twin_optimizer(rule, model.parameters, **rule_options)
    loss_func = partial(getattr(production, loss), **options)
    our_loss = partial(getattr(losses, loss), **options)
    our_gradient = partial(getattr(losses, f"{loss}_gradient"), **options)
    for step in range(steps):
        batch = x + step / 10
        seed = mix_seed(42, STEP, 0, step)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            outputs = module(batch)
        y = targets_of(kind, outputs.shape, step)
        theirs.zero_grad()
        their_value = loss_func(outputs, y)
        their_value.backward()
        theirs.step()
        generator.manual_seed(seed)
        predictions = model.forward(batch.numpy())
        assert_equal(our_loss(predictions, y.numpy()), their_value, tolerance)
        model.backward(our_gradient(predictions, y.numpy()))
        twin_step(ours, model.gradients)
    for name, weights in torch_state(module).items():
        assert_equal(state(model)[name], weights, tolerance)
    set_training(model, False)
    module.eval()
    assert_equal(model.forward(x.numpy()), module(x), tolerance)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.__name__)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=4),
    rule=st.sampled_from(OPTIMIZERS),
    seed=st.integers(0, 2**20),
    dropout=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=5, deadline=None)
def test_perceptrons_of_any_activation_and_loss(loss, activation, sizes, rule, seed, dropout):
    kind, options = LOSSES[loss]
    torch.manual_seed(seed)
    module = mlp(sizes, activation=activation, dropout=dropout, input_dropout=dropout / 2).double()
    x = numbers(5, sizes[0], seed=seed)
    assert_trains_alike(module, x, kind, loss, options, *rule)


def test_logistic_regression_with_nll():
    module = logistic_regression(12, 3, log_softmax=True, flatten=True).double()
    assert_trains_alike(module, numbers(7, 3, 2, 2), "classes", "nll", {}, "SGD", {"lr": 0.5})


def test_simple_net_with_mnist_loss():
    module = simple_net(11, 5, 1).double()
    assert_trains_alike(module, numbers(7, 11), "yes_no", "mnist_loss", {}, "SGD", {"lr": 0.1})


def test_a_perceptron_with_batch_normalisation():
    module = mlp((5, 7, 3), batch_norm=True).double()
    assert_trains_alike(module, numbers(11, 5), "classes", "cross_entropy", {}, "AdamW", {"lr": 0.01})


def test_a_small_cnn():
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 5, 2),
        nn.ReLU(),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, 3),
    ).double()
    x = numbers(3, 2, 15, 15)
    assert_trains_alike(module, x, "classes", "cross_entropy", {"label_smoothing": 0.1}, "Adam", {"lr": 0.01})


def test_the_librarys_small_cnn():
    module = small_cnn(1, 3, width=2, dropout=0.2).double()
    assert_trains_alike(module, numbers(5, 1, 13, 11), "classes", "cross_entropy", {}, "SGD", {"lr": 0.1})


def test_ten_steps_in_float32():
    torch.manual_seed(0)
    module = mlp((784, 30, 10), dropout=0.5)
    x = numbers(64, 784).float()
    assert_trains_alike(module, x, "classes", "cross_entropy", {}, "AdamW", {"lr": 0.01}, tolerance=1e-4)


def test_finite_differences_of_a_whole_network():
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    model, x, y = twin(module), numbers(3, 1, 7, 7).numpy(), np.array([0, 2, 1])
    model.backward(losses.cross_entropy_gradient(model.forward(x), y))
    for name, gradient in model.gradients.items():
        weights = model.parameters[name]
        gradient, slopes = gradient.copy(), np.zeros_like(weights)
        for place in np.ndindex(weights.shape):
            value = weights[place]
            weights[place] = value + 1e-6
            above = losses.cross_entropy(model.forward(x), y)
            weights[place] = value - 1e-6
            slopes[place] = (above - losses.cross_entropy(model.forward(x), y)) / 2e-6
            weights[place] = value
        np.testing.assert_allclose(gradient, slopes, atol=1e-8)


def test_the_worked_net():
    """LESSONS E.2: two inputs, three layers of two sigmoid units."""
    model = layers.Sequential(
        *(part for _ in range(3) for part in (layers.Linear(2, 2, Generator(0)), activations.Sigmoid())),
    )
    load_state(
        model,
        {
            "0.weight": np.array([[1, -2], [-1, 1]]),
            "0.bias": np.array([1, 0]),
            "2.weight": np.array([[2, -1], [-2, -1]]),
            "2.bias": np.array([0, 0]),
            "4.weight": np.array([[3, -1], [-1, 4]]),
            "4.bias": np.array([-2, 2]),
        },
    )
    assert model.forward(np.array([[1.0, -1.0], [0.0, 0.0]])).round(2).tolist() == [[0.62, 0.83], [0.51, 0.85]]
    first, second = model.layers[1].y.round(2), model.layers[3].y.round(2)
    assert first.tolist() == [[0.98, 0.12], [0.73, 0.5]]
    assert second.tolist() == [[0.86, 0.11], [0.72, 0.12]]


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh", "ReLU"])
def test_gradients_are_the_lessons_formulas(activation):
    """LESSONS E.4, where J is a sum: `Z.T @ (Y - T)` and so on; here J is a mean, so they are over B."""
    model = twin(nn.Sequential(nn.Linear(5, 7), getattr(nn, activation)(), nn.Linear(7, 3)).double())
    x, labels = numbers(11, 5).numpy(), np.arange(11) % 3
    logits = model.forward(x)
    model.backward(losses.cross_entropy_gradient(logits, labels))
    hidden = model.layers[1].forward(model.layers[0].forward(x))  # Z
    slope = {"Sigmoid": hidden * (1 - hidden), "Tanh": 1 - hidden**2, "ReLU": hidden > 0}[activation]
    out = model.parameters["2.weight"].T  # V [7 3]
    error = (activations.softmax(logits) - losses.indicator(labels, 3, x.dtype)) / len(x)  # (Y - T)/B
    gradients = model.gradients
    assert_equal(gradients["2.weight"].T, hidden.T @ error)
    assert_equal(gradients["2.bias"], error.sum(0))
    assert_equal(gradients["0.weight"].T, x.T @ (error @ out.T * slope))
    assert_equal(gradients["0.bias"], (error @ out.T * slope).sum(0))


def new_model(number):
    """Models to draw numbers for; each is built by a call, so that a seed can stand right before it."""
    if number == 0:
        return nn.Linear(784, 10)
    if number == 1:
        return mlp((5, 7, 3), batch_norm=True)
    if number == 2:
        return nn.Linear(3, 2, bias=False)
    return nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 1))


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("seed", [0, 42, 2**33 + 1])
def test_new_models_have_torchs_numbers_to_the_bit(number, seed):
    torch.manual_seed(seed)
    module = new_model(number)
    model = built(module, Generator(seed))
    for name, weights in torch_state(module).items():
        assert (state(model)[name] == weights).all()


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("scheme", INIT_SCHEMES)
def test_initialise_gives_the_librarys_numbers(scheme, number):
    module = new_model(number)
    production_initialise(module, scheme=scheme, seed=42, std=0.05)
    model = built(module, Generator(1))
    initialise(model, scheme=scheme, seed=42, std=0.05)
    exact = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    for name, weights in torch_state(module).items():
        assert state(model)[name].dtype == weights.dtype
        assert_equal(state(model)[name], weights, 1e-6)
        assert not exact or (state(model)[name] == weights).all()


def test_initialise_in_float64():
    module = mlp((5, 7, 3)).double()
    production_initialise(module, scheme="kaiming_normal", seed=3)
    model = built(module, Generator(0))
    set_dtype(model, np.float64)
    initialise(model, scheme="kaiming_normal", seed=3)
    for name, weights in torch_state(module).items():
        assert_equal(state(model)[name], weights, 1e-12)


RUNS = [
    ("AdamW", {"weight_decay": 0.1}, {"max_norm": 0.5}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"l1": 0.01, "l2": 0.02}),
    ("RMSprop", {}, {"input_noise": 0.1, "first_epoch": 3}),
]


@pytest.mark.parametrize(("rule", "options", "settings_"), RUNS, ids=plain)
def test_the_librarys_own_run_from_its_seed(rule, options, settings_):
    """Order, first weights, dropout, one-cycle, clipping, penalties: the losses of `satsuma.train.loop.train`."""
    x, y = numbers(53, 12), torch.arange(53) % 3
    torch.manual_seed(42)
    module = mlp((12, 7, 3), dropout=0.2).double()
    total = 3 * 6
    penalties = {k: v for k, v in settings_.items() if k in ("l1", "l2")}
    shared = {k: v for k, v in settings_.items() if k in ("max_norm", "first_epoch")}
    noise = settings_.get("input_noise", 0.0)
    objective = partial(supervised, loss_func=production.cross_entropy, input_noise=noise)
    run = Run(
        model=module,
        optimizer=build_optimizer(partial(getattr(production_optimizers, rule), **options), module, lr=0.05),
        objective=partial(penalised, objective=objective, **penalties) if penalties else objective,
        schedule=partial(one_cycle, total=total),
        momentum=partial(one_cycle_momentum, total=total),
        seed=42,
        **shared,
    )
    loader = DataLoader(list(zip(x, y, strict=True)), 10, True, seed=7)
    with torch.random.fork_rng():
        theirs = list(train(run, loader, epochs=3))

    generator = Generator(42)
    model = built(mlp((12, 7, 3), dropout=0.2), generator)
    set_dtype(model, np.float64)
    parameters, decay = model.parameters, options.get("weight_decay", 0.0)
    groups = param_groups(parameters, lr=0.05, weight_decay=decay)
    momentum = options.get("momentum") or (0.9 if rule == "RMSprop" else 0.0)  # which a momentum schedule brings
    kept = {k: v for k, v in options.items() if k not in ("momentum", "weight_decay")}
    ours = list(
        numpy_train(
            model,
            twin_optimizer(rule, parameters, lr=0.05, groups=groups, momentum=momentum, **kept),
            x.numpy(),
            y.numpy(),
            loss_func=losses.cross_entropy,
            loss_gradient=losses.cross_entropy_gradient,
            batch_size=10,
            epochs=3,
            data_seed=7,
            schedule=partial(one_cycle, total=total),
            momentum=partial(one_cycle_momentum, total=total),
            weight_decay=rule != "AdamW" and decay > 0,
            generator=generator,
            seed=42,
            **settings_,
        )
    )
    assert [(s.epoch, s.step) for s in ours] == [(s.epoch, s.step) for s in theirs]
    assert_equal([s.lr for s in ours], [s.lr for s in theirs])
    assert_equal([s.loss for s in ours], [s.loss.item() for s in theirs])
    if "max_norm" in settings_:
        assert_equal([s.grad_norm for s in ours], [s.grad_norm.item() for s in theirs])
    for name, weights in torch_state(module).items():
        assert_equal(state(model)[name], weights)
    set_training(model, False)
    assert_equal(predict(model, x.numpy(), batch_size=7), module.eval()(x))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_batches_are_the_loaders(shuffle, drop_last):
    loader = DataLoader(np.arange(23.0), 5, shuffle, drop_last=drop_last, seed=3)
    order = batch_order(23, 5, shuffle, drop_last, seed=3, epoch=2)
    assert order.tolist() == torch.cat(list(loader.epoch(2))).tolist()


def test_pixels_are_the_librarys():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert (pixels_to_float(pixels.numpy()) == production_pixels(pixels).numpy()).all()
