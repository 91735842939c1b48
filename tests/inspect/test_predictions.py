"""Predictions: what `get_preds` gives, with names, keys and features, in one pass; kept while nothing has changed."""

import functools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.inspect.made import made_predictions
from torch import nn

import satsuma as sm
from satsuma.inspect import predictions as home
from satsuma.inspect.predictions import Predictions, predictions_of
from satsuma.train.checkpoint import save_tensors

pytestmark = pytest.mark.usefixtures("no_scripts")

G = torch.Generator().manual_seed(0)
X = torch.randn(53, 7, generator=G)
LABELS = [["ant", "bee", "cat"][i] for i in X[:, :3].argmax(1).tolist()]


def deep_model(outputs=3):
    return nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, outputs))


def learner(tmp_path=None, *, model=None, y=LABELS, **settings):
    data = sm.DataLoaders.from_arrays(X, y, bs=11, seed=3)
    return sm.Learner(data, model or deep_model, progress=False, run_dir=tmp_path, **settings)


class Passes:
    """Counts how many samples go through a model."""

    def __init__(self, model):
        self.samples = 0
        model.register_forward_pre_hook(self.count)

    def count(self, model, inputs):
        self.samples += len(inputs[0])


@pytest.mark.parametrize("ds_idx", [0, 1])
def test_they_are_what_get_preds_gives_with_what_enters_the_last_linear_layer(ds_idx):
    learn = learner()
    passes = Passes(learn.model)
    found = predictions_of(learn, ds_idx)
    n = len(learn.dls[ds_idx].dataset)
    assert passes.samples == n == len(found)  # one pass
    probabilities, targets, decided, losses = learn.get_preds(ds_idx=ds_idx, with_loss=True, with_decoded=True)
    assert found.kind == "category"
    assert found.vocab == ("ant", "bee", "cat")
    for own, given in ((found.outputs, probabilities), (found.targets, targets), (found.decided, decided)):
        assert np.array_equal(own, given.numpy())
    assert np.allclose(found.losses, losses.numpy(), rtol=1e-6)
    x = torch.stack([learn.dls[ds_idx].dataset[i][0] for i in range(n)])
    with torch.no_grad():
        features = learn.model[1](learn.model[0](x))
    assert np.allclose(found.features, features.numpy(), atol=1e-6)
    assert found.features.shape == (n, 5)
    assert found.half == ("train", "valid")[ds_idx]
    assert found.names[:2] == ("sample 0", "sample 1")
    assert found.keys[:2] == ("0", "1")
    assert found.right.sum() == (decided == targets).sum()
    assert found.loss == pytest.approx(learn.validate(ds_idx=ds_idx).loss, rel=1e-5)
    assert not learn.model[2]._forward_pre_hooks


def test_the_model_keeps_no_hook_when_the_pass_fails():
    learn = learner(model=deep_model(3))
    learn.model[1] = nn.Linear(4, 5)  # does not fit
    with pytest.raises(RuntimeError):
        predictions_of(learn)
    assert not learn.model[2]._forward_pre_hooks


def test_several_labels():
    y = np.stack([X[:, 0] > 0, X[:, 1] > 1], 1).astype("float32")
    block = sm.MultiCategoryBlock(vocab=("rain", "wind"), encoded=True, threshold=0.3)
    items = list(zip(X.numpy(), y, strict=True))
    blocks = sm.DataBlock(blocks=(sm.TransformBlock(), block), splitter=sm.RandomSplitter(0.4, 1))
    learn = sm.Learner(blocks.dataloaders(items, bs=11), functools.partial(deep_model, 2), progress=False)
    found = predictions_of(learn)
    preds, targets, decided = learn.get_preds(with_decoded=True)
    assert found.kind == "multi"
    assert found.vocab == ("rain", "wind")
    assert np.array_equal(found.outputs, preds.numpy())
    assert found.targets.dtype == found.decided.dtype == bool
    assert np.array_equal(found.targets, targets.numpy() == 1)
    assert np.array_equal(found.decided, decided.numpy())
    both = int(np.flatnonzero(found.targets.all(1))[0])
    assert found.label(both) == "rain, wind"
    assert found.text_of(np.array([False, False])) == "(none)"
    assert list(found.right) == [bool((d == t).all()) for d, t in zip(found.decided, found.targets, strict=True)]
    places = learn.dls.places[1].tolist()
    assert list(found.keys) == [str(i) for i in places]  # places among all items, not within the half


