"""`StopOnRequest`: a file in the run's folder ends the fit after its epoch, in good order."""

import pytest
import torch

import satsuma as sm
from satsuma.hooks.stop_request import STOP_FILE, StopOnRequest

pytestmark = pytest.mark.usefixtures("no_scripts")


def learner(run_dir, hooks=()):
    x = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x, x[:, :3].argmax(1), bs=11)
    return sm.Learner(data, lambda: sm.mlp((7, 3)), hooks=hooks, progress=False, metrics=sm.accuracy, run_dir=run_dir)


class AskAt(sm.Hook):
    """Another program's request, after a step."""

    def __init__(self, folder, step):
        self.folder, self.step = folder, step

    def on_step(self, run, row):
        if row.step == self.step:
            (self.folder / STOP_FILE).touch()


def test_a_request_ends_the_fit_after_its_epoch_evaluated_and_saved(tmp_path):
    folder = tmp_path / "run"
    learn = learner(folder, [AskAt(folder, 6)])  # of four steps an epoch: within the second
    with pytest.raises(KeyboardInterrupt):
        learn.fit(9)
    assert len(learn.recorder.epochs) == 2
    assert len(learn.recorder.losses) == 8
    assert learn.recorder.epochs[-1].valid_loss is not None
    assert (folder / "checkpoints" / "last.safetensors").exists()
    assert not (folder / STOP_FILE).exists()
    assert learn.past.ends[-1].cause == "interrupted"


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    whole = learner(tmp_path / "whole")
    whole.fit(3)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        learner(folder, [AskAt(folder, 1)]).fit(3)
    again = learner(folder, [AskAt(folder, 0)])  # the same hooks, and nobody asks
    again.fit(3, resume=True)
    assert [row.epoch for row in again.recorder.epochs] == [0, 1, 2]
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key


def test_a_request_from_before_the_fit_is_forgotten(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / STOP_FILE).touch()
    learn = learner(folder)
    learn.fit(2)
    assert len(learn.recorder.epochs) == 2
    assert not (folder / STOP_FILE).exists()


def test_a_request_between_the_stages_of_fine_tuning_is_not_lost(tmp_path):
    folder = tmp_path / "run"

    class AskAtEnd(sm.Hook):
        """A request after the first stage's last epoch."""

        def on_fit_end(self, run):
            (folder / STOP_FILE).touch()

    learn = learner(folder, [AskAtEnd()])
    with pytest.raises(KeyboardInterrupt):
        learn.fine_tune(3, freeze_epochs=1)
    assert len(learn.recorder.epochs) == 2


def test_without_a_folder_there_is_nothing_to_ask():
    assert StopOnRequest("runs/a").file.name == STOP_FILE
    learn = learner(None)
    learn.fit(1)
    assert len(learn.recorder.epochs) == 1
