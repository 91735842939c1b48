"""`Buffers`: memory for batches that is used again once nobody else holds it.

A batch of 64 pictures is 38 MB. Fresh memory of that size comes from the kernel page by page, zeroed: at 224 pixels
that costs more than writing the normalised numbers into memory that is already there.
"""

import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

SMALL = 2**16  # bytes below which the pool would cost more than it saves: the C library keeps such memory itself
PROBE = [np.empty(1)]
ALONE = sys.getrefcount(PROBE[0])  # what `sys.getrefcount(list[i])` gives for an array that only the list holds


class Buffers:
    """A pool of at most `limit` NumPy arrays, each handed out again only when nobody but the pool holds it.

    Who holds an array is told by Python's count of references to it, which tensors made by `torch.from_numpy`, their
    views, what autograd saved of them, and views by NumPy all share: a batch that is kept is never overwritten.
    For the same reason the contents of a new buffer are arbitrary. With `pinned=True` the memory is page-locked for
    copies to a GPU, and torch's own host allocator does the re-using, which waits for copies under way.
    Threads may share one. Pickled, or copied, it arrives empty.

    >>> buffers = Buffers(limit=2)
    >>> first = buffers.take((64, 224, 224, 3), np.float32)
    >>> place = first.ctypes.data
    >>> del first
    >>> buffers.take((64, 224, 224, 3), np.float32).ctypes.data == place
    True
    """

    def __init__(self, limit: int = 8, *, pinned: bool = False) -> None:
        if limit < 0:
            raise ValueError(f"Buffers: limit is how many arrays the pool keeps, 0 or more, got {limit}")
        self.limit, self.pinned = limit, pinned
        self.arrays: list[np.ndarray] = []  # least recently handed out first
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Buffers(limit={self.limit}, pinned={self.pinned})"

    def __reduce__(self) -> tuple[Any, ...]:
        return empty_buffers, (self.limit, self.pinned)

    def take(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """An array of `shape` and `dtype` with arbitrary contents, for the caller alone until he lets go of it."""
        shape, dtype = tuple(shape), np.dtype(dtype)
        nbytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        if nbytes < SMALL:
            return np.empty(shape, dtype)
        if self.pinned:
            return pinned_array(shape, dtype)
        if not counts_are_exact():
            return np.empty(shape, dtype)
        with self.lock:
            found = self.place_of_free(shape, dtype)
            array = np.empty(shape, dtype) if found is None else self.arrays.pop(found)
            self.arrays.append(array)
            if len(self.arrays) > self.limit:
                del self.arrays[0]  # its holders keep it; only the pool forgets it
        return array

    def place_of_free(self, shape: tuple[int, ...], dtype: np.dtype) -> int | None:
        """Where in the pool an array lies that fits and that nobody else holds."""
        for i in range(len(self.arrays)):
            fits = self.arrays[i].shape == shape and self.arrays[i].dtype == dtype
            if fits and sys.getrefcount(self.arrays[i]) <= ALONE:
                return i
        return None


def counts_are_exact() -> bool:
    """Whether references are counted exactly: not so in a Python without the interpreter lock."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


def empty_buffers(limit: int, pinned: bool) -> Buffers:
    return Buffers(limit, pinned=pinned)


def pinned_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array in page-locked memory; `torch.from_numpy` of it is a pinned tensor."""
    like = torch.from_numpy(np.empty(0, dtype)).dtype
    return torch.empty(shape, dtype=like, pin_memory=True).numpy()


def pinned_parts(batch: Any) -> Any:
    """The batch with its tensors in page-locked memory, from which a GPU copies while the loop goes on."""
    if isinstance(batch, tuple):
        return tuple(pinned_parts(part) for part in batch)
    if isinstance(batch, Tensor):
        return batch if batch.is_pinned() else batch.pin_memory()
    return batch.pin_memory() if hasattr(batch, "pin_memory") else batch
