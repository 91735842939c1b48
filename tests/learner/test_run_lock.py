"""Whether a run trains now is asked of the system's lock on its folder."""

import os
import sys
import threading

import pytest
import torch

import satsuma as sm
from satsuma.learner.run_lock import locked_folder, trains_now

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")


def test_a_folder_is_locked_while_its_handle_is_open(tmp_path):
    assert not trains_now(tmp_path)
    handle = locked_folder(tmp_path)
    assert trains_now(tmp_path)
    with pytest.raises(ValueError, match="another process is training"):
        locked_folder(tmp_path)
    os.close(handle)
    assert not trains_now(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_does_not_train(tmp_path):
    assert not trains_now(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    (tmp_path / "file").touch()
    assert not trains_now(tmp_path / "file")


def test_many_who_ask_do_not_see_each_other(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.extend(trains_now(tmp_path) for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert not any(found)


@pytest.mark.usefixtures("no_scripts")
def test_a_run_trains_during_its_fit_and_not_after(tmp_path):
    folder, seen = tmp_path / "run", []

    class Ask(sm.Hook):
        def on_step(self, run, row):
            seen.append(trains_now(folder))

    x = torch.randn(23, 7, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x, x[:, :3].argmax(1), bs=11)
    learn = sm.Learner(data, lambda: sm.mlp((7, 3)), hooks=[Ask()], progress=False, run_dir=folder)
    learn.fit(1)
    assert seen
    assert all(seen)
    assert not trains_now(folder)
