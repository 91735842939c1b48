"""`satsuma train` and `satsuma lr-find`."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from satsuma.cli.guess import guess_data
from satsuma.data.blocks import CategoryBlock
from satsuma.data.checks import ONE_SIZE
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError, nearest
from satsuma.functional.links import better_direction, part_name
from satsuma.functional.losses import mae
from satsuma.functional.metrics import accuracy
from satsuma.learner.choices import SMALL_SIDE
from satsuma.learner.learner import Learner
from satsuma.nn.registry import ARCHITECTURES
from satsuma.train.early_stopping import EarlyStopping
from satsuma.train.precision import PRECISIONS, pick_device

console = Console(highlight=False, soft_wrap=True)
REMEDIES = {  # as the library says them → as the command does
    'on_unreadable="skip"': "--skip-unreadable",
    ONE_SIZE: "Bring them to one size by --size 224.",
    "StratifiedSplitter: each": "each",
    "Use splitter=RandomSplitter().": "Give each class several images, or say by --label where the labels are.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of `satsuma train`, by their names on the command line."""

    label: str | None = None
    arch: str | None = None
    epochs: int = 5
    lr: str = "0.003"
    size: int | None = None
    batch_size: int = 64
    valid_pct: float = 0.2
    augment: bool = True
    early_stop: int = 0
    skip_unreadable: bool = False
    seed: int = 42
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None


def run_train(path: Path, options: TrainOptions, *, name: str | None, runs_dir: Path) -> Learner:
    """Train on what lies at `path` and write the run; print where it is and what to do next."""
    refuse_options(options)
    run_dir = new_run_dir(runs_dir, name or default_name(path), numbered=name is None)
    learn = make_learner(path, options, run_dir)
    rate = chosen_rate(learn, options.lr)
    stopping = None
    if options.early_stop:
        stopping = EarlyStopping(monitor=monitored(learn), patience=options.early_stop)
    interrupted = False
    try:
        learn.fit_one_cycle(options.epochs, rate, early_stopping=stopping)
    except KeyboardInterrupt:
        interrupted = True
    finish(learn, run_dir)
    if interrupted:
        steps, planned = len(learn.recorder.losses), options.epochs * len(learn.dls.train)
        console.print(
            f"interrupted after {steps} of {planned} steps; the weights so far are in {run_dir}", markup=False
        )
        raise typer.Exit(130)
    return learn


def refuse_options(options: TrainOptions) -> None:
    """Raise `UserError` for what can be told before any data is read."""
    if options.epochs < 1:
        raise UserError(f"--epochs must be 1 or more, got {options.epochs}")
    if options.batch_size < 1:
        raise UserError(f"--batch-size must be 1 or more, got {options.batch_size}")
    if options.size is not None and options.size < 8:
        raise UserError(f"--size must be 8 pixels or more, got {options.size}")
    if not 0 < options.valid_pct < 1:
        raise UserError(f"--valid-pct is a share above 0 and below 1, got {options.valid_pct}")
    if options.arch is not None and options.arch not in ARCHITECTURES:
        raise UserError(f"--arch {options.arch}: {nearest(options.arch, ARCHITECTURES)}")
    if options.precision not in PRECISIONS:
        raise UserError(f"--precision {options.precision}: {nearest(options.precision, PRECISIONS)}")
    if options.lr != "find":
        parsed_rate(options.lr)
    pick_device(options.device)


def parsed_rate(lr: str) -> float:
    try:
        rate = float(lr)
    except ValueError:
        raise UserError(f"--lr is a number or 'find', got {lr!r}") from None
    if not 0 < rate < float("inf"):
        raise UserError(f"--lr must be above 0, got {lr}")
    return rate


