"""`satsuma open`."""

from dataclasses import fields
from pathlib import Path

import typer

from satsuma.cli.command_file import read_command
from satsuma.cli.guess import guess_data
from satsuma.cli.train import TrainOptions
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError
from satsuma.workbench.jobs import Jobs
from satsuma.workbench.server import serve
from satsuma.workbench.subjects import SAFE_NAME, Subject, Workbench, is_run


def run_open(
    path: Path, *, label: str | None, label_delim: str, size: int | None, edits: Path | None, port: int, browser: bool
) -> None:
    """Open the workbench on a run, a folder of runs, or data."""
    bench = bench_of(path, label=label, label_delim=label_delim, size=size, edits=edits)
    serve(bench, port=port, browser=browser, say=typer.echo)


def bench_of(
    path: Path, *, label: str | None = None, label_delim: str = "", size: int | None = None, edits: Path | None = None
) -> Workbench:
    """What lies at `path`: a run, runs, or data."""
    if not path.exists():
        raise UserError(f"{path}: there is no such folder or file. Give a run, a folder of runs, or data")
    if is_run(path):
        return Workbench(run=path, runs_dir=path.absolute().parent, edits=edits, again=train_again)
    if path.is_dir() and any(is_run(folder) for folder in path.iterdir()):
        if edits is not None:
            raise UserError("--edits is the journal of one run or of data: open that, not a folder of runs")
        return Workbench(runs_dir=path, again=train_again)
    options = {"--label": label, "--label-delim": label_delim, "--size": size}
    given = [text for name, value in options.items() if value for text in (name, str(value))]
    file = edits or Path(f"{path.absolute().name}-edits.jsonl")

    def make_data() -> DataLoaders:
        return guess_data(path, label=label, label_delim=label_delim, size=size).data

    name = SAFE_NAME.sub("-", path.absolute().stem) or "data"
    train = ["train", str(path), *given, "--edits", str(file)]
    return Workbench(data=Subject(name, Jobs(), make_data=make_data, title=path.name, edits=file, train=train))


def train_again(run: Path, edits: Path) -> list[str]:
    """The arguments of the command that trains a run again, with the edits in a journal."""
    command = read_command(run)
    if command is None:
        raise UserError(f"{run.name} was not trained by the command, so its own code has to take edits={str(edits)!r}")
    path, options = command
    usual = TrainOptions()
    given = []
    for field in fields(TrainOptions):
        value, option = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if field.name == "edits" or value == getattr(usual, field.name):
            continue
        if isinstance(value, bool):
            given.append(option if value else option.replace("--", "--no-", 1))
        else:
            given += [option, str(value)]
    return ["train", str(path), *given, "--runs-dir", str(run.absolute().parent), "--edits", str(edits)]
