"""Going on with a run that was cut off: what is kept, when, what is refused, and that the weights are the same."""

import errno
import functools
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from tests.peel.digits import pictures, ten_digits

import satsuma as sm
from satsuma.hooks.base import Hook
from satsuma.learner import resuming
from satsuma.train.resume_file import read_state, state_files


@pytest.fixture(autouse=True)
def without_scripts(monkeypatch):
    """The scripts of finished runs are tested elsewhere."""
    monkeypatch.setattr("satsuma.learner.fitting.write_end", lambda learn, folder: None)


def learner(folder, *, n=240, bs=32, seed=7, **settings):
    x, y = ten_digits(n)
    dls = sm.DataLoaders.from_arrays(x, y, bs=bs, seed=3)
    model = settings.pop("model", functools.partial(sm.mlp, (64, 16, 10), dropout=0.2))
    given = {"metrics": sm.accuracy, "progress": False, "run_dir": folder, "save_steps": 2, **settings}
    return sm.Learner(dls, model, seed=seed, device="cpu", precision="float32", **given)


class CutOffError(Exception):
    pass


def cut_off(folder, steps, train=None, **settings):
    """A learner whose run breaks off by an error after so many steps, without a word in its files."""
    learn = learner(folder, **settings)
    noted = learn.recorder.on_step

    def on_step(run, row):
        noted(run, row)
        if len(learn.recorder.losses) == steps:
            raise CutOffError

    learn.recorder.on_step = on_step
    with pytest.raises(CutOffError):
        (train or one_cycle)(learn)
    return learn


def one_cycle(learn, **given):
    return learn.fit_one_cycle(3, 0.01, **given)


def weights(learn):
    return {name: value.clone() for name, value in learn.model.state_dict().items()}


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


def rows(folder, kind):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


# --- the same weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 5, 6, 13, 17])
def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(tmp_path, steps):
    whole = learner(tmp_path / "whole")
    table = one_cycle(whole)
    cut_off(tmp_path / "cut", steps)
    learn = learner(tmp_path / "cut")
    resumed = one_cycle(learn, resume=True)
    assert same_weights(learn, whole)
    assert learn.recorder.losses == whole.recorder.losses
    assert [row.valid_loss for row in resumed] == [row.valid_loss for row in table]
    assert [row["step"] for row in rows(tmp_path / "cut", "step")] == list(range(1, 19))


def test_a_ready_made_model_need_not_begin_with_the_same_weights(tmp_path):
    """Its first weights are nobody's to draw again: those of the run's folder are taken."""
    whole = learner(tmp_path / "cut", model=sm.mlp((64, 16, 10)))
    first = weights(whole)
    other = learner(tmp_path / "whole", model=sm.mlp((64, 16, 10)))
    other.model.load_state_dict(first)
    one_cycle(other)
    told = whole.recorder.on_step
    whole.recorder.on_step = lambda run, row: told(run, row) if row.step < 9 else cut_here()
    with pytest.raises(CutOffError):
        one_cycle(whole)
    learn = learner(tmp_path / "cut", model=sm.mlp((64, 16, 10)))  # drawn anew
    one_cycle(learn, resume=True)
    assert same_weights(learn, other)
    assert learn.recorder.losses == other.recorder.losses
    assert all(torch.equal(value, first[name]) for name, value in learn.past.first.items())


def test_a_learner_whose_fit_broke_off_is_not_trained_on_by_mistake(tmp_path):
    """As when a notebook's cell is run again after Ctrl-C."""
    learn = learner(tmp_path / "run")
    told = learn.recorder.on_step
    learn.recorder.on_step = lambda run, row: told(run, row) if row.step < 9 else cut_here()
    with pytest.raises(CutOffError):
        one_cycle(learn, resume=True)
    learn.recorder.on_step = told
    with pytest.raises(ValueError, match=r"broke off \(CutOffError\).*make the learner anew"):
        one_cycle(learn, resume=True)
    assert len(one_cycle(learner(tmp_path / "run"), resume=True)) == 3


