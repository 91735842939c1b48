"""When a run's scripts are written, and which script a run's folder gives. The scripts here are stand-ins."""

import json
import signal
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import satsuma as sm
from satsuma.errors import PeelError
from satsuma.learner import peeling, scripts
from satsuma.learner.peeling import peel_run

X = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)


@dataclass
class Script:
    text: str
    depth: str
    arrays: dict = field(default_factory=dict)
    name: str = ""

    def save(self, path):
        Path(path).write_text(self.text)
        np.savez(Path(path).with_suffix(".npz"), **self.arrays)


class Peeled:
    """In the place of `peeled`: it notes what it was asked for."""

    def __init__(self):
        self.asked, self.fails, self.arrays = [], {}, {"train_0": np.arange(3)}

    def __call__(self, learn, depth, beginning):
        self.asked.append((depth, beginning))
        if depth in self.fails:
            raise self.fails[depth]
        fits = [call for call in learn.calls if call[0].startswith("fi")]
        return Script(f"# {beginning.name} {depth} after {len(fits)} fits\n", depth, self.arrays, beginning.name)


@pytest.fixture(autouse=True)
def peeled(monkeypatch):
    stand_in = Peeled()
    monkeypatch.setitem(sys.modules, "satsuma.peel.peel", SimpleNamespace(peeled=stand_in))
    monkeypatch.setitem(sys.modules, "satsuma.peel.script", SimpleNamespace(Script=Script))
    return stand_in


def made():
    return sm.mlp((7, 5, 3))


def arrays(**settings):
    return sm.Learner(sm.DataLoaders.from_arrays(X, Y, bs=11), made, **{"progress": False, **settings})


def pictures(folder, **settings):
    for i in range(12):
        place = folder / ("left", "right")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (9, 9, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(place)
    data = sm.ImageDataLoaders.from_folder(folder, bs=3)
    return sm.Learner(data, "small_cnn", **{"progress": False, **settings})


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# --- learners -----------------------------------------------------------------------------------------------------


def test_a_learner_peels_before_and_after_training_and_says_what_it_began_with(peeled):
    learn = arrays()
    assert learn.peel().text == "#  torch after 0 fits\n"
    learn.fit(1)
    assert learn.peel("numpy").text == "#  numpy after 1 fits\n"
    _, beginning = peeled.asked[-1]
    assert (beginning.loaders, beginning.weights, beginning.weights_file) == ([learn.dls], None, None)


def test_a_depth_that_is_none_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"'tensor' is no depth .*did you mean 'tensors'"):
        arrays().peel("tensor")
    with pytest.raises(ValueError, match=r"did you mean 'numpy'"):
        peel_run(tmp_path, "nunpy")


# --- what a fit leaves --------------------------------------------------------------------------------------------


def test_a_run_that_its_recipe_holds_keeps_its_torch_script_and_gives_the_others_when_someone_asks(tmp_path, peeled):
    learn = pictures(tmp_path / "data", run_dir=tmp_path / "run")
    learn.fit(1)
    learn.fit(1)
    assert (tmp_path / "run" / "train.py").read_text() == "# run torch after 2 fits\n"
    assert not (tmp_path / "run" / "peel").exists()
    assert [depth for depth, _ in peeled.asked] == ["torch", "torch"]
    assert peel_run(tmp_path / "run", "loop").text == "# run loop after 2 fits\n"


class Watches(sm.Hook):
    pass


@pytest.mark.parametrize(
    "own",
    [
        {"loss_func": lambda outputs, targets: nn.functional.cross_entropy(outputs, targets)},
        {"hooks": Watches()},
        {"metrics": [lambda outputs, targets: outputs.mean()]},
    ],
)
def test_a_run_with_parts_of_ones_own_keeps_all_depths(own, tmp_path, peeled):
    pictures(tmp_path / "data", run_dir=tmp_path / "run", **own).fit(1)
    n = len(peeled.asked)
    for depth in ("loop", "torch", "tensors", "numpy"):
        script = peel_run(tmp_path / "run", depth)
        assert (script.text, script.depth, script.name) == (f"# run {depth} after 1 fits\n", depth, "run")
        assert script.arrays["train_0"].tolist() == [0, 1, 2]
    assert len(peeled.asked) == n


def test_data_in_memory_are_written_once(tmp_path):
    arrays(run_dir=tmp_path / "run").fit(1)
    found = [name for name in files(tmp_path / "run") if name.startswith(("peel", "train"))]
    assert found == ["peel/loop.py", "peel/numpy.py", "peel/tensors.py", "train.npz", "train.py"]


def test_large_data_are_not_copied_and_that_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scripts, "LARGE", 10)
    learn = arrays(run_dir=tmp_path / "run", progress=True)
    learn.fit(1)
    learn.fit(1)
    assert "train.npz" not in files(tmp_path / "run")
    assert capsys.readouterr().out.count("train.py does not bring its data, 0 MiB") == 1
    assert peel_run(tmp_path / "run", "numpy").arrays == {}