def make_learner(path: Path, options: TrainOptions, run_dir: Path | None) -> Learner:
    """Guess the task, say what was guessed and what is wrong with the data, and build the learner."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            guessed = guess_data(
                path,
                label=options.label,
                size=options.size,
                batch_size=options.batch_size,
                valid_pct=options.valid_pct,
                augment=options.augment,
                skip_unreadable=options.skip_unreadable,
                seed=options.seed,
                workers=options.workers,
            )
        except ValueError as error:
            raise UserError(in_command_words(str(error))) from error
    for line in guessed.said:
        console.print(line, markup=False)
    for warning in caught:
        console.print(f"warning: {warning.message}", style="yellow", markup=False)
    data = guessed.data
    return Learner(
        data,
        options.arch or default_arch(data),
        metrics=[accuracy] if isinstance(data.targets[0], CategoryBlock) else [mae],
        seed=options.seed,
        device=options.device,
        precision=options.precision,
        run_dir=run_dir,
    )


def in_command_words(text: str) -> str:
    """A message of the library's with its remedies as options of the command."""
    for ours, theirs in REMEDIES.items():
        text = text.replace(ours, theirs)
    return text


def default_arch(data: DataLoaders) -> str:
    """small_cnn for small images, resnet18 for others."""
    return "small_cnn" if max(data.one_batch()[0].shape[2:]) <= SMALL_SIDE else "resnet18"


def chosen_rate(learn: Learner, lr: str) -> float:
    if lr == "find":
        found = learn.lr_find()
        console.print(f"learning rate: {found.valley:.2g} (valley)")
        return found.valley
    return parsed_rate(lr)


def monitored(learn: Learner) -> str:
    known = [part_name(m) for m in learn.metrics if better_direction(m)]
    return known[0] if known else "valid_loss"


def finish(learn: Learner, run_dir: Path) -> None:
    """Write the model, the plots and the report of a run."""
    if not learn.recorder.epochs:
        console.print("interrupted before the first step; nothing to save")
        raise typer.Exit(130)
    learn.export(run_dir / "model.safetensors")
    plots = {"loss.png": learn.recorder.plot_loss, "learning_rate.png": learn.recorder.plot_lr}
    if learn.metrics:
        plots["metrics.png"] = learn.recorder.plot_metrics
    failed = []
    for name in (*plots, "report.html"):
        try:
            if name in plots:
                plots[name]().savefig(run_dir / name, dpi=120)
            else:
                learn.report(run_dir / name)
        except Exception as error:  # the training is done and saved: a picture must not make a failure of it
            failed.append(name)
            told = " ".join(str(error).split()) or type(error).__name__
            console.print(f"warning: {run_dir / name} could not be written: {told}", style="yellow", markup=False)
    report = () if "report.html" in failed else ("report.html",)
    names = ", ".join(("model.safetensors", *report, "recipe.py", "history.jsonl", "checkpoints"))
    console.print(f"wrote {run_dir}: {names}", markup=False)


def default_name(path: Path) -> str:
    base = path.stem if path.is_file() else path.resolve().name
    return re.sub(r"[^\w.-]+", "-", base).strip("-.") or "run"


def new_run_dir(runs_dir: Path, name: str, *, numbered: bool) -> Path:
    """`runs/NAME-1`, `runs/NAME-2`, ... the first that is free; a name that was asked for must be free itself."""
    if not numbered:
        if re.search(r"[\\/]", name) or name in ("", ".", ".."):
            raise UserError(f"--name is one folder's name, got {name!r}")
        if (runs_dir / name).exists():
            raise UserError(f"{runs_dir / name} exists already; choose another --name")
        return runs_dir / name
    number = 1
    while (runs_dir / f"{name}-{number}").exists():
        number += 1
    return runs_dir / f"{name}-{number}"


def run_lr_find(path: Path, options: TrainOptions, output: Path) -> Any:
    """Sweep the rate, print the suggestions, write the plot."""
    refuse_options(options)
    learn = make_learner(path, options, None)
    found = learn.lr_find()
    output.parent.mkdir(parents=True, exist_ok=True)
    found.plot().savefig(output, dpi=120)
    console.print(f"wrote {output}", markup=False)
    return found
