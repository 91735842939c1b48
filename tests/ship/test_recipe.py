"""Values to JSON and back, and to Python that builds them again."""

import functools
import importlib
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ids import plain
from torch import nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.data.arrays import pixels_to_float
from satsuma.errors import ModelFileError
from satsuma.ship.code import to_code
from satsuma.ship.parts import TABLE, known_parts
from satsuma.ship.recipe import build_module, from_recipe, opaque_parts, to_recipe

VALUES = [
    *(None, True, False, 0, -3, 0.1, 1e-300, "ünï'\"\\\n", (), (1, (2.5, "a")), math.inf, -math.inf),
    *(Path("a b") / "ü", slice(1e-5, 1e-3), slice(None, 0.1), torch.float32, torch.int64, {"a": (1, 2), 3: None}),
    *(sm.Resize(224), sm.Resize((23, 29), method="squish"), sm.Normalize(), sm.Normalize(mean=(0.1,), std=(0.3,))),
    *(sm.Flip(), sm.Shift(3), sm.Rotate(max_deg=7.0), sm.Zoom(max_zoom=1.5)),
    *(sm.RandomSplitter(0.3, seed=7), sm.StratifiedSplitter(), sm.GrandparentSplitter(valid_name="val")),
    *(sm.ParentSplitter(), sm.IndexSplitter((2, 3, 5)), sm.ColSplitter("held"), sm.GroupSplitter("patient")),
    *(sm.CategoryBlock(vocab=("cat", "dog")), sm.CategoryBlock((3, 7)), sm.RegressionBlock(n_out=2), sm.ImageBlock(1)),
    *(sm.TransformBlock(batch_tfms=(pixels_to_float,)), sm.RegexLabeller(r"(.+)_\d+\.jpg$"), sm.ItemGetter(1)),
    *(sm.ColReader("label"), sm.using_attr(sm.RegexLabeller(r"(.+)_\d+"), "name"), sm.parent_label),
    *(sm.EarlyStopping(monitor="accuracy", better="higher"), sm.cross_entropy, F.mse_loss, sm.accuracy, sm.AdamW),
    *(torch.optim.SGD, sm.constant, sm.small_cnn, sm.resnet18, sm.get_image_files),
    sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        get_items=sm.get_image_files,
        get_y=sm.parent_label,
        item_tfms=sm.Resize(64),
    ),
]
PARTIALS = [
    functools.partial(sm.one_cycle, total=100, div=10.0),
    functools.partial(sm.joined, schedules=(functools.partial(sm.warmup, steps=4), sm.constant), boundaries=(4,)),
    functools.partial(sm.cross_entropy, label_smoothing=0.1),
    functools.partial(sm.SGD, momentum=0.9),
    functools.partial(sm.simple_net, 7, 5, 3),
    functools.partial(functools.partial(sm.top_k_accuracy, k=3), k=2),
]
MODULES = [
    *(nn.Linear(7, 3), nn.Linear(7, 3, bias=False), nn.Bilinear(2, 3, 5), nn.Flatten(), nn.Unflatten(1, (2, 3))),
    *(nn.Conv1d(2, 3, 5), nn.Conv2d(2, 4, (3, 5), stride=2, padding="same" if False else 1, groups=2, bias=False)),
    *(nn.Conv2d(2, 3, 3, padding="same", padding_mode="reflect"), nn.Conv3d(2, 3, 1), nn.ConvTranspose1d(2, 3, 5)),
    *(nn.ConvTranspose2d(2, 3, 5, stride=2, output_padding=1), nn.BatchNorm1d(5), nn.BatchNorm2d(5, affine=False)),
    *(nn.BatchNorm3d(5, momentum=0.3), nn.GroupNorm(2, 4), nn.LayerNorm((3, 5)), nn.LayerNorm(5, bias=False)),
    *(nn.InstanceNorm1d(3), nn.InstanceNorm2d(3, affine=True), nn.Dropout(0.3), nn.Dropout2d(), nn.MaxPool1d(2)),
    *(nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool1d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool1d(2), nn.Identity()),
    *(nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool1d(2), nn.AdaptiveMaxPool2d((2, 3)), nn.ReLU(), nn.ReLU(inplace=True)),
    *(nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(3), nn.ELU(0.5), nn.SELU(), nn.GELU(approximate="tanh"), nn.SiLU()),
    *(nn.Mish(), nn.Hardswish(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(2.0), nn.Softmax(dim=1), nn.LogSoftmax(dim=1)),
    *(nn.LogSigmoid(), nn.Embedding(5, 3), nn.Embedding(5, 3, padding_idx=0), nn.EmbeddingBag(5, 3, mode="sum")),
    *(nn.ZeroPad2d(1), nn.ReflectionPad2d((1, 2, 3, 4)), nn.Upsample(scale_factor=2.0), nn.PixelShuffle(2)),
    *(
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(torch.tensor([1.0, 0.1])),
        nn.NLLLoss(),
        nn.BCELoss(),
    ),
    *(nn.BCEWithLogitsLoss(), nn.MSELoss(reduction="sum"), nn.L1Loss(), nn.SmoothL1Loss(beta=0.5), nn.HuberLoss()),
    *(
        sm.GaussianNoise(0.2),
        sm.ResNet(block="basic", layers=(1, 1, 1, 1), classes=3, in_channels=1, small_images=True),
    ),
    *(sm.mlp((7, 5, 3), dropout=0.5, noise=0.1, batch_norm=True), sm.small_cnn(1, 3, dropout=0.2), nn.Sequential()),
    nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Identity()),
]


