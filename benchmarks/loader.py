"""Does the loader starve the model, and is its default setting the best one?

Photos of the pets set with the book's augmentations (`Resize(460)`, `aug_transforms`), every setting in turn:

- with a model that does nothing, at 224 pixels, batch 64: photos a second of each setting; of the default, and the
  share of time that the loop waits (all of it: this is the loader's own limit);
- with a real one, ResNet-18 at 128 pixels, batch 32: the same, with the share of waiting.

Asked: the default workers are never more than 5% slower than the best setting.

`--quick`: two rounds over fewer photos.  `--threads`: also, for the real model, each number of torch's threads.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import interleaved_rates, machine
from photos import IMAGENET_MEAN, IMAGENET_STD, breed, pets_small

import satsuma as sm
from satsuma.data.block import default_workers

SETTINGS = [(0, "threads"), (1, "threads"), (2, "threads"), (3, "threads"), (4, "threads"), (2, "processes")]
Setting = tuple[int, str]


def loaders(files: list[Path], size: int, batch: int) -> Any:
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        splitter=sm.RandomSplitter(0.2, 1),
        get_y=breed,
        item_tfms=sm.Resize(460),
        batch_tfms=[*sm.aug_transforms(size=size), sm.Normalize(IMAGENET_MEAN, IMAGENET_STD)],
    )
    return block.dataloaders(files, bs=batch, check=False)


def run_through(loader: Any, learn: Any, waits: list[float], threads: int) -> int:
    """One epoch, with a model's training step or without; how many photos came."""
    torch.set_num_threads(threads)
    count = 0
    if learn is None:
        for x, _ in loader.epoch(0):
            count += len(x)
    else:
        from satsuma.train.loop import train

        for _ in train(learn.make_run(), loader, epochs=1):
            count += loader.batch_size
    waits.append(loader.waiting.share)
    return count


def compare(title: str, data: Any, learn: Any, repeats: int, thread_counts: list[int]) -> None:
    contestants: dict[str, Callable[[], int]] = {}
    waits: dict[str, list[float]] = {}
    usual = torch.get_num_threads()
    for threads in thread_counts:
        for workers, kind in SETTINGS:
            beside = f", {threads} of torch's" if len(thread_counts) > 1 else ""
            name = f"{workers} {kind}{beside}"
            waits[name] = []
            loader = data.train.new(workers=workers, worker_kind=kind)
            contestants[name] = partial(run_through, loader, learn, waits[name], threads)
    default = f"{default_workers(True)} threads" + (f", {usual} of torch's" if len(thread_counts) > 1 else "")
    rates = interleaved_rates(contestants, repeats)
    torch.set_num_threads(usual)
    best = max(rates, key=partial(median_of, rates))
    print(f"\n{title}\n| workers | photos a second | ÷ default | min | max | loop waits |\n|---|---|---|---|---|---|")
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(values, rates[default], strict=True)]
        mark = " (default)" if name == default else ""
        print(
            f"| {name}{mark} | {statistics.median(values):.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} "
            f"| {max(ratios):.2f} | {statistics.median(waits[name][1:]):.1%} |"
        )
    paired = statistics.median(a / b for a, b in zip(rates[default], rates[best], strict=True))
    print(f"\ndefault ÷ best ({best}): {paired:.3f}; asked: at least 0.95", flush=True)


def median_of(rates: dict[str, list[float]], name: str) -> float:
    return statistics.median(rates[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    print(machine())
    files, repeats = pets_small(), 2 if options.quick else 5
    compare("A model that does nothing, 224 pixels", loaders(files, 224, 64), None, repeats, [torch.get_num_threads()])
    data = loaders(files[: 300 if options.quick else 700], 128, 32)
    learn = sm.Learner(data, sm.resnet18(len(data.vocab)), progress=False)
    counts = sorted({1, os.cpu_count() or 1}) if options.threads else [torch.get_num_threads()]
    compare(f"ResNet-18, 128 pixels, {learn.precision}", data, learn, repeats, counts)
    print(f"\n{learn.profile(steps=20)}" if hasattr(learn, "profile") else "")


if __name__ == "__main__":
    main()
