"""A learner made anew from a run's folder trains the very same run again."""

import functools
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import satsuma as sm
from satsuma.learner.beginnings import first_weights, loaders_in_turn, run_name
from satsuma.learner.rebuilt import rebuilt_learner
from satsuma.learner.recording import learner_recipe

pytestmark = pytest.mark.usefixtures("no_scripts")

SIDE = 20


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "bilder"
    for i in range(24):
        noise = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
        noise[..., i % 2] //= 3
        place = folder / ("left", "right")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(place)
    return folder


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory):
    """A file of SqueezeNet weights."""
    torch.manual_seed(5)
    file = tmp_path_factory.mktemp("weights") / "squeezenet1_1-test.safetensors"
    save_file({k: v.contiguous() for k, v in sm.squeezenet1_1().state_dict().items()}, file)
    return file


def loaders(pictures, **settings):
    given = {"bs": 5, "batch_tfms": [sm.Flip(), sm.Shift(2), sm.Normalize()], "seed": 3}
    return sm.ImageDataLoaders.from_folder(pictures, **{**given, **settings})


def quiet(data, model="small_cnn", **settings):
    return sm.Learner(data, model, **{"progress": False, "seed": 7, **settings})


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 81, 2))


def trained_again(learn):
    """The values of the same calls on a learner that has not been trained."""
    calls, learn.calls = learn.calls, []
    learn.recorder = type(learn.recorder)()
    learn.epochs_done = 0
    for name, arguments in calls:
        if name != "load":  # before the first fit: it is in the first weights
            getattr(learn, name)(**arguments)
    return learn.recorder


def same_recipe(learn, again):
    """Whether both say the same of themselves, but for what only a learner with a folder writes."""
    ours, theirs = learner_recipe(learn), learner_recipe(again)
    ours.pop("first_weights", None)
    assert ours == theirs


# --- runs that a recipe holds -------------------------------------------------------------------------------------


def fit_plainly(learn):
    learn.fit_one_cycle(2, 0.01, moms=None)
    learn.fit(1, slice(0.001), schedule=functools.partial(sm.cosine, total=9), wd=0.1)


def fine_tune(learn):
    learn.fine_tune(1, 0.01)
    learn.freeze_to(1)
    learn.fit(1, early_stopping=sm.EarlyStopping(patience=2))


def by_name(pictures, squeezed, folder):
    return quiet(loaders(pictures), metrics=[sm.accuracy, sm.error_rate], mixup=sm.MixUp(), l2=1e-3, run_dir=folder)


def by_module(pictures, squeezed, folder):
    learn = quiet(loaders(pictures), small(), opt_func=functools.partial(sm.SGD, momentum=0.5), run_dir=folder)
    nn.init.normal_(learn.model[3].weight, std=0.01)
    return learn


def by_load(pictures, squeezed, folder):
    learn = quiet(loaders(pictures), functools.partial(sm.small_cnn, 3, 2), run_dir=folder, path=folder.parent)
    file = quiet(loaders(pictures), functools.partial(sm.small_cnn, 3, 2), seed=8, path=folder.parent).save("before")
    learn.load("before")
    file.unlink()
    return learn


def transferred(pictures, squeezed, folder):
    data = loaders(pictures, size=24)
    return sm.vision_learner(
        data, "squeezenet1_1", weights=squeezed, hidden=16, dropout=0.3, progress=False, run_dir=folder, seed=0
    )


@pytest.mark.parametrize(
    ("make", "train"),
    [(by_name, fit_plainly), (by_module, fit_plainly), (by_load, fit_plainly), (transferred, fine_tune)],
)
def test_a_rebuilt_learner_is_the_same_and_trains_the_same_again(make, train, pictures, squeezed, tmp_path):
    learn = make(pictures, squeezed, tmp_path / "run")
    train(learn)
    before = sorted(p for p in (tmp_path / "run").rglob("*"))
    state = torch.get_rng_state()
    again = rebuilt_learner(tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), state)
    same_recipe(learn, again)
    assert run_name(again) == "run"
    assert again.past.weights_file == learn.past.weights_file
    ours, theirs = first_weights(learn), first_weights(again)
    assert (ours is None) == (theirs is None)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours or {})
    assert again.recorder.values == learn.recorder.values
    assert again.recorder.losses == learn.recorder.losses
    assert again.recorder.epoch_ends == learn.recorder.epoch_ends
    assert [row.epoch for row in again.recorder.epochs] == list(range(again.epochs_done))
    assert trained_again(again).losses == learn.recorder.losses
    assert sorted(p for p in (tmp_path / "run").rglob("*")) == before


