"""The lessons' results on MNIST, five seeds each: median and spread.

- 3 versus 7: a linear model with plain SGD on `mnist_loss`, 20 epochs (asked: 96.5% or more)
- 3 versus 7: `simple_net` 784-30-1, 40 epochs (98.0% or more)
- 3 versus 7: ResNet-18, one epoch (the lesson has 99.7%)
- ten digits: logistic regression, NLL and Adam, one epoch (91% or more)
- ten digits: the small CNN to 99.0% in the fewest seconds, beside the same model and recipe in a plain PyTorch loop
- ten digits: the small CNN with augmentation (turned, moved, zoomed, sheared), ten epochs (99.5% or more)

`tune`: the small CNN on 50,000 and 10,000 of the training digits.  `augmented`: the last of the list alone.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from common import data_folder, machine
from torch import Tensor
from torch.nn import functional as F

import satsuma as sm

SEEDS = (1, 2, 3, 4, 5)
# chosen on 10,000 digits of the training half (`tune`), never on the test half
CNN_EPOCHS, CNN_BATCH, CNN_LR, CNN_DECAY, CNN_SMOOTHING = 1, 48, 0.015, 0.05, 0.05


def tell(name: str, accuracies: list[float], seconds: list[float]) -> None:
    low, high = min(accuracies), max(accuracies)
    print(
        f"| {name} | {statistics.median(accuracies):.4f} | {low:.4f} to {high:.4f} | {statistics.median(seconds):.2f} "
        f"| {min(seconds):.2f} to {max(seconds):.2f} |",
        flush=True,
    )


def repeated(name: str, train: Callable[[int], float]) -> None:
    """`train(seed)` gives an accuracy; five seeds, with the seconds each took."""
    accuracies, seconds = [], []
    for seed in SEEDS:
        begun = time.perf_counter()
        accuracies.append(train(seed))
        seconds.append(time.perf_counter() - begun)
    tell(name, accuracies, seconds)


class Digits:
    """MNIST as tensors: `x` uint8 [N 28 28], `y` int64 [N], for training and test."""

    def __init__(self) -> None:
        arrays = sm.load_mnist(data_folder() / "mnist")
        self.x, self.y, self.x_test, self.y_test = (
            torch.from_numpy(a.astype(np.int64) if a.ndim == 1 else a) for a in arrays
        )

    def threes_and_sevens(self, *, flat: bool, batch: int = 256) -> sm.DataLoaders:
        halves = []
        for x, y in ((self.x, self.y), (self.x_test, self.y_test)):
            keep = (y == 3) | (y == 7)
            pixels = x[keep].float() / 255
            shaped = pixels.flatten(1) if flat else pixels[:, None]
            halves.append(sm.ArrayDataset((shaped, (y[keep] == 3).float()[:, None])))
        return sm.DataLoaders(sm.DataLoader(halves[0], batch, shuffle=True), sm.DataLoader(halves[1], 2048))

    def normalised(self) -> tuple[Tensor, Tensor]:
        """Training and test pixels [N 1 28 28], by the training half's mean and deviation."""
        train, test = self.x[:, None].float() / 255, self.x_test[:, None].float() / 255
        mean, std = train.mean(), train.std()
        return (train - mean) / std, (test - mean) / std


def threes_linear(digits: Digits, seed: int) -> float:
    sm.set_seed(seed)
    learn = sm.Learner(
        digits.threes_and_sevens(flat=True),
        sm.linear_model(784, 1),
        opt_func=sm.SGD,
        loss_func=sm.mnist_loss,
        metrics=sm.binary_accuracy,
        seed=seed,
        progress=False,
    )
    return learn.fit(20, lr=1.0)[-1].metrics["binary_accuracy"]


def threes_net(digits: Digits, seed: int) -> float:
    sm.set_seed(seed)
    learn = sm.Learner(
        digits.threes_and_sevens(flat=True),
        sm.simple_net(784, 30, 1),
        opt_func=sm.SGD,
        loss_func=sm.mnist_loss,
        metrics=sm.binary_accuracy,
        seed=seed,
        progress=False,
    )
    return learn.fit(40, lr=0.1)[-1].metrics["binary_accuracy"]


def threes_resnet(digits: Digits, seed: int) -> float:
    sm.set_seed(seed)
    learn = sm.Learner(
        digits.threes_and_sevens(flat=False, batch=64),
        sm.resnet18(classes=1, in_channels=1),
        loss_func=sm.binary_cross_entropy,
        metrics=sm.binary_accuracy,
        seed=seed,
        progress=False,
    )
    return learn.fit_one_cycle(1, 0.003)[-1].metrics["binary_accuracy"]


def ten_logistic(digits: Digits, seed: int) -> float:
    train, test = digits.normalised()
    data = sm.DataLoaders(
        sm.DataLoader(sm.ArrayDataset((train.flatten(1), digits.y)), 64, shuffle=True, seed=seed),
        sm.DataLoader(sm.ArrayDataset((test.flatten(1), digits.y_test)), 2048),
    )
    sm.set_seed(seed)
    model = sm.logistic_regression(784, 10, log_softmax=True)
    learn = sm.Learner(data, model, loss_func=sm.nll, opt_func=sm.Adam, metrics=sm.accuracy, seed=seed, progress=False)
    return learn.fit(1, lr=0.001)[-1].metrics["accuracy"]


