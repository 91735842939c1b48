"""What tests of several rooms share."""

import gc
import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# two processes whose threads spin for each other's cores slow both down a hundredfold; small tests need one, and so do
# the processes that they start
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# the same examples in every run: rare ones are looked for on purpose, by more examples, not while doing other work;
# no deadlines: these machines are noisy
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """What is there before the first test stays: no collection of garbage need go through torch and all tests again."""
    gc.collect()
    gc.freeze()


SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


def shared_data(name: str) -> Path:
    """The folder or file `name` of the shared data sets ($SATSUMA_DATA, or ../shared/data); the test skips without."""
    path = Path(os.environ.get("SATSUMA_DATA", SHARED)) / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set SATSUMA_DATA to the folder of the shared data sets")
    return path


@pytest.fixture(scope="session", name="shared_data")
def shared_data_fixture():
    """`shared_data` for tests, which cannot import this file."""
    return shared_data


def no_script(*_: object) -> None:
    """In the place of `write_script`."""


@pytest.fixture
def no_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit leaves no scripts in its run's folder: writing them takes longer than most of these models train."""
    monkeypatch.setattr("satsuma.learner.scripts.write_script", no_script)
