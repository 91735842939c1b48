"""The command that a run was trained by, kept in its folder: what `--resume` and `rerun` repeat."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.errors import UserError
from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from satsuma.cli.kept_edits import EditsUntil
    from satsuma.cli.train import TrainOptions

COMMAND = "command.json"


def write_command(path: Path, options: "TrainOptions", run_dir: Path, edits: "EditsUntil | None" = None) -> None:
    """Write the data's place and all options of `satsuma train` into the run's folder; and the edits, beside it."""
    command: dict[str, Any] = {"verb": "train", "path": str(path.absolute()), "options": dataclasses.asdict(options)}
    if edits is not None:
        edits.keep(run_dir)
        command["edits_until"] = edits.until
    write_whole(run_dir / COMMAND, (json.dumps(command, indent=1) + "\n").encode())


def read_command(run_dir: Path) -> "tuple[Path, TrainOptions] | None":
    """The data's place and the options; None for a run that was not trained by the command."""
    from satsuma.cli.train import TrainOptions

    file, command = run_dir / COMMAND, read_command_json(run_dir)
    if command is None:
        return None
    try:
        return Path(command["path"]), TrainOptions(**command["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not a command as `satsuma train` of this version writes it ({error})") from error


def read_command_json(run_dir: Path) -> dict[str, Any] | None:
    """What stands in the file of a run's command; None if there is none."""
    file = run_dir / COMMAND
    if not file.is_file():
        return None
    try:
        command = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: not JSON as `satsuma train` writes it ({error})") from error
    if not isinstance(command, dict):
        raise UserError(f"{file}: not a command as `satsuma train` of this version writes it")
    return command


def go_on(run_dir: Path) -> str:
    """The command that goes on with a run."""
    return f"satsuma train --resume {shlex.quote(str(run_dir))}"