def cnn_ours(data: tuple[Tensor, Tensor, Tensor, Tensor], seed: int) -> float:
    x, y, x_test, y_test = data
    loaders = sm.DataLoaders(
        sm.DataLoader(sm.ArrayDataset((x, y)), CNN_BATCH, shuffle=True, seed=seed, drop_last=True),
        sm.DataLoader(sm.ArrayDataset((x_test, y_test)), 1000),
    )
    sm.set_seed(seed)
    learn = sm.Learner(
        loaders,
        sm.small_cnn(),
        loss_func=partial(sm.cross_entropy, label_smoothing=CNN_SMOOTHING),
        metrics=sm.accuracy,
        seed=seed,
        progress=False,
    )
    return learn.fit_one_cycle(CNN_EPOCHS, CNN_LR, wd=CNN_DECAY)[-1].metrics["accuracy"]


def cnn_plain(data: tuple[Tensor, Tensor, Tensor, Tensor], seed: int) -> float:
    x, y, x_test, y_test = data
    torch.manual_seed(seed)
    model = sm.small_cnn()
    optimizer = torch.optim.AdamW(model.parameters(), lr=CNN_LR, weight_decay=CNN_DECAY)
    steps = len(x) // CNN_BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, CNN_LR, total_steps=CNN_EPOCHS * steps, pct_start=0.25)
    accuracy = 0.0
    for _ in range(CNN_EPOCHS):
        order = torch.randperm(len(x))
        model.train()
        for i in range(0, steps * CNN_BATCH, CNN_BATCH):
            take = order[i : i + CNN_BATCH]
            loss = F.cross_entropy(model(x[take]), y[take], label_smoothing=CNN_SMOOTHING)
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
        accuracy = right / len(x_test)
    return accuracy


AUGMENTED_EPOCHS, AUGMENTED_WIDTH, AUGMENTED_BATCH, AUGMENTED_LR = 10, 32, 128, 0.01


def cnn_augmented(digits: Digits, seed: int) -> float:
    """The small CNN, twice as wide, on digits that look different in every epoch."""
    halves = ((digits.x, digits.y), (digits.x_test, digits.y_test))
    if "tune" in sys.argv:
        halves = ((digits.x[:50_000], digits.y[:50_000]), (digits.x[50_000:], digits.y[50_000:]))
    pairs = [pair for x, y in halves for pair in zip(x.numpy(), y.tolist(), strict=True)]
    block = sm.DataBlock(
        blocks=(sm.ImageBlock(channels=1), sm.CategoryBlock),
        splitter=sm.IndexSplitter(tuple(range(len(halves[0][0]), len(pairs)))),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        item_tfms=(
            sm.Rotate(10, p=1.0, pad_mode="zeros"),
            sm.Shear(10, p=1.0, pad_mode="zeros"),
            sm.Zoom(0.9, 1.1, p=1.0, pad_mode="zeros"),
            sm.Shift(2, pad_mode="zeros"),
        ),
    )
    loaders = block.dataloaders(pairs, bs=AUGMENTED_BATCH, seed=seed, check=False)
    sm.set_seed(seed)
    learn = sm.Learner(
        loaders,
        sm.small_cnn(width=AUGMENTED_WIDTH),
        label_smoothing=CNN_SMOOTHING,
        metrics=sm.accuracy,
        seed=seed,
        progress=False,
    )
    return learn.fit_one_cycle(AUGMENTED_EPOCHS, AUGMENTED_LR, wd=CNN_DECAY)[-1].metrics["accuracy"]


def small_cnn(digits: Digits) -> None:
    """Ours and the plain loop in turn, seed by seed; with `tune` on 50,000 and 10,000 of the training digits."""
    train, test = digits.normalised()
    data = (train, digits.y, test, digits.y_test)
    if "tune" in sys.argv:
        data = (train[:50_000], digits.y[:50_000], train[50_000:], digits.y[50_000:])
    found: dict[str, tuple[list[float], list[float]]] = {"ours": ([], []), "plain": ([], [])}
    for seed in SEEDS:
        for name, contestant in (("ours", cnn_ours), ("plain", cnn_plain)):
            begun = time.perf_counter()
            found[name][0].append(contestant(data, seed))
            found[name][1].append(time.perf_counter() - begun)
    tell(f"10 digits, small_cnn, {CNN_EPOCHS} epoch, batch {CNN_BATCH}", *found["ours"])
    tell("the same in a plain PyTorch loop", *found["plain"])
    ratios = [a / b for a, b in zip(found["ours"][1], found["plain"][1], strict=True)]
    print(f"\nseconds, ours / plain: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


def main() -> None:
    print(machine())
    digits = Digits()
    print("| lesson | median accuracy | spread | median s | spread |\n|---|---|---|---|---|")
    if not {"tune", "augmented"} & set(sys.argv):
        repeated("3 or 7, linear, SGD, mnist_loss, 20 epochs", lambda seed: threes_linear(digits, seed))
        repeated("3 or 7, simple_net 784-30-1, 40 epochs", lambda seed: threes_net(digits, seed))
        repeated("3 or 7, ResNet-18, 1 epoch", lambda seed: threes_resnet(digits, seed))
        repeated("10 digits, logistic regression, NLL, Adam, 1 epoch", lambda seed: ten_logistic(digits, seed))
    if "augmented" not in sys.argv:
        small_cnn(digits)
    if "augmented" in sys.argv or "tune" not in sys.argv:
        repeated(
            f"10 digits, small_cnn, augmented, {AUGMENTED_EPOCHS} epochs", lambda seed: cnn_augmented(digits, seed)
        )


if __name__ == "__main__":
    main()
