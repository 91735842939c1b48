"""The `satsuma` command: parse, call, print. Nothing here imports torch until a verb needs it."""

import io
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from satsuma.errors import SatsumaError

HELP = """Train, inspect and use models on your own data.

Errors are one clear message; add --debug anywhere to see the traceback. Exit codes: 0 done, 1 an error in what was
asked or in the data, 2 wrong usage, 130 interrupted (the last weights are saved)."""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

# what our own code raises on purpose; anything else from it is a fault of ours
FORESEEN = (SatsumaError, ValueError, TypeError, OSError, FloatingPointError)

RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Folder that holds the runs.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Seed = Annotated[int, typer.Option(help="Of everything random: same command, same model.")]
Size = Annotated[int | None, typer.Option(help="Side in pixels to resize to. Default: 224 if images differ in size.")]
BatchSize = Annotated[int, typer.Option(help="Samples an update.")]
AutoBatchSize = Annotated[str, typer.Option(help="Samples an update, or 'auto': as many as there is memory for.")]
ValidPct = Annotated[float, typer.Option(help="Share held out, where the folders do not say.")]
Workers = Annotated[int | None, typer.Option(help="Threads that load ahead. Default: one a core.")]
Arch = Annotated[
    str | None,
    typer.Option(
        help="small_cnn, squeezenet1_1, resnet18, resnet34, resnet50, mobilenetv3_large_100, convnext_atto to "
        "convnext_tiny, or timm:NAME. Default: small_cnn for images of up to 64 pixels, else resnet18."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(help="Trained weights to start from: a .safetensors file or URL. Default: found by the arch's name."),
]
FromScratch = Annotated[
    bool, typer.Option("--from-scratch", help="Start from random weights. Default: only for images of up to 64 pixels.")
]
LabelDelim = Annotated[
    str, typer.Option(help="What stands between several labels of one image in a csv's column, such as ' '.")
]
SkipUnreadable = Annotated[bool, typer.Option("--skip-unreadable", help="Go on without files that cannot be read.")]
Label = Annotated[
    str | None,
    typer.Option(
        help="Where labels come from: 'parent' (folder name), 're:PATTERN' (in the file name), a csv's column."
    ),
]
EditsFile = Annotated[
    Path | None, typer.Option("--edits", help="Other labels, moves and items to leave out: a file such as edits.jsonl.")
]


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the digits and the run are written.")] = Path("satsuma-demo"),
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 5,
    seed: Seed = 42,
) -> None:
    """Train on handwritten digits that come with scikit-learn, as on a folder of your own.

    Example: satsuma demo
    """
    from satsuma.cli.demo import run_demo

    run_demo(folder, epochs=epochs, seed=seed)


