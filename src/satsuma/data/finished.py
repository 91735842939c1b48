"""The last part of a batch's way: onto the device, and through the batch transforms there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from satsuma.data.seeds import BATCH, torch_generator
from satsuma.data.transforms import BatchSteps


class EpochBatches(Protocol):
    """Batches of any epoch, from any place on."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The batches of `source` on `device`, their parts made whole there, batch transforms applied.

    Transforms draw from a function of (seed, epoch, batch number); without `augment` they draw nothing.
    """

    source: EpochBatches
    steps: BatchSteps | None
    device: torch.device
    seed: int
    augment: bool

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        """Batches of one epoch from batch `start` on."""
        return self.finished(self.source.epoch(epoch, start=start), epoch, start)

    def finished(self, batches: Iterator[Any], epoch: int, start: int) -> Iterator[Any]:
        """These batches, of which the first is number `start` of the epoch."""
        for i, batch in enumerate(batches, start):
            single = not isinstance(batch, tuple)  # of a data set of values, not of pairs
            moved = to_device(batch, self.device)
            del batch  # or its memory could not be used again while the next one is made
            if self.steps is not None:
                moved = self.steps(moved, self.batch_rng(epoch, i))
            yield moved[0] if single else moved
            del moved

    def batch_rng(self, epoch: int, batch: int) -> torch.Generator | None:
        """What the batch transforms of batch number `batch` draw from; None if nothing is random."""
        random = self.augment and self.steps is not None and self.steps.random
        return torch_generator(self.seed, BATCH, epoch, batch) if random else None


def to_device(batch: Any, device: torch.device) -> tuple[Any, ...]:
    """The parts of a batch on `device`. One that is no tensor but has `finished()` is a tensor only there."""
    parts = batch if isinstance(batch, tuple) else (batch,)
    asynchronous = device.type == "cuda"  # towards the CPU it would hand over numbers that have not arrived
    return tuple(placed_part(part, device, asynchronous) for part in parts)


def placed_part(part: Any, device: torch.device, asynchronous: bool) -> Any:
    if isinstance(part, Tensor):
        return part.to(device, non_blocking=asynchronous)
    if hasattr(part, "to") and hasattr(part, "finished"):
        return part.to(device, non_blocking=asynchronous).finished()
    return part
