"""`satsuma doctor FILE|RUN`: it tells what a file holds, verifies it, and exits with 1 and the reason where damaged."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import satsuma as sm
from satsuma.ship.model_file import DIGEST, KEY, digest_of_text
from satsuma.train.checkpoint import CONTENTS_DIGEST
from satsuma.train.resume_file import write_state

pytestmark = pytest.mark.usefixtures("no_scripts")

N, D = 23, 3
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LABELS = np.array(["cat", "dög"])[(X[:, 0] > 0).astype(int)]


def learner(model=None, **settings):
    data = sm.DataLoaders.from_arrays(X, LABELS, bs=5)
    return sm.Learner(data, model or sm.mlp((D, 5, 2)), metrics=sm.accuracy, progress=False, **settings)


@pytest.fixture
def model(tmp_path):
    learn = learner()
    learn.fit(1, 0.05)
    return learn.export(tmp_path / "model.safetensors")


def damaged(path, place=-7):
    raw = bytearray(path.read_bytes())
    raw[place] ^= 4
    path.write_bytes(raw)
    return path


def test_a_model_is_told_and_verified(satsuma, model):
    result = satsuma("doctor", model)
    assert result.code == 0, result.err
    for said in (
        f"written by satsuma {sm.__version__}, torch {torch.__version__}",
        "result: train_loss ",
        "model: Sequential with 32 parameters",
        "inputs: TransformBlock(",
        "targets: CategoryBlock(",
        "classes: cat, dög",
        "transforms: none",
        "loss: cross_entropy",
        "precision: ",
        "tensors: 4 with 32 numbers (4 of float32)",
        "header: SHA-256 ",
        "contents: SHA-256 ",
        "the file is whole and loads",
    ):
        assert said in result.out, said
    assert satsuma("show", model).out == result.out


@pytest.mark.parametrize("place", [-7, 200, 3])
def test_a_damaged_model_is_refused_with_the_reason(satsuma, model, place):
    result = satsuma("doctor", damaged(model, place))
    assert result.code == 1
    assert str(model) in result.err
    assert "damaged" in result.err or "not a whole safetensors file" in result.err
    assert "Traceback" not in result.err
    assert "whole and loads" not in result.out


class Mine(nn.Linear):
    pass


def test_a_model_of_ones_own_class_is_told_and_its_weights_verified(satsuma, tmp_path):
    path = learner(Mine(D, 2)).export(tmp_path / "mine.safetensors")
    result = satsuma("doctor", path)
    assert result.code == 0, result.err
    assert "needs these parts of your own when loading: " in result.out
    assert "Mine" in result.out
    assert "tensors: 2 with 8 numbers" in result.out
    assert "whole and loads" not in result.out
    assert satsuma("doctor", damaged(path)).code == 1


def test_what_a_stranger_wrote_moves_no_cursor(satsuma, model):
    with safe_open(model, framework="pt") as file:
        metadata = file.metadata()
    header = json.loads(metadata[KEY])
    header["facts"] = {"run\x1b[2J": "\x1b]0;owned\x07", "result": {"\x1b[1A": 0.5}}
    header["blocks"][1]["kwargs"]["vocab"] = ["\x1b[31mcat", "dog"]
    text = json.dumps(header)
    del metadata[CONTENTS_DIGEST]
    save_file(load_file(model), model, {**metadata, KEY: text, DIGEST: digest_of_text(text)})
    result = satsuma("doctor", model)
    assert result.code == 0, result.err
    assert "\x1b" not in result.out
    assert "\x07" not in result.out
    assert "classes: \\x1b[31mcat, dog" in result.out
    assert "no digest to check them by" in result.out


def test_weights_alone_and_foreign_weights_say_so(satsuma, tmp_path):
    path = learner().save(tmp_path / "deep" / "w.safetensors")
    own = satsuma("doctor", path)
    assert own.code == 0
    assert "weights alone" in own.out
    assert "contents: SHA-256 " in own.out
    save_file({"a": torch.zeros(2, dtype=torch.float16), "b": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    foreign = satsuma("doctor", tmp_path / "foreign.safetensors")
    assert foreign.code == 0
    assert "tensors: 2 with 5 numbers (1 of float16, 1 of float32)" in foreign.out
    assert "no digest to check them by" in foreign.out
    assert satsuma("doctor", damaged(path)).code == 1


def test_a_checkpoint_says_so(satsuma, tmp_path):
    path = write_state(tmp_path, 7, {"step": 7, "w": torch.zeros(3)})
    result = satsuma("doctor", path)
    assert result.code == 0, result.err
    assert "where a fit stood" in result.out
    assert satsuma("doctor", damaged(path)).code == 1


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "w.ckpt"])
def test_a_pickle_is_not_opened_and_how_to_convert_it_is_said(satsuma, tmp_path, name):
    torch.save({"a": torch.zeros(2)}, tmp_path / name)
    result = satsuma("doctor", tmp_path / name)
    assert result.code == 1
    assert "may hold code" in result.err
    assert f"satsuma.convert_weights('{tmp_path / name}', '{tmp_path / 'w.safetensors'}')" in result.err


def test_a_converted_file_is_whole(satsuma, tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "w.pth")
    sm.convert_weights(tmp_path / "w.pth", tmp_path / "w.safetensors")
    result = satsuma("doctor", tmp_path / "w.safetensors")
    assert result.code == 0
    assert "contents: SHA-256 " in result.out


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 20])
def test_what_is_something_else_is_refused(satsuma, tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    result = satsuma("doctor", tmp_path / "other")
    assert result.code == 1
    assert "not a whole safetensors file" in result.err
    missing = satsuma("doctor", tmp_path / "none.pth")
    assert missing.code == 1
    assert "there is no such file" in missing.err


@pytest.fixture
def run(tmp_path):
    learn = learner(run_dir=tmp_path / "run")
    learn.fit(2, 0.05)
    learn.export()
    return tmp_path / "run"


def test_every_file_of_a_run_is_verified(satsuma, run):
    result = satsuma("doctor", run)
    assert result.code == 0, result.err
    for said in ("recipe.json: ", "history.jsonl: ", "best.safetensors: ", "last.safetensors: ", "whole and loads"):
        assert said in result.out, said


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoints/last.safetensors", "recipe.json", "history.jsonl"])
def test_a_damaged_file_of_a_run_is_named_and_the_others_told(satsuma, run, name):
    file = run / name
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 2])
    if name == "history.jsonl":
        file.write_text("{\n" + file.read_text())
    result = satsuma("doctor", run)
    assert result.code == 1
    assert "1 of " in result.err
    assert str(file) in result.err
    assert "best.safetensors: " in result.out


def test_a_torn_last_line_of_a_history_is_no_damage(satsuma, run):
    with (run / "history.jsonl").open("a") as file:
        file.write('{"kind": "st')
    result = satsuma("doctor", run)
    assert result.code == 0, result.err
    assert "a torn one, which is passed over" in result.out


def test_a_folder_without_a_run_says_what_to_do(satsuma, tmp_path):
    result = satsuma("doctor", tmp_path)
    assert result.code == 1
    assert "satsuma doctor --loader" in result.err
