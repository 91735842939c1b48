"""Trains runs, kills them at chosen moments by SIGKILL, and goes on with them, each in a process of its own.

Run as `python -m tests.learner.kills FOLDER < cases.json`: one process that has everything imported makes a copy of
itself (fork) for every training, so that sixty of them do not cost sixty starts.
"""

import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # torch reads it, for nearly two seconds, with the first optimiser: here once, not in every copy
from tests.peel.recipes import RECIPES

from satsuma.hooks.recorder import Recorder
from satsuma.learner import fitting
from satsuma.learner.resuming import ResumePoints

SAVE_STEPS = 2


def killer(after: int) -> Callable[[], None]:
    """A function whose call number `after` (from 1) ends the process as a power cut would."""
    left = [after]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def plant(moment: str, after: int) -> None:
    """Have this process killed at the `after`-th: step, evaluation, epoch's end, write to the disk or flush of rows."""
    count = killer(after)

    def killing(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **settings: Any) -> Any:
            if before:
                count()
            result = function(*arguments, **settings)
            if not before:
                count()
            return result

        return wrapped

    if moment == "step":
        ResumePoints.after_step = killing(ResumePoints.after_step, before=True)  # type: ignore[method-assign]
    elif moment == "kept":
        ResumePoints.write = killing(ResumePoints.write, before=False)  # type: ignore[method-assign]
    elif moment == "evaluation":
        from satsuma.train import fit

        fit.judge = killing(fit.judge, before=False)
    elif moment == "epoch":
        Recorder.on_epoch = killing(Recorder.on_epoch, before=False)  # type: ignore[method-assign]
    elif moment == "sync":
        os.fsync = killing(os.fsync, before=True)
    elif moment == "rename":
        Path.replace = killing(Path.replace, before=True)  # type: ignore[method-assign]
    elif moment == "rows":
        Recorder.write = killing(Recorder.write, before=False)  # type: ignore[method-assign]
    else:
        raise ValueError(moment)


def train(name: str, folder: Path, run: str, *, resume: bool) -> None:
    """Train a recipe of the matrix into `folder/run`, keeping its state every two steps."""
    recipe = RECIPES[name]
    fitting.write_end = lambda learn, run_dir: None  # the scripts of a finished run are not looked at here
    learn = recipe.make(folder)
    learn.run_dir = folder / run
    learn.recorder = Recorder(learn.run_dir / "history.jsonl")
    learn.resume_points = ResumePoints(learn, SAVE_STEPS, None)
    if resume:
        for method in ("fit", "fit_one_cycle", "fine_tune"):
            setattr(learn, method, resuming(getattr(learn, method)))
    recipe.train(learn)
    torch.save(dict(learn.model.state_dict()), learn.run_dir / "weights.pt")


def resuming(method: Callable[..., Any]) -> Callable[..., Any]:
    """A learner's method with `resume=True`."""

    @functools.wraps(method)
    def wrapped(*arguments: Any, **settings: Any) -> Any:
        return method(*arguments, **settings, resume=True)

    return wrapped


def in_a_copy(action: Callable[[], None]) -> int:
    """Run `action` in a forked process: its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def steps_of(run: Path) -> list[list[float]]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [[row["step"], row["loss"]] for row in rows if row["kind"] == "step"]


def epochs_of(run: Path) -> list[list[float]]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [[row["epoch"], row["train_loss"]] for row in rows if row["kind"] == "epoch"]


def tried(number: int, name: str, moments: list[list[Any]], folder: Path) -> dict[str, Any]:
    """Kill a run at each of `moments` in turn, then let it end: how it compares with the one that was left alone."""
    whole, cut = folder / name / "whole", folder / name / f"cut{number}"
    if not whole.exists() and in_a_copy(lambda: train(name, folder / name, "whole", resume=False)) != 0:
        return {"name": name, "error": "the run that is left alone failed"}
    killed = 0
    for i, (moment, after) in enumerate(moments):

        def cut_off(moment: str = moment, after: int = after, resume: bool = i > 0) -> None:
            plant(moment, after)
            train(name, folder / name, cut.name, resume=resume)

        status = in_a_copy(cut_off)
        if status not in (0, -signal.SIGKILL):
            return {"name": name, "error": f"status {status} at {moment} {after}"}
        killed += status == -signal.SIGKILL
    status = in_a_copy(lambda: train(name, folder / name, cut.name, resume=True))
    if status != 0:
        return {"name": name, "error": f"going on ended with status {status}"}
    a, b = (torch.load(run / "weights.pt", weights_only=True) for run in (whole, cut))
    return {
        "name": name,
        "killed": killed,
        "same_weights": a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a),
        "same_steps": steps_of(whole) == steps_of(cut),
        "same_epochs": epochs_of(whole) == epochs_of(cut),
        "each_once": [step for step, _ in steps_of(cut)] == list(range(1, len(steps_of(cut)) + 1)),
    }


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    results = []
    for number, (name, moments) in enumerate(json.load(sys.stdin)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        results.append(tried(number, name, moments, folder))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
