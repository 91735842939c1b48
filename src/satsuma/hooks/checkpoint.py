"""`Checkpoint`: the weights of the last and of the best epoch, on disk."""

from pathlib import Path

from satsuma.hooks.base import Hook
from satsuma.train.checkpoint import save_weights
from satsuma.train.early_stopping import improves
from satsuma.train.fit import EpochRow
from satsuma.train.run import Run


class Checkpoint(Hook):
    """After each epoch `folder/last.safetensors`, and `folder/best.safetensors` where `monitor` improved.

    `better`: "lower" or "higher", which way `monitor` ("valid_loss", "train_loss" or a metric's name) improves.
    """

    def __init__(self, folder: str | Path, *, monitor: str = "valid_loss", better: str = "lower") -> None:
        self.folder, self.monitor, self.better = Path(folder), monitor, better
        self.best: float | None = None

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        save_weights(run.model, self.folder / "last.safetensors")
        value = row.value(self.monitor)
        if improves(value, self.best, self.better, 0.0):
            self.best = value
            save_weights(run.model, self.folder / "best.safetensors")
