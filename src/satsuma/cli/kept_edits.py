"""The edits that a run was trained with: the lines of a journal up to one of them, kept in the run's folder."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from satsuma.cli.command_file import read_command_json
from satsuma.data.edit_log import EditLine, edits_in_force, read_lines
from satsuma.data.edits import Edits
from satsuma.errors import UserError
from satsuma.train.checkpoint import write_whole

KEPT = "edits.jsonl"  # in the run's folder; more edits may follow there once it is trained


@dataclass(frozen=True, slots=True)
class EditsUntil:
    """The lines of a journal up to the one with the id `until`: a journal grows, and a run stays what it was."""

    file: Path
    until: int

    def read(self) -> Edits:
        """What was in force then. Raises `UserError` where lines are missing, so that no run is other than it was."""
        lines = edit_lines(self.file, until=self.until)
        last = lines[-1].id if lines else 0
        if last != self.until:
            raise UserError(
                f"{self.file}: edits are missing: the run began with those up to number {self.until}, and here they "
                f"end with {last}. Put the whole file there again"
            )
        return edits_in_force(lines)

    def keep(self, run_dir: Path) -> None:
        """Copy the lines into a run's folder, unless they are there."""
        if (run_dir / KEPT).exists():
            return
        n = len(edit_lines(self.file, until=self.until))
        with self.file.open("rb") as opened:
            whole = b"".join(islice((line for line in opened if line.strip()), n))
        write_whole(run_dir / KEPT, whole)


def edits_until_now(file: Path) -> EditsUntil:
    """All edits that are in a journal at this moment."""
    lines = edit_lines(file)
    return EditsUntil(file.absolute(), lines[-1].id if lines else 0)


def edits_of_run(run: Path) -> EditsUntil | None:
    """The edits that a run began with; None for one that had none."""
    until = (read_command_json(run) or {}).get("edits_until")
    return EditsUntil(run / KEPT, until) if isinstance(until, int) else None


def edit_lines(file: Path, *, until: int | None = None) -> list[EditLine]:
    """The lines of a file of edits, with an error for a user."""
    try:
        return read_lines(file, until=until)
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file of edits; the workbench and sm.Journal write them") from None
    except ValueError as error:
        raise UserError(str(error)) from error
