"""`DataLoader`: batches whose order and randomness depend only on (seed, epoch), never on the number of workers.

B batch, N samples.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.arrays import ArrayDataset, ArrayViews, to_tensor
from satsuma.data.broken import BrokenFiles, allowed_broken, mending
from satsuma.data.buffers import Buffers
from satsuma.data.collate import collate
from satsuma.data.finished import Finished
from satsuma.data.in_memory import InMemory, InMemoryViews
from satsuma.data.processes import WorkerProcesses
from satsuma.data.seeds import as_seed
from satsuma.data.streamed import (
    BatchMaker,
    Streamed,
    one_of,
    pick_worker_kind,
    sample_name,
    sample_order,
)
from satsuma.data.transforms import BatchSteps
from satsuma.data.watching import TIMEOUT, watched_epoch
from satsuma.errors import spelled, spelled_class

AS_BEFORE = BatchSteps(())  # told from others by its identity: the steps of the loader that a new one is made from


@dataclass(slots=True)
class Waiting:
    """Seconds that the loop waited for batches in the last epoch it asked for, and worked between them."""

    waited_s: float = 0.0
    worked_s: float = 0.0

    @property
    def share(self) -> float:
        """The share of the epoch's time that was waiting, 0..1."""
        return self.waited_s / max(self.waited_s + self.worked_s, 1e-9)


def watched(batches: Iterator[Any], waiting: Waiting) -> Iterator[Any]:
    """`batches`, with the time that is spent on getting them and between them written into `waiting`."""
    waiting.waited_s = waiting.worked_s = 0.0
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        given = time.perf_counter()
        waiting.waited_s += given - asked
        if batch is None:
            return
        yield batch
        del batch  # or its memory could not be used again while the next one is made
        waiting.worked_s += time.perf_counter() - given