def test_what_cannot_be_a_script_says_why_once_and_leaves_no_old_script(tmp_path, peeled, capsys):
    learn = arrays(run_dir=tmp_path / "run", progress=True)
    learn.fit(1)
    assert (tmp_path / "run" / "train.py").exists()
    peeled.fails = {"torch": PeelError("the loss is a lambda"), "numpy": PeelError("no convolutions")}
    capsys.readouterr()
    learn.fit(1)
    learn.fit(1)
    out = capsys.readouterr().out
    assert out.count("no script of this run (train.txt): the loss is a lambda") == 1
    assert "no convolutions" not in out
    assert not (tmp_path / "run" / "train.py").exists()
    with pytest.raises(PeelError, match=r"^the loss is a lambda$"):
        peel_run(tmp_path / "run", "torch")
    with pytest.raises(PeelError, match=r"^no convolutions$"):
        peel_run(tmp_path / "run", "numpy")
    peeled.fails = {}
    learn.fit(1)
    assert "train.txt" not in files(tmp_path / "run")


def test_a_fault_of_the_writer_loses_nothing_and_is_a_warning_at_the_users_line(tmp_path, peeled):
    peeled.fails = {"torch": KeyError("a fault of ours")}
    learn = arrays(run_dir=tmp_path / "run")
    with pytest.warns(UserWarning, match=r"could not be written: torch: KeyError: 'a fault of ours'$") as told:
        rows = learn.fit(2)
    assert len(rows) == 2
    assert told[0].filename == __file__
    assert (tmp_path / "run" / "peel" / "loop.py").exists()


class Stops(sm.Hook):
    def on_step(self, run, row):
        if row.step == 2:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_fit_leaves_a_script_and_one_that_failed_does_not(tmp_path, peeled):
    with pytest.raises(KeyboardInterrupt):
        arrays(run_dir=tmp_path / "stopped", hooks=Stops()).fit(2)
    assert (tmp_path / "stopped" / "train.py").exists()
    with pytest.raises(FloatingPointError):
        arrays(run_dir=tmp_path / "broken").fit(2, 1e30)
    assert not (tmp_path / "broken" / "train.py").exists()
    assert json.loads((tmp_path / "broken" / "recipe.json").read_text())["ends"][0]["cause"] == "FloatingPointError"


def test_without_a_folder_nothing_is_peeled_unasked(peeled):
    arrays().fit(1)
    assert peeled.asked == []


# --- folders ------------------------------------------------------------------------------------------------------


def test_what_is_no_run_is_told_with_what_was_found(tmp_path):
    pictures(tmp_path / "runs" / "data", run_dir=tmp_path / "runs" / "one").fit(1)
    with pytest.raises(sm.UserError, match=r"no run: there is no such folder\. A run is a folder with recipe\.json"):
        peel_run(tmp_path / "nothing", "torch")
    with pytest.raises(sm.UserError, match="no run: it is a file"):
        peel_run(tmp_path / "runs" / "one" / "recipe.json", "torch")
    with pytest.raises(sm.UserError, match="no run: it holds the runs one"):
        peel_run(tmp_path / "runs", "torch")
    with pytest.raises(sm.UserError, match=r"no run: it holds left, right\."):
        peel_run(tmp_path / "runs" / "data", "torch")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not whole, or not written by Satsuma"), ("[]", "it has no data, model"), ('{"data": 1}', "no model, set")],
)
def test_a_damaged_recipe_is_told(text, message, tmp_path):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(sm.UserError, match=message):
        peel_run(tmp_path, "torch")


def test_a_run_without_a_finished_fit_and_with_parts_of_ones_own_says_what_to_do(tmp_path):
    with pytest.raises(FloatingPointError):
        arrays(run_dir=tmp_path / "run").fit(2, 1e30)
    with pytest.raises(sm.UserError, match=r"can only name .*made.*learn\.peel\('loop'\)"):
        peel_run(tmp_path / "run", "loop")


def test_of_another_version_the_script_of_then_is_given(tmp_path):
    pictures(tmp_path / "data", run_dir=tmp_path / "run").fit(1)
    (tmp_path / "run" / "train.py").write_text("# run torch after 1 fits\n")
    file = tmp_path / "run" / "recipe.json"
    file.write_text(file.read_text().replace(sm.__version__, "0.0.1"))
    assert peel_run(tmp_path / "run", "torch").text == "# run torch after 1 fits\n"
    with pytest.raises(sm.UserError, match=r"0\.0\.1, and this is"):
        peel_run(tmp_path / "run", "tensors")


def test_peeling_a_folder_prints_and_writes_nothing(tmp_path, capsys):
    pictures(tmp_path / "data", run_dir=tmp_path / "run").fit(1)
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peel_run(tmp_path / "run", "loop")
    assert {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")} == before
    assert capsys.readouterr().out == ""
    assert peeling.DEPTHS == ("loop", "torch", "tensors", "numpy")
