"""The largest batch that a training step has memory for.

On a GPU steps are made in earnest, each batch twice the one before, until memory runs out. A CPU's memory ends in
swapping or in the system ending the process, so there it is worked out from what steps on a few samples take.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from satsuma.train.free_memory import byte_text, free_memory
from satsuma.train.loop import (
    add_gradients,
    clear_gradients,
    clip_gradients,
    kept_random_states,
    mixed_batch,
    seed_step,
    set_rates,
    update_weights,
)
from satsuma.train.memory import free_unused, is_out_of_memory, needs_two, release
from satsuma.train.run import Run

MOST = 1024  # samples in a batch, above which rates and epochs that were found with smaller ones no longer do
SHARE = 0.8  # of the free memory that a step may take: evaluation, other batches and other programs need some
FITS = "the largest power of two that fits"
BACKWARD = 1.25  # times what a forward pass leaves: gradients of activations come on top
FEW = 8  # samples at most in the steps that are measured on a CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestBatch:
    """What was found: `size` samples, a power of two; `bound`, what keeps it from being larger.

    `fixed` and `per_sample`: bytes that a step takes beyond weights and optimiser, as measured (None on a GPU).
    `free`: bytes that there were.
    """

    size: int
    bound: str
    free: int | None
    fixed: int | None = None
    per_sample: int | None = None

    def __str__(self) -> str:
        facts = []
        if self.per_sample is not None:
            fixed = f"{byte_text(self.fixed)} and " if self.fixed else ""
            facts.append(f"a step takes {fixed}{byte_text(self.per_sample)} a sample")
        if self.free is not None:
            facts.append(f"{byte_text(self.free)} are free, of which {SHARE:.0%} are used at most")
        return f"batch size {self.size}: {self.bound}{''.join(f'; {fact}' for fact in facts)}"


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, the most bytes that tensors made meanwhile have held at once: `peak`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in given:
                    self.held[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, self.count())
        return result

    def count(self) -> int:
        """Bytes that they hold now."""
        self.held = {key: kept for key, kept in self.held.items() if not kept[0].expired()}  # type: ignore[no-untyped-call]
        return sum(nbytes for _, nbytes in self.held.values())


def largest_batch_size(
    run: Run, batch: Sequence[Tensor], *, samples: int, most: int = MOST, ready: int = 0
) -> LargestBatch:
    """The largest power of two, up to `samples` and `most`, of which a step has memory on the model's device.

    `run` is trained by this: give a copy. `batch`: some samples, (x [B ...], y [B ...]), which are repeated as needed.
    `ready`: how many more batches lie ready in the same memory. Raises the error of a step for which there is never
    enough.
    """
    device = next(run.model.parameters()).device
    smallest = 2 if needs_two(run.model) else 1
    sizes = [2**i for i in range(64) if smallest <= 2**i <= max(smallest, min(samples, most))]
    run.model.train()
    with kept_random_states():
        whole_step(run, repeated(batch, sizes[0]))  # makes the optimiser's state, which stays
        found = measured_sizes(run, batch, sizes, ready) if device.type == "cpu" else tried_sizes(run, batch, sizes)
    if found.size < sizes[-1]:
        return found
    bound = f"{most}, the most that is looked for: beyond it, other learning rates are needed"
    if samples < 2 * sizes[-1] and samples < most:
        bound = f"the largest power of two that {samples:,} training samples hold"
    return replace(found, bound=bound)


def repeated(batch: Sequence[Tensor], n: int) -> tuple[Tensor, ...]:
    """A batch of `n` samples, those of `batch` over and over."""
    return tuple(part[torch.arange(n, device=part.device) % len(part)] for part in batch)


def whole_step(run: Run, batch: tuple[Tensor, ...]) -> None:
    """One step as the loop makes it."""
    set_rates(run)
    seed_step(run)
    clear_gradients(run)
    add_gradients(run, mixed_batch(run, batch), None)
    clip_gradients(run)
    update_weights(run)
    clear_gradients(run)


def measured_sizes(run: Run, batch: Sequence[Tensor], sizes: Sequence[int], ready: int) -> LargestBatch:
    """By the line through what steps on a few samples take; nothing large is tried."""
    free = free_memory(torch.device("cpu"))
    budget = float("inf") if free is None else SHARE * free
    sample = sum(part[:1].numel() * part.element_size() for part in batch)
    taken: dict[int, int] = {}  # a whole step's peak, which of a few samples may be all gradients, of any size ...
    kept: dict[
        int, int
    ] = {}  # ... so also what a forward pass leaves for the backward pass, which grows from the first
    for size in [sizes[0], *(s for s in sizes[1:] if s <= FEW)]:
        if taken and 2 * max(taken.values()) > budget:
            break
        taken[size] = peak_of_step(run, repeated(batch, size))
        kept[size] = kept_by_forward(run, repeated(batch, size))
    per_sample = max(slope(taken), round(BACKWARD * slope(kept)))
    fixed = max(0, taken[max(taken)] - max(taken) * per_sample)
    per_sample += sample * (1 + ready)
    fitting = [size for size in sizes if fixed + size * per_sample <= budget]
    return LargestBatch(size=max(fitting, default=sizes[0]), bound=FITS, free=free, fixed=fixed, per_sample=per_sample)


def peak_of_step(run: Run, batch: tuple[Tensor, ...]) -> int:
    """The most bytes that a step on a CPU holds beyond what was there before it."""
    watch = PeakMemory()
    with watch:
        whole_step(run, batch)
    return watch.peak


def kept_by_forward(run: Run, batch: tuple[Tensor, ...]) -> int:
    """The bytes that a forward pass on a CPU has made and still holds when its loss is there."""
    watch = PeakMemory()
    with watch:
        loss = run.objective(run.model, *mixed_batch(run, batch))
        held = watch.count()
    del loss
    return held


def slope(bytes_of: dict[int, int]) -> int:
    """Bytes a sample, between the two largest sizes; of a single size, its bytes shared out."""
    *before, last = sorted(bytes_of)
    if not before:
        return bytes_of[last] // last
    return max(0, bytes_of[last] - bytes_of[before[-1]]) // (last - before[-1])


def tried_sizes(run: Run, batch: Sequence[Tensor], sizes: Sequence[int]) -> LargestBatch:
    """By steps that are made in earnest, each twice as large."""
    device = next(run.model.parameters()).device
    free, fitting = free_memory(device), sizes[0]
    for size in sizes[1:]:
        if not step_fits(run, batch, size, free):
            break
        fitting = size
    return LargestBatch(size=fitting, bound=FITS, free=free)


def step_fits(run: Run, batch: Sequence[Tensor], size: int, free: int | None) -> bool:
    """Whether a step on `size` samples stays within its share of the memory that was free before."""
    device = next(run.model.parameters()).device
    cuda = device.type == "cuda"
    before = 0
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    try:
        whole_step(run, repeated(batch, size))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        release(error)
        clear_gradients(run)
        fits = False
    else:
        fits = not (cuda and free is not None and torch.cuda.max_memory_allocated(device) - before > SHARE * free)
    free_unused()
    return fits
