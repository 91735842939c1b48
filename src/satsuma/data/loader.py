"""`DataLoader`: batches whose order and randomness depend only on (seed, epoch), never on the number of workers.

B batch, N samples.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.arrays import ArrayDataset, to_tensor
from satsuma.data.collate import collate
from satsuma.data.seeds import BATCH, SAMPLE, as_seed, epoch_order, numpy_generator, torch_generator
from satsuma.data.transforms import BatchSteps
from satsuma.errors import spelled, spelled_class


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """Batches by indexing whole tensors [N *dims], never item by item."""

    tensors: tuple[Tensor, ...]
    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int

    def __len__(self) -> int:
        return count_batches(len(self.tensors[0]), self.batch_size, self.drop_last)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Batches of one epoch from batch `start` on."""
        if self.shuffle:
            order = epoch_order(len(self.tensors[0]), self.seed, epoch).to(self.tensors[0].device)
            for take in torch.split(order, self.batch_size)[start : len(self)]:
                yield tuple([t.index_select(0, take) for t in self.tensors])
        else:
            for i in range(start * self.batch_size, len(self) * self.batch_size, self.batch_size):
                yield tuple([t[i : i + self.batch_size] for t in self.tensors])


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """Batches made sample by sample from `dataset`, in this thread or by `workers` threads, always in order."""

    dataset: Any
    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int
    workers: int
    augment: bool

    def __len__(self) -> int:
        return count_batches(len(self.dataset), self.batch_size, self.drop_last)

    def load(self, indices: Sequence[int], epoch: int) -> Any:
        samples = [load_sample(self.dataset, i, self.seed, epoch, self.augment) for i in indices]
        refuse_gaps(samples, indices)
        return collate(samples)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on."""
        order = sample_order(len(self.dataset), self.shuffle, self.seed, epoch)
        takes = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(start, len(self))]
        if self.workers == 0:
            for take in takes:
                yield self.load(take, epoch)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="satsuma-loader")
        waiting: deque[Future[Any]] = deque()
        try:
            for take in takes:
                waiting.append(pool.submit(self.load, take, epoch))
                if len(waiting) > self.workers + 1:  # bounded: at most this many batches lie ready
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def sample_order(n: int, shuffle: bool, seed: int, epoch: int) -> list[int]:
    """The order in which one epoch goes through `n` samples."""
    return epoch_order(n, seed, epoch).tolist() if shuffle else list(range(n))


def count_batches(n: int, batch_size: int, drop_last: bool) -> int:
    return n // batch_size if drop_last else math.ceil(n / batch_size)


def load_sample(dataset: Any, index: int, seed: int, epoch: int, augment: bool) -> Any:
    """One sample. A data set with `random` (bool) and `sample(index, rng)` is given a generator while training."""
    try:
        if not (hasattr(dataset, "sample") and hasattr(dataset, "random")):
            return dataset[index]
        rng = numpy_generator(seed, SAMPLE, epoch, index) if augment and dataset.random else None
        return dataset.sample(index, rng)
    except Exception as error:
        name = sample_name(dataset, index)
        if isinstance(error, MemoryError) or (isinstance(error, ValueError) and name in str(error)):
            error.add_note(f"while loading sample {index} of epoch {epoch}")
            raise
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        place = name if name == f"sample {index}" else f"sample {index}, {name}"
        raise ValueError(f"{place} cannot be loaded (epoch {epoch}): {told}") from error


def sample_name(dataset: Any, index: int) -> str:
    """What to call a sample in messages: its file where there is one, else its number."""
    name = getattr(dataset, "name", None)
    try:
        return str(name(index)) if callable(name) else f"sample {index}"
    except Exception:  # a method of the data set's own, for something else
        return f"sample {index}"


def refuse_gaps(samples: Sequence[Any], indices: Sequence[int]) -> None:
    """Raise `ValueError` naming samples that have None where others of the batch have a value."""
    rows = [sample if isinstance(sample, tuple) else (sample,) for sample in samples]
    for position in range(min(map(len, rows))):
        gaps = [i for i, row in zip(indices, rows, strict=True) if row[position] is None]
        if 0 < len(gaps) < len(rows):
            shown = ", ".join(map(str, gaps[:5])) + (", ..." if len(gaps) > 5 else "")
            raise ValueError(
                f"position {position} of some samples is None (of sample {shown}) and of others a value: they cannot "
                f"be one batch. Leave those samples out, or give them a label."
            )


@spelled_class
class DataLoader:
    """Batches of a data set: anything with `__len__` and `__getitem__`, a list of pairs, an array, or a tuple of them.

    `epoch(n)` gives the batches of epoch n, the same whenever it is asked for; plain iteration goes through epochs
    0, 1, 2, ... (`passes` counts them), so that each `for` loop sees a new order. Data that lies in memory as equal
    tensors is batched by indexing. `workers` threads load other data sets ahead of time.

    `drop_last` leaves out a last, shorter batch. `augment`: whether random transforms draw (as `shuffle` unless given).

    Raises `ValueError` for an empty data set, NaN in arrays, a batch size below 1, or when `drop_last` leaves no batch.

    >>> list(DataLoader(range(5), batch_size=2))
    [tensor([0, 1]), tensor([2, 3]), tensor([4])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 64,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        workers: int = 0,
        seed: int = 42,
        augment: bool | None = None,
        batch_steps: BatchSteps | None = None,
        device: torch.device | str = "cpu",
        n_inp: int = 1,
    ) -> None:
        batch_size, workers = whole_number("batch_size", batch_size, 1), whole_number("workers", workers, 0)
        for name, given in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(given, bool | np.bool_):
                raise TypeError(f"DataLoader: {name} is True or False, got {given!r}")
        seed = as_seed(seed)
        if isinstance(dataset, tuple) and dataset and all(isinstance(a, Tensor | np.ndarray) for a in dataset):
            dataset = ArrayDataset(tuple(to_tensor(a, name=f"array {i}") for i, a in enumerate(dataset)))
        self.dataset = dataset
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.workers, self.seed = workers, seed
        self.augment = shuffle if augment is None else augment
        self.batch_steps = batch_steps
        self.device = torch.device(device)
        self.n_inp = n_inp
        self.passes = 0
        refuse_impossible(dataset, batch_size, drop_last)
        arrays = in_memory_tensors(dataset)
        self.bare = isinstance(arrays, Tensor)  # a data set of values, not of pairs: batches are no tuples
        self.batches: InMemory | Streamed
        if arrays is None:
            self.batches = Streamed(
                dataset=dataset,
                batch_size=batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                seed=seed,
                workers=workers,
                augment=self.augment,
            )
        else:
            self.batches = InMemory(
                tensors=(arrays,) if isinstance(arrays, Tensor) else arrays,
                batch_size=batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                seed=seed,
            )

    def __len__(self) -> int:
        return len(self.batches)

    def __repr__(self) -> str:
        kind = type(self.batches).__name__
        return f"DataLoader({len(self.dataset)} samples, batch size {self.batch_size}, {kind})"

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return self.epoch(self.passes - 1)

    @spelled
    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on, on the loader's device, batch transforms applied."""
        batches = self.batches.epoch(epoch, start=start)
        if self.batch_steps is None and self.device.type == "cpu":
            return (batch[0] for batch in batches) if self.bare else batches
        return self.finished(batches, epoch, start)

    def finished(self, batches: Iterator[Any], epoch: int, start: int) -> Iterator[Any]:
        for i, batch in enumerate(batches, start):
            single = self.bare or not isinstance(batch, tuple)
            moved = to_device(batch, self.device)
            if self.batch_steps is not None:
                moved = self.batch_steps(moved, self.batch_rng(epoch, i))
            yield moved[0] if single else moved

    def batch_rng(self, epoch: int, batch: int) -> torch.Generator | None:
        """What the batch transforms of batch number `batch` draw from; None if nothing is random."""
        random = self.augment and self.batch_steps is not None and self.batch_steps.random
        return torch_generator(self.seed, BATCH, epoch, batch) if random else None

    def one_batch(self) -> Any:
        """The first batch of epoch 0; it does not count as a pass."""
        return next(iter(self.epoch(0)))

    def indices(self, epoch: int, batch: int) -> list[int]:
        """Which samples batch number `batch` of `epoch` holds."""
        order = sample_order(len(self.dataset), self.shuffle, self.seed, epoch)
        return order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def names(self, indices: Sequence[int]) -> list[str]:
        """What to call samples in messages: their file where there is one, else their number."""
        return [sample_name(self.dataset, i) for i in indices]

    def to(self, device: torch.device | str) -> "DataLoader":
        """A loader of the same batches on `device`; data in memory moves there once and for all."""
        moved = self.new(device=device)
        if isinstance(self.batches, InMemory):
            there = tuple(t.to(device) for t in self.batches.tensors)
            moved.batches = replace(self.batches, tensors=there)
        return moved

    @spelled
    def new(
        self,
        dataset: Any = None,
        *,
        batch_size: int | None = None,
        shuffle: bool | None = None,
        drop_last: bool | None = None,
        augment: bool | None = None,
        device: torch.device | str | None = None,
    ) -> "DataLoader":
        """A loader like this one, but for what is given."""
        return DataLoader(
            self.dataset if dataset is None else dataset,
            self.batch_size if batch_size is None else batch_size,
            self.shuffle if shuffle is None else shuffle,
            drop_last=self.drop_last if drop_last is None else drop_last,
            workers=self.workers,
            seed=self.seed,
            augment=self.augment if augment is None else augment,
            batch_steps=self.batch_steps,
            device=self.device if device is None else device,
            n_inp=self.n_inp,
        )


