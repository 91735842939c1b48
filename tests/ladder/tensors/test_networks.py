"""Whole networks of the tensors rung, trained beside production: the same names, losses and weights in float64."""

from functools import partial

import pytest
import torch
from tests.ladder.tensors.compare import (
    assert_close,
    assert_same_results,
    assert_same_weights,
    default_dtype,
    mirrored,
    normal,
)
from torch import nn

from satsuma.data import loader
from satsuma.functional import losses as production_losses
from satsuma.ladder.tensors import resnet
from satsuma.ladder.tensors.adam import Adam, AdamW
from satsuma.ladder.tensors.data import ArrayDataset, DataLoader
from satsuma.ladder.tensors.linear import Linear
from satsuma.ladder.tensors.losses import binary_cross_entropy, cross_entropy, mse
from satsuma.ladder.tensors.model import (
    NamedSequential,
    ParameterList,
    Sequential,
    apply_to_layers,
    load_state_dict,
    modules,
    move_model,
    named_modules,
    named_parameters,
    parameters,
    set_requires_grad,
    set_training,
    set_training_of_parts,
    state_dict,
    zero_grad,
)
from satsuma.ladder.tensors.sgd import SGD
from satsuma.nn import resnet as production_resnet
from satsuma.nn.cnn import small_cnn
from satsuma.nn.linear import logistic_regression, mlp
from satsuma.optim import optimizers
from satsuma.optim.schedules import one_cycle, one_cycle_momentum
from satsuma.train.loop import train
from satsuma.train.objectives import supervised
from satsuma.train.run import Run

STEPS = 10


@pytest.fixture(autouse=True)
def _float64():
    with default_dtype(torch.float64):
        torch.manual_seed(1)
        yield


def trained(model, learnt, opt_func, loss_func, data, **settings):
    """Ten steps of the library's own loop; the losses."""
    run = Run(
        model=model,
        optimizer=opt_func(learnt, lr=0.01),
        objective=partial(supervised, loss_func=loss_func),
        schedule=partial(one_cycle, total=STEPS),
        momentum=partial(one_cycle_momentum, total=STEPS),
        **settings,
    )
    return torch.stack([step.loss for step in train(run, data, epochs=2)])


