"""CIFAR-10 (20,000 of its training pictures) from scratch on two cores: accuracy against seconds.

The same small residual network, recipe (one cycle of AdamW, label smoothing, flip and shift) and number of epochs: in
our `Learner` with default settings, and in a plain float32 PyTorch loop over tensors in memory that augments whole
batches. 5,000 test pictures judge both, after each epoch. Asked: our accuracy no lower, in fewer seconds.

`--seeds N` (1), `--epochs N` (5), `--quick`: one epoch of 4,000 pictures.  `--ours`: leave the plain loop out.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from common import data_folder, machine
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import satsuma as sm

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BATCH, LR, DECAY, SMOOTHING, PCT = 128, 0.006, 0.05, 0.1, 0.25
Halves = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pictures() -> Halves:
    """x_train uint8 [20000 32 32 3], y_train [20000], x_test [5000 32 32 3], y_test [5000]."""
    folder = data_folder() / "cifar10"
    labels, found = np.load(folder / "labels.npz"), []
    for part in ("train", "test"):
        mosaic = np.asarray(Image.open(folder / f"{part}.webp").convert("RGB"))
        x = mosaic.reshape(-1, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
        found += [np.ascontiguousarray(x), labels[part].astype(np.int64)]
    return found[0], found[1], found[2], found[3]


class Residual(nn.Module):
    def __init__(self, planes: int) -> None:
        super().__init__()
        self.first, self.second = conv(planes, planes), conv(planes, planes)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))  # type: ignore[no-any-return]


def conv(in_planes: int, planes: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(planes), nn.ReLU(inplace=True))


def small_resnet() -> nn.Sequential:
    """Three stages of 48, 96 and 192 planes at 16², 8² and 4²: [B 3 32 32] to [B 10]; 53 million multiplications."""
    return nn.Sequential(
        conv(3, 48, stride=2),  # [B 48 16 16]
        Residual(48),
        conv(48, 96),
        nn.MaxPool2d(2),  # [B 96 8 8]
        Residual(96),
        conv(96, 192),
        nn.MaxPool2d(2),  # [B 192 4 4]
        Residual(192),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(192, 10),
    )


def ours(data: Halves, epochs: int, seed: int) -> list[tuple[float, float]]:
    x, y, x_test, y_test = data
    rows: list[tuple[float, float]] = []
    pairs = list(zip((*x, *x_test), (*y.tolist(), *y_test.tolist()), strict=True))
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        splitter=sm.IndexSplitter(tuple(range(len(x), len(pairs)))),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        item_tfms=(sm.Flip(), sm.Shift(4, pad_mode="reflection")),
        batch_tfms=sm.Normalize(MEAN, STD),
    )
    loaders = block.dataloaders(pairs, bs=BATCH, seed=seed, check=False)
    sm.set_seed(seed)
    seconds = 0.0
    learn = sm.Learner(
        loaders,
        small_resnet(),
        loss_func=sm.cross_entropy,
        label_smoothing=SMOOTHING,
        metrics=sm.accuracy,
        seed=seed,
        progress=False,
    )
    for row in learn.fit_one_cycle(epochs, LR, wd=DECAY, pct_start=PCT):
        seconds += row.time_s
        rows.append((seconds, row.metrics["accuracy"]))
    return rows


def shifted_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture of the batch [B C H W] flipped or not and moved by up to four pixels, with reflection."""
    count, size = len(x), x.shape[-1]
    flip = torch.rand(count, generator=generator) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    padded = F.pad(x, (4, 4, 4, 4), mode="reflect")
    top, left = torch.randint(0, 9, (2, count), generator=generator)
    rows = (top[:, None] + torch.arange(size))[:, None, :, None]
    columns = (left[:, None] + torch.arange(size))[:, None, None, :]
    return padded[torch.arange(count)[:, None, None, None], torch.arange(3)[:, None, None], rows, columns]


def as_tensor(x: np.ndarray) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 - mean) / std).contiguous()


def plain(data: Halves, epochs: int, seed: int) -> list[tuple[float, float]]:
    rows: list[tuple[float, float]] = []
    x, x_test = as_tensor(data[0]), as_tensor(data[2])
    y, y_test = torch.from_numpy(data[1]), torch.from_numpy(data[3])
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = small_resnet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    steps = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=epochs * steps, pct_start=PCT)
    begun = time.perf_counter()
    for _ in range(epochs):
        model.train()
        for take in torch.randperm(len(x), generator=generator).split(BATCH)[:steps]:
            loss = F.cross_entropy(model(shifted_and_flipped(x[take], generator)), y[take], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            right = sum(
                int((model(a).argmax(1) == b).sum())
                for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)
            )
        rows.append((time.perf_counter() - begun, right / len(x_test)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    print(machine())
    data: Any = pictures()
    if options.quick:
        data = (data[0][:4000], data[1][:4000], data[2][:1000], data[3][:1000])
    epochs = 1 if options.quick else options.epochs
    contestants = {"satsuma": ours} if options.ours else {"satsuma": ours, "plain PyTorch": plain}
    print("| contestant | seed | epoch | seconds | accuracy |\n|---|---|---|---|---|")
    for seed in range(1, options.seeds + 1):
        for name, contestant in contestants.items():
            for number, (seconds, accuracy) in enumerate(contestant(data, epochs, seed), 1):
                print(f"| {name} | {seed} | {number} | {seconds:.1f} | {accuracy:.4f} |", flush=True)


if __name__ == "__main__":
    main()