def test_torn_bytes_at_the_historys_end_count_for_nothing(tmp_path):
    cut_off(tmp_path / "cut", 9)
    with (tmp_path / "cut" / "history.jsonl").open("ab") as file:
        file.write(b"\0\0\xff\xfe")
    learn = learner(tmp_path / "cut")
    one_cycle(learn, resume=True)
    assert [row["step"] for row in rows(tmp_path / "cut", "step")] == list(range(1, 19))


def cut_here():
    raise CutOffError


def test_resume_begins_a_run_that_has_not_begun(tmp_path):
    """So that one command serves for the first time and for every other."""
    learn = learner(tmp_path / "new")
    assert len(one_cycle(learn, resume=True)) == 3


def test_a_run_that_is_complete_is_not_trained_again(tmp_path):
    whole = learner(tmp_path / "run")
    table = one_cycle(whole)
    again = learner(tmp_path / "run")
    assert [row.valid_loss for row in one_cycle(again, resume=True)] == [row.valid_loss for row in table]
    assert same_weights(again, whole)
    assert len(rows(tmp_path / "run", "step")) == 18


def test_fits_that_were_complete_are_passed_over(tmp_path):
    def both(learn, **given):
        first = learn.fit(1, 0.01, **given)
        return first, learn.fit(2, 0.005, **given)

    whole = learner(tmp_path / "whole")
    both(whole)
    cut_off(tmp_path / "cut", 9, train=both)
    learn = learner(tmp_path / "cut")
    first, second = both(learn, resume=True)
    assert (len(first), len(second)) == (1, 2)
    assert same_weights(learn, whole)
    assert [row["epoch"] for row in rows(tmp_path / "cut", "epoch")] == [0, 1, 2]


def test_early_stopping_remembers_its_best_weights(tmp_path):
    def train(learn, **given):
        return learn.fit(8, 0.3, early_stopping=sm.EarlyStopping(patience=2), **given)

    whole = learner(tmp_path / "whole")
    train(whole)
    assert whole.weights_epoch < len(whole.recorder.epochs) - 1, "the run is one that early stopping goes back in"
    cut_off(tmp_path / "cut", len(whole.recorder.losses) - 2, train=train)
    learn = learner(tmp_path / "cut")
    train(learn, resume=True)
    assert same_weights(learn, whole)
    assert learn.weights_epoch == whole.weights_epoch


def test_an_optimisers_state_keeps_its_order_in_memory(tmp_path):
    """A fused optimiser walks through weights and moments side by side; convolutions are stored channels last."""

    def cnn(folder):
        dls = sm.DataLoaders.from_arrays(*pictures(64, 16), bs=16, seed=3)
        given = {"progress": False, "device": "cpu", "precision": "float32", "run_dir": folder, "save_steps": 1}
        return sm.Learner(dls, functools.partial(sm.small_cnn, width=4), hooks=Breaking(), **given)

    whole, cut = cnn(tmp_path / "whole"), cnn(tmp_path / "cut")
    whole.fit(2, 0.01)
    cut.hooks[0].at = 3
    with pytest.raises(CutOffError):
        cut.fit(2, 0.01)
    learn = cnn(tmp_path / "cut")
    learn.fit(2, 0.01, resume=True)
    assert same_weights(learn, whole)


class Breaking(Hook):
    """Ends a fit by an error at its step number `at`, if there is one."""

    at = 0

    def on_step(self, run, row):
        if row.step == self.at:
            raise CutOffError


class Counting(Hook):
    """Remembers how many steps it was told of, and says so."""

    def __init__(self):
        self.n = 0

    def on_step(self, run, row):
        self.n += 1

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


def test_a_hook_that_remembers_is_given_back_what_it_knew(tmp_path):
    cut_off(tmp_path / "run", 9, hooks=Counting())
    counting = Counting()
    one_cycle(learner(tmp_path / "run", hooks=counting), resume=True)
    assert counting.n == 18


# --- when it is kept ----------------------------------------------------------------------------------------------


