"""`fit` against a plain PyTorch loop, skorch, accelerate: small MLPs, 12,000 samples in memory, batch 64, validation.

All train the same model from the same weights with SGD for the same number of epochs. The plain loop is what a careful
user writes: a shuffled index, batches by indexing, whole-set evaluation. `by hand` has its gradients written out and
marks the limit.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import data_folder, interleaved, machine, print_ratios
from torch import Tensor, nn
from torch.nn import functional as F

import satsuma as sm

N_TRAIN, N_VALID, BATCH, EPOCHS, LR = 12_000, 2_000, 64, 5, 0.1


def digits(n_out: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """MNIST's first 14,000 digits as float32 [N 784]; labels int64 [N], or float32 [N 1] (odd?) for one."""
    x_all, y_all, _, _ = sm.load_mnist(data_folder() / "mnist")
    x = torch.from_numpy(x_all[: N_TRAIN + N_VALID]).view(-1, 784).float() / 255
    labels = torch.from_numpy(y_all[: N_TRAIN + N_VALID].astype(np.int64))
    y = labels if n_out > 1 else (labels % 2).float()[:, None]
    return x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:]


def fresh(n_out: int) -> nn.Sequential:
    torch.manual_seed(0)
    return sm.simple_net(784, 30, n_out)


def loss_for(n_out: int) -> Callable[..., Tensor]:
    return F.cross_entropy if n_out > 1 else F.binary_cross_entropy_with_logits


def accuracy_of(outputs: Tensor, y: Tensor) -> float:
    right = outputs.argmax(1) == y if outputs.shape[1] > 1 else (outputs > 0) == (y > 0.5)
    return float(right.float().mean())


def plain(n_out: int) -> float:
    x, y, x_valid, y_valid = digits_of[n_out]
    model, loss_func, indexed = fresh(n_out), loss_for(n_out), 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        model.train()
        total = 0.0
        for i in range(0, len(x), BATCH):
            take = order[i : i + BATCH]
            loss = loss_func(model(x[take]), y[take])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            outputs = model(x_valid)
            indexed = accuracy_of(outputs, y_valid)
            loss_func(outputs, y_valid).item()
    return indexed


def by_hand(n_out: int) -> float:
    x, y, x_valid, y_valid = digits_of[n_out]
    model = fresh(n_out)
    (w1, b1), (w2, b2) = ((m.weight.detach(), m.bias.detach()) for m in (model[0], model[2]))
    one_hot = F.one_hot(y, n_out).float() if n_out > 1 else y
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for i in range(0, len(x), BATCH):
            take = order[i : i + BATCH]
            xb, tb = x.index_select(0, take), one_hot.index_select(0, take)
            hidden = torch.addmm(b1, xb, w1.T).relu_()
            out = torch.addmm(b2, hidden, w2.T)
            error = (out.softmax(1) if n_out > 1 else out.sigmoid()).sub_(tb).mul_(LR / len(xb))
            back = (error @ w2).mul_(hidden > 0)
            w2 -= error.T @ hidden
            b2 -= error.sum(0)
            w1 -= back.T @ xb
            b1 -= back.sum(0)
    with torch.no_grad():
        return accuracy_of(model(x_valid), y_valid)


def loaders(n_out: int) -> sm.DataLoaders:
    x, y, x_valid, y_valid = digits_of[n_out]
    train = sm.DataLoader(sm.ArrayDataset((x, y)), BATCH, shuffle=True)
    return sm.DataLoaders(train, sm.DataLoader(sm.ArrayDataset((x_valid, y_valid)), len(x_valid)))


def core(n_out: int) -> float:
    """`satsuma.fit` with hooks off, but for the metric that the plain loop computes too."""
    learn = sm.Learner(
        loaders(n_out),
        fresh(n_out),
        loss_func=loss_for(n_out),
        opt_func=sm.SGD,
        metrics=accuracy_metric,
        progress=False,
        device="cpu",
    )
    from satsuma.train.fit import fit

    run = learn.make_run(LR)
    rows = fit(run, learn.dls.train, epochs=EPOCHS, batch_size=BATCH, validation=learn.validation())
    return rows[-1].metrics["accuracy_metric"]


def accuracy_metric(outputs: Tensor, y: Tensor) -> float:
    return accuracy_of(outputs, y)


def learner(n_out: int, folder: Path) -> float:
    """`Learner.fit` with the table printed and history.jsonl written."""
    learn = sm.Learner(
        loaders(n_out),
        fresh(n_out),
        loss_func=loss_for(n_out),
        opt_func=sm.SGD,
        metrics=accuracy_metric,
        device="cpu",
    )
    learn.recorder.path = folder / "history.jsonl"
    with (folder / "out.txt").open("w") as out:
        before, sys.stdout = sys.stdout, out
        try:
            return learn.fit(EPOCHS, LR)[-1].metrics["accuracy_metric"]
        finally:
            sys.stdout = before


def with_skorch(n_out: int) -> float:
    from skorch import NeuralNet, NeuralNetClassifier
    from skorch.helper import predefined_split
    from torch.utils.data import TensorDataset

    x, y, x_valid, y_valid = digits_of[n_out]
    kind = NeuralNetClassifier if n_out > 1 else NeuralNet
    net = kind(
        fresh(n_out),
        criterion=nn.CrossEntropyLoss if n_out > 1 else nn.BCEWithLogitsLoss,
        optimizer=torch.optim.SGD,
        lr=LR,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=predefined_split(TensorDataset(x_valid, y_valid)),
        verbose=0,
    )
    net.fit(x, y)
    return accuracy_of(net.module_(x_valid), y_valid)


def with_accelerate(n_out: int) -> float:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader, TensorDataset

    x, y, x_valid, y_valid = digits_of[n_out]
    accelerator, model, loss_func = Accelerator(cpu=True), fresh(n_out), loss_for(n_out)
    model, optimizer, train, valid = accelerator.prepare(
        model,
        torch.optim.SGD(model.parameters(), lr=LR),
        DataLoader(TensorDataset(x, y), BATCH, shuffle=True),
        DataLoader(TensorDataset(x_valid, y_valid), len(x_valid)),
    )
    result = 0.0
    for _ in range(EPOCHS):
        model.train()
        for xb, yb in train:
            loss = loss_func(model(xb), yb)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            for xb, yb in valid:
                result = accuracy_of(model(xb), yb)
    return result


digits_of: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]] = {}


def main() -> None:
    print(machine())
    folder = Path(tempfile.mkdtemp())
    peers = {}
    for name, contestant in (("skorch", with_skorch), ("accelerate", with_accelerate)):
        try:
            __import__(name)
            peers[name] = contestant
        except ImportError:
            print(f"{name} is not installed; left out")
    for n_out in (1, 10):
        digits_of[n_out] = digits(n_out)
        contestants = {
            "plain": lambda n=n_out: plain(n),
            "satsuma, hooks off": lambda n=n_out: core(n),
            "satsuma, progress and recorder": lambda n=n_out: learner(n, folder),
            "by hand": lambda n=n_out: by_hand(n),
            **{name: lambda n=n_out, c=c: c(n) for name, c in peers.items()},
        }
        print("accuracies: " + ", ".join(f"{name} {contestant():.4f}" for name, contestant in contestants.items()))
        title = f"MLP 784-30-{n_out}, {N_TRAIN} samples, batch {BATCH}, {EPOCHS} epochs"
        print_ratios(title, interleaved(contestants), "plain")


if __name__ == "__main__":
    main()
