"""The pages of the manual as tests: each page is one doctest, run in an empty folder of its own.

A page that reads MNIST finds its four files in `mnist`: `$SATSUMA_DATA/mnist`, else `../shared/data/mnist` beside the
repository. Where there are none the page is skipped, and says so. `SATSUMA_DOC_FIGURES=1 pytest docs` writes the
pictures that the pages draw to docs/figures, from where the built manual shows them.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

DOCS = Path(__file__).parent
MNIST = Path(os.environ.get("SATSUMA_DATA") or DOCS.parents[1] / "shared" / "data") / "mnist"
FENCE = re.compile(r"^```.*\Z", re.MULTILINE | re.DOTALL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.path.parent == DOCS:
            examples = item.dtest.examples  # type: ignore[union-attr]
            for example in examples:
                cut_fence(example)
            if not MNIST.is_dir() and any("(mnist)" in example.source for example in examples):
                item.add_marker(pytest.mark.skip(reason=f"needs MNIST in {MNIST} (or set SATSUMA_DATA)"))


def cut_fence(example: Any) -> None:
    """The closing ``` of a block of Markdown is not something that Python prints."""
    example.want = FENCE.sub("", example.want)
    example.exc_msg = example.exc_msg and FENCE.sub("", example.exc_msg)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctest_namespace: dict[str, Any]) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    doctest_namespace["mnist"] = MNIST
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small gain nothing from two, and lose twentyfold where the cores are busy
    yield
    torch.set_num_threads(threads)
    if os.environ.get("SATSUMA_DOC_FIGURES"):
        for picture in tmp_path.glob("*.png"):
            shutil.copy(picture, DOCS / "figures" / picture.name)