def test_the_last_two_checkpoints_are_kept(tmp_path):
    one_cycle(learner(tmp_path / "run"))
    files = state_files(tmp_path / "run" / "checkpoints")
    assert [file.name for file in files] == ["resume-000000018.safetensors", "resume-000000016.safetensors"]


def test_without_save_steps_the_ends_of_epochs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "LEAST_APART", 0.0)
    kept = []
    monkeypatch.setattr(resuming, "write_state", lambda folder, steps, state: kept.append(steps))
    one_cycle(learner(tmp_path / "run", save_steps=None))
    assert kept == [0, 6, 12, 18]


def test_minutes_count_too(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(resuming, "write_state", lambda folder, steps, state: kept.append(steps))
    one_cycle(learner(tmp_path / "run", save_steps=None, save_minutes=1e-9))
    assert kept == list(range(19))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_the_step_it_came_in(tmp_path, number):
    whole = learner(tmp_path / "whole", save_steps=None)
    one_cycle(whole)
    learn = learner(tmp_path / "cut", save_steps=None)
    noted = learn.recorder.on_step

    def on_step(run, row):
        noted(run, row)
        if row.step == 8:
            os.kill(os.getpid(), number)

    learn.recorder.on_step = on_step
    with pytest.raises(SystemExit if number == signal.SIGTERM else KeyboardInterrupt):
        one_cycle(learn)
    assert read_state(state_files(tmp_path / "cut" / "checkpoints")[0])["fit"]["step"] in (8, 9)
    if number == signal.SIGTERM:
        assert len(rows(tmp_path / "cut", "epoch")) == 1, "the open epoch is not evaluated: there may be no time"
    again = learner(tmp_path / "cut", save_steps=None)
    one_cycle(again, resume=True)
    assert same_weights(again, whole)
    assert [row["step"] for row in rows(tmp_path / "cut", "step")] == list(range(1, 19))
    assert [row["epoch"] for row in rows(tmp_path / "cut", "epoch")] == [0, 1, 2]


# --- damaged files, full disks ------------------------------------------------------------------------------------


def test_a_torn_checkpoint_is_told_and_the_one_before_is_taken(tmp_path):
    whole = learner(tmp_path / "whole")
    one_cycle(whole)
    cut_off(tmp_path / "cut", 11)
    newest = state_files(tmp_path / "cut" / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    learn = learner(tmp_path / "cut")
    with pytest.warns(UserWarning, match=rf"{newest.name}.*Going on from the one before"):
        one_cycle(learn, resume=True)
    assert same_weights(learn, whole)


def test_without_a_whole_checkpoint_nothing_is_trained(tmp_path):
    cut_off(tmp_path / "cut", 11)
    for file in state_files(tmp_path / "cut" / "checkpoints"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint of this run can be read"):
        one_cycle(learner(tmp_path / "cut"), resume=True)


def test_a_history_that_lost_its_end_is_refused(tmp_path):
    cut_off(tmp_path / "cut", 11)
    history = tmp_path / "cut" / "history.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(ValueError, match=r"history.jsonl: 7 steps and 1 epochs are missing"):
        one_cycle(learner(tmp_path / "cut"), resume=True)


def test_a_full_disk_stops_the_fit_and_leaves_the_last_checkpoint(tmp_path):
    """A file system of 200 KiB of its own, which takes root to make."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own cannot be mounted here")
    try:
        learn = learner(place / "run", model=functools.partial(sm.mlp, (64, 60, 10)))
        with pytest.raises(OSError, match="No space left") as told:
            one_cycle(learn)
        assert told.value.errno == errno.ENOSPC
        for file in state_files(place / "run" / "checkpoints"):
            read_state(file)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_checkpoint_that_cannot_be_written_says_what_is_still_there(tmp_path, monkeypatch):
    def full(folder, steps, state):
        if steps > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(folder, steps, state)

    write = resuming.write_state
    monkeypatch.setattr(resuming, "write_state", full)
    with pytest.raises(OSError, match=r"No space left.*resume-000000004.safetensors is whole, and resume=True"):
        one_cycle(learner(tmp_path / "run"))
    monkeypatch.setattr(resuming, "write_state", write)
    whole, learn = learner(tmp_path / "whole"), learner(tmp_path / "run")
    one_cycle(whole)
    one_cycle(learn, resume=True)
    assert same_weights(learn, whole)


# --- what is refused ----------------------------------------------------------------------------------------------


OTHERS = {
    "seed": ({"seed": 8}, r"settings.seed was 7, is 8"),
    "batch size": ({"bs": 16}, r"data.bs was 32, is 16"),
    "data": ({"n": 200}, r"data.fingerprints was .*, is "),
    "architecture": (
        {"model": functools.partial(sm.mlp, (64, 20, 10))},
        r"layers.0.weight was torch.float32 \[16, 64\], is",
    ),
    "optimiser": ({"opt_func": sm.SGD}, "settings.opt_func.name was .*AdamW, is .*SGD"),
    "hooks": ({"hooks": Counting()}, "hooks was"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path, other):
    changed, said = OTHERS[other]
    cut_off(tmp_path / "run", 9)
    with pytest.raises(ValueError, match=said):
        one_cycle(learner(tmp_path / "run", **changed), resume=True)


def test_another_version_is_refused(tmp_path, monkeypatch):
    cut_off(tmp_path / "run", 9)
    monkeypatch.setattr(resuming, "__version__", "99.0")
    with pytest.raises(ValueError, match=r"was written by Satsuma .*, and this is 99.0"):
        one_cycle(learner(tmp_path / "run"), resume=True)


def test_another_fit_is_refused_with_both(tmp_path):
    cut_off(tmp_path / "run", 9)
    with pytest.raises(ValueError, match=r"call 1 of the run was fit_one_cycle\(n_epoch=3.*is fit\(n_epoch=5"):
        learner(tmp_path / "run").fit(5, 0.01, resume=True)


def test_a_learner_without_a_folder_cannot_resume():
    with pytest.raises(ValueError, match="give the learner run_dir="):
        one_cycle(learner(None), resume=True)


def test_a_learner_that_has_trained_is_to_be_made_anew(tmp_path):
    learn = learner(tmp_path / "run")
    learn.fit(1)
    with pytest.raises(ValueError, match="make the learner anew"):
        one_cycle(learn, resume=True)


def test_a_folder_with_a_run_says_how_to_go_on_with_it(tmp_path):
    cut_off(tmp_path / "run", 9)
    with pytest.raises(ValueError, match="resume=True"):
        one_cycle(learner(tmp_path / "run"))


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    cut_off(tmp_path / "run", 9)
    for file in state_files(tmp_path / "run" / "checkpoints"):
        file.unlink()
    with pytest.raises(ValueError, match="no checkpoint to go on from"):
        one_cycle(learner(tmp_path / "run"), resume=True)


def test_an_optimiser_whose_state_no_file_holds_is_told_once_and_trains(tmp_path):
    learn = learner(tmp_path / "run", opt_func=Odd)
    with pytest.warns(UserWarning, match="cannot be resumed.*optimizer.place is a PosixPath"):
        one_cycle(learn)
    assert len(learn.recorder.epochs) == 3


class Odd(torch.optim.SGD):
    """Remembers a path, of all things."""

    def state_dict(self):
        return {**super().state_dict(), "place": Path("here")}


def test_two_do_not_train_in_one_folder_at_a_time(tmp_path):
    """A second learner that goes on with a run while the first still trains it is refused; after it, it may."""
    first, second = learner(tmp_path / "run"), learner(tmp_path / "run")
    noted, refused = first.recorder.on_step, []

    def on_step(run, row):
        noted(run, row)
        if row.step == 4:
            with pytest.raises(ValueError, match="another process is training in this folder") as found:
                one_cycle(second, resume=True)
            refused.append(found)

    first.recorder.on_step = on_step
    one_cycle(first)
    assert refused
    one_cycle(learner(tmp_path / "run"), resume=True)
    assert [row["step"] for row in rows(tmp_path / "run", "step")] == list(range(1, 19))