def test_numbers():
    learn = learner(model=functools.partial(deep_model, 2), y=X[:, :2].numpy() * 3)
    found = predictions_of(learn)
    assert found.kind == "regression"
    assert found.vocab == ()
    preds, targets = learn.get_preds()
    assert np.array_equal(found.outputs, preds.numpy())
    assert np.array_equal(found.decided, found.outputs)
    assert np.array_equal(found.targets, targets.numpy())
    with pytest.raises(ValueError, match="a regression is not right or wrong"):
        _ = found.right


def test_files_are_called_by_their_path_and_below_the_source(tmp_path):
    random.seed(0)
    for name in ("ant", "bee"):
        for i in range(6):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (5, 5), random.randrange(256)).save(tmp_path / "photos" / name / f"{i}.png")
    block = sm.DataBlock(
        blocks=(sm.ImageBlock(channels=1), sm.CategoryBlock()),
        get_items=sm.get_image_files,
        get_y=sm.parent_label,
        splitter=sm.RandomSplitter(0.5, 1),
    )
    data = block.dataloaders(tmp_path / "photos", bs=4, check=False)
    learn = sm.Learner(data, nn.Sequential(nn.Flatten(), nn.Linear(25, 2)), progress=False)
    found = predictions_of(learn)
    assert found.names[0] == str(data.valid.dataset.items[0])
    assert found.keys == tuple(f.relative_to(tmp_path / "photos").as_posix() for f in data.valid.dataset.items)


def test_features_that_there_are_not(monkeypatch):
    pool = nn.Sequential(nn.Unflatten(1, (1, 7)), nn.Conv1d(1, 3, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    assert predictions_of(learner(model=pool)).features is None
    monkeypatch.setattr(home, "MOST_FEATURES", 11 * 5 - 1)
    few = predictions_of(learner())
    assert few.features is None
    assert len(few) == 11


def test_they_are_kept_with_the_run_until_something_changes(tmp_path):
    learn = learner(tmp_path / "run")
    passes = Passes(learn.model)
    first = predictions_of(learn)
    assert (tmp_path / "run" / "inspect" / "valid.safetensors").is_file()
    again = predictions_of(learn)
    assert passes.samples == 11
    assert np.array_equal(first.outputs, again.outputs)
    assert np.array_equal(first.features, again.features)
    assert (first.names, first.keys, first.vocab) == (again.names, again.keys, again.vocab)
    with torch.no_grad():
        learn.model[2].bias[0] += 1
    other = predictions_of(learn)
    assert passes.samples == 22
    assert other.digest != first.digest
    assert not np.array_equal(other.outputs, first.outputs)


@pytest.mark.parametrize("change", ["labels", "weights of the loss", "precision", "transforms"])
def test_kept_ones_of_something_else_are_computed_anew(tmp_path, change):
    def made(labels=LABELS, weight=1.0, precision="float32", scale=1.0):
        items = list(zip(X.numpy() if scale else X, labels, strict=True))
        block = sm.DataBlock(
            blocks=(sm.TransformBlock(), sm.CategoryBlock()),
            splitter=sm.RandomSplitter(0.2, 1),
            batch_tfms=[functools.partial(times, factor=scale)],
        )
        loss = nn.CrossEntropyLoss(weight=torch.tensor([weight, 1.0, 1.0]))
        data = block.dataloaders(items, bs=11)
        return sm.Learner(
            data, deep_model, loss_func=loss, progress=False, run_dir=tmp_path / "run", precision=precision
        )

    first = predictions_of(made())
    assert predictions_of(made()).made_by == first.made_by
    settings = {
        "labels": {"labels": [*LABELS[1:], LABELS[0]]},
        "weights of the loss": {"weight": 2.0},
        "precision": {"precision": "bf16"},
        "transforms": {"scale": 3.0},
    }
    learn = made(**settings[change])
    passes = Passes(learn.model)
    other = predictions_of(learn)
    assert passes.samples == len(other)
    assert other.digest == first.digest
    assert other.made_by != first.made_by


def times(x, factor):
    return x * factor


def test_a_data_set_of_ones_own_is_not_kept(tmp_path):
    data = sm.DataLoaders(sm.DataLoader(Own(), 5), sm.DataLoader(Own(), 5))
    learn = sm.Learner(data, deep_model, loss_func=sm.cross_entropy, progress=False, run_dir=tmp_path / "run")
    found = predictions_of(learn)
    assert found.vocab == ("0", "1", "2")
    assert not (tmp_path / "run" / "inspect").exists()


class Own:
    def __len__(self):
        return 11

    def __getitem__(self, i):
        return X[i], i % 3


def test_a_damaged_file_is_computed_anew(tmp_path):
    learn = learner(tmp_path / "run")
    first = predictions_of(learn)
    file = tmp_path / "run" / "inspect" / "valid.safetensors"
    for content in (b"", file.read_bytes()[:-7], b"{}" * 50):
        file.write_bytes(content)
        assert np.array_equal(predictions_of(learn).outputs, first.outputs)
    assert Predictions.load(file).digest == first.digest  # written again


def test_names_of_any_letters_survive_saving(tmp_path):
    found = predictions_of(learner())
    strange = ("größe\n犬", "a" * 5000, "\udcff", *found.names[3:])
    kept = Predictions(**{**{f: getattr(found, f) for f in found.__slots__}, "names": strange})
    kept.save(tmp_path / "p.safetensors")
    assert Predictions.load(tmp_path / "p.safetensors").names == strange


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_tensors({"outputs": torch.zeros(3)}, file)
    with pytest.raises(ValueError, match="no predictions of this version"):
        Predictions.load(file)
    with pytest.raises(FileNotFoundError):
        Predictions.load(tmp_path / "none.safetensors")
    save_tensors({"outputs": torch.zeros(3)}, file, {"satsuma_predictions": "1", "kind": "multi"})
    with pytest.raises(ValueError, match="no whole file of predictions"):
        Predictions.load(file)


def test_parts_of_other_lengths_are_refused(tmp_path):
    found = predictions_of(learner())
    cut = Predictions(**{**{f: getattr(found, f) for f in found.__slots__}, "keys": found.keys[1:]})
    with pytest.raises(ValueError, match="differ in length"):
        Predictions.load(cut.save(tmp_path / "p.safetensors"))


def test_a_loader_that_there_is_not():
    with pytest.raises(ValueError, match="no loader 2; the learner has 2"):
        predictions_of(learner(), 2)
    alone = sm.Learner(sm.DataLoaders(sm.DataLoader(Own(), 5)), deep_model, loss_func=sm.cross_entropy, progress=False)
    with pytest.raises(ValueError, match="nothing is held out to validate on, so use ds_idx=0"):
        predictions_of(alone)


def test_features_of_a_compiled_model_are_there():
    learn = learner()
    learn.model._compiled_call_impl = learn.model.forward  # as torch.compile leaves it: code that heeds no later hook
    before = learn.model._compiled_call_impl
    learn.model[2]._compiled_call_impl = None
    assert predictions_of(learn).features.shape == (11, 5)
    assert learn.model._compiled_call_impl is before


def test_looking_changes_nothing_of_training():
    def trained(looks):
        learn = learner(model=lambda: nn.Sequential(deep_model(), nn.Dropout(0.5)))
        learn.fit(1)
        if looks:
            learn.interpret()
        learn.fit(1)
        return learn.model.state_dict()

    for plain, looked in zip(trained(False).values(), trained(True).values(), strict=True):
        assert torch.equal(plain, looked)


def test_of_several_threads_one_computes(tmp_path):
    learn = learner(tmp_path / "run")
    passes = Passes(learn.model)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: predictions_of(learn).digest, range(4)))
    assert len(set(found)) == 1
    assert passes.samples == 11


def test_a_run_that_cannot_be_written_to_is_looked_at_all_the_same(tmp_path):
    learn = learner(tmp_path / "run")
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "inspect").write_text("in the way")
    with pytest.warns(UserWarning, match="the predictions are not kept: "):
        found = predictions_of(learn)
    assert len(found) == 11


@pytest.mark.parametrize(
    ("kind", "k", "part"),
    [
        ("category", 3, {"kind": "anything"}),
        ("category", 3, {"kind": "regression"}),
        ("category", 3, {"vocab": ("a",)}),
        ("category", 3, {"targets": np.full(7, 3)}),
        ("category", 3, {"decided": np.full(7, -1)}),
        ("category", 3, {"targets": np.full(7, 0.5, np.float32)}),
        ("category", 3, {"outputs": np.zeros(7, np.float32)}),
        ("category", 3, {"outputs": np.zeros((7, 2), np.float32)}),
        ("category", 3, {"losses": np.zeros((7, 1), np.float32)}),
        ("category", 3, {"losses": None}),
        ("category", 3, {"features": np.zeros((7, 2, 2), np.float32)}),
        ("multi", 3, {"targets": np.zeros((7, 2), bool)}),
        ("regression", 2, {"outputs": np.zeros((7, 3), np.float32)}),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, kind, k, part):
    whole = made_predictions(kind, 7, k)
    assert len(Predictions.load(whole.save(tmp_path / "whole.safetensors"))) == 7
    file = replace(whole, **part).save(tmp_path / "unfit.safetensors")
    with pytest.raises(ValueError, match=r"unfit\.safetensors: no whole file of predictions \("):
        Predictions.load(file)
