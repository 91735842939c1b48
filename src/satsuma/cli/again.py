"""`satsuma train --resume` and `satsuma rerun`: a run's command, or recipe, once more."""

from pathlib import Path

import typer
from rich.console import Console

from satsuma.cli.command_file import read_command
from satsuma.cli.kept_edits import edits_of_run
from satsuma.cli.train import finish, new_run_dir, trained_run
from satsuma.errors import UserError
from satsuma.learner.peeling import read_recipe
from satsuma.learner.replay import repetition, replayed
from satsuma.train.world import join_world

console = Console(highlight=False, soft_wrap=True)


def run_resume(run_dir: Path) -> None:
    """Go on with the run in `run_dir` from its newest whole checkpoint."""
    again(run_dir, run_dir, resume=True)


def run_rerun(run: Path, *, name: str | None) -> None:
    """Train a run again beside it, and say whether it came out the same. Exit code 1 if not."""
    world = join_world()
    target = None
    if world.rank == 0:
        target = new_run_dir(run.absolute().parent, name or f"{run.absolute().name}-again", numbered=name is None)
    target = world.first(target)
    assert target is not None
    try:
        shown = target.relative_to(Path.cwd())
    except ValueError:
        shown = target
    again(run, shown, resume=False)
    if world.rank:
        return
    found = repetition(run, shown)
    console.print(f"{run} and {shown}: {found}", markup=False)
    if found.first_other is not None or found.same_weights is False:
        raise typer.Exit(1)


def again(run: Path, target: Path, *, resume: bool) -> None:
    """Train the run again into `target`: by its command, or by its recipe if it was trained in Python."""
    if not run.is_dir():
        raise UserError(f"{run}: there is no such run; satsuma runs lists them")
    command = read_command(run)
    if command is not None:
        path, options = command
        if not path.exists():
            raise UserError(f"{path}: the data that {run} was trained on are gone from there: put them back")
        trained_run(path, options, target, resume=resume, edits=edits_of_run(run))
        return
    read_recipe(run)  # or says that this is no run
    learn = replayed(run, target, resume=resume)
    finish(learn, target)
