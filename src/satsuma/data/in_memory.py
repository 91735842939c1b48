"""Batches of data that lies in memory as whole tensors. N samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from satsuma.data.seeds import epoch_order
from satsuma.data.streamed import count_batches


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
class InMemoryViews:
    """Several views of the same samples: epoch `first_epoch` takes the first, each later one the next, in turn."""

    views: tuple[InMemory, ...]
    first_epoch: int = 0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those of the first view."""
        return self.views[0].tensors

    def __len__(self) -> int:
        return len(self.views[0])

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Batches of one epoch from batch `start` on."""
        return self.views[(epoch - self.first_epoch) % len(self.views)].epoch(epoch, start=start)