def test_files_that_were_skipped_stay_out_and_are_not_looked_for_again(pictures, tmp_path):
    (pictures / "left" / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 25 files cannot be read"):
        data = loaders(pictures, on_unreadable="skip")
    learn = quiet(data, run_dir=tmp_path / "run")
    learn.fit(1)
    (skipped,) = json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]["skipped"]
    assert skipped[0].endswith("broken.png")
    again = rebuilt_learner(tmp_path / "run")
    assert again.dls.report.unreadable == learn.dls.report.unreadable
    assert [d.dataset.items for d in again.dls.loaders] == [d.dataset.items for d in learn.dls.loaders]
    assert again.dls.block == learn.dls.block
    assert again.dls.source == pictures


def test_loaders_changed_between_fits_come_in_turn(pictures, tmp_path):
    learn = quiet(loaders(pictures, cache="pixels"), run_dir=tmp_path / "run")
    first = learn.dls
    learn.fit(1)
    learn.dls = loaders(pictures, size=28, bs=7)
    learn.fit(1)
    kept = loaders_in_turn(learn)[0]
    assert first.train.dataset.paths[0].cache is not None
    assert kept.train.dataset.paths[0].cache is None
    again = rebuilt_learner(tmp_path / "run")
    assert [d.bs for d in loaders_in_turn(again)] == [d.bs for d in loaders_in_turn(learn)] == [5, 7]
    assert [name for name, _ in again.calls] == ["fit", "dls", "fit"]
    same_recipe(learn, again)


def test_a_run_that_was_cut_off_says_how_far_it_came(pictures, tmp_path):
    learn = quiet(loaders(pictures), run_dir=tmp_path / "run")
    learn.fit(2)
    file = tmp_path / "run" / "recipe.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "ends": []}))
    history = tmp_path / "run" / "history.jsonl"
    history.write_text(history.read_text() + '{"kind": "step", "ep')
    (end,) = rebuilt_learner(tmp_path / "run").past.ends
    assert (end.epochs, end.steps, end.cause) == (2, len(learn.recorder.losses), "cut off")


# --- what cannot be made again ------------------------------------------------------------------------------------


def changed(folder, change):
    file = folder / "recipe.json"
    recipe = json.loads(file.read_text())
    change(recipe)
    file.write_text(json.dumps(recipe))


@pytest.fixture
def run(pictures, tmp_path):
    quiet(loaders(pictures), run_dir=tmp_path / "run").fit(1)
    return tmp_path / "run"


def test_data_that_are_gone_or_fewer_are_told(run, pictures):
    (pictures / "left" / "0.png").unlink()
    with pytest.warns(UserWarning, match=r"trained on \d+ items and held out \d+; now .*bilder gives"):
        rebuilt_learner(run)
    shutil.rmtree(pictures)
    with pytest.raises(sm.UserError, match=r"bilder: the run's data are not there as they were: .*does not exist"):
        rebuilt_learner(run)


def test_other_versions_and_unknown_parts_are_told(run):
    changed(run, lambda r: r["data"]["block"]["kwargs"].update(splitter={"name": "satsuma.gone"}))
    with pytest.raises(sm.UserError, match=r"recipe cannot be read: 'satsuma.gone' is not in the table"):
        rebuilt_learner(run)
    changed(run, lambda r: r["versions"].update(satsuma="0.0.1"))
    with pytest.raises(sm.UserError, match=r"written by Satsuma 0\.0\.1, and this is"):
        rebuilt_learner(run)


def test_a_call_that_is_none_is_told(run):
    changed(run, lambda r: r["fits"].append({"method": "conquer", "arguments": {}}))
    with pytest.raises(sm.UserError, match="a call of no known kind: 'conquer'"):
        rebuilt_learner(run)


def test_a_seed_that_gives_other_weights_here_is_told(run):
    changed(run, lambda r: r.update(first_digest="0" * 64))
    with pytest.raises(sm.UserError, match="cannot be drawn again"):
        rebuilt_learner(run)


def test_weights_that_are_gone_are_told(pictures, squeezed, tmp_path):
    file = shutil.copy(squeezed, tmp_path / "body.safetensors")
    transferred(pictures, file, tmp_path / "run").fit(1)
    file.unlink()
    with pytest.raises(sm.UserError, match=r"body\.safetensors: the trained weights .* are gone"):
        rebuilt_learner(tmp_path / "run")
    by_module(pictures, squeezed, tmp_path / "mine").fit(1)
    (tmp_path / "mine" / "checkpoints" / "first.safetensors").unlink()
    with pytest.raises(sm.UserError, match=r"first\.safetensors: the weights that the run began with cannot be read"):
        rebuilt_learner(tmp_path / "mine")


def test_a_device_that_is_not_here_is_told(run):
    changed(run, lambda r: r["settings"].update(device="cuda:77"))
    with pytest.raises(sm.UserError, match=r"run: its learner cannot be made again here: device cuda:77"):
        rebuilt_learner(run)