def through_json(value):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(json.dumps(to_recipe(value)), parse_constant=refuse)


def run_code(recipe):
    imports = set()
    code = to_code(recipe, imports)
    scope = {}
    exec("\n".join([*sorted(imports), f"value = {code}"]), scope)
    return scope["value"]


def same(a, b):
    if isinstance(a, functools.partial):
        return same(a.func, b.func) and a.args == b.args and same(a.keywords, b.keywords)
    if isinstance(a, dict | tuple):
        pairs = zip(a.values() if isinstance(a, dict) else a, b.values() if isinstance(b, dict) else b, strict=True)
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in pairs)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("value", VALUES + PARTIALS, ids=plain)
def test_values_come_back_equal_from_json_and_from_code(value):
    recipe = through_json(value)
    assert opaque_parts(recipe) == []
    assert same(from_recipe(recipe), value)
    assert same(run_code(recipe), value)
    if isinstance(value, functools.partial) and value.func is sm.one_cycle:
        assert [from_recipe(recipe)(i) for i in range(100)] == [value(i) for i in range(100)]


@pytest.mark.parametrize("module", MODULES, ids=plain)
def test_modules_are_built_again_with_weights_of_the_same_shapes(module):
    recipe = through_json(module)
    assert opaque_parts(recipe) == []
    with torch.device("meta"):
        written = run_code(recipe)
    for again in (build_module(recipe), written):
        assert repr(again) == repr(module)
        assert {k: v.shape for k, v in again.state_dict().items()} == {
            k: v.shape for k, v in module.state_dict().items()
        }


def test_every_layer_and_loss_of_the_table_is_tried_above():
    tried = {type(part).__name__ for module in MODULES for part in module.modules()}
    assert set(TABLE["torch.nn"].split()) <= tried


def test_every_part_of_the_table_can_be_written_as_code():
    for name, part in known_parts().items():
        assert run_code({"name": name}) is part


def test_every_public_value_and_function_that_a_run_is_made_of_is_in_the_table():
    """So that whoever adds a transform, splitter, loss or schedule also lets files hold it."""
    rooms = (
        "functional.losses",
        "functional.metrics",
        "optim",
        "data.blocks",
        "data.getters",
        "data.splitters",
        "nn.linear",
    )
    rooms = (*rooms, "nn.cnn", "nn.resnet", "vision.geometry", "vision.normalize", "vision.blocks")
    for name in sm.__all__:
        part = getattr(sm, name)
        home = getattr(part, "__module__", "").removeprefix("satsuma.")
        if home.startswith(rooms):
            assert f"satsuma.{home}.{name}" in known_parts(), name


def test_only_fields_that_differ_from_the_defaults_are_written():
    assert to_recipe(sm.Flip()) == {"new": "satsuma.vision.geometry.Flip", "kwargs": {}}
    assert to_code(to_recipe(sm.Resize(7)), set()) == "sm.Resize(size=7)"


def test_numbers_of_numpy_and_tensors_are_plain_numbers():
    assert through_json(np.float32(0.5)) == 0.5
    weights = torch.tensor([0.1, math.inf])
    assert torch.equal(from_recipe(through_json(weights)), weights)
    assert torch.equal(run_code(through_json(weights)), weights)


def test_class_weights_of_a_loss_come_back():
    again = from_recipe(through_json(nn.CrossEntropyLoss(torch.tensor([0.25, 0.5]), ignore_index=3)))
    assert again.weight.tolist() == [0.25, 0.5]
    assert again.ignore_index == 3


class Mine(nn.Module):
    def forward(self, x):
        return x


def my_function(x):
    return x


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (my_function, "my_function"),
        (lambda x: x, "<lambda>"),
        (Mine(), "Mine"),
        (nn.Sequential(nn.Linear(2, 3), Mine()), "Mine"),
        (functools.partial(my_function, 1), "my_function"),
        (sm.FuncSplitter(my_function), "my_function"),
        (object(), "object"),
    ],
    ids=plain,
)
def test_what_is_yours_is_described_and_not_rebuilt(value, word):
    recipe = through_json(value)
    (described,) = opaque_parts(recipe)
    assert word in described
    with pytest.raises(ModelFileError, match="is not a part of Satsuma: give it when loading"):
        from_recipe(recipe)


