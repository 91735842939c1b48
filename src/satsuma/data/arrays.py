"""Data sets that lie in memory as whole tensors, so that a batch is one indexing operation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.errors import spelled_class


@spelled_class
@dataclass(frozen=True, slots=True)
class ArrayDataset:
    """`(x, y, ...)` as tensors of one length N: `x` [N *dims], `y` [N *dims].

    >>> dataset = ArrayDataset((torch.zeros(5, 3), torch.arange(5)))
    >>> len(dataset), dataset[2][0].shape
    (5, torch.Size([3]))
    """

    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", tuple(self.tensors))
        lengths = [len(t) for t in self.tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"ArrayDataset: the arrays differ in length: {lengths}. Row i of each must be one sample.")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)


@dataclass(frozen=True, slots=True)
class ArrayViews:
    """The same samples in several views, each as an `ArrayDataset`'s tensors: each epoch of a loader sees the next.

    Epoch `first_epoch` sees the first. Indexing, as `tensors`, gives the first view's samples.
    """

    views: tuple[tuple[Tensor, ...], ...]
    first_epoch: int = 0

    def __post_init__(self) -> None:
        shapes = {tuple(t.shape for t in view) for view in self.views}
        if len(shapes) != 1:
            raise ValueError(f"ArrayViews: expected views of one shape, one or more; got {len(shapes)} shapes")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.views[0]

    def __len__(self) -> int:
        return len(self.views[0][0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.views[0])


def to_tensor(array: Any, *, name: str) -> Tensor:
    """A tensor that shares memory with `array` where it can; NumPy's float64 becomes float32.

    Integers stay integers (they may be tokens). Raises `ValueError` for text, objects, complex numbers, and NaN or
    infinite values, naming the rows.
    """
    tensor = array if isinstance(array, Tensor) else from_numpy(array, name=name)
    if tensor.is_complex():
        raise ValueError(f"{name} has dtype {tensor.dtype}: real numbers are expected. Take its parts: x.real, x.imag")
    refuse_non_finite(tensor, name=name)
    return tensor


def from_numpy(array: Any, *, name: str) -> Tensor:
    """A tensor of a dtype that torch computes with, from an array or nested lists; NaN is let through."""
    if isinstance(array, np.ma.MaskedArray):
        refuse_masked(array, name=name)
    try:
        values = np.asarray(array)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array of one shape: {error}") from None
    kind = values.dtype.kind
    if kind not in "biuf":
        remedy = "take its parts: x.real, x.imag" if kind == "c" else "turn text into numbers first (one-hot or codes)"
        raise ValueError(f"{name} has dtype {values.dtype}: real numbers are expected; {remedy}")
    if kind == "f" and values.dtype.itemsize >= 8:
        values = values.astype(np.float32)
    elif kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64)  # torch has next to no operations for uint16 to uint64
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    # torch has no mark for read-only, and no negative strides (x[::-1])
    shared = values.flags.writeable and min(values.strides, default=0) >= 0
    return torch.from_numpy(values if shared else values.copy())


def refuse_masked(array: np.ma.MaskedArray, *, name: str) -> None:
    """Raise `ValueError` naming the rows of a masked array that are masked: NumPy would give what lies underneath."""
    mask = np.ma.getmaskarray(array)
    bad = np.flatnonzero(mask.reshape(len(mask), -1).any(1) if mask.ndim else mask).tolist()
    if bad:
        shown = ", ".join(str(i) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"{name} is masked in {len(bad)} rows: {shown}. Fill them (.filled) or drop those rows.")


def refuse_non_finite(tensor: Tensor, *, name: str) -> None:
    """Raise `ValueError` naming the first rows of `tensor` [N *dims] that hold NaN or infinity."""
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum())):
        return  # one pass without a mask: a sum is finite unless some value is not (or it overflows)
    rows = tensor.reshape(len(tensor), -1) if tensor.ndim else tensor.reshape(1, 1)
    bad = (~torch.isfinite(rows)).any(1).nonzero().flatten().tolist()
    if bad:
        shown = ", ".join(str(i) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(
            f"{name} has NaN or infinite values in {len(bad)} of {len(rows)} rows: {shown}. "
            f"A loss on them would be NaN; fill them or drop those rows."
        )


def pixels_to_float(batch: Tensor) -> Tensor:
    """uint8 [B *dims] in 0..255 → float32 in 0..1; any other dtype unchanged."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch
