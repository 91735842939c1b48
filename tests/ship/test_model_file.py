"""Model files: the same answers in another process, nothing run from the file, any damage noticed."""

import json
import os
import random
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import satsuma as sm
from satsuma.errors import ModelFileError
from satsuma.ship.model_file import DIGEST, KEY, digest_of_text, read_header
from satsuma.train.checkpoint import CONTENTS_DIGEST

N, D, K = 53, 7, 3
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0)).numpy()
Y = X[:, :K].argmax(1)


def arrays(y=Y, **options):
    return sm.DataLoaders.from_arrays(X, y, bs=11, **options)


def quiet(data, model, **settings):
    return sm.Learner(data, model, progress=False, **settings)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of two classes of small pictures of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(14):
        noise = np.random.default_rng(i).integers(0, 256, (37 + i, 41, 3)).astype(np.uint8)
        noise[..., i % 2] //= 3
        place = folder / ("böse", "gut")[i % 2] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).save(place)
    return folder


def image_data(folder, **options):
    return sm.ImageDataLoaders.from_folder(folder, size=32, bs=5, workers=0, **options)


# --- the same answers in a process that knows nothing of the training ---------------------------------------------

ASK = """
import json, os, sys, torch, satsuma as sm

load = sm.load_learner  # reads what loading takes, once


def answer(path, items, kind):
    predictor = load(path, device="cpu")
    answers = predictor.predict_batch([torch.tensor(i) for i in items] if kind == "arrays" else items)
    loaded = [m for m in sys.modules if m.startswith(("satsuma.learner", "satsuma.train.fit", "satsuma.hooks"))]
    print(json.dumps([loaded, [a.label for a in answers], [a.probabilities.tolist() for a in answers]]), flush=True)


for line in sys.stdin:
    if (child := os.fork()) == 0:
        answer(*json.loads(line))
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("no answer")
"""


@pytest.fixture(scope="module")
def elsewhere():
    """Asks for labels and probabilities of items by a process that only has the file: each a copy of one that waits."""
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums over other threads round differently
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    waiting = subprocess.Popen([sys.executable, "-c", ASK], env={**os.environ, **threads}, **pipes)

    def asked(path, items, kind):
        waiting.stdin.write(json.dumps([str(path), items, kind]) + "\n")
        waiting.stdin.flush()
        line = waiting.stdout.readline()
        assert line, "the process that answers ended: its error stands above"
        loaded, labels, probabilities = json.loads(line)
        assert loaded == []
        return labels, probabilities

    yield asked
    waiting.stdin.close()
    waiting.wait(timeout=60)


def my_loss(outputs, targets):
    return (outputs - targets).square().mean()


LEARNERS = {
    "simple_net": lambda: quiet(arrays(), sm.simple_net(D, 5, K), metrics=sm.accuracy),
    "dropout and noise": lambda: quiet(arrays(), sm.mlp((D, 5, K), dropout=0.5, noise=0.3, batch_norm=True)),
    "text labels": lambda: quiet(arrays(np.array(["a", "ü", "c"])[Y]), sm.linear_model(D, K)),
    "regression": lambda: quiet(arrays(X[:, :2]), sm.mlp((D, 5, 2))),
    "log-probabilities": lambda: quiet(arrays(), sm.logistic_regression(D, K, log_softmax=True), loss_func=sm.nll),
    "a loss of one's own": lambda: quiet(arrays(X[:, 1]), sm.linear_model(D), loss_func=my_loss),
    "torch's loss": lambda: quiet(
        arrays(), sm.linear_model(D, K), loss_func=nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3]))
    ),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_arrays_are_answered_elsewhere_bit_for_bit(name, elsewhere, tmp_path):
    learn = LEARNERS[name]()
    learn.fit(1, 0.05)
    path = learn.export(tmp_path / "modell-ü.safetensors")
    mine = learn.predictor().predict_batch(list(torch.tensor(X[:5])))
    labels, probabilities = elsewhere(path, X[:5].tolist(), "arrays")
    assert labels == [a.label for a in mine]
    assert probabilities == [a.probabilities.tolist() for a in mine]


