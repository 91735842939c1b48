"""`satsuma train` and `satsuma lr-find`."""

import contextlib
import io
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from satsuma.cli.command_file import go_on, read_command, write_command
from satsuma.cli.guess import guess_data
from satsuma.cli.kept_edits import EditsUntil, edits_of_run, edits_until_now
from satsuma.data.blocks import CategoryBlock
from satsuma.data.broken import MAX_BROKEN
from satsuma.data.cache import CACHES
from satsuma.data.checks import ONE_SIZE
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.errors import OutOfMemoryError, UserError, WeightsError, nearest
from satsuma.functional.label_metrics import accuracy_multi, f1_multi
from satsuma.functional.links import better_direction, part_name
from satsuma.functional.losses import mae
from satsuma.functional.metrics import accuracy
from satsuma.learner.choices import SMALL_SIDE
from satsuma.learner.learner import Learner
from satsuma.learner.memory import REMEDY
from satsuma.learner.vision import vision_learner
from satsuma.nn.registry import ARCHITECTURES
from satsuma.nn.timm_body import TIMM
from satsuma.nn.transfer import TransferModel
from satsuma.train.early_stopping import EarlyStopping
from satsuma.train.mixing import MixUp
from satsuma.train.precision import PRECISIONS, pick_device
from satsuma.train.world import join_world, restarts

