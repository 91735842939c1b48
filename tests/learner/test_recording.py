"""A run's recipe: JSON that holds it, and code that trains it again with the same losses."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import satsuma as sm
from satsuma.ship.recipe import from_recipe

pytestmark = pytest.mark.usefixtures("no_scripts")

X = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bilder") / "kästen"
    for i in range(30):
        noise = np.random.default_rng(i).integers(0, 256, (21, 19, 3)).astype(np.uint8)
        noise[..., i % 2] //= 3
        place = folder / ("left", "right")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(place)
    (folder / "left" / "broken.png").write_bytes(b"not a picture")
    return folder


def run_again(script, tmp_path):
    """The script in a process of its own: the values of its recorder."""
    script = tmp_path / script.name
    code = script.read_text(encoding="utf-8") + "\nimport json; print('VALUES', json.dumps(learn.recorder.values))\n"
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums over other threads round differently
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **threads})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("VALUES")[1])


@pytest.mark.filterwarnings("ignore:1 of 31 files cannot be read")
def test_recipe_py_trains_the_same_run_again(pictures, tmp_path):
    """Seed 0, momentum switched off, augmentation, a class-weighted loss, two fits: all that could get lost."""
    data = sm.ImageDataLoaders.from_folder(
        pictures,
        size=16,
        bs=7,
        batch_tfms=[sm.Flip(), sm.Shift(2), sm.Normalize()],
        on_unreadable="skip",
        seed=3,
    )
    learn = sm.Learner(
        data,
        "small_cnn",
        loss_func=functools.partial(sm.cross_entropy, weight=torch.tensor([1.0, 0.3])),
        opt_func=functools.partial(sm.SGD, momentum=0.5),
        metrics=[sm.accuracy, functools.partial(sm.top_k_accuracy, k=2)],
        seed=0,
        l2=1e-3,
        input_noise=0.05,
        max_norm=1.0,
        precision="float32",
        run_dir=tmp_path,
        progress=False,
    )
    learn.fit_one_cycle(2, 0.05, moms=None)
    learn.fit(1, 0.01, schedule=functools.partial(sm.cosine, total=3), wd=0.0)
    assert run_again(tmp_path / "recipe.py", tmp_path) == learn.recorder.values


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def test_recipe_json_holds_every_setting(tmp_path):
    learn = sm.Learner(
        sm.DataLoaders.from_arrays(X, Y, bs=11, seed=5),
        functools.partial(sm.simple_net, 7, 5, 3),
        opt_func=sm.SGD,
        metrics=sm.accuracy,
        seed=0,
        run_dir=tmp_path / "größe",
        progress=False,
    )
    learn.fit(1, slice(0.1), early_stopping=sm.EarlyStopping(patience=2))
    learn.fit_one_cycle(2, 0.01, moms=None)
    text = (tmp_path / "größe" / "recipe.json").read_text(encoding="utf-8")
    recipe = json.loads(text, parse_constant=refuse)
    assert recipe["settings"]["seed"] == 0
    assert from_recipe(recipe["settings"]["opt_func"]) is sm.SGD
    assert repr(from_recipe(recipe["model"])()) == repr(sm.simple_net(7, 5, 3))
    assert (recipe["data"]["bs"], recipe["data"]["seed"]) == (11, 5)
    first, second = recipe["fits"]
    assert from_recipe(first["arguments"]["early_stopping"]) == sm.EarlyStopping(patience=2)
    assert from_recipe(first["arguments"]["lr"]) == slice(0.1)
    assert second == {"method": "fit_one_cycle", "arguments": {"n_epoch": 2, "lr_max": 0.01, "moms": None}}
    assert set(recipe["versions"]) == {"satsuma", "torch", "numpy", "opencv", "python"}
    assert set(recipe["hardware"]) == {"cpu", "cores", "threads"}


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 3)

    def forward(self, x):
        return self.layer(x)


def mine(outputs, targets):
    return outputs.mean()


@pytest.mark.parametrize("name", ["plain", 'quo"te"""s', "größe", "back\\slash", "it's"])
def test_recipe_py_is_python_also_with_parts_of_ones_own(name, tmp_path):
    learn = sm.Learner(
        sm.DataLoaders.from_arrays(X, Y, bs=11),
        Mine(),
        loss_func=lambda p, t: nn.functional.cross_entropy(p, t),
        metrics=[mine, sm.accuracy],
        splitter=lambda model: [model.parameters()],
        run_dir=tmp_path / name,
        progress=False,
    )
    learn.fit(1, schedule=functools.partial(lambda step, k: 1.0, k=3))
    code = (tmp_path / name / "recipe.py").read_text(encoding="utf-8")
    compile(code, "recipe.py", "exec")
    assert "stand parts of yours: " in code
    assert "Mine" in code
    assert "    ...,\n" in code
    json.loads((tmp_path / name / "recipe.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_a_table_of_data_is_described(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": np.arange(20.0), "label": ["a", "b"] * 10})
    block = sm.DataBlock(
        blocks=(sm.RegressionBlock, sm.CategoryBlock), get_x=sm.ColReader("x"), get_y=sm.ColReader("label")
    )
    learn = sm.Learner(block.dataloaders(frame, bs=4), sm.linear_model(1, 2), run_dir=tmp_path, progress=False)
    learn.fit(1)
    code = (tmp_path / "recipe.py").read_text(encoding="utf-8")
    compile(code, "recipe.py", "exec")
    assert "get_x=sm.ColReader(" in code
    assert ".dataloaders(..., bs=4" in code
