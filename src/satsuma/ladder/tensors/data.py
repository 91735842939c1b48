"""Data sets and loaders: samples in, batches out.

Shapes: N samples, B batch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.seeds import epoch_order


class ArrayDataset:
    """What gives `(x, y)` when asked for a number: tensors of one length N, side by side.

    >>> dset = ArrayDataset((torch.zeros(5, 784), torch.ones(5, 1)))
    >>> x, y = dset[0]
    >>> x.shape, y.shape
    (torch.Size([784]), torch.Size([1]))
    """

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        if len({len(t) for t in tensors}) != 1:
            raise ValueError(f"ArrayDataset: lengths {[len(t) for t in tensors]}; row i of each must be one sample")
        self.tensors = tensors  # [N ...] each

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int | Tensor) -> tuple[Tensor, ...]:
        """One sample, [...] each; or, for numbers int64 [B], a batch of them, [B ...] each."""
        return tuple(t[index] for t in self.tensors)


class DataLoader:
    """Batches of a data set, in order or shuffled anew each epoch; the last may be shorter.

    `epoch(n)` gives the batches of epoch n, the same whenever it is asked for; plain iteration goes through epochs
    0, 1, 2, ..., so that each `for` loop sees a new order.

    >>> loader = DataLoader(list(enumerate("abcdefghijklmnopqrstuvwxyz")), batch_size=6)
    >>> [len(letters) for numbers, letters in loader]
    [6, 6, 6, 6, 2]
    """

    def __init__(
        self, dataset: Any, batch_size: int = 64, shuffle: bool = False, *, drop_last: bool = False, seed: int = 42
    ) -> None:
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.drop_last, self.seed = drop_last, seed
        self.passes = 0

    def __len__(self) -> int:
        whole, left_over = divmod(len(self.dataset), self.batch_size)
        return whole if self.drop_last or left_over == 0 else whole + 1

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return self.epoch(self.passes - 1)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch, from batch `start` on."""
        n = len(self.dataset)
        order = epoch_order(n, self.seed, epoch) if self.shuffle else torch.arange(n)  # int64 [N]
        for batch in range(start, len(self)):
            taken = order[batch * self.batch_size : (batch + 1) * self.batch_size]  # int64 [B]
            if isinstance(self.dataset, ArrayDataset):
                yield self.dataset[taken]  # [B ...] each, by one indexing operation
            else:
                yield collate([self.dataset[i] for i in taken.tolist()])


def collate(samples: Sequence[Any]) -> Any:
    """Samples as one batch: tuples position by position, tensors [...] into [B ...], numbers into [B].

    Anything else (text, say) stays a tuple.

    >>> collate([(0, "a"), (1, "b")])
    (tensor([0, 1]), ('a', 'b'))
    """
    if isinstance(samples[0], tuple):
        return tuple(collate(column) for column in zip(*samples, strict=True))
    if isinstance(samples[0], Tensor):
        return torch.stack(list(samples))
    if isinstance(samples[0], bool | int):
        return torch.tensor(samples)
    if isinstance(samples[0], float):
        return torch.tensor(samples, dtype=torch.float32)
    return tuple(samples)
