"""37 breeds of the pets photos from a pretrained SqueezeNet 1.1, beside fastai; and cats against dogs.

Both libraries start from the same file of weights and do the same: `Resize(460)`, `aug_transforms(size=224)`, batch
64, `fine_tune(3)`, each with its other defaults. A fifth of the photos is held out at random by the seed, the same
fifth for both; five seeds, the libraries in turn.

- same epochs: our mean error no higher than fastai's, in at most half its wall time;
- same wall time: the lowest error that ours reaches in the seconds that fastai took (`BEST`, chosen on the split of
  seed 101, which is not among the five);
- cats against dogs, 1 + 8 epochs: at least 97% right.

`--seeds N`: how many seeds.  `--epochs N`.  `--only same|best|cats`: one part (`best` uses fastai's seconds of the same
run where there is one, else `--seconds`).  `--ours`: leave fastai out.  `--tune`: our parts on seed 101 alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from common import data_folder, machine
from peers import fastai_loaders, need_peers, seeded_fastai, squeezenet_body
from photos import breed, cat_or_dog, pets_small, random_split

import satsuma as sm

WEIGHTS = data_folder() / "weights" / "squeezenet1_1_imagenet.safetensors"
TUNING_SEED = 101


def their_error(seed: int, epochs: int) -> float:
    from fastai.vision.all import error_rate, vision_learner

    files = pets_small()
    seeded_fastai(seed)
    loaders = fastai_loaders(files, breed, random_split(len(files), seed)[1], size=224, presize=460)
    learn = vision_learner(loaders, squeezenet_body(WEIGHTS), metrics=error_rate)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
    return float(learn.recorder.values[-1][-1])


def our_learner(
    seed: int, label: Callable[[Path], Any] = breed, size: int = 224, min_scale: float = 1.0, **options: Any
) -> sm.Learner:
    """`options`: of `vision_learner`."""
    files = pets_small()
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        splitter=sm.IndexSplitter(tuple(random_split(len(files), seed)[1])),
        get_y=label,
        item_tfms=sm.Resize(460),
        batch_tfms=sm.aug_transforms(size=size, min_scale=min_scale),
    )
    loaders = block.dataloaders(files, seed=seed)
    return sm.vision_learner(
        loaders, "squeezenet1_1", weights=WEIGHTS, metrics=sm.error_rate, seed=seed, progress=False, **options
    )


def error_of(rows: Sequence[Any]) -> float:
    return float(rows[-1].metrics["error_rate"])


def our_error(seed: int, epochs: int) -> float:
    return error_of(our_learner(seed).fine_tune(epochs))


def our_best(seed: int, seconds: float) -> float:
    """As many epochs as fit into `seconds` (by the time of the frozen one), then the mean of augmented views."""
    begun = time.perf_counter()
    learn = our_learner(seed, **BEST_OPTIONS)
    learn.fit_one_cycle(1, BEST_LR, pct_start=0.99)  # the head alone
    frozen = time.perf_counter() - begun
    epochs = max(1, int((seconds - frozen * (1 + TTA_SHARE)) / (frozen * WHOLE_TO_FROZEN)))
    learn.unfreeze()
    learn.fit_one_cycle(epochs, slice(BEST_LR / 2 / BEST_SPREAD, BEST_LR / 2), div=5.0, pct_start=0.3)
    predictions, targets = learn.tta()
    wrong = predictions.argmax(1) != targets
    print(f"  best: 1 + {epochs} epochs", flush=True)
    return float(wrong.float().mean())


# chosen on the split of TUNING_SEED: smaller crops, smoothed labels, a body that starts at a tenth of the head's rate
BEST_LR, BEST_SPREAD = 3e-3, 10.0
BEST_OPTIONS: dict[str, Any] = {"min_scale": 0.5, "label_smoothing": 0.1}
WHOLE_TO_FROZEN = 2.4  # what an epoch of the whole network costs, frozen ones being 1
TTA_SHARE = 1.0  # what the views of the held-out fifth cost, in frozen epochs


CATS_EPOCHS = 8


def cats_right(seed: int) -> float:
    """The share of cats and dogs that are told apart, by the mean of augmented views."""
    learn = our_learner(seed, cat_or_dog, **BEST_OPTIONS)
    learn.fine_tune(CATS_EPOCHS)
    predictions, targets = learn.tta()
    return float((predictions.argmax(1) == targets).float().mean())


def timed(function: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    begun = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - begun


def tell(name: str, found: list[tuple[float, float]]) -> None:
    errors, seconds = zip(*found, strict=True)
    spread = f"{min(errors):.4f} to {max(errors):.4f}"
    print(f"| {name} | {statistics.mean(errors):.4f} | {spread} | {statistics.median(seconds):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", choices=("same", "best", "cats"))
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--ours", action="store_true")
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    need_peers(("safetensors",) if options.ours or options.tune else ("fastai", "torchvision"))
    print(machine())
    seeds = [TUNING_SEED] if options.tune else list(range(1, 2 if options.quick else options.seeds + 1))
    epochs = 1 if options.quick else options.epochs
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in seeds:
        contestants: dict[str, tuple[Callable[..., float], Any]] = {}
        if options.only in (None, "same") and not (options.ours or options.tune):
            contestants["fastai"] = (their_error, epochs)
        if options.only in (None, "same"):
            contestants["satsuma"] = (our_error, epochs)
        if options.only in (None, "best"):
            contestants["satsuma, best in fastai's seconds"] = (our_best, None)
        for name, (function, argument) in contestants.items():
            budget = found["fastai"][-1][1] if "fastai" in found else options.seconds
            found.setdefault(name, []).append(timed(function, seed, budget if argument is None else argument))
            print(f"seed {seed}: {name}: error {found[name][-1][0]:.4f} in {found[name][-1][1]:.0f} s", flush=True)
        if options.only in (None, "cats"):
            found.setdefault("cats or dogs, share wrong", []).append(timed(cats_right, seed))
    print(f"\n37 breeds, fine_tune({epochs}), {len(seeds)} seeds")
    print("| | mean error | spread | median s |\n|---|---|---|---|")
    for name, values in found.items():
        tell(name, [(1 - right, s) for right, s in values] if name.startswith("cats") else values)
    if {"fastai", "satsuma"} <= set(found):
        ratios = [b[1] / a[1] for a, b in zip(found["fastai"], found["satsuma"], strict=True)]
        print(f"\nseconds, satsuma / fastai: median {statistics.median(ratios):.2f} (asked: ≤ 0.50)")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