@spelled_class
class DataLoader:
    """Batches of a data set: anything with `__len__` and `__getitem__`, a list of pairs, an array, or a tuple of them.

    `epoch(n)` gives the batches of epoch n, the same whenever it is asked for; plain iteration goes through epochs
    0, 1, 2, ... (`passes` counts them), so that each `for` loop sees a new order. Data that lies in memory as equal
    tensors is batched by indexing. Other data sets are loaded ahead of time by `workers` threads, or processes:
    `worker_kind` is "threads", "processes" or "auto", which is threads unless the data set says `needs_processes`
    (its transforms draw from global generators; each sample then finds them seeded). Neither changes what comes.
    `waiting.share` tells how much of the last epoch the loop waited.

    `drop_last` leaves out a last, shorter batch. `augment`: whether random transforms draw (as `shuffle` unless given).
    `max_broken`: the share of the samples, 0 or more and below 1, whose files may turn out unreadable before an epoch
    fails; others stand in for them, and `broken` has their names. It is for loaders that shuffle: predictions and
    validation ask for samples in their order, and are given these or an error.

    `timeout`: seconds that a worker may be at one sample (a process: at one batch) before it is thought to hang, which
    is an error that names it; None: for ever. It may be set later: `loader.timeout = 900`.

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
        worker_kind: str = "auto",
        seed: int = 42,
        augment: bool | None = None,
        batch_steps: BatchSteps | None = None,
        device: torch.device | str = "cpu",
        n_inp: int = 1,
        max_broken: float = 0.0,
        timeout: float | None = TIMEOUT,
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
        self.workers, self.worker_kind, self.seed = workers, worker_kind, seed
        self.augment = shuffle if augment is None else augment
        self.batch_steps = batch_steps
        self.device = torch.device(device)
        self.n_inp = n_inp
        self.timeout = given_timeout(timeout)
        self.passes = 0
        self.waiting = Waiting()
        refuse_impossible(dataset, batch_size, drop_last)
        self.max_broken = max_broken
        self.broken = BrokenFiles(allowed_broken(max_broken, len(dataset)), len(dataset))
        self.mending: Streamed | None = None
        if max_broken and not shuffle:
            raise ValueError("DataLoader: max_broken is for a loader that shuffles; others give samples in their order")
        kind = pick_worker_kind(worker_kind, dataset, workers)
        arrays = in_memory_tensors(dataset)
        self.bare = isinstance(arrays, Tensor)  # a data set of values, not of pairs: batches are no tuples
        self.batches: InMemory | InMemoryViews | Streamed
        if arrays is None:
            maker = BatchMaker(
                dataset=made_for(dataset, self.device),
                seed=seed,
                augment=self.augment,
                buffers=Buffers(2 * (workers + 4), pinned=self.device.type == "cuda"),
            )
            self.batches = Streamed(
                maker=maker,
                batch_size=batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                workers=workers,
                processes=worker_processes(maker, workers) if kind == "processes" else None,
            )
            self.mending = mending(self.batches, self.broken.limit) if self.broken.limit else None
        else:
            views = dataset.views if isinstance(dataset, ArrayViews) else (as_tuple(arrays),)
            held = tuple(
                InMemory(tensors=view, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last, seed=seed)
                for view in views
            )
            several = isinstance(dataset, ArrayViews)
            self.batches = InMemoryViews(views=held, first_epoch=dataset.first_epoch) if several else held[0]

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
        if self.mending is not None:
            batches = self.broken.counted(watched_epoch(self.mending, epoch, start, self.timeout))
        else:
            batches = watched_epoch(self.batches, epoch, start, self.timeout)
        if isinstance(self.batches, Streamed):
            return watched(self.finished(batches, epoch, start), self.waiting)
        if self.batch_steps is None and self.device.type == "cpu":
            return (batch[0] for batch in batches) if self.bare else batches
        return self.finished(batches, epoch, start)

    def finished(self, batches: Iterator[Any], epoch: int, start: int) -> Iterator[Any]:
        """Batches on the device, batch transforms applied; values alone where the data set holds no tuples."""
        made = self.finishing().finished(batches, epoch, start)
        return (batch[0] for batch in made) if self.bare else made

    def finishing(self) -> Finished:
        """What happens to each batch after it is made."""
        return Finished(
            source=self.batches, steps=self.batch_steps, device=self.device, seed=self.seed, augment=self.augment
        )

    def one_batch(self, epoch: int = 0, batch: int = 0) -> Any:
        """One batch, the first of epoch 0 unless said; it does not count as a pass, and starts no workers."""
        if isinstance(self.batches, Streamed):
            made = iter((one_of(self.batches if self.mending is None else self.mending, epoch, batch),))
            return next(self.finished(self.broken.counted(made), epoch, batch))
        return next(iter(self.epoch(epoch, start=batch)))

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
            moved.batches = moved_there(self.batches, device)
        elif isinstance(self.batches, InMemoryViews):
            there = tuple(moved_there(view, device) for view in self.batches.views)
            moved.batches = replace(self.batches, views=there)
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
        workers: int | None = None,
        worker_kind: str | None = None,
        batch_steps: BatchSteps | None = AS_BEFORE,
        device: torch.device | str | None = None,
        max_broken: float | None = None,
    ) -> "DataLoader":
        """A loader like this one, but for what is given; one that does not shuffle has no share of broken files."""
        shuffle = self.shuffle if shuffle is None else shuffle
        return DataLoader(
            self.dataset if dataset is None else dataset,
            self.batch_size if batch_size is None else batch_size,
            shuffle,
            drop_last=self.drop_last if drop_last is None else drop_last,
            workers=self.workers if workers is None else workers,
            worker_kind=self.worker_kind if worker_kind is None else worker_kind,
            seed=self.seed,
            augment=self.augment if augment is None else augment,
            batch_steps=self.batch_steps if batch_steps is AS_BEFORE else batch_steps,
            device=self.device if device is None else device,
            n_inp=self.n_inp,
            max_broken=(self.max_broken if shuffle else 0.0) if max_broken is None else max_broken,
            timeout=self.timeout,
        )


def given_timeout(timeout: float | None) -> float | None:
    """`timeout` if it is seconds or None; `TypeError` or `ValueError` if not."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"DataLoader: timeout is a number of seconds, or None, got {timeout!r}")
    if not timeout > 0:
        raise ValueError(f"DataLoader: timeout is a number of seconds above 0, or None for no limit, got {timeout}")
    return float(timeout)


def as_tuple(arrays: tuple[Tensor, ...] | Tensor) -> tuple[Tensor, ...]:
    return (arrays,) if isinstance(arrays, Tensor) else arrays


def moved_there(batches: InMemory, device: torch.device | str) -> InMemory:
    return replace(batches, tensors=tuple(t.to(device) for t in batches.tensors))


def in_memory_tensors(dataset: Any) -> tuple[Tensor, ...] | Tensor | None:
    """The tensors behind a data set that lies in memory, a single one for bare values; None for any other."""
    if isinstance(dataset, ArrayDataset | ArrayViews | torch.utils.data.TensorDataset):
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


def made_for(dataset: Any, device: torch.device) -> Any:
    """The data set as it makes batches for `device`: one with `for_device` may leave work to a GPU."""
    if hasattr(dataset, "for_device") and not getattr(dataset, "needs_processes", False):
        return dataset.for_device(device)
    return dataset


def worker_processes(maker: BatchMaker, workers: int) -> WorkerProcesses | None:
    """Processes to run `maker`, each with a pool of its own; None for no workers."""
    if workers == 0:
        return None
    return WorkerProcesses(replace(maker, buffers=Buffers(4)), workers, maker.buffers.pinned)


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