def assert_trained_alike(twin, production, x, y, opt, loss, **settings):
    arrays, n = (x, y), len(x)
    own = DataLoader(ArrayDataset(arrays), n // 5, True, seed=3)
    other = loader.DataLoader(arrays, n // 5, True, seed=3)
    assert_same_weights(twin, production, 0)
    losses = trained(twin, parameters(twin), opt, loss, own, **settings)
    expected = trained(
        production,
        production.parameters(),
        getattr(optimizers, opt.__name__),
        getattr(production_losses, loss.__name__),
        other,
        **settings,
    )
    assert len(expected) == STEPS
    assert_close(losses, expected, 1e-9)
    assert_same_weights(twin, production, 1e-9)
    set_training(twin, False)
    production.eval()
    assert_close(twin(x), production(x), 1e-9)


@pytest.mark.parametrize("opt", [SGD, Adam, AdamW])
def test_an_mlp_with_everything(opt):
    production = mlp((7, 13, 11, 3), dropout=0.3, input_dropout=0.1, batch_norm=True)
    y = torch.arange(55) % 3
    assert_trained_alike(mirrored(production), production, normal(55, 7), y, opt, cross_entropy, max_norm=0.5)


def test_logistic_regression_on_many_labels_and_a_regression():
    production = logistic_regression(7, 3)
    y = (normal(55, 3, seed=4) > 0).long()
    assert_trained_alike(mirrored(production), production, normal(55, 7), y, SGD, binary_cross_entropy)
    production = mlp((7, 5, 2), activation=nn.Tanh)
    assert_trained_alike(mirrored(production), production, normal(55, 7), normal(55, 2, seed=5), AdamW, mse)


def test_a_small_cnn():
    production = small_cnn(classes=5, width=3, dropout=0.2)
    x, y = normal(20, 1, 16, 16), torch.arange(20) % 5
    assert_trained_alike(mirrored(production), production, x, y, AdamW, cross_entropy)


@pytest.mark.parametrize(
    ("kind", "args", "stride"), [("BasicBlock", (3, 5), 2), ("BasicBlock", (3, 3), 1), ("Bottleneck", (3, 2), 2)]
)
def test_a_residual_block(kind, args, stride):
    torch.manual_seed(7)
    production = getattr(production_resnet, kind)(*args, stride=stride)
    torch.manual_seed(7)
    twin = getattr(resnet, kind)(*args, stride=stride)
    x = normal(20, 3, 7, 7)
    y = normal(*production(x).shape, seed=2)
    load_state_dict(twin, production.state_dict())  # the forward pass moved its running statistics
    assert_trained_alike(twin, production, x, y, SGD, mse)


@pytest.mark.parametrize(
    "settings", [{"block": "basic", "layers": (1, 2, 1, 1)}, {"block": "bottleneck", "layers": (1, 1, 1, 1)}]
)
def test_a_whole_resnet_starts_and_computes_alike(settings):
    models = []
    for kind in (resnet.ResNet, production_resnet.ResNet):
        torch.manual_seed(3)
        models.append(kind(**settings, classes=5, in_channels=2, zero_init_residual=settings["block"] == "basic"))
    assert_same_weights(*models, 0)
    assert_same_results(*models, normal(2, 2, 33, 35))


def test_resnet18_has_the_names_of_weight_files():
    twin = resnet.ResNet(block="basic", layers=(2, 2, 2, 2), classes=1000)
    production = production_resnet.resnet18()
    assert [(name, t.shape, t.dtype) for name, t in state_dict(twin).items()] == [
        (name, t.shape, t.dtype) for name, t in production.state_dict().items()
    ]
    assert list(named_parameters(twin)) == [name for name, _ in production.named_parameters()]


def test_a_tensor_in_two_layers_is_learnt_once():
    first, second = Linear(3, 3), Linear(3, 3)
    second.weight = first.weight
    model = Sequential(first, torch.tanh, second)
    assert len(parameters(model)) == 3
    assert list(named_parameters(model)) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_weights_load_in_place_and_wrong_names_are_refused():
    model = Sequential(Linear(3, 2))
    before = parameters(model)
    load_state_dict(model, {"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)})
    assert parameters(model)[0] is before[0]
    assert before[0].requires_grad
    assert model(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]
    with pytest.raises(ValueError, match=r"0\.bias"):
        load_state_dict(model, {"0.weight": torch.ones(2, 3)})


def test_a_model_moves_to_another_dtype_in_place():
    production = small_cnn(width=2)
    twin = mirrored(production)
    before = parameters(twin)
    move_model(twin, "cpu", torch.float32)
    assert all(a is b for a, b in zip(before, parameters(twin), strict=True))
    assert_same_weights(twin, production.float(), 0)  # the count of batches stays a whole number
    assert twin(normal(2, 1, 8, 8).float()).dtype is torch.float32


def test_walks_and_modes():
    inner = Sequential(Linear(3, 3, bias=False), Linear(3, 2))
    model = NamedSequential({"first": Linear(5, 3), "rest": inner})
    assert [name for name, _ in named_modules(model)] == ["", "first", "rest", "rest.0", "rest.1"]
    assert [type(layer).__name__ for layer in modules(model)] == [
        "NamedSequential",
        "Linear",
        "Sequential",
        *["Linear"] * 2,
    ]
    assert model(torch.ones(7, 5)).shape == (7, 2)
    assert set_requires_grad(inner, False) is inner
    assert [w.requires_grad for w in parameters(model)] == [True, True, False, False, False]
    seen = []
    apply_to_layers(model, seen.append)
    assert seen == [model.first, *inner, inner, model]
    model(torch.ones(1, 5)).sum().backward()
    zero_grad(model)
    assert model.first.weight.grad is None
    assert not any(layer.training for layer in modules(set_training(model, False)))


class Resting:
    training = True

    def __init__(self):
        self.body, self.head = Sequential(Linear(3, 3)), Linear(3, 2)

    def __call__(self, x):
        return self.head(self.body(x))

    def train(self, mode):
        set_training_of_parts(self, mode)
        set_training(self.body, False)


def test_a_layer_sees_to_its_own_mode():
    model = Sequential(Resting())
    set_training(model, True)
    assert [layer.training for layer in modules(model)] == [True, True, False, False, True]


def test_a_list_of_layers():
    layers = Sequential(Linear(3, 3)).append(Linear(3, 2))
    assert [len(layers), len(layers[1:]), layers[-1].out_features] == [2, 1, 2]
    assert isinstance(layers[:1], Sequential)
    layers[1] = torch.tanh
    assert layers(torch.zeros(1, 3)).shape == (1, 3)
    assert list(named_parameters(layers)) == ["0.weight", "0.bias"]
    assert [*layers][1] is torch.tanh


def test_constants_stand_in_no_file():
    class Scaled:
        training = True
        buffers = ("seen",)
        constants = ("scale",)

        def __init__(self):
            self.scale, self.seen = torch.ones(2), torch.zeros(1)
            self.list = ParameterList([torch.ones(3)])

    model = Scaled()
    assert list(state_dict(model)) == ["seen", "list.0"]
    assert list(named_parameters(model)) == ["list.0"]
    assert len(model.list()) == 1