@pytest.mark.parametrize("arch", ["small_cnn", "resnet18"])
def test_pictures_are_answered_elsewhere_bit_for_bit(arch, elsewhere, pictures, tmp_path):
    """Decoding, Resize, Normalize, the layout of kernels and the precision of training all come along."""
    learn = quiet(image_data(pictures), arch)
    learn.fit(1, 0.01)
    path = learn.export(tmp_path / "model.safetensors")
    files = [str(f) for f in sm.get_image_files(pictures)]
    mine = learn.predictor().predict_batch(files)
    labels, probabilities = elsewhere(path, files, "files")
    assert labels == [a.label for a in mine]
    assert set(labels) <= {"böse", "gut"}
    assert probabilities == [a.probabilities.tolist() for a in mine]


def test_a_training_in_bf16_is_answered_in_bf16_where_there_are_units_for_it(tmp_path):
    learn = quiet(arrays(), sm.mlp((D, 5, K)), precision="bf16")
    learn.fit(1, 0.05)
    again = sm.load_learner(learn.export(tmp_path / "m"), device="cpu")
    assert read_header(tmp_path / "m")["precision"] == "bf16"
    if again.autocast is not None:
        assert torch.equal(again.predict(torch.tensor(X[0])).probabilities, learn.predict(X[0]).probabilities)
    else:
        torch.testing.assert_close(
            again.predict(X[0]).probabilities, learn.predict(X[0]).probabilities, rtol=0.02, atol=0.02
        )


def test_the_header_tells_what_came_of_it_in_valid_json(tmp_path):
    def undefined(outputs, targets):
        return float("nan")

    learn = quiet(arrays(), sm.linear_model(D, K), metrics=[sm.accuracy, undefined])
    learn.fit(1)
    with safe_open(learn.export(tmp_path / "m"), framework="pt") as file:
        text = file.metadata()[KEY]
    header = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    result = header["facts"]["result"]
    assert result["accuracy"] == learn.recorder.values[-1][2]
    assert result["undefined"] is None
    assert header["satsuma"] == sm.__version__


# --- parts of one's own -------------------------------------------------------------------------------------------


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(D, K)

    def forward(self, x):
        return self.layer(x)


def my_transform(image):
    return image.rotate(90, expand=True)


def test_your_own_module_is_asked_for(tmp_path):
    learn = quiet(arrays(), Mine())
    path = learn.export(tmp_path / "m")
    with pytest.raises(
        ModelFileError, match=r"model has parts of your own.*Mine\. Load it with load_learner\(path, model="
    ):
        sm.load_learner(path)
    again = sm.load_learner(path, model=Mine(), device="cpu")
    assert torch.equal(again.predict(X[0]).probabilities, learn.predict(X[0]).probabilities)
    with pytest.raises(ModelFileError, match=r"layer.weight is missing"):
        sm.load_learner(path, model=nn.Sequential(Mine(), Mine()))


def test_your_own_transform_is_asked_for(pictures, tmp_path):
    learn = quiet(image_data(pictures, item_tfms=[my_transform, sm.Resize(32)]), "small_cnn")
    path = learn.export(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"item_tfms has parts of your own.*my_transform"):
        sm.load_learner(path)
    file = sm.get_image_files(pictures)[0]
    again = sm.load_learner(path, item_tfms=learn.dls.block.item_tfms, device="cpu")
    assert torch.equal(again.predict(file).probabilities, learn.predict(file).probabilities)


def halve(row):
    return torch.as_tensor(row) / 2


def test_your_own_block_parts_are_asked_for(tmp_path):
    block = sm.TransformBlock(type_tfms=(halve,))
    items = list(zip(X, Y.tolist(), strict=True))
    data = sm.DataBlock(blocks=(block, sm.CategoryBlock)).dataloaders(items, bs=11, workers=0)
    learn = quiet(data, sm.linear_model(D, K))
    path = learn.export(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"blocks has parts of your own.*halve.*blocks="):
        sm.load_learner(path)
    again = sm.load_learner(path, blocks=data.blocks, device="cpu")
    assert torch.equal(again.predict(X[0]).probabilities, learn.predict(X[0]).probabilities)


