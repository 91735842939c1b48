"""A run by the library against its own peeled script, plain PyTorch, in one process: from data to saved weights.

Both give the same weights, which is checked. The library's look at the photos before training, which a script has not,
is off. Neither may be slower than the other by more than a twentieth: the four lines cost nothing, and leaving them
costs nothing.
"""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import data_folder, interleaved, machine, print_ratios
from photos import pets_small
from safetensors.torch import load_file

import satsuma as sm

ROUNDS = 5


@cache
def digits(n: int, side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's first digits: float32 [n 784], or pictures [n 1 side side]."""
    x, y, _, _ = sm.load_mnist(data_folder() / "mnist")
    pixels = x[:n].reshape(n, -1).astype(np.float32) / 255
    return (pixels if side is None else pixels.reshape(n, 1, side, side)), y[:n].astype(np.int64)


def perceptron() -> sm.Learner:
    data = sm.DataLoaders.from_arrays(*digits(14_000), bs=64, seed=1)
    learn = sm.Learner(data, partial(sm.mlp, (784, 30, 10)), metrics=sm.accuracy, progress=False)
    learn.fit_one_cycle(5, 0.01)
    return learn


def convolutions() -> sm.Learner:
    data = sm.DataLoaders.from_arrays(*digits(4_000, 28), bs=64, seed=1)
    learn = sm.Learner(data, partial(sm.small_cnn, 1, 10), metrics=sm.accuracy, progress=False, precision="float32")
    learn.fit_one_cycle(2, 0.01)
    return learn


def transfer(photos: Path) -> sm.Learner:
    data = sm.ImageDataLoaders.from_name_re(
        photos, r"(.+)_\d+\.jpg$", bs=32, seed=1, check=False,
        item_tfms=sm.Resize(160), batch_tfms=sm.aug_transforms(size=128, min_scale=0.75),
    )  # fmt: skip
    weights = data_folder() / "weights" / "squeezenet1_1_imagenet.safetensors"
    learn = sm.vision_learner(
        data, "squeezenet1_1", weights=weights, metrics=sm.error_rate, progress=False, precision="float32"
    )
    learn.fine_tune(5)
    return learn


def loaded(file: Path) -> Any:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{file.parent.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_library(make: Callable[[], sm.Learner], out: Path) -> None:
    make().save(out)


def by_script(module: Any, out: Path) -> None:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        module.main(["--out", str(out)])


def compare(name: str, make: Callable[[], sm.Learner]) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"peel-{name}-"))
    make().peel("torch").save(folder / "script.py")
    module = loaded(folder / "script.py")
    ours, theirs = folder / "ours.safetensors", folder / "theirs.safetensors"
    seconds = interleaved(
        {"library": partial(by_library, make, ours), "script": partial(by_script, module, theirs)}, ROUNDS
    )
    a, b = load_file(ours), load_file(theirs)
    same = a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    lines = len((folder / "script.py").read_text().splitlines())
    print_ratios(f"{name}: script of {lines} lines; weights {'bit-equal' if same else 'DIFFER'}", seconds, "library")


def main() -> None:
    print(machine())
    compare("perceptron", perceptron)
    compare("convolutions", convolutions)
    with tempfile.TemporaryDirectory() as folder:
        for photo in pets_small()[:400]:
            (Path(folder) / photo.name).symlink_to(photo)
        compare("transfer", partial(transfer, Path(folder)))


if __name__ == "__main__":
    main()
