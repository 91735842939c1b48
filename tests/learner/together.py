"""What processes under torchrun do for test_together.py, and what one process does to compare with.

`python together.py FOLDER JOB...`: each job writes FOLDER/JOB.pt from process 0. A run that a job begins is copied.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import satsuma as sm
from satsuma.train.fit import TERMINATED
from satsuma.train.world import join_world

N, B = 97, 16  # the last of 7 batches has one sample: the share of process 0 is empty then
STOP_AT = 40


class StopAt(sm.Hook):
    """Ends the fit after a step, as SIGTERM would."""

    def on_step(self, run: sm.Run, row: sm.StepRow) -> None:
        if row.step == STOP_AT:
            run.stop = TERMINATED


class KillOnce(sm.Hook):
    """Process 1 dies in its first life."""

    def on_step(self, run: sm.Run, row: sm.StepRow) -> None:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        if first and os.environ.get("RANK") == "1" and row.step == STOP_AT:
            os.kill(os.getpid(), signal.SIGKILL)


class Watch(sm.Hook):
    """Keeps every step's loss and gradient norm."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []

    def on_step(self, run: sm.Run, row: sm.StepRow) -> None:
        self.rows.append((row.loss, row.grad_norm or 0.0))


def spread(outputs: Tensor, targets: Tensor) -> float:
    """A metric that is not the mean of its batches' values."""
    return float((outputs - targets).double().std())


def tiny_data(dtype: torch.dtype, n: int = N) -> sm.DataLoaders:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(n + 7, 5, generator=draw, dtype=torch.float64)
    y = (x @ torch.randn(5, 2, generator=draw, dtype=torch.float64)).sin()
    x, y = x.to(dtype), y.to(dtype)
    return sm.DataLoaders(
        sm.DataLoader((x[:n], y[:n]), B, shuffle=True), sm.DataLoader((x[n:], y[n:]), 2)
    )  # 7 samples held out


def tiny_model(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 11), nn.Tanh(), nn.Sequential(nn.Linear(11, 7), nn.Tanh()), nn.Linear(7, 2)).to(
        dtype
    )


def tiny_learner(dtype: torch.dtype = torch.float64, **settings: Any) -> sm.Learner:
    settings = {"loss_func": sm.mse, "lr": 0.01, "max_norm": 0.5, "device": "cpu", **settings}
    return sm.Learner(tiny_data(dtype), tiny_model(dtype), metrics=[spread, sm.mae], progress=False, **settings)


def trained(dtype: torch.dtype = torch.float64, **settings: Any) -> dict[str, Any]:
    """15 epochs, 105 steps: weights, losses, norms, and the epochs' values."""
    watch = Watch()
    learn = tiny_learner(dtype, hooks=[watch], **settings)
    rows = learn.fit_one_cycle(15)
    return facts(learn, rows, watch)


def facts(learn: sm.Learner, rows: Any, watch: Watch) -> dict[str, Any]:
    return {
        "weights": {k: v.clone() for k, v in learn.model.state_dict().items()},
        "steps": torch.tensor(watch.rows, dtype=torch.float64),
        "valid": [[row.train_loss, row.valid_loss, *row.metrics.values()] for row in rows],
        "whole": learn.validate().metrics,
    }


def begun(run_dir: Path, **settings: Any) -> dict[str, Any]:
    learn = tiny_learner(hooks=[StopAt()], run_dir=run_dir, **settings)
    try:
        learn.fit_one_cycle(15)
    except SystemExit as error:
        return {"code": error.code}
    raise AssertionError("the fit was to be cut off")


def gone_on(run_dir: Path, **settings: Any) -> dict[str, Any]:
    learn = tiny_learner(hooks=[StopAt()], run_dir=run_dir, **settings)
    rows = learn.fit_one_cycle(15, resume=True)
    return facts(learn, rows, Watch())


def stopped_early(**settings: Any) -> dict[str, Any]:
    """A rate at which the loss goes up again: the best epoch's weights come back."""
    learn = tiny_learner(lr=0.3, **settings)
    rows = learn.fit(15, early_stopping=sm.EarlyStopping(patience=2))
    return {**facts(learn, rows, Watch()), "epochs": [len(rows), learn.weights_epoch]}


def diverged(**settings: Any) -> dict[str, Any]:
    """A rate at which the loss is infinite at once."""
    learn = tiny_learner(lr=1e200, opt_func=sm.SGD, **{"max_norm": None, **settings})
    try:
        learn.fit(2)
    except FloatingPointError as error:
        return {"told": str(error), "weights": learn.model.state_dict()}
    raise AssertionError("the loss was to be infinite")


def batch_norm() -> dict[str, Any]:
    """Statistics are the same everywhere after a fit, though each process saw other samples."""
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.3), nn.Linear(7, 2)).double()
    try:
        sm.Learner(tiny_data(torch.float64, 99), model, loss_func=sm.mse, device="cpu", progress=False).fit(1)
        lonely = ""
    except ValueError as error:
        lonely = str(error)
    data = tiny_data(torch.float64, 96)
    learn = sm.Learner(data, model, loss_func=sm.mse, device="cpu", progress=False, mixup=sm.MixUp())
    before = [p.detach().clone() for p in model.parameters()]  # drawn without a seed: process 0's count
    learn.fit(2)
    world = join_world()
    mine = [t.double().sum().item() for t in learn.model.state_dict().values()]
    theirs = [world.first(mine), world.mean(mine)]
    changed = any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    return {"mine": mine, "theirs": theirs, "changed": changed, "lonely": lonely}


def job(name: str, folder: Path) -> dict[str, Any]:
    if name == "float32":
        return trained(torch.float32)
    if name == "micro":
        return trained(micro=3)
    if name == "summed":
        return trained(loss_func=nn.MSELoss(reduction="sum"))
    if name == "stopped":
        return stopped_early(parallel="fsdp")
    if name == "diverged":
        return diverged(parallel="fsdp")
    if name == "fsdp":
        return trained(parallel="fsdp")
    if name == "batch_norm":
        return batch_norm()
    if name.startswith("begin"):
        return begun(folder / name.removeprefix("begin_"), parallel="fsdp" if "fsdp" in name else "ddp")
    if name.startswith("go_on"):
        return gone_on(folder / name.removeprefix("go_on_"), parallel="fsdp" if "fsdp" in name else "ddp")
    if name == "killed":
        watch = Watch()
        learn = tiny_learner(hooks=[KillOnce(), watch], run_dir=folder / "killed", save_steps=10)
        return facts(learn, learn.fit_one_cycle(15, resume=True), watch)
    return trained()


if __name__ == "__main__":
    import together  # recipes name its parts by their module, which is another in the process of the tests

    torch.set_num_threads(1)
    place = join_world(timeout_s=60)
    for each in sys.argv[2:]:
        found = together.job(each, Path(sys.argv[1]))
        if place.rank == 0:
            torch.save(found, Path(sys.argv[1]) / f"{each}.pt")
            if each.startswith("begin_"):
                run = Path(sys.argv[1]) / each.removeprefix("begin_")
                shutil.copytree(run, run.with_name(f"{run.name}_again"))
