"""Files that a run left out are left out by its script too, wherever it is run from."""

import numpy as np
import pytest
from PIL import Image

from satsuma.learner.learner import Learner
from satsuma.vision.loaders import ImageDataLoaders


def test_names_are_those_that_the_script_lists(tmp_path, monkeypatch):
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(6):
            noise = np.random.default_rng([i, kind == "cat"]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "pets" / kind / f"{i}.png")
    (tmp_path / "pets" / "cat" / "bad.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="pets/cat/bad.png: the file is empty"):
        data = ImageDataLoaders.from_folder("pets", bs=4, workers=0, on_unreadable="skip")
    learn = Learner(data, "small_cnn", progress=False)
    learn.fit(1, 0.01)
    script = learn.peel("torch").text
    assert f'Path("{(tmp_path / "pets").as_posix()}")' in script  # where it looks for the data
    assert f'"{(tmp_path / "pets" / "cat" / "bad.png").as_posix()}"' in script