def in_memory_tensors(dataset: Any) -> tuple[Tensor, ...] | Tensor | None:
    """The tensors behind a data set that lies in memory, a single one for bare values; None for any other."""
    if isinstance(dataset, ArrayDataset | torch.utils.data.TensorDataset):
        return tuple(to_tensor(t, name=f"array {i}") for i, t in enumerate(dataset.tensors))
    if isinstance(dataset, Tensor | np.ndarray):
        return to_tensor(dataset, name="the data set")
    if isinstance(dataset, list | tuple) and all(isinstance(sample, tuple) for sample in dataset):
        return stack_pairs(dataset)
    return None


def stack_pairs(pairs: Sequence[tuple[Any, ...]]) -> tuple[Tensor, ...] | None:
    """The columns [N *dims] of a list of tuples of equal-shaped arrays or numbers; None if they are something else."""
    try:
        columns = collate(pairs)
    except ValueError:  # of different shapes: when they are batched, the error names the samples
        return None
    if not columns or not all(isinstance(c, Tensor) for c in columns):
        return None
    return tuple(to_tensor(c, name=f"position {i} of the pairs") for i, c in enumerate(columns))


def to_device(batch: Any, device: torch.device) -> tuple[Any, ...]:
    parts = batch if isinstance(batch, tuple) else (batch,)
    asynchronous = device.type == "cuda"  # towards the CPU it would hand over numbers that have not arrived
    return tuple(p.to(device, non_blocking=asynchronous) if isinstance(p, Tensor) else p for p in parts)


