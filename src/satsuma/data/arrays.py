"""Data sets that lie in memory as whole tensors, so that a batch is one indexing operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ArrayDataset:
    """`(x, y, ...)` as tensors of one length N: `x` [N *dims], `y` [N *dims].

    >>> dataset = ArrayDataset((torch.zeros(5, 3), torch.arange(5)))
    >>> len(dataset), dataset[2][0].shape
    (5, torch.Size([3]))
    """

    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        lengths = [len(t) for t in self.tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"ArrayDataset: the arrays differ in length: {lengths}. Row i of each must be one sample.")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)


def to_tensor(array: Any, *, name: str) -> Tensor:
    """A tensor that shares memory with `array` where it can; NumPy's float64 becomes float32.

    Raises `ValueError` for text, objects, and NaN or infinite values, naming the rows.
    """
    if isinstance(array, Tensor):
        tensor = array
    else:
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"{name} has dtype {values.dtype}: numbers are expected. Turn text into numbers first "
                f"(labels: CategoryBlock does; columns: one-hot or category codes)."
            )
        if values.dtype == np.float64:
            values = values.astype(np.float32)
        elif values.dtype.kind == "u" and values.dtype.itemsize > 1:
            values = values.astype(np.int64)  # torch has next to no operations for uint16 to uint64
        # torch cannot mark a tensor read-only, and warns when given such an array
        tensor = torch.from_numpy(values if values.flags.writeable else values.copy())
    refuse_non_finite(tensor, name=name)
    return tensor


def refuse_non_finite(tensor: Tensor, *, name: str) -> None:
    """Raise `ValueError` naming the first rows of `tensor` [N *dims] that hold NaN or infinity."""
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum())):
        return  # one pass without a mask: a sum is finite unless some value is not (or it overflows)
    bad = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1).nonzero().flatten().tolist()
    if bad:
        shown = ", ".join(str(i) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(
            f"{name} has NaN or infinite values in {len(bad)} of {len(tensor)} rows: {shown}. "
            f"A loss on them would be NaN; fill them or drop those rows."
        )


def stack_pairs(pairs: Sequence[Any]) -> ArrayDataset | None:
    """The `ArrayDataset` of a list of tuples of equal-shaped tensors or numbers; None if they are something else."""
    if not pairs or not isinstance(pairs[0], tuple):
        return None
    columns = []
    for values in zip(*pairs, strict=False):
        if all(isinstance(v, Tensor) for v in values):
            if len({v.shape for v in values}) != 1 or len({v.dtype for v in values}) != 1:
                return None
            columns.append(torch.stack(values))
        elif all(type(v) in (int, float, bool) for v in values):
            columns.append(torch.tensor(values))
        else:
            return None
    return ArrayDataset(tuple(columns)) if columns and len({len(p) for p in pairs}) == 1 else None


def pixels_to_float(batch: Tensor) -> Tensor:
    """uint8 [B *dims] in 0..255 → float32 in 0..1; any other dtype unchanged."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch
