"""What a regression left unexplained. N samples, n numbers each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from satsuma.inspect.predictions import Predictions
from satsuma.inspect.tables import ShownTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Residuals:
    """The target less the model's number, float64 [N n]: above 0 where the model said too little."""

    values: np.ndarray
    said: np.ndarray  # float32 [N n]
    targets: np.ndarray  # float32 [N n]

    def table(self) -> ShownTable:
        """Of each of the n numbers: the mean error, the mean absolute one, the root of the mean square, and R²."""
        rows, n = [], self.values.shape[1]
        for k in range(n):
            left, target = self.values[:, k], self.targets[:, k].astype(np.float64)
            spread = float(((target - target.mean()) ** 2).sum())
            r2 = 1 - float((left**2).sum()) / spread if spread else None
            sizes = np.abs(left)
            numbers = (left.mean(), sizes.mean(), (left**2).mean() ** 0.5, sizes.max())
            rows.append((output_name(k, n), *map(float, numbers), r2))
        header = ("number", "mean", "mean absolute", "root mean square", "largest", "R²")
        return ShownTable(f"Residuals (target less what was said) of {len(self.values)} samples", header, tuple(rows))

    def plot(self) -> "Figure":
        """What was said against what is, and how the residuals lie around 0."""
        from satsuma.plots.residuals import plot_residual_panels

        n = self.values.shape[1]
        names = [output_name(k, n) for k in range(n)]
        return plot_residual_panels(self.targets, self.said, names)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def output_name(k: int, n: int) -> str:
    """What the k-th of a regression's n numbers is called."""
    return "value" if n == 1 else f"number {k}"


def residuals_of(found: Predictions) -> Residuals:
    """`Residuals` of a regression's predictions. Raises `ValueError` for none."""
    if not len(found):
        raise ValueError(f"residuals: there are no samples in {found.half}")
    return Residuals(found.targets.astype(np.float64) - found.outputs, found.outputs, found.targets)