def whole_number(name: str, value: Any, least: int) -> int:
    """`value` as Python's int; `TypeError` if it is no whole number, `ValueError` if it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is a whole number, {least} or more, got {value!r} ({type(value).__name__})")
    if value < least:
        raise ValueError(f"{name} is a whole number, {least} or more, got {value}")
    return int(value)


def refuse_impossible(dataset: Any, batch_size: int, drop_last: bool) -> None:
    if isinstance(dataset, str | bytes):
        raise TypeError(
            f"DataLoader: a data set is a list of samples, an array or an object, got one text: {dataset!r}"
        )
    if isinstance(dataset, dict):
        raise TypeError("DataLoader: a data set is asked for by number, got a dict; give list(d.values()) or .items()")
    if isinstance(dataset, Tensor | np.ndarray) and dataset.ndim == 0:
        raise ValueError("DataLoader: the data set is a single number (shape []); samples are its first dimension")
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        kind = type(dataset).__name__
        raise TypeError(
            f"DataLoader: a data set has __len__ and __getitem__, got {kind}. Use list(...) of an iterator."
        )
    n = len(dataset)
    if n == 0:
        raise ValueError("DataLoader: the data set is empty (0 samples)")
    if drop_last and n < batch_size:
        raise ValueError(
            f"DataLoader: batch_size={batch_size} is larger than the data set ({n} samples) and drop_last=True "
            f"leaves no batch. Use batch_size={n} or less, or drop_last=False."
        )
