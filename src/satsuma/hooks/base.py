"""`Hook`: the observer to inherit from."""

from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.run import Run


class Hook:
    """Watches a fit; write the methods you need. A hook reads the run and writes only itself and `run.stop`.

    >>> class Shout(Hook):
    ...     def on_epoch(self, run, row):
    ...         print("EPOCH", row.epoch)
    """

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        """Before the first step."""

    def on_step(self, run: Run, row: StepRow) -> None:
        """After an update (on a GPU, told for up to 50 updates at once)."""

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        """After an epoch and its evaluation."""

    def on_fit_end(self, run: Run) -> None:
        """After the last epoch, and also when an error ends the fit."""