console = Console(highlight=False, soft_wrap=True)
SCRATCH_LR, FINE_TUNE_LR, BATCH_SIZE = 0.003, 0.002, 64
REMEDIES = {  # as the library says them → as the command does
    'on_unreadable="skip"': "--skip-unreadable",
    ONE_SIZE: "Bring them to one size by --size 224.",
    "StratifiedSplitter: each": "each",
    "pretrained=False": "--from-scratch",
    "weights=FILE": "--weights FILE",
    "Use splitter=RandomSplitter().": "Give each class several images, or say by --label where the labels are.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of `satsuma train`, by their names on the command line."""

    label: str | None = None
    label_delim: str = ""
    arch: str | None = None
    weights: str | None = None
    from_scratch: bool = False
    epochs: int = 5
    freeze_epochs: int = 1
    lr: str | None = None
    size: int | None = None
    batch_size: int = BATCH_SIZE
    valid_pct: float = 0.2
    augment: bool = True
    mixup: bool = False
    early_stop: int = 0
    skip_unreadable: bool = False
    max_broken: float = MAX_BROKEN
    seed: int = 42
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    cache: str | None = None
    edits: str | None = None
    save_steps: int | None = None
    save_minutes: float = 10.0


def run_train(
    path: Path, options: TrainOptions, *, name: str | None, runs_dir: Path, largest_batch: bool = False
) -> Learner:
    """Train on what lies at `path` and write the run; print where it is and what to do next."""
    refuse_options(options)
    edits = None if options.edits is None else edits_until_now(Path(options.edits))
    if largest_batch:
        options = with_largest_batch(path, options, edits)
    world = join_world()
    cut_off = cut_off_run(path, options, name, runs_dir) if world.rank == 0 and restarts() else None
    run_dir = cut_off
    if run_dir is None and world.rank == 0:
        run_dir = new_run_dir(runs_dir, name or default_name(path), numbered=name is None)
    if cut_off is not None:
        edits = edits_of_run(cut_off)
    run_dir, resume, edits = world.first((run_dir, cut_off is not None, edits))
    assert run_dir is not None
    return trained_run(path, options, run_dir, resume=resume, edits=edits)


def cut_off_run(path: Path, options: TrainOptions, name: str | None, runs_dir: Path) -> Path | None:
    """The newest run by this very command that has not come to its end; None if there is none."""
    folders = [runs_dir / name] if name is not None else list(runs_dir.glob(f"{default_name(path)}-*"))
    for folder in sorted(filter(Path.is_dir, folders), key=lambda f: f.stat().st_mtime, reverse=True):
        if read_command(folder) == (path.absolute(), options) and not (folder / "model.safetensors").exists():
            return folder
    return None


def trained_run(
    path: Path, options: TrainOptions, run_dir: Path, *, resume: bool, edits: EditsUntil | None = None
) -> Learner:
    """Train into `run_dir`, or go on with what was cut off there."""
    learn = build_learner(told_data(path, options, edits), options, run_dir)
    rate, transfer = chosen_rate(learn, options.lr), is_transfer(learn)
    stopping = None
    if options.early_stop:
        stopping = EarlyStopping(monitor=monitored(learn), patience=options.early_stop)
    if learn.world.rank == 0:
        write_command(path, options, run_dir, edits)
    interrupted = False
    try:
        if transfer:
            learn.fine_tune(options.epochs, rate, options.freeze_epochs, early_stopping=stopping, resume=resume)
        else:
            learn.fit_one_cycle(options.epochs, rate, early_stopping=stopping, resume=resume)
    except KeyboardInterrupt:
        interrupted = True
    except OutOfMemoryError as error:
        raise UserError(memory_in_command_words(str(error))) from error
    except SystemExit:
        console.print(f"terminated; the run's state is saved. To go on: {go_on(run_dir)}", markup=False)
        raise
    finish(learn, run_dir)
    if interrupted:
        epochs = options.epochs + options.freeze_epochs * transfer
        steps, planned = len(learn.recorder.losses), epochs * len(learn.dls.train)
        console.print(
            f"interrupted after {steps} of {planned} steps; the weights so far are in {run_dir}. To go on: "
            f"{go_on(run_dir)}",
            markup=False,
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
    if not 0 <= options.max_broken < 1:
        raise UserError(f"--max-broken is a share, 0 or more and below 1, got {options.max_broken}")
    if options.save_steps is not None and options.save_steps < 1:
        raise UserError(f"--save-steps must be 1 or more, got {options.save_steps}")
    if not options.save_minutes >= 0:
        raise UserError(f"--save-minutes must be 0 (never) or more, got {options.save_minutes}")
    if options.freeze_epochs < 0:
        raise UserError(f"--freeze-epochs must be 0 or more, got {options.freeze_epochs}")
    if options.from_scratch and options.weights is not None:
        raise UserError("--from-scratch starts without weights, and --weights gives some: say one of them")
    if options.arch is not None and options.arch not in ARCHITECTURES and not options.arch.startswith(TIMM):
        raise UserError(f"--arch {options.arch}: {nearest(options.arch, ARCHITECTURES)}; or timm:NAME")
    if options.cache is not None and options.cache not in CACHES:
        raise UserError(f"--cache {options.cache}: {nearest(options.cache, CACHES)}")
    if options.precision not in PRECISIONS:
        raise UserError(f"--precision {options.precision}: {nearest(options.precision, PRECISIONS)}")
    if options.lr not in (None, "find"):
        parsed_rate(str(options.lr))
    pick_device(options.device)


def parsed_batch_size(text: str) -> int:
    """The number; for 'auto' the one to begin with."""
    if text == "auto":
        return BATCH_SIZE
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--batch-size is a number or 'auto', got {text!r}") from None


def with_largest_batch(path: Path, options: TrainOptions, edits: EditsUntil | None) -> TrainOptions:
    """The options with the largest batch size that there is memory for, when all layers learn; says which and why."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # all of it is said again
        warnings.simplefilter("ignore", UserWarning)
        learn = build_learner(told_data(path, options, edits), options, None)
        learn.progress = False
        learn.unfreeze()
        found = learn.largest_batch()
    console.print(str(found), markup=False)
    return replace(options, batch_size=found.size)


def parsed_rate(lr: str) -> float:
    try:
        rate = float(lr)
    except ValueError:
        raise UserError(f"--lr is a number or 'find', got {lr!r}") from None
    if not 0 < rate < float("inf"):
        raise UserError(f"--lr must be above 0, got {lr}")
    return rate


def told_data(path: Path, options: TrainOptions, edits: EditsUntil | None = None) -> DataLoaders:
    """The loaders of what lies at `path`; says what was guessed, and what is wrong with the data."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            guessed = guess_data(
                path,
                label=options.label,
                label_delim=options.label_delim,
                size=options.size,
                batch_size=options.batch_size,
                valid_pct=options.valid_pct,
                augment=options.augment,
                skip_unreadable=options.skip_unreadable,
                max_broken=options.max_broken,
                seed=options.seed,
                workers=options.workers,
                cache=options.cache,
                edits=None if edits is None else edits.read(),
            )
        except ValueError as error:
            raise UserError(in_command_words(str(error))) from error
    for line in guessed.said:
        console.print(line, markup=False)
    for warning in caught:
        console.print(f"warning: {warning.message}", style="yellow", markup=False)
    return guessed.data


def build_learner(data: DataLoaders, options: TrainOptions, run_dir: Path | None) -> Learner:
    """With trained weights for photos, unless told otherwise; from scratch for small images."""
    side = max(data.one_batch()[0].shape[2:])
    arch = options.arch or ("small_cnn" if side <= SMALL_SIDE and options.weights is None else "resnet18")
    common: dict[str, Any] = {
        "metrics": default_metrics(data),
        "seed": options.seed,
        "device": options.device,
        "precision": options.precision,
        "mixup": MixUp() if options.mixup else None,
        "run_dir": run_dir,
        "save_steps": options.save_steps,
        "save_minutes": options.save_minutes or None,
    }
    if options.weights is None and (options.from_scratch or side <= SMALL_SIDE or arch == "small_cnn"):
        if arch.startswith(TIMM):
            return vision_learner(data, arch, pretrained=False, **common)
        return Learner(data, arch, **common)
    try:
        return vision_learner(data, arch, weights=options.weights, **common)
    except WeightsError as error:
        raise UserError(in_command_words(str(error))) from error


def is_transfer(learn: Learner) -> bool:
    """Whether there is a trained body, which is to be fine-tuned."""
    return isinstance(learn.model, TransferModel) and learn.frozen_to > 0


def default_metrics(data: DataLoaders) -> list[Any]:
    if isinstance(data.targets[0], MultiCategoryBlock):
        return [f1_multi, accuracy_multi]
    return [accuracy] if isinstance(data.targets[0], CategoryBlock) else [mae]


def in_command_words(text: str) -> str:
    """A message of the library's with its remedies as options of the command."""
    for ours, theirs in REMEDIES.items():
        text = text.replace(ours, theirs)
    return text


def memory_in_command_words(text: str) -> str:
    """A message of memory that ran out, with the command's remedies in the place of the library's."""
    facts, found, _ = text.partition(REMEDY)
    ways = "Give --batch-size auto, or a smaller number; or a smaller --size; or --precision bf16."
    return f"{facts}{ways}" if found else text


def chosen_rate(learn: Learner, lr: str | None) -> float:
    if lr is None:
        return FINE_TUNE_LR if is_transfer(learn) else SCRATCH_LR
    if lr == "find":
        found = learn.lr_find()
        console.print(f"learning rate: {found.valley:.2g} (valley)")
        return found.valley
    return parsed_rate(lr)


def monitored(learn: Learner) -> str:
    known = [part_name(m) for m in learn.metrics if better_direction(m)]
    return known[0] if known else "valid_loss"


def finish(learn: Learner, run_dir: Path) -> None:
    """Write the model, the plots and the report of a run; of several processes, the first does."""
    if not learn.recorder.epochs:
        console.print("interrupted before the first step; nothing to save")
        raise typer.Exit(130)
    if learn.world.rank:
        return
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
    script = ("train.py",) if (run_dir / "train.py").exists() else ()
    names = ", ".join(("model.safetensors", *report, *script, "recipe.py", "history.jsonl", "checkpoints"))
    console.print(f"wrote {run_dir}: {names}", markup=False)
    if script:
        console.print(f"as one script of plain PyTorch: satsuma peel {run_dir} --to torch", markup=False)
    console.print(f"to look at it in the browser: satsuma open {run_dir}", markup=False)


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


def picture_file(output: Path) -> Path:
    """Where a plot goes: a name without ending gets .png, a folder `lr_find.png` in it; else the ending must do."""
    from matplotlib.backend_bases import FigureCanvasBase

    if output.is_dir():
        return output / "lr_find.png"
    if not output.suffix:
        return output.with_name(f"{output.name}.png")
    known = FigureCanvasBase.get_supported_filetypes()
    if output.suffix[1:].lower() not in known:
        raise UserError(f"--output {output}: a plot cannot be written as {output.suffix}; use .png, .svg or .pdf")
    return output


def run_lr_find(path: Path, options: TrainOptions, output: Path) -> Any:
    """Sweep the rate, print the suggestions, write the plot."""
    refuse_options(options)
    output = picture_file(output)  # before the sweep, which takes long
    learn = build_learner(told_data(path, options), options, None)
    found = learn.lr_find()
    output.parent.mkdir(parents=True, exist_ok=True)
    found.plot().savefig(output, dpi=120)
    console.print(f"wrote {output}", markup=False)
    return found