def test_a_model_changed_after_it_was_built_is_opaque():
    model = sm.ResNet(block="basic", layers=(1, 1, 1, 1), classes=3)
    model.fc = nn.Linear(512, 5)
    assert opaque_parts(to_recipe(model)) == ["satsuma.nn.resnet.ResNet"]
    layer = nn.Linear(2, 3)
    layer.in_features = 7  # says one thing and is another
    assert opaque_parts(to_recipe(layer)) == ["torch.nn.modules.linear.Linear"]


# --- what a file may not do ---------------------------------------------------------------------------------------


def deep(n):
    nested = 1
    for _ in range(n):
        nested = [nested]
    return nested


MALICE = [
    *({"name": "os.system"}, {"name": "builtins.eval"}, {"name": "torch.load"}, {"name": "satsuma.ship.parts.TABLE"}),
    *({"name": ["os", "system"]}, {"name": {"name": "x"}}, {"partial": "os.system", "args": ["true"]}, {"partial": 3}),
    *({"partial": {"name": "os.system"}, "args": ["true"], "kwargs": {}}, {"partial": {"opaque": "x"}}),
    *({"new": "os._wrap_close"}, {"new": "torch.nn.Linear", "kwargs": {}}, {"new": "satsuma.nn.cnn.small_cnn"}),
    *({"module": "satsuma.vision.geometry.Resize", "kwargs": {"size": 3}}, {"module": "subprocess.Popen"}),
    *({"module": "satsuma.nn.cnn.small_cnn", "kwargs": {}}, {"module": "torch.nn.Linear", "kwargs": [1, 2]}),
    *(
        {"module": "torch.nn.Linear", "kwargs": {"in_features": "7", "out_features": None}},
        {"module": "torch.nn.Linear"},
    ),
    {"module": "torch.nn.Linear", "kwargs": {"in_features": 10**30, "out_features": 10**30}},
    {"module": "torch.nn.Linear", "kwargs": {"in_features": 10**5, "out_features": 10**5, "device": "cpu"}},
    {"module": "torch.nn.Linear", "kwargs": {"in_features": 2, "out_features": 3, "dtype": {"dtype": "float64"}}},
    {"module": "torch.nn.Embedding", "kwargs": {"num_embeddings": 2, "embedding_dim": 3, "_weight": 1}},
    {"module": "torch.nn.GroupNorm", "kwargs": {"num_groups": 0, "num_channels": 3}},
    {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": [10**9] * 4}},
    {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": 7}},
    *({"module": "torch.nn.Sequential", "children": "ab"}, {"module": "torch.nn.Sequential", "children": [[1]]}),
    *({"module": "torch.nn.Sequential"}, {"module": "torch.nn.Sequential", "children": [["a", 3]]}),
    *({"module": "torch.nn.Sequential", "children": [["a.b", {"module": "torch.nn.ReLU", "kwargs": {}}]]}, {}),
    *({"dtype": "os"}, {"dtype": "_dynamo"}, {"dtype": 3}, {"tensor": [[1], 2], "dtype": "float32"}, {"slice": [1]}),
    *({"tensor": "abc", "dtype": "float32"}, {"float": "abc"}, {"mapping": [1]}, {"mapping": [[{"mapping": []}, 1]]}),
    *({"opaque": "x"}, {"unknown": 1}, deep(50), deep(500), {"slice": 3}, object()),
]


@pytest.mark.parametrize("recipe", MALICE, ids=plain)
def test_nothing_outside_the_table_is_built_imported_or_run(recipe, monkeypatch):
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("a file ran a command"))
    known_parts()  # the table itself imports its rooms, once
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"a file imported {name}"))
    before = set(importlib.sys.modules)
    with pytest.raises(ModelFileError):
        from_recipe(recipe)
    assert set(importlib.sys.modules) - before == set()
    if not isinstance(recipe, list):
        with pytest.raises(ModelFileError):
            build_module(recipe)


def test_a_model_that_is_no_model():
    with pytest.raises(ModelFileError, match="describes a tuple, not a model"):
        build_module([1, 2])


def test_the_table_holds_nothing_that_reads_writes_or_runs():
    """Classes and functions of torch and Satsuma only, none of which takes a command, and no module."""
    for name, part in known_parts().items():
        assert name.startswith(("torch.nn.", "torch.optim.", "satsuma."))
        assert callable(part)
        assert not inspect.ismodule(part)
        assert not any(word in name for word in ("load", "save", "open", "system", "eval", "exec"))
