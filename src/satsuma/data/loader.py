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

from satsuma.data.arrays import ArrayDataset, stack_pairs, to_tensor
from satsuma.data.collate import collate
from satsuma.data.seeds import BATCH, SAMPLE, epoch_order, numpy_generator, torch_generator
from satsuma.data.transforms import BatchSteps
from satsuma.errors import spelled_class


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

    def order(self, epoch: int) -> list[int]:
        n = len(self.dataset)
        return epoch_order(n, self.seed, epoch).tolist() if self.shuffle else list(range(n))

    def load(self, indices: Sequence[int], epoch: int) -> Any:
        return collate([load_sample(self.dataset, i, self.seed, epoch, self.augment) for i in indices])

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on."""
        order = self.order(epoch)
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


def count_batches(n: int, batch_size: int, drop_last: bool) -> int:
    return n // batch_size if drop_last else math.ceil(n / batch_size)


def load_sample(dataset: Any, index: int, seed: int, epoch: int, augment: bool) -> Any:
    """One sample; a data set with a method `sample(index, rng)` is given a generator of its own while training."""
    if not hasattr(dataset, "sample"):
        return dataset[index]
    rng = numpy_generator(seed, SAMPLE, epoch, index) if augment and dataset.random else None
    return dataset.sample(index, rng)


@spelled_class
class DataLoader:
    """Batches of a data set: anything with `__len__` and `__getitem__`, a list of pairs, arrays or tensors.

    `epoch(n)` gives the batches of epoch n, the same whenever it is asked for; plain iteration goes through epochs
    0, 1, 2, ... (`passes` counts them), so that each `for` loop sees a new order. Data that lies in memory as equal
    tensors is batched by indexing. `workers` threads load other data sets ahead of time.

    Raises `ValueError` for an empty data set, a batch size below 1, or when `drop_last` leaves no batch.

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
        seed: int = 0,
        augment: bool | None = None,
        batch_steps: BatchSteps | None = None,
        device: torch.device | str = "cpu",
        n_inp: int = 1,
    ) -> None:
        self.dataset = dataset
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.workers, self.seed = workers, seed
        self.augment = shuffle if augment is None else augment
        self.batch_steps = batch_steps
        self.device = torch.device(device)
        self.n_inp = n_inp
        self.passes = 0
        refuse_impossible(len(dataset), batch_size, drop_last, workers)
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
        return f"DataLoader({len(self.dataset)} samples, {len(self)} batches of {self.batch_size}, {kind})"

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return self.epoch(self.passes - 1)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on, on the loader's device, batch transforms applied."""
        batches = self.batches.epoch(epoch, start=start)
        if self.batch_steps is None and self.device.type == "cpu":
            return (batch[0] for batch in batches) if self.bare else batches
        return self.finished(batches, epoch, start)

    def finished(self, batches: Iterator[Any], epoch: int, start: int) -> Iterator[Any]:
        for i, batch in enumerate(batches, start):
            moved = to_device(batch, self.device)
            if self.batch_steps is not None:
                random = self.augment and self.batch_steps.random
                moved = self.batch_steps(moved, torch_generator(self.seed, BATCH, epoch, i) if random else None)
            yield moved[0] if self.bare else moved

    def one_batch(self) -> Any:
        """The first batch of epoch 0; it does not count as a pass."""
        return next(iter(self.epoch(0)))

    def indices(self, epoch: int, batch: int) -> list[int]:
        """Which samples batch number `batch` of `epoch` holds."""
        n = len(self.dataset)
        order = epoch_order(n, self.seed, epoch).tolist() if self.shuffle else list(range(n))
        return order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def names(self, indices: Sequence[int]) -> list[str]:
        """What to call samples in messages: their item (a file's path, say) where there is one, else their number."""
        items = getattr(self.dataset, "items", None)
        return [f"sample {i}" if items is None else str(items[i]) for i in indices]

    def to(self, device: torch.device | str) -> "DataLoader":
        """A loader of the same batches on `device`; data in memory moves there once and for all."""
        moved = self.new(device=device)
        if isinstance(self.batches, InMemory):
            there = tuple(t.to(device) for t in self.batches.tensors)
            moved.batches = replace(self.batches, tensors=there)
        return moved

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
        return tuple(dataset.tensors)
    if isinstance(dataset, Tensor | np.ndarray):
        return to_tensor(dataset, name="the data set")
    if isinstance(dataset, list | tuple):
        stacked = stack_pairs(dataset)
        return None if stacked is None else stacked.tensors
    return None


def to_device(batch: Any, device: torch.device) -> tuple[Any, ...]:
    parts = batch if isinstance(batch, tuple) else (batch,)
    return tuple(p.to(device, non_blocking=True) if isinstance(p, Tensor) else p for p in parts)


def refuse_impossible(n: int, batch_size: int, drop_last: bool, workers: int) -> None:
    if n == 0:
        raise ValueError("DataLoader: the data set is empty (0 samples)")
    if batch_size < 1:
        raise ValueError(f"DataLoader: batch_size must be 1 or more, got {batch_size}")
    if workers < 0:
        raise ValueError(f"DataLoader: workers must be 0 or more, got {workers}")
    if drop_last and n < batch_size:
        raise ValueError(
            f"DataLoader: batch_size={batch_size} is larger than the data set ({n} samples) and drop_last=True "
            f"leaves no batch. Use batch_size={n} or less, or drop_last=False."
        )