@app.command()
def train(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="A folder of images, or a csv file with names and labels.", show_default=False)
    ] = None,
    label: Label = None,
    label_delim: LabelDelim = "",
    arch: Arch = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 5,
    freeze_epochs: Annotated[
        int, typer.Option(help="Passes before them in which only the new head learns, where there are trained weights.")
    ] = 1,
    lr: Annotated[
        str | None,
        typer.Option(help="Highest learning rate, or 'find'. Default: 0.002 with trained weights, else 0.003."),
    ] = None,
    size: Size = None,
    batch_size: AutoBatchSize = "64",
    valid_pct: ValidPct = 0.2,
    augment: Annotated[bool, typer.Option(help="Move, turn and recolour training images.")] = True,
    mixup: Annotated[bool, typer.Option("--mixup", help="Blend training images in pairs: for long trainings.")] = False,
    early_stop: Annotated[int, typer.Option(help="Stop after so many epochs without a better result; 0: never.")] = 0,
    skip_unreadable: SkipUnreadable = False,
    max_broken: Annotated[
        float, typer.Option(help="Share of training files that may break while it runs; others stand in. 0: none.")
    ] = 0.01,
    seed: Seed = 42,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bf16 or fp16.")] = "auto",
    workers: Workers = None,
    cache: Annotated[str | None, typer.Option(help="Keep in memory: 'pixels' (decoded) or 'bytes' (of files).")] = None,
    edits: EditsFile = None,
    save_steps: Annotated[
        int | None, typer.Option(help="Keep the run's state after so many steps, beside the ends of epochs.")
    ] = None,
    save_minutes: Annotated[float, typer.Option(help="Keep it after so many minutes without; 0: never.")] = 10.0,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with a run that was cut off, to the very same model. Nothing else is given."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the run. Default: the data's name and a number.")] = None,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Train a model on a folder of images; write the run to runs/NAME.

    Photos start from weights that were trained on other photos, small images from scratch.

    The task is guessed from the folder (class folders, train and valid folders, a csv with a label column, names such
    as cat_12.jpg) and said.

    Examples:

      satsuma train pets/

      satsuma train pets/images --label 're:(.+)_\\d+.jpg$' --arch resnet34

      satsuma train scans/labels.csv --label diagnosis --size 128 --from-scratch

      satsuma train scenes/labels.csv --label tags --label-delim ' '

      satsuma train --resume runs/pets-1
    """
    if resume is not None:
        from satsuma.cli.again import run_resume

        refuse_beside_resume(context)
        run_resume(resume)
        return
    if path is None:
        raise typer.BadParameter("give a folder of images or a csv file, or --resume RUN", param_hint="PATH")
    from satsuma.cli.train import TrainOptions, parsed_batch_size, run_train

    options = TrainOptions(
        label=label,
        label_delim=label_delim,
        arch=arch,
        weights=weights,
        from_scratch=from_scratch,
        epochs=epochs,
        freeze_epochs=freeze_epochs,
        lr=lr,
        size=size,
        batch_size=parsed_batch_size(batch_size),
        valid_pct=valid_pct,
        augment=augment,
        mixup=mixup,
        early_stop=early_stop,
        skip_unreadable=skip_unreadable,
        max_broken=max_broken,
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
        cache=cache,
        edits=None if edits is None else str(edits.absolute()),
        save_steps=save_steps,
        save_minutes=save_minutes,
    )
    run_train(path, options, name=name, runs_dir=runs_dir, largest_batch=batch_size == "auto")


def refuse_beside_resume(context: typer.Context) -> None:
    """A run that goes on does so by its own command: a usage error for anything else that is given."""
    given = [
        p for p in context.params if (s := context.get_parameter_source(p)) is not None and s.name == "COMMANDLINE"
    ]
    others = [f"--{p.replace('_', '-')}" if p != "path" else "PATH" for p in given if p != "resume"]
    if others:
        raise typer.BadParameter(
            f"goes on by the run's own command; leave out {', '.join(others)}", param_hint="--resume"
        )


@app.command()
def rerun(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    name: Annotated[str | None, typer.Option(help="Of the new run. Default: the run's name and '-again-1'.")] = None,
) -> None:
    """Train a run again, beside it, and say whether the same weights came out, bit for bit.

    Exit code 1 if not; what was different around the two (versions, machine, data) is listed then.

    Example: satsuma rerun runs/pets-1
    """
    from satsuma.cli.again import run_rerun

    run_rerun(run, name=name)


@app.command()
def edits(
    file: Annotated[Path, typer.Argument(help="A file of edits, such as edits.jsonl.")],
    data: Annotated[
        Path | None, typer.Option(help="What they are edits of: a folder of images, or a csv file.")
    ] = None,
    label: Label = None,
    label_delim: LabelDelim = "",
    valid_pct: ValidPct = 0.2,
    seed: Seed = 42,
    csv: Annotated[Path | None, typer.Option(help="Write all labels there, as they are with the edits.")] = None,
    apply: Annotated[
        Path | None, typer.Option(help="Copy the folder of data there, as it is with the edits. It must be new.")
    ] = None,
) -> None:
    """List the edits of a folder of data; or write its corrected labels, or a corrected copy of it.

    The data's own folder stays as it is.

    Examples:

      satsuma edits runs/pets-1/edits.jsonl

      satsuma edits edits.jsonl --data pets/ --csv labels.csv

      satsuma edits edits.jsonl --data pets/ --apply pets-corrected/
    """
    from satsuma.cli.edits import run_edits

    run_edits(file, data, label=label, label_delim=label_delim, valid_pct=valid_pct, seed=seed, csv=csv, copy=apply)


@app.command("lr-find")
def lr_find(
    path: Annotated[Path, typer.Argument(help="A folder of images, or a csv file with names and labels.")],
    label: Label = None,
    label_delim: LabelDelim = "",
    arch: Arch = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    size: Size = None,
    batch_size: BatchSize = 64,
    seed: Seed = 42,
    device: Device = "auto",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the plot goes.")] = Path("lr_find.png"),
) -> None:
    """Look for a good learning rate, with a plot.

    Example: satsuma lr-find pets/ --arch resnet18
    """
    from satsuma.cli.train import TrainOptions, run_lr_find

    options = TrainOptions(
        label=label,
        label_delim=label_delim,
        arch=arch,
        weights=weights,
        from_scratch=from_scratch,
        size=size,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    run_lr_find(path, options, output)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder of a run.")],
    items: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    device: Device = "auto",
) -> None:
    """Predict files with a trained model.

    Examples:

      satsuma predict runs/pets-1 photo.jpg

      satsuma predict model.safetensors new_photos/ --json
    """
    from satsuma.cli.predict import run_predict

    run_predict(model, items, top=top, as_json=as_json, device=device)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A folder of data, a csv file, a run, or a model file.")],
    label: Label = None,
    label_delim: LabelDelim = "",
    size: Size = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where a picture of a batch goes.")] = Path(
        "batch.png"
    ),
) -> None:
    """Show what is in a folder of data (with a picture of a batch), a run, or a model file.

    Examples:

      satsuma show pets/

      satsuma show runs/pets-1
    """
    from satsuma.cli.show import run_show

    run_show(path, label=label, label_delim=label_delim, size=size, output=output)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A folder of images, or a csv file with names and labels.")],
    label: Label = None,
    label_delim: LabelDelim = "",
    size: Size = None,
    seed: Seed = 42,
    model: Annotated[
        Path | None, typer.Option(help="The folder of a run: judge labels and outliers by its model.")
    ] = None,
    edits: EditsFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a picture is in training and in validation.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all faults as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a page of HTML there, with pictures.")
    ] = None,
) -> None:
    """Look for what is wrong in a folder of data: the same picture twice, wrong labels, outliers, odd pictures.

    Nothing is changed or fetched. Without a model, small images are judged by a small network that is trained here,
    photos by trained weights that lie on this machine.

    Examples:

      satsuma check pets/

      satsuma check pets/ --model runs/pets-1 -o faults.html

      satsuma check pets/ --strict --json
    """
    from satsuma.cli.check import run_check

    run_check(
        path,
        label=label,
        label_delim=label_delim,
        size=size,
        seed=seed,
        model=model,
        edits=edits,
        strict=strict,
        as_json=as_json,
        output=output,
    )


@app.command()
def runs(runs_dir: Annotated[Path, typer.Argument(help="Folder that holds the runs.")] = Path("runs")) -> None:
    """List the runs, the newest first, with their results.

    Example: satsuma runs
    """
    from satsuma.cli.show import run_runs

    run_runs(runs_dir)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write. Default: report.html in the run's folder."),
    ] = None,
) -> None:
    """Write a run's report: one HTML page with result, curves, mistakes, heat maps, data faults, recipe and script.

    Of a run that was cut off, or still trains, too. Needs no network to be read.

    Example: satsuma report runs/pets-1 -o pets.html
    """
    from satsuma.cli.report import run_report

    run_report(run, output)


@app.command("open")
def open_workbench(
    path: Annotated[Path, typer.Argument(help="A run, a folder of runs, a folder of data, or a csv file.")] = Path(
        "runs"
    ),
    label: Label = None,
    label_delim: LabelDelim = "",
    size: Size = None,
    edits: Annotated[
        Path | None,
        typer.Option(
            help="Where edits are kept. Default: edits.jsonl in the run's folder, NAME-edits.jsonl here for data."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine. Default: a free one.", show_default=False)] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the workbench in the browser: watch and compare runs, see mistakes, clean data, try the model.

    Only this machine's browser can reach it. It needs: pip install 'satsuma[workbench]'

    Examples:

      satsuma open

      satsuma open runs/pets-1

      satsuma open pets/
    """
    from satsuma.cli.open import run_open

    run_open(path, label=label, label_delim=label_delim, size=size, edits=edits, port=port, browser=browser)


