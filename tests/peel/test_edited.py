"""Runs whose data are edited, as scripts: the same losses, and the edits to read in them."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from tests.peel.digits import picture_folder
from tests.peel.run_script import run_script
from tests.peel.trained import saved
from torch import nn

import satsuma as sm
from satsuma.learner.rebuilt import rebuilt_data, rebuilt_learner
from satsuma.learner.recording import data_recipe
from satsuma.peel import edited_code
from satsuma.ship.recipe import from_recipe, to_recipe

EDITS = sm.Edits(
    labels={"digit_0/000.png": "digit_1", "digit_2/002.png": "seven"},
    moves={"digit_1/001.png": "valid", "digit_2/015.png": "train"},
    excluded=["digit_0/010.png", "digit_1/011.png"],
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("data") / "digits", n=24)


def small(classes=4):
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 49, classes))


def trained(dls, model, folder=None, **settings):
    learn = sm.Learner(dls, model, seed=7, progress=False, run_dir=folder, precision="float32", **settings)
    learn.fit(2, 0.05)
    return learn


def same_script(learn, depth, folder):
    """The script of a run, which was seen to train the same."""
    script = learn.peel(depth)
    found = run_script(saved(script, folder / depth), depth=depth)
    exact = depth in ("loop", "torch")
    expected = learn.recorder.losses
    assert found.losses == (expected if exact else pytest.approx(expected, rel=1e-4))
    return script.text


def nothing(*given):
    """No script."""


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    given = {"channels": 1, "bs": 5, "workers": 0, "batch_tfms": [sm.Flip(), sm.Normalize()], "valid_pct": 0.25}
    dls = sm.ImageDataLoaders.from_folder(digits, edits=EDITS, **given)
    assert dls.vocab == ("digit_0", "digit_1", "digit_2", "seven")
    with pytest.MonkeyPatch.context() as without:
        without.setattr("satsuma.learner.scripts.write_script", nothing)  # it is written here, at every depth
        return trained(dls, "small_cnn", tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.parametrize("depth", ["loop", "torch", "tensors"])
def test_a_run_on_an_edited_folder_trains_the_same_at_every_depth(run, digits, tmp_path, depth):
    text = same_script(run, depth, tmp_path)
    if depth != "loop":
        assert 'RELABELLED = {"digit_0/000.png": "digit_1", "digit_2/002.png": "seven"}' in text
        assert 'MOVED = {"digit_1/001.png": "valid", "digit_2/015.png": "train"}' in text
        assert 'LEFT_OUT = {"digit_0/010.png", "digit_1/011.png"}' in text
        assert "/digit_" not in text.replace('"digit_', "").split("RELABELLED = ")[1].split("def ")[1]
    else:
        assert '"digit_0/000.png": "digit_1"' in text
    (tmp_path / "other").symlink_to(digits)  # the data may lie elsewhere
    moved = run_script(tmp_path / depth / "script.py", "--data", str(tmp_path / "other"), depth=depth)
    assert moved.losses == pytest.approx(run.recorder.losses, rel=1e-4)


def test_a_run_is_rebuilt_with_its_edits(run):
    again = rebuilt_learner(run.run_dir)
    assert again.dls.block.edits == EDITS
    assert again.dls.fingerprints == run.dls.fingerprints
    assert [len(p) for p in again.dls.places] == [len(p) for p in run.dls.places]
    again.calls, again.recorder, again.epochs_done = [], type(again.recorder)(), 0
    again.fit(2, 0.05)
    assert again.recorder.losses == run.recorder.losses


def test_a_recipe_holds_edits_of_every_kind():
    labels = {"a": ("x", "y"), "b": 0.5, "c": 3, "d/\udce9\n": "日本", "e": ()}
    for edits in (sm.Edits(), EDITS, sm.Edits(labels=labels, excluded=["f"])):
        recipe = to_recipe(edits)
        assert from_recipe(json.loads(json.dumps(recipe))) == edits
        assert set(recipe["kwargs"]) == {name for name in ("labels", "moves", "excluded") if getattr(edits, name)}


def test_files_that_cannot_be_read_and_many_edits(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(edited_code, "MOST", 1)
    folder = tmp_path / "digits"
    for file in digits.rglob("*.png"):
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / file.parent.name / file.name).write_bytes(file.read_bytes())
    (folder / "digit_1" / "009.png").write_bytes(b"broken")
    given = {"channels": 1, "bs": 5, "workers": 0, "on_unreadable": "skip"}
    learn = trained(sm.ImageDataLoaders.from_folder(folder, edits=EDITS, **given), small)
    assert len(learn.dls.report.unreadable) == 1
    text = same_script(learn, "torch", tmp_path)
    assert "digit_0/000.png" not in text  # many edits lie beside the script
    again = rebuilt_data(data_recipe(learn.dls))
    assert again.fingerprints == learn.dls.fingerprints
    assert again.report.unreadable == learn.dls.report.unreadable


@pytest.fixture(scope="module")
def tags(digits):
    files = sorted(digits.rglob("*.png"))
    names = [file.relative_to(digits).as_posix() for file in files]
    labels = [f"{'round' if '_0' in name else ''} {'odd' if '_1' in name else 'even'}" for name in names]
    pd.DataFrame({"file": names, "tags": labels}).to_csv(digits / "tags.csv", index=False)
    yield digits / "tags.csv"
    (digits / "tags.csv").unlink()


def test_several_labels_in_a_table(tags, tmp_path):
    edits = sm.Edits(labels={"digit_0/000.png": ["odd"], "digit_2/002.png": []}, excluded=["digit_1/011.png"])
    given = {"channels": 1, "bs": 5, "workers": 0, "label_delim": " ", "edits": edits}
    learn = trained(sm.ImageDataLoaders.from_csv(tags, **given), small(3), loss_func=sm.binary_cross_entropy)
    text = same_script(learn, "torch", tmp_path)
    assert '/digit_0/000.png": ["odd"]' in text


def inverted(picture):
    return 255 - np.asarray(picture)


def test_a_user_s_own_transform_and_other_data_in_the_middle(digits, tmp_path):
    given = {"channels": 1, "bs": 5, "workers": 0, "item_tfms": [inverted], "valid_pct": 0.25}
    learn = trained(sm.ImageDataLoaders.from_folder(digits, edits=EDITS, **given), small)
    other = sm.Edits(labels={"digit_2/002.png": "seven"}, excluded=EDITS.excluded)
    learn.dls = sm.ImageDataLoaders.from_folder(digits, edits=other, **given)
    learn.fit(1, 0.02)
    text = same_script(learn, "torch", tmp_path)
    assert "EditedLabel" in text
    assert 'MOVED = {"digit_1' in text
    assert "for i in train_part if keys[i] not in DATA_1_LEFT_OUT]" in text


def flat(item):
    return item[0].reshape(-1)


def name_of(item):
    return f"digit {item[1]}"


def test_items_in_memory(tmp_path):
    rng = np.random.default_rng(3)
    items = [(rng.random((3, 3)).astype(np.float32), i % 3) for i in range(22)]
    edits = sm.Edits(labels={"2": "digit 0", "5": "nine"}, moves={"7": "valid"}, excluded=["0", "11"])
    block = sm.DataBlock(
        blocks=(sm.TransformBlock, sm.CategoryBlock),
        get_x=flat,
        get_y=name_of,
        splitter=sm.RandomSplitter(0.2),
        edits=edits,
    )
    learn = trained(block.dataloaders(items, bs=4), functools.partial(nn.Linear, 9, 4))
    text = same_script(learn, "torch", tmp_path)
    assert 'RELABELLED = {"2": "digit 0", "5": "nine"}' in text
