"""`satsuma open`."""

import warnings
from dataclasses import fields
from pathlib import Path

import typer

from satsuma.cli.command_file import read_command
from satsuma.cli.guess import guess_data
from satsuma.cli.kept_edits import edits_of_run
from satsuma.cli.train import TrainOptions, build_learner, console, told_data
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError
from satsuma.learner.learner import Learner
from satsuma.workbench.jobs import Jobs
from satsuma.workbench.server import serve
from satsuma.workbench.subjects import SAFE_NAME, Subject, Workbench, is_run, link_outside


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
        what = "a run, a folder of runs (satsuma train makes runs), or data"
        raise UserError(f"{path}: there is no such folder or file. Give {what}")
    path = path.resolve() if path.is_symlink() else path  # a link that a person names is followed
    if (path / "recipe.json").is_file() and (link := link_outside(path)):
        raise UserError(f"{path}: {link} in it is a link to elsewhere and is not followed; put the file itself there")
    if is_run(path):
        return Workbench(
            run=path, runs_dir=path.absolute().parent, edits=edits, again=train_again, remake=learner_by_command
        )
    if path.is_dir() and any(is_run(folder) for folder in path.iterdir()):
        if edits is not None:
            raise UserError("--edits is the journal of one run or of data: open that, not a folder of runs")
        return Workbench(runs_dir=path, again=train_again, remake=learner_by_command)
    options = {"--label": label, "--label-delim": label_delim, "--size": size}
    given = [text for name, value in options.items() if value for text in (name, str(value))]
    file = edits or Path(f"{path.absolute().name}-edits.jsonl")

    def make_data() -> DataLoaders:
        return guess_data(path, label=label, label_delim=label_delim, size=size).data

    name = SAFE_NAME.sub("-", path.absolute().stem) or "data"
    train = ["train", str(path), *given, "--edits", str(file)]
    return Workbench(data=Subject(name, Jobs(), make_data=make_data, title=path.name, edits=file, train=train))


def learner_by_command(run: Path) -> Learner | None:
    """The untrained learner of a run by the command that trained it: data of a table are not in a recipe."""
    command = read_command(run)
    if command is None or not command[0].exists():
        return None
    path, options = command
    edits = edits_of_run(run)
    with console.capture(), warnings.catch_warnings():  # all of it was said when the run began
        warnings.simplefilter("ignore", UserWarning)
        return build_learner(told_data(path, options, edits), options, None)


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
