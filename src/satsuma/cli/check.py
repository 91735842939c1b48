"""`satsuma check`."""

import contextlib
import os
import sys
from pathlib import Path

import typer
from rich.console import Console

from satsuma.cli.command_file import read_command
from satsuma.cli.kept_edits import edits_until_now
from satsuma.cli.train import TrainOptions, told_data
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError
from satsuma.inspect.fault_page import count_words, write_fault_page
from satsuma.inspect.faults import KINDS, Faults
from satsuma.learner.data_faults import find_faults
from satsuma.learner.learner import Learner
from satsuma.learner.trained import trained_learner

SHOWN = 5  # faults of each kind


def run_check(
    path: Path,
    *,
    label: str | None,
    label_delim: str,
    size: int | None,
    seed: int,
    model: Path | None,
    edits: Path | None,
    strict: bool,
    as_json: bool,
    output: Path | None,
) -> Faults:
    """Print what seems wrong in the data at `path`; with `strict` exit with 1 if there are leaks across the split."""
    if output is not None:
        refuse_page(output, path, edits)
    options = TrainOptions(
        label=label, label_delim=label_delim, size=size, seed=seed, augment=False, skip_unreadable=True
    )
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        learn = None if model is None else trained_learner(model)
        dls = checked_data(path, options, edits, learn, model)
        faults = find_faults(dls, learn=learn, seed=seed)
    if as_json:
        typer.echo(faults.json_text(sys.stdout.encoding or "utf-8"))
    else:
        print_faults(faults)
    if output is not None:  # last: whatever becomes of it, what was found is told
        write_fault_page(output, faults, str(path))
        typer.echo(f"wrote {output}", err=as_json)
    if strict and faults.leaks:
        typer.echo(f"satsuma: {count_words(Faults(faults.leaks, ('leak',)))}", err=True)
        raise typer.Exit(1)
    return faults


def refuse_page(output: Path, *read: Path | None) -> None:
    """Raise, before the long search, for a page that cannot be written there or would be written over what is read."""
    if os.path.isdir(output):
        raise UserError(f"--output {output}: is a folder; give the name of a file in it, such as faults.html")
    for file in filter(None, read):
        if os.path.realpath(file) == os.path.realpath(output):
            raise UserError(f"--output {output}: that is what is read, and it stays as it is; give another name")


def checked_data(
    path: Path, options: TrainOptions, edits: Path | None, learn: Learner | None, model: Path | None
) -> DataLoaders:
    """What lies at `path`, as the learner reads it if there is one: its own data, if it was trained on this path."""
    if learn is not None and model is not None and edits is None and options.label is None and options.size is None:
        command = read_command(model)
        if command is not None and command[0] == path.absolute() and path.exists():
            return learn.dls
    data = told_data(path, options, None if edits is None else edits_until_now(edits))
    if learn is None:
        return data
    try:
        learn.dls = data
    except ValueError as error:
        raise UserError(f"{model}: it was trained on other data than {path}: {error}") from error
    return learn.dls


def print_faults(faults: Faults) -> None:
    """Counts by kind, and the surest of each with their names."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(count_words(faults), markup=False, soft_wrap=True)
    for kind in KINDS:
        rows = faults.of(kind)
        if rows:
            more = f" (the {SHOWN} surest of {len(rows):,})" if len(rows) > SHOWN else ""
            console.print(f"\n{KINDS[kind][0]}{more}", style="bold", markup=False)
            console.print(faults.table(kind, SHOWN))
    for note in faults.notes:
        console.print(f"\n{note}", markup=False, soft_wrap=True)
