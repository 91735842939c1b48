"""The pages of the manual as tests: each page is one doctest, run in an empty folder of its own.

The data lie in `$SATSUMA_DATA`, else in `../shared/data` beside the repository. A page that uses the name `mnist`,
`pets` or `voc` finds there the folder of MNIST's four files, of 1,221 photos of pets, of 800 photos of everyday scenes.
Where data that a page needs are missing it is skipped, and says so. Pretrained weights are looked for in the data's
folder of weights, so that no page downloads. `SATSUMA_DOC_FIGURES=1 pytest docs` writes the pictures that the pages
draw to docs/figures, from where the built manual shows them.
"""

import ast
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

DOCS = Path(__file__).parent
DATA = Path(os.environ.get("SATSUMA_DATA") or DOCS.parents[1] / "shared" / "data")
NEEDED = {  # a name that a page uses → what must be there
    "mnist": ["mnist"],
    "pets": ["pets/pets_small.zip", "weights/squeezenet1_1_imagenet.safetensors"],
    "voc": ["voc2007/voc_images.zip", "voc2007/labels.csv"],
}
FENCE = re.compile(r"^```.*\Z", re.MULTILINE | re.DOTALL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.path.parent == DOCS:
            examples = item.dtest.examples  # type: ignore[union-attr]
            for example in examples:
                cut_fence(example)
            for name, files in NEEDED.items():
                missing = [file for file in files if not (DATA / file).exists()]
                if missing and any(uses(name, example.source) for example in examples):
                    reason = f"needs {', '.join(missing)} in {DATA} (or set SATSUMA_DATA)"
                    item.add_marker(pytest.mark.skip(reason=reason))


def uses(name: str, source: str) -> bool:
    """Whether a piece of code has `name` as a name of its own, not within a text or another word."""
    try:
        return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(ast.parse(source)))
    except SyntaxError:
        return False


def cut_fence(example: Any) -> None:
    """The closing ``` of a block of Markdown is not something that Python prints."""
    example.want = FENCE.sub("", example.want)
    example.exc_msg = example.exc_msg and FENCE.sub("", example.exc_msg)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of its unpacked photos."""
    folders = {}
    for name in ("pets", "voc"):
        packed = DATA / NEEDED[name][0]
        if packed.exists():
            folders[name] = tmp_path_factory.mktemp(name)
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(folders[name])
    if "voc" in folders:
        shutil.copy(DATA / NEEDED["voc"][1], folders["voc"] / "labels.csv")
    return folders


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctest_namespace: dict[str, Any], photos: dict[str, Path]
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(DATA / "weights"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    doctest_namespace |= {"mnist": DATA / "mnist", **photos}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small gain nothing from two, and lose twentyfold where the cores are busy
    yield
    torch.set_num_threads(threads)
    if os.environ.get("SATSUMA_DOC_FIGURES"):
        for picture in tmp_path.glob("*.png"):
            shutil.copy(picture, DOCS / "figures" / picture.name)
