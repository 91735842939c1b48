"""`trained_learner`: the learner of a run's folder, with the weights that the run came to."""

import numpy as np
import pytest
import torch
from PIL import Image

import satsuma as sm
from satsuma.errors import UserError
from satsuma.learner.trained import trained_learner, weights_file
from satsuma.train.checkpoint import load_weights


def no_script(*_):
    """In the place of what is written into the run's folder at the end."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs on drawn pictures; its learner, and its folder."""
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    for name, colour in (("dark", 40), ("light", 200)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(11):
            pixels = np.clip(rng.normal(colour, 30, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{i}.png")
    data = sm.ImageDataLoaders.from_folder(folder / "data", valid_pct=0.3, bs=7)
    learn = sm.Learner(data, "small_cnn", metrics=sm.accuracy, progress=False, run_dir=folder / "run", device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("satsuma.learner.scripts.write_script", no_script)
        learn.fit(2)
    return learn, folder / "run"


def same_weights(one, other):
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_before_an_export_the_weights_are_the_last_epochs(run):
    learn, folder = run
    assert weights_file(folder) == folder / "checkpoints" / "last.safetensors"
    found = trained_learner(folder)
    assert same_weights(found.model, learn.model)
    assert len(found.dls.valid.dataset) == len(learn.dls.valid.dataset)
    assert [row.epoch for row in found.recorder.epochs] == [0, 1]
    assert found.validate().loss == pytest.approx(learn.validate().loss)


def test_an_exported_model_comes_first(run, tmp_path):
    learn, folder = run
    changed = trained_learner(folder)
    with torch.no_grad():
        next(changed.model.parameters()).add_(1.0)
    changed.export(folder / "model.safetensors")
    try:
        assert weights_file(folder) == folder / "model.safetensors"
        assert same_weights(trained_learner(folder).model, changed.model)
        load_weights(learn.model, folder / "checkpoints" / "last.safetensors")
        assert not same_weights(learn.model, changed.model)
    finally:
        (folder / "model.safetensors").unlink()


def test_a_run_without_weights_says_when_there_are_some(tmp_path):
    assert weights_file(tmp_path) is None
    with pytest.raises(UserError, match="after its first epoch"):
        trained_learner(tmp_path)
