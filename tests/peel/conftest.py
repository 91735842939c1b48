"""The interpreters that run scripts wait for all files of this folder: each has read torch, which takes seconds."""

from collections.abc import Iterator

import pytest
from tests.peel.run_script import close_runners


@pytest.fixture(scope="session", autouse=True)
def interpreters() -> Iterator[None]:
    yield
    close_runners()
