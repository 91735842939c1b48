"""One process's share of a loader's batches: a run of neighbours of each batch, the same on every machine.

B batch, b the process's part of it, N samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from satsuma.data.loader import DataLoader, watched
from satsuma.data.streamed import Streamed, by_threads, sample_order


def share_bounds(n: int, rank: int, size: int) -> tuple[int, int]:
    """Where the share of process `rank` of `size` in `n` samples begins and ends; shares differ by one sample at most.

    >>> [share_bounds(7, rank, 2) for rank in range(2)]
    [(0, 3), (3, 7)]
    """
    return n * rank // size, n * (rank + 1) // size


def share_taken(n: int, rank: int, size: int) -> slice:
    """What a process computes of `n` samples: its share; the first sample, which then counts nothing, if that is none.

    A process without samples must take part all the same, since all of them exchange gradients after each batch.
    """
    begin, end = share_bounds(n, rank, size)
    return slice(begin, end) if begin < end else slice(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The batches of `loader`, of each what process `rank` of `size` computes.

    Only that is loaded, but where random batch transforms draw for a whole batch: then the others' part is cut off.
    `weighed`: each batch ends with one more tensor [b 2], on the CPU: the share of the batch that the process has, and
    how many of its samples come after this one.
    """

    loader: DataLoader
    rank: int
    size: int
    weighed: bool = False

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def batch_sizes(self) -> list[int]:
        """How many samples each whole batch has."""
        n, most = len(self.loader.dataset), self.loader.batch_size
        return [min(most, n - i * most) for i in range(len(self.loader))]

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """The parts of one epoch's batches from batch `start` on."""
        loader = self.loader
        if isinstance(loader.batches, Streamed) and loader.finishing().batch_rng(epoch, 0) is None:
            source = loader.batches if loader.mending is None else loader.mending
            made = loader.broken.counted(streamed_share(source, epoch, start, self.rank, self.size))
            parts = watched(loader.finished(made, epoch, start), loader.waiting)
        else:
            parts = self.cut(loader.epoch(epoch, start=start))
        return self.with_weights(parts, start) if self.weighed else parts

    def cut(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            taken = share_taken(len(batch[0]), self.rank, self.size)
            yield tuple(part[taken] for part in batch)

    def with_weights(self, parts: Iterator[Any], start: int) -> Iterator[tuple[Tensor, ...]]:
        for part, n in zip(parts, self.batch_sizes[start:], strict=True):
            begin, end = share_bounds(n, self.rank, self.size)
            left = torch.arange(len(part[0]) - 1, -1, -1, dtype=torch.float64)
            yield *part, torch.stack([torch.full_like(left, (end - begin) / n), left], 1)


def streamed_share(source: Streamed, epoch: int, start: int, rank: int, size: int) -> Iterator[Any]:
    """`Streamed.epoch`, loading of each batch only what the process computes."""
    maker, most = source.maker, source.batch_size
    order = sample_order(len(maker.dataset), source.shuffle, maker.seed, epoch)
    whole = [order[i * most : (i + 1) * most] for i in range(start, len(source))]
    takes = [batch[share_taken(len(batch), rank, size)] for batch in whole]
    if source.workers == 0:
        return (maker.load(take, epoch) for take in takes)
    if source.processes is not None:
        return source.processes.epoch([(epoch, take) for take in takes])
    return by_threads(maker, takes, epoch, source.workers)