def test_misspelt_arguments_and_missing_files(tmp_path):
    with pytest.raises(TypeError, match="no argument 'modle': did you mean 'model'"):
        sm.load_learner("x", modle=Mine())
    with pytest.raises(FileNotFoundError, match="there is no such model file"):
        sm.load_learner(tmp_path / "none")
    learn = quiet(arrays(), sm.linear_model(D, K))
    with pytest.raises(ModelFileError, match=r"holds weights, but was not written by Learner\.export"):
        sm.load_learner(learn.save(tmp_path / "weights" / "w"))


# --- damage and malice --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A whole model file, its header's end, and the answers it gives."""
    learn = quiet(arrays(), sm.mlp((D, 5, K), dropout=0.5, batch_norm=True))
    learn.fit(1, 0.05)
    path = learn.export(tmp_path_factory.mktemp("good") / "model.safetensors")
    raw = path.read_bytes()
    return raw, 8 + struct.unpack("<Q", raw[:8])[0], answers(path)


def answers(path):
    found = sm.load_learner(path, device="cpu").predict_batch(list(torch.tensor(X[:5])))
    return [(a.label, a.probabilities.tolist()) for a in found]


def refused_or_equal(path, expected):
    try:
        return answers(path) == expected
    except ModelFileError:
        return True


def test_any_truncation_is_refused(good, tmp_path):
    raw, end, _ = good
    path = tmp_path / "cut"
    for length in [*range(40), *range(40, end, 97), *range(end - 3, len(raw), 61), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(ModelFileError):
            sm.load_learner(path, device="cpu")


def test_bytes_changed_in_the_header_are_refused_or_harmless(good, tmp_path):
    raw, end, expected = good
    path, rng = tmp_path / "flipped", random.Random(0)
    weights = raw.index(b'"0.weight"')  # where names, types, shapes and places of the weights are
    places = [
        *range(8),
        *(rng.randrange(8, end) for _ in range(100)),
        *(rng.randrange(weights, end) for _ in range(100)),
    ]
    for place in places:
        changed = bytearray(raw)
        changed[place] = rng.choice([changed[place] ^ (1 << rng.randrange(8)), rng.randrange(256), ord("I"), ord("9")])
        path.write_bytes(changed)
        assert refused_or_equal(path, expected), (place, raw[place : place + 1], bytes(changed[place : place + 1]))


def rewritten(good, path, **changes):
    """The file with fields of its header replaced, and a digest that fits: what an attacker can write."""
    raw, _, _ = good
    path.write_bytes(raw)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[KEY])
    text = json.dumps({**header, **changes})
    save_file(load_file(path), path, {KEY: text, DIGEST: digest_of_text(text)})
    return path


MALICE = [
    *(
        {"model": {"name": "os.system"}},
        {"model": {"module": "os.system", "kwargs": {}}},
        {"model": 3},
        {"model": None},
    ),
    *({"model": {"new": "satsuma.vision.geometry.Resize", "kwargs": {"size": 3}}}, {"model": {"opaque": "x"}}),
    {"model": {"module": "torch.nn.Linear", "kwargs": {"in_features": 10**15, "out_features": 10**15}}},
    {"model": {"module": "torch.nn.Linear", "kwargs": {"in_features": D, "out_features": K}}},
    *(
        {"blocks": []},
        {"blocks": None},
        {"blocks": "ab"},
        {"blocks": [{"name": "satsuma.data.blocks.CategoryBlock"}] * 2},
    ),
    *({"blocks": [{"name": "os.system"}]}, {"n_inp": 0}, {"n_inp": 3}, {"n_inp": "1"}, {"n_inp": None}, {"n_inp": 1.0}),
    *({"item_tfms": 3}, {"item_tfms": ["x"]}, {"item_tfms": [{"name": "os.system"}]}, {"item_tfms": None}),
    *({"item_tfms": [{"name": "satsuma.vision.geometry.Resize"}]}, {"batch_tfms": {"mapping": [[1, 2]]}}),
    *({"loss": 3}, {"loss": {"partial": {"name": "os.system"}, "args": ["true"], "kwargs": {}}}, {"format": 2}),
    *({"precision": "fp64"}, {"precision": None}, {"precision": ["bf16"]}, {"precision": {"a": 1}}, {"format": None}),
]


