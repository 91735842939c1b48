"""Which of 20 objects are in a VOC 2007 photo: mean average precision beside fastai's, the same SqueezeNet 1.1 body.

800 photos of at most 192 pixels, a fifth held out at random by the seed (the same for both); `Resize(256)`,
`aug_transforms(size=160)`, batch 64, `fine_tune(4)`, each library with its other defaults, in turn; three seeds. The
mean is over the labels that the held-out photos have, by scikit-learn for both. Asked: no lower than fastai's.

`--seeds N`, `--epochs N`, `--quick`: one seed, one epoch.  `--ours`: leave fastai out.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import data_folder, machine
from peers import fastai_loaders, need_peers, seeded_fastai, squeezenet_body
from photos import random_split, voc_photos

import satsuma as sm

WEIGHTS = data_folder() / "weights" / "squeezenet1_1_imagenet.safetensors"
SIZE, PRESIZE = 160, 256


class Labels:
    """The labels of a photo, by its file's name."""

    def __init__(self, of: dict[str, list[str]]) -> None:
        self.of = of

    def __call__(self, file: Path) -> list[str]:
        return self.of[file.name]


def mean_average_precision(scores: Any, targets: Any) -> float:
    from sklearn.metrics import average_precision_score

    scores, targets = np.asarray(scores), np.asarray(targets)
    there = targets.any(0)
    return float(average_precision_score(targets[:, there], scores[:, there], average="macro"))


def theirs(files: list[Path], labels: Labels, seed: int, epochs: int) -> float:
    from fastai.vision.all import vision_learner

    seeded_fastai(seed)
    valid = random_split(len(files), seed)[1]
    loaders = fastai_loaders(files, labels, valid, size=SIZE, presize=PRESIZE, several=True)
    learn = vision_learner(loaders, squeezenet_body(WEIGHTS))
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
        scores, targets = learn.get_preds()
    return mean_average_precision(scores, targets)


def ours(files: list[Path], labels: Labels, seed: int, epochs: int) -> float:
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.MultiCategoryBlock),
        splitter=sm.IndexSplitter(tuple(random_split(len(files), seed)[1])),
        get_y=labels,
        item_tfms=sm.Resize(PRESIZE),
        batch_tfms=sm.aug_transforms(size=SIZE),
    )
    loaders = block.dataloaders(files, seed=seed)
    learn = sm.vision_learner(loaders, "squeezenet1_1", weights=WEIGHTS, seed=seed, progress=False)
    learn.fine_tune(epochs)
    scores, targets = learn.get_preds()[:2]
    return mean_average_precision(scores, targets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    need_peers(("sklearn", "safetensors") if options.ours else ("fastai", "torchvision", "sklearn"))
    print(machine())
    photos, of = voc_photos()
    contestants = {"satsuma": ours} if options.ours else {"fastai": theirs, "satsuma": ours}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for seed in range(1, 2 if options.quick else options.seeds + 1):
        for name, contestant in contestants.items():
            begun = time.perf_counter()
            precision = contestant(photos, Labels(of), seed, 1 if options.quick else options.epochs)
            found[name].append((precision, time.perf_counter() - begun))
            print(f"seed {seed}: {name}: {precision:.4f} in {found[name][-1][1]:.0f} s", flush=True)
    print("\n| | mean average precision | spread | median s |\n|---|---|---|---|")
    for name, values in found.items():
        scores, seconds = zip(*values, strict=True)
        spread = f"{min(scores):.4f} to {max(scores):.4f}"
        print(f"| {name} | {statistics.mean(scores):.4f} | {spread} | {statistics.median(seconds):.0f} |")


if __name__ == "__main__":
    main()
