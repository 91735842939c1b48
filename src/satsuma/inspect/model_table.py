"""A model as a table: its layers with output shapes, parameters and multiply-adds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from satsuma.errors import spelled
from satsuma.inspect.gallery import shown_fragment
from satsuma.inspect.tables import html_table
from satsuma.inspect.watched import LayerCall, is_innermost, watched_calls

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
HEADER = ("layer", "kind", "output", "parameters", "multiply-adds", "trained")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One layer for one sample. `trained`: "yes", "no" (frozen), "partly", or "" where there is nothing to train."""

    name: str  # as in `model.named_modules()`; "" is the model itself
    kind: str
    shape: tuple[int, ...]  # of the output, without the batch
    parameters: int  # its own, counted where it is called first
    multiply_adds: int
    trained: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """The layers in the order of the forward pass, for one sample; printed as text, shown in a notebook as a table.

    `multiply_adds` are those of linear layers, convolutions and attention, where nearly all of the work is.
    """

    model: str
    shapes: tuple[tuple[int, ...], ...]  # of the inputs, without the batch
    rows: tuple[ModelRow, ...]
    parameters: int
    trainable: int

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    @property
    def total(self) -> str:
        """The sums in one sentence."""
        given = " and ".join(times_text(shape) for shape in self.shapes)
        frozen = self.parameters - self.trainable
        kept = f", of them {frozen:,} frozen" if frozen else ""
        return (
            f"{self.model}: {self.parameters:,} parameters{kept}; {short_number(self.multiply_adds)} multiply-adds for "
            f"one sample of {given}"
        )

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text."""
        return [
            (
                row.name or "(the model)",
                row.kind,
                times_text(row.shape),
                f"{row.parameters:,}" if row.parameters else "",
                f"{row.multiply_adds:,}" if row.multiply_adds else "",
                row.trained,
            )
            for row in self.rows
        ]

    def __str__(self) -> str:
        return f"{text_table(HEADER, self.cells(), right=(3, 4))}\n{self.total}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return shown_fragment(self.html())

    def html(self) -> str:
        """The table as a piece of HTML."""
        return html_table(HEADER, self.cells(), numbers=(3, 4), caption=self.total)


@spelled
def model_table(model: nn.Module, x: Tensor | Sequence[Tensor]) -> ModelTable:
    """The layers of `model` as `x`, a batch of inputs [B ...] (or a tuple of them), goes through them.

    Only the first sample is used. A layer that is called twice has two rows, and its parameters count once. The model
    is left as it was.

    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), nn.Linear(16, 2))
    >>> table = model_table(model, torch.ones(1, 3, 5, 5))
    >>> [(row.shape, row.parameters, row.multiply_adds) for row in table.rows]
    [((4, 2, 2), 112, 432), ((16,), 0, 0), ((2,), 34, 32)]
    """
    inputs = tuple(part[:1] for part in ((x,) if isinstance(x, Tensor) else x))
    counted: set[int] = set()  # parameters, by identity
    rows = [row for call in watched_calls(model, inputs) if (row := row_of_call(call, counted)) is not None]
    parameters = list(model.parameters())
    return ModelTable(
        model=type(model).__name__,
        shapes=tuple(tuple(part.shape[1:]) for part in inputs),
        rows=tuple(rows),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
    )


def row_of_call(call: LayerCall, counted: set[int]) -> ModelRow | None:
    """The row of an innermost layer, or of one around others that has parameters of its own; None for other calls."""
    whole = is_innermost(call.module)
    own = list(call.module.parameters(recurse=whole))
    if not whole and not own:
        return None
    new = [p for p in own if id(p) not in counted]
    counted.update(id(p) for p in new)
    output = next(iter(tensors_in(call.output)), None)
    learning = {p.requires_grad for p in own}
    return ModelRow(
        name=call.name,
        kind=type(call.module).__name__,
        shape=() if output is None else tuple(output.shape[1:]),
        parameters=sum(p.numel() for p in new),
        multiply_adds=multiply_adds(call),
        trained="" if not own else "partly" if len(learning) == 2 else "yes" if learning == {True} else "no",
    )


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors of an output, in tuples, lists and dictionaries at any depth."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def multiply_adds(call: LayerCall) -> int:
    """Products that are added up in one call on one sample; 0 for layers that do nothing of the kind.

    Linear: outputs × inputs of each. Convolution: outputs × channels of a group × places of the kernel. Transposed: the
    same from the inputs' side. Attention: its four projections, and the queries with the keys and with the values.
    """
    module = call.module
    given = next(iter(tensors_in(call.inputs)), None)
    output = next(iter(tensors_in(call.output)), None)
    if given is None or output is None:
        return 0
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * int(math.prod(module.kernel_size))
    if isinstance(module, TRANSPOSED):
        return given.numel() * (module.out_channels // module.groups) * int(math.prod(module.kernel_size))
    if isinstance(module, nn.MultiheadAttention):
        queries, keys, values = (math.prod(part.shape[:-1]) for part in call.inputs[:3])
        width = module.embed_dim
        projected = (2 * queries * width + keys * (module.kdim or width) + values * (module.vdim or width)) * width
        return int(projected + 2 * queries * keys * width)
    return 0


def times_text(shape: Sequence[int]) -> str:
    """A shape as people say it.

    >>> times_text((64, 7, 7)), times_text(())
    ('64×7×7', '')
    """
    return "×".join(map(str, shape))


def short_number(value: float) -> str:
    """Three digits and a word.

    >>> short_number(1_814_073_344), short_number(23_520), short_number(30)
    ('1.81 billion', '23,520', '30')
    """
    for word, size in (("billion", 1e9), ("million", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:,.0f}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns under each other, those numbered in `right` flush right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, ["─" * width for width in widths], *rows):
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