@pytest.mark.parametrize("changes", MALICE, ids=lambda c: str(c)[:60])
def test_a_header_written_to_do_harm_is_refused(good, changes, tmp_path, monkeypatch):
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("a file ran a command"))
    path = rewritten(good, tmp_path / "evil", **changes)
    if changes == {"item_tfms": None}:
        assert sm.load_learner(path, device="cpu").item_tfms == ()
        return
    with pytest.raises(ModelFileError, match="evil"):
        sm.load_learner(path, device="cpu")


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", "NaN", "1" * 5000, "[" * 900 + "]" * 900, "[" * 100_000])
def test_a_header_that_is_something_else(good, text, tmp_path):
    path = tmp_path / "other"
    path.write_bytes(good[0])
    save_file(load_file(path), path, {KEY: text, DIGEST: digest_of_text(text)})
    with pytest.raises(ModelFileError, match="other"):
        sm.load_learner(path)


@pytest.mark.parametrize("field", ["model", "blocks", "item_tfms", "loss"])
@pytest.mark.parametrize("depth", [60, 450])
def test_deep_nesting_is_refused_in_every_field(good, field, depth, tmp_path):
    nested = {"opaque": "x"}
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(ModelFileError):
        sm.load_learner(rewritten(good, tmp_path / "deep", **{field: nested}))


def test_weights_of_another_kind_are_refused(good, tmp_path):
    path = tmp_path / "ints"
    path.write_bytes(good[0])
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    del metadata[CONTENTS_DIGEST]
    save_file({name: t.to(torch.int32) for name, t in load_file(path).items()}, path, metadata)
    with pytest.raises(ModelFileError, match=r"is of torch\.int32, the model's is of torch\.float32"):
        sm.load_learner(path)


def test_export_is_whole_or_not_at_all(tmp_path, monkeypatch):
    learn = quiet(arrays(), sm.linear_model(D, K))
    path = learn.export(tmp_path / "m")
    before = path.read_bytes()
    learn.fit(1)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        learn.export(path)
    assert path.read_bytes() == before


def test_classes_that_are_not_the_outputs_are_refused(tmp_path):
    x = torch.randn(9, 5)
    data = sm.DataLoaders.from_arrays(x, torch.arange(9) % 3, bs=3)
    learn = sm.Learner(data, torch.nn.Sequential(torch.nn.Linear(5, 2)), progress=False)
    path = learn.export(tmp_path / "model.safetensors")
    with pytest.raises(sm.ModelFileError, match="its model gives 2 numbers an item, but its blocks name 3 classes"):
        sm.load_learner(path)
    with pytest.raises(ValueError, match="the model gives 2 numbers an item, but there are 3 classes"):
        learn.predict(x[0].numpy())


def test_a_transform_with_weights_of_its_own_is_asked_for_and_not_made_anew(pictures, tmp_path):
    """A header can hold no weights, and random ones in their place would be a silent mistake."""
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean += 0.5
    learn = quiet(image_data(pictures, batch_tfms=[sm.Normalize(mean=(0.0,) * 3, std=(1.0,) * 3), norm]), "small_cnn")
    path = learn.export(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"batch_tfms has parts of your own.*torch\.nn\.BatchNorm2d"):
        sm.load_learner(path, device="cpu")
    again = sm.load_learner(path, batch_tfms=learn.predictor().batch_tfms, device="cpu")
    file = sm.get_image_files(pictures)[0]
    assert torch.equal(again.predict(file).probabilities, learn.predict(file).probabilities)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    learn = quiet(arrays(np.array(["a", "b", "x" * 20_000])[Y]), sm.linear_model(D, K))
    with pytest.raises(ModelFileError, match=r"m: cannot be written.*a text of 20,000 characters"):
        learn.export(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_header_and_weights_are_of_one_file(tmp_path, monkeypatch):
    """Another process may export to the same name between two looks; so there is only one."""
    opened = []
    monkeypatch.setattr("satsuma.train.checkpoint.safe_open", lambda *a, **k: opened.append(a) or safe_open(*a, **k))
    sm.load_learner(quiet(arrays(), sm.linear_model(D, K)).export(tmp_path / "m"), device="cpu")
    assert len(opened) == 1
