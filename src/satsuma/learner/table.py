"""The table of a fit's epochs."""

from collections.abc import Iterable

from satsuma.train.fit import EpochRow


class EpochTable(list[EpochRow]):
    """The rows of a fit; its repr is short, since the table is printed while it grows.

    `weights_epoch`: the epoch whose weights the model was left with, where early stopping went back to one.
    """

    def __init__(self, rows: Iterable[EpochRow] = (), weights_epoch: int | None = None) -> None:
        super().__init__(rows)
        self.weights_epoch = weights_epoch

    def __repr__(self) -> str:
        if not self:
            return "no epochs"
        row = row_of(self, self.weights_epoch) or self[-1]
        values = {"valid_loss": row.valid_loss, **row.metrics} if row.valid_loss is not None else {}
        shown = ", ".join(f"{k} {v:.4f}" for k, v in (values or {"train_loss": row.train_loss}).items())
        kept = "" if row is self[-1] else f", the weights are epoch {row.epoch}'s"
        return f"{len(self)} epochs{kept}: {shown}"


def row_of(rows: Iterable[EpochRow], epoch: int | None) -> EpochRow | None:
    """The row of that epoch, None if there is none."""
    return next((row for row in rows if row.epoch == epoch), None)
