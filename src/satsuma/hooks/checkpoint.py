"""`Checkpoint`: the weights of the last and of the best epoch, on disk."""

from pathlib import Path

from satsuma.errors import nearest, spelled
from satsuma.hooks.base import Hook
from satsuma.train.checkpoint import save_weights
from satsuma.train.early_stopping import LOSSES, improves
from satsuma.train.fit import EpochRow, Plan
from satsuma.train.run import Run


class Checkpoint(Hook):
    """After each epoch `folder/last.safetensors`, and `folder/best.safetensors` where `monitor` improved.

    `monitor`: "valid_loss", "train_loss" or a metric's name. `better`: "lower" or "higher"; needed for a metric, since
    it is never guessed from the name. Raises `ValueError` without it, and when a fit has no such column.
    """

    @spelled
    def __init__(self, folder: str | Path, *, monitor: str = "valid_loss", better: str | None = None) -> None:
        if better not in ("lower", "higher") and (better is not None or monitor not in LOSSES):
            raise ValueError(f'Checkpoint: say better="higher" or better="lower" for {monitor}, got {better!r}')
        self.folder, self.monitor, self.better = Path(folder), monitor, better or "lower"
        self.best: float | None = None

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        known = [*(LOSSES if plan.has_valid else LOSSES[1:]), *plan.metrics]
        if self.monitor not in known:
            raise ValueError(
                f"Checkpoint: cannot monitor {self.monitor!r}, no such column: {nearest(self.monitor, known)}"
            )

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        save_weights(run.model, self.folder / "last.safetensors")
        value = row.value(self.monitor)
        if improves(value, self.best, self.better, 0.0):
            self.best = value
            save_weights(run.model, self.folder / "best.safetensors")

    def state_dict(self) -> dict[str, float | None]:
        """What going on with the run needs: the best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        self.best = state["best"]
