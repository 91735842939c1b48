"""What goes through a model's layers: mean, deviation, what is near 0, and ReLU units that are always 0.

Shapes: B batch, D features, C channels. A unit is a feature of [B D] or a channel of [B C ...].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from satsuma.errors import spelled
from satsuma.inspect.gallery import shown_fragment
from satsuma.inspect.model_table import tensors_in, text_table, times_text
from satsuma.inspect.tables import html_table
from satsuma.inspect.watched import LayerCall, is_innermost, watched_calls
from satsuma.nn.init import RELU_LAYERS

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure

NEAR_ZERO = 0.05  # how small a number counts as near 0, as in fastai's ActivationStats
NAMED = 8  # dead units that a table names; the row has them all
HEADER = ("layer", "kind", "output", "mean", "deviation", "near 0", "dead units")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationRow:
    """One layer's outputs in numbers. `dead`: the numbers of its ReLU units that were always 0; None for no ReLU."""

    name: str  # as in `model.named_modules()`
    kind: str
    shape: tuple[int, ...]  # without the batch
    mean: float
    std: float
    near_zero: float  # share of numbers within NEAR_ZERO of 0
    units: int
    dead: tuple[int, ...] | None

    @property
    def dead_text(self) -> str:
        """How many are dead, and which."""
        if not self.dead:
            return "" if self.dead is None else "none"
        more = ", ..." if len(self.dead) > NAMED else ""
        named = ", ".join(map(str, self.dead[:NAMED]))
        return f"{len(self.dead)} of {self.units} ({len(self.dead) / self.units:.0%}): {named}{more}"


@dataclass(frozen=True, slots=True)
class Activations:
    """The layers of a model on some batches, in the order of the forward pass. Shows itself; `plot()`."""

    rows: tuple[ActivationRow, ...]
    what: str

    @property
    def dead(self) -> dict[str, tuple[int, ...]]:
        """The dead units of each ReLU layer that has any, by the layer's name."""
        return {row.name: row.dead for row in self.rows if row.dead}

    @property
    def told(self) -> str:
        """The dead units in one sentence."""
        relus = [row for row in self.rows if row.dead is not None]
        if not relus:
            return f"on {self.what}: no ReLU layer"
        count = sum(len(row.dead or ()) for row in relus)
        units = sum(row.units for row in relus)
        return f"on {self.what}: {count} of {units:,} ReLU units were always 0"

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text."""
        return [
            (
                row.name or "(the model)",
                row.kind,
                times_text(row.shape),
                f"{row.mean:.3f}",
                f"{row.std:.3f}",
                f"{row.near_zero:.0%}",
                row.dead_text,
            )
            for row in self.rows
        ]

    def __str__(self) -> str:
        return f"{text_table(HEADER, self.cells(), right=(3, 4, 5))}\n{self.told}"

    __repr__ = __str__

    def html(self) -> str:
        """The table as a piece of HTML."""
        return html_table(HEADER, self.cells(), numbers=(3, 4, 5), caption=self.told)

    def _repr_html_(self) -> str:
        return shown_fragment(self.html())

    def plot(self) -> "ShownFigure":
        """Mean and deviation by layer, and the share of dead units of each ReLU layer."""
        from satsuma.plots.activations import plot_layers

        rows = self.rows
        return plot_layers(
            [f"{row.name} {row.kind}".strip() for row in rows],
            [row.mean for row in rows],
            [row.std for row in rows],
            [None if row.dead is None else len(row.dead) / row.units for row in rows],
        )


@dataclass(slots=True)
class OutputSums:
    """What is added up over a layer's outputs; tensors stay on their device, so that nothing waits for a GPU."""

    numbers: int
    shape: tuple[int, ...]
    sums: Tensor  # [3]: of the values, of their squares, and how many are near 0
    alive: Tensor | None  # bool [units]: was ever other than 0; None for no ReLU

    @property
    def units(self) -> int:
        """How many units a ReLU has; 0 of any other layer."""
        return 0 if self.alive is None else len(self.alive)

    def add(self, other: "OutputSums") -> None:
        """Take up the sums of another call of the same layer."""
        self.numbers += other.numbers
        self.sums = self.sums + other.sums
        if self.alive is not None and other.alive is not None:
            alike = self.units == other.units  # which they need not be of sequences of different lengths
            self.alive = self.alive | other.alive if alike else None
        else:
            self.alive = None

    def row(self, name: str, kind: str) -> ActivationRow:
        """The sums as shares and means."""
        total, squares, small = (self.sums / max(1, self.numbers)).tolist()
        dead = None if self.alive is None else tuple(torch.nonzero(~self.alive).flatten().tolist())
        return ActivationRow(
            name=name,
            kind=kind,
            shape=self.shape,
            mean=total,
            std=max(0.0, squares - total * total) ** 0.5,
            near_zero=small,
            units=self.units,
            dead=dead,
        )


@torch.no_grad()
def summed_output(module: nn.Module, output: Any) -> OutputSums | None:
    """The sums of a layer's first output tensor; None where there is none of floating-point numbers."""
    values = next(iter(tensors_in(output)), None)
    if values is None or not values.is_floating_point() or values.ndim == 0 or not values.numel():
        return None
    wide = values.detach().to(torch.float64 if values.device.type == "cpu" else torch.float32)
    sums = torch.stack([wide.sum(), wide.square().sum(), (wide.abs() <= NEAR_ZERO).sum().to(wide.dtype)])
    alive = None
    if isinstance(module, RELU_LAYERS):
        units = values.transpose(0, 1).flatten(1) if values.ndim > 1 else values[None]  # [units everything-else]
        alive = (units != 0).any(1)
    return OutputSums(values.numel(), tuple(values.shape[1:]), sums, alive)


@spelled
def activations(model: nn.Module, x: Tensor | Sequence[Tensor]) -> Activations:
    """The innermost layers' outputs on one batch `x` [B ...] (or a tuple of inputs), in evaluation mode.

    A layer that is called several times has a row for each call. The model is left as it was. Functions without a
    layer, such as `F.relu`, are not seen.

    >>> model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    >>> _ = model[0].load_state_dict({"weight": torch.tensor([[1.0], [-1.0]])})
    >>> activations(model, torch.tensor([[1.0], [2.0]])).dead
    {'1': (1,)}
    """
    inputs = (x,) if isinstance(x, Tensor) else tuple(x)
    rows = watched_calls(model, inputs, seen=activation_row)
    return Activations(tuple(row for row in rows if row is not None), f"{len(inputs[0])} samples")


def activation_row(call: LayerCall) -> ActivationRow | None:
    """The row of an innermost layer's call."""
    sums = summed_output(call.module, call.output) if is_innermost(call.module) else None
    return None if sums is None else sums.row(call.name, type(call.module).__name__)
