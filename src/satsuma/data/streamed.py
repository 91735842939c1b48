"""Batches made sample by sample: in the loop's own thread, by threads that work ahead, or by processes.

B batch, N samples.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from satsuma.data.buffers import Buffers, pinned_parts
from satsuma.data.collate import collate
from satsuma.data.global_draws import seeded_globals
from satsuma.data.processes import WorkerProcesses
from satsuma.data.seeds import SAMPLE, epoch_order, mix_seed, numpy_generator

WORKER_KINDS = ("auto", "threads", "processes")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMaker:
    """Samples → batch: a function of (seed, epoch, indices) alone, whichever thread or process calls it.

    A data set with `batch(indices, rngs, buffers)` makes whole batches; of any other, samples are stacked. Samples of
    a data set with `needs_processes` are made one by one, the global generators seeded for each.
    """

    dataset: Any
    seed: int
    augment: bool
    buffers: Buffers = field(default_factory=Buffers, repr=False, compare=False)

    def load(self, indices: Sequence[int], epoch: int) -> Any:
        """The samples `indices` as one batch."""
        batch = self.whole(indices, epoch) if self.makes_batches() else self.stacked(indices, epoch)
        return pinned_parts(batch) if self.buffers.pinned else batch

    def makes_batches(self) -> bool:
        return callable(getattr(self.dataset, "batch", None)) and not getattr(self.dataset, "needs_processes", False)

    def stacked(self, indices: Sequence[int], epoch: int) -> Any:
        samples = [load_sample(self.dataset, i, self.seed, epoch, self.augment) for i in indices]
        refuse_gaps(samples, indices)
        return collate(samples)

    def whole(self, indices: Sequence[int], epoch: int) -> Any:
        rngs = [sample_rng(self.dataset, i, self.seed, epoch, self.augment) for i in indices]
        try:
            return self.dataset.batch(indices, rngs, self.buffers)
        except Exception:
            self.stacked(indices, epoch)  # fails at the same sample, and names it
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """Batches by `maker`, in this thread, or ahead of time by `workers` threads or processes, always in order."""

    maker: BatchMaker
    batch_size: int
    shuffle: bool
    drop_last: bool
    workers: int
    processes: WorkerProcesses | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return count_batches(len(self.maker.dataset), self.batch_size, self.drop_last)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on."""
        order = sample_order(len(self.maker.dataset), self.shuffle, self.maker.seed, epoch)
        takes = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(start, len(self))]
        if self.workers == 0:
            return (self.maker.load(take, epoch) for take in takes)
        if self.processes is not None:
            return self.processes.epoch([(epoch, take) for take in takes])
        return by_threads(self.maker, takes, epoch, self.workers)


def one_of(batches: "Streamed", epoch: int, batch: int) -> Any:
    """Batch number `batch` of `epoch`, made in this thread: for a look, no worker is started."""
    order = sample_order(len(batches.maker.dataset), batches.shuffle, batches.maker.seed, epoch)
    return batches.maker.load(order[batch * batches.batch_size : (batch + 1) * batches.batch_size], epoch)


def by_threads(maker: BatchMaker, takes: Sequence[Sequence[int]], epoch: int, workers: int) -> Iterator[Any]:
    """Batches in order, each made by one of `workers` threads ahead of time; leaving early ends the threads.

    Of fewer batches than threads, each is made in parts, or some threads would have nothing to do.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="satsuma-loader")
    waiting: deque[Future[Any]] = deque()
    try:
        if 0 < len(takes) < workers:
            for take in takes:
                yield in_parts(pool, maker, take, epoch, math.ceil(workers / len(takes)))
            return
        for take in takes:
            waiting.append(pool.submit(maker.load, take, epoch))
            if len(waiting) > workers + 1:  # bounded: at most this many batches lie ready
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_parts(pool: ThreadPoolExecutor, maker: BatchMaker, take: Sequence[int], epoch: int, n: int) -> Any:
    """One batch, of which `n` threads make a part each."""
    size = math.ceil(len(take) / n)
    parts = list(pool.map(maker.load, [take[i : i + size] for i in range(0, len(take), size)], repeat(epoch)))
    columns = zip(*parts, strict=True) if all(isinstance(part, tuple) for part in parts) else ()
    found = tuple(end_to_end(column) for column in columns)
    if not found or any(value is None for value in found):  # no tensors of one shape: one batch made as any other
        return maker.load(take, epoch)
    return found


def end_to_end(column: Sequence[Any]) -> Tensor | None:
    """The parts of one position as one tensor, in their memory order; None where they are not of one shape."""
    if not all(isinstance(part, Tensor) and part.shape[1:] == column[0].shape[1:] for part in column):
        return None
    found = torch.cat(tuple(column))
    last = column[0].ndim == 4 and column[0].is_contiguous(memory_format=torch.channels_last)
    return found.contiguous(memory_format=torch.channels_last) if last else found


def sample_order(n: int, shuffle: bool, seed: int, epoch: int) -> list[int]:
    """The order in which one epoch goes through `n` samples."""
    return epoch_order(n, seed, epoch).tolist() if shuffle else list(range(n))


def count_batches(n: int, batch_size: int, drop_last: bool) -> int:
    return n // batch_size if drop_last else math.ceil(n / batch_size)


def sample_rng(dataset: Any, index: int, seed: int, epoch: int, augment: bool) -> Any:
    """What sample number `index` draws from in `epoch`: a generator of NumPy's; None where nothing is random."""
    return numpy_generator(seed, SAMPLE, epoch, index) if augment and getattr(dataset, "random", False) else None


def load_sample(dataset: Any, index: int, seed: int, epoch: int, augment: bool) -> Any:
    """One sample. A data set with `random` (bool) and `sample(index, rng)` is given a generator while training."""
    try:
        if not getattr(dataset, "needs_processes", False):
            return drawn_sample(dataset, index, seed, epoch, augment)
        with seeded_globals(mix_seed(seed, SAMPLE, epoch, index)):
            return drawn_sample(dataset, index, seed, epoch, augment)
    except Exception as error:
        name = sample_name(dataset, index)
        if isinstance(error, MemoryError) or (isinstance(error, ValueError) and name in str(error)):
            error.add_note(f"while loading sample {index} of epoch {epoch}")
            raise
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        place = name if name == f"sample {index}" else f"sample {index}, {name}"
        raise ValueError(f"{place} cannot be loaded (epoch {epoch}): {told}") from error


def drawn_sample(dataset: Any, index: int, seed: int, epoch: int, augment: bool) -> Any:
    if hasattr(dataset, "sample") and hasattr(dataset, "random"):
        return dataset.sample(index, sample_rng(dataset, index, seed, epoch, augment))
    return dataset[index]


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


def pick_worker_kind(worker_kind: str, dataset: Any, workers: int) -> str:
    """ "threads" or "processes"; "auto" is threads, unless the data set draws from generators that threads share.

    Raises `ValueError` for another word, or for threads that would share such generators.
    """
    if worker_kind not in WORKER_KINDS:
        raise ValueError(f'worker_kind is "threads", "processes" or "auto", got {worker_kind!r}')
    shared = bool(getattr(dataset, "needs_processes", False))
    if worker_kind == "threads" and shared and workers:
        raise ValueError(
            'worker_kind="threads": a transform of this data set draws from global random generators, which threads '
            'share: batches would depend on timing. Use worker_kind="processes" (or "auto"), or workers=0.'
        )
    if worker_kind == "auto":
        return "processes" if shared else "threads"
    return worker_kind