@app.command()
def peel(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    to: Annotated[
        str, typer.Option(help="loop (Satsuma's parts), torch (plain PyTorch), tensors (autograd alone) or numpy.")
    ] = "torch",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the script there, with its data as .npz beside it.")
    ] = None,
) -> None:
    """Print a run as one Python file that trains the same model: yours to read, change and keep.

    Examples:

      satsuma peel runs/pets-1

      satsuma peel runs/pets-1 --to numpy -o train_pets.py
    """
    from satsuma.cli.peel import run_peel

    run_peel(run, depth=to, output=output)


@app.command()
def diff(
    run_a: Annotated[Path, typer.Argument(help="The folder of a run.")],
    run_b: Annotated[Path, typer.Argument(help="The folder of another.")],
    code: Annotated[bool, typer.Option("--code", help="Only the scripts, as a patch.")] = False,
    settings: Annotated[bool, typer.Option("--settings", help="Only the settings.")] = False,
) -> None:
    """Say what is different between two runs: settings, results, and the scripts they are.

    Example: satsuma diff runs/pets-1 runs/pets-2
    """
    from satsuma.cli.diff import run_diff

    run_diff(run_a, run_b, code=code, settings=settings)


@app.command()
def doctor(
    model: Annotated[Path | None, typer.Argument(help="A model file, file of weights or run to verify.")] = None,
    loader: Annotated[Path | None, typer.Option(help="A folder of images: how to load it fastest.")] = None,
) -> None:
    """Say what this machine and installation can do; or what a file or run holds; or how to load images fastest.

    A file is read from end to end and checked by its digests; exit code 1 and the reason, if it is not whole.

    Examples:

      satsuma doctor

      satsuma doctor runs/pets-1

      satsuma doctor --loader pets/images
    """
    from satsuma.cli.doctor import run_doctor

    run_doctor(model, loader)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        from satsuma.version import __version__

        typer.echo(f"satsuma {__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point: one message for a user's error, a traceback only with --debug."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    if os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0":
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - of several processes (torchrun), the first speaks
        warnings.simplefilter("ignore")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a class name that the terminal cannot show is no reason to fail
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = say_warning
                app(args=arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read our output has seen enough: `satsuma runs | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails once more
        raise SystemExit(1) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"satsuma: {message_of(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def say_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """A warning as one line for a person; those that are not for users with their kind."""
    kind = "" if category is UserWarning else f"{category.__name__}: "
    print(f"warning: {kind}{message}", file=sys.stderr)


def message_of(error: Exception) -> str:
    """What to tell of an error: our own messages as they are; others by their kind, with where to see more."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = bool(frames) and Path(__file__).parents[1] in Path(frames[-1].filename).parents
    text = str(error).strip() or type(error).__name__
    if ours and isinstance(error, FORESEEN):
        return text
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return f"{type(error).__name__}: {text}\n(not foreseen; --debug shows where it happened)"


if __name__ == "__main__":
    main()
