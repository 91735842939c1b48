"""A training step and a whole fine-tuning epoch, with default settings.

- ResNet-18 at 128², batch 32: our `Learner.fit` (channels-last, bf16 where the processor has the units, fused
  optimiser, all by default) takes at most 0.55 of a plain float32 PyTorch loop;
- one fine-tuning epoch on the pets photos, from the files to the validated epoch (`Resize(460)`,
  `aug_transforms(size=224)`, batch 64, all layers learn): at most 0.40 of fastai's wall time, with SqueezeNet 1.1 and
  with ResNet-18.

Five rounds in turn. `--quick`: two rounds, a fifth of the photos.  `--only step|epoch`: one part.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from common import data_folder, interleaved, machine, print_ratios
from peers import fastai_loaders, need_peers, seeded_fastai, squeezenet_body
from photos import breed, pets_small, random_split
from torch import Tensor, nn
from torch.nn import functional as F

import satsuma as sm

BATCH, SIDE, CLASSES, STEPS, LR = 32, 128, 37, 20, 1e-3
WEIGHTS = data_folder() / "weights" / "squeezenet1_1_imagenet.safetensors"


def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH * STEPS, 3, SIDE, SIDE, generator=generator)
    return x, torch.randint(CLASSES, (len(x),), generator=generator)


def plain_epoch(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """What a plain loop does: float32, contiguous, torch's default AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    model.train()
    order = torch.randperm(len(x))
    for take in order.split(BATCH):
        loss = F.cross_entropy(model(x[take]), y[take])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()


def step_ratio(repeats: int) -> None:
    x, y = pictures()
    learn = sm.Learner(
        sm.DataLoaders(sm.DataLoader(sm.ArrayDataset((x, y)), BATCH, shuffle=True)),
        sm.resnet18(classes=CLASSES),
        loss_func=sm.cross_entropy,
        progress=False,
    )
    contestants: dict[str, Callable[[], Any]] = {
        "plain float32 PyTorch": partial(plain_epoch, sm.resnet18(classes=CLASSES), x, y),
        f"satsuma, default settings ({learn.precision})": partial(learn.fit, 1, LR),
    }
    title = f"{STEPS} steps of ResNet-18, {SIDE}², batch {BATCH} (asked: ≤ 0.55)"
    print_ratios(title, interleaved(contestants, repeats), "plain float32 PyTorch")


def their_learner(files: list[Any], valid: list[int], arch: str) -> Any:
    import torchvision
    from fastai.vision.all import error_rate, vision_learner

    seeded_fastai(1)
    loaders = fastai_loaders(files, breed, valid, size=224, presize=460)
    body = squeezenet_body(WEIGHTS) if arch == "squeezenet1_1" else torchvision.models.resnet18
    learn = vision_learner(loaders, body, metrics=error_rate, pretrained=arch == "squeezenet1_1")
    learn.unfreeze()
    return learn


def our_learner(files: list[Any], valid: list[int], arch: str) -> Any:
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        splitter=sm.IndexSplitter(tuple(valid)),
        get_y=breed,
        item_tfms=sm.Resize(460),
        batch_tfms=sm.aug_transforms(size=224),
    )
    loaders = block.dataloaders(files, check=False)
    weights = {"weights": WEIGHTS} if arch == "squeezenet1_1" else {"pretrained": False}
    learn = sm.vision_learner(loaders, arch, metrics=sm.error_rate, progress=False, **weights)
    learn.unfreeze()
    return learn


def their_epoch(learn: Any) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, LR)


def epoch_ratio(arch: str, share: int, repeats: int) -> None:
    files = pets_small()[::share]
    _, valid = random_split(len(files), 1)
    theirs, ours = their_learner(files, valid, arch), our_learner(files, valid, arch)
    contestants: dict[str, Callable[[], Any]] = {
        "fastai": partial(their_epoch, theirs),
        "satsuma": partial(ours.fit_one_cycle, 1, LR),
    }
    title = f"One epoch of {arch} on {len(files)} pets, files to validated epoch (asked: ≤ 0.40)"
    print_ratios(title, interleaved(contestants, repeats), "fastai")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("step", "epoch"))
    options = parser.parse_args()
    need_peers(("fastai", "torchvision"))
    print(machine())
    repeats = 2 if options.quick else 5
    if options.only in (None, "step"):
        step_ratio(repeats)
    if options.only in (None, "epoch"):
        for arch in ("squeezenet1_1", "resnet18"):
            epoch_ratio(arch, 5 if options.quick else 1, repeats)


if __name__ == "__main__":
    main()
