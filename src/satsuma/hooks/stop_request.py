"""`StopOnRequest`: another program ends a fit after its epoch, by a file in the run's folder."""

from pathlib import Path

from satsuma.hooks.base import Hook
from satsuma.train.fit import INTERRUPTED, EpochRow
from satsuma.train.run import Run

STOP_FILE = "stop"


class StopOnRequest(Hook):
    """Ends the fit after an epoch if there is a file `stop` in the run's folder, as Ctrl-C would; the file is removed.

    >>> StopOnRequest("runs/digits-1").file.as_posix()
    'runs/digits-1/stop'
    """

    def __init__(self, folder: str | Path) -> None:
        self.file = Path(folder) / STOP_FILE

    def forget(self) -> None:
        """Take back a request from before: it was meant for another fit."""
        self.file.unlink(missing_ok=True)

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        if self.file.exists():
            self.file.unlink(missing_ok=True)
            run.stop = run.stop or INTERRUPTED
