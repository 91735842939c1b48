"""Running out of memory: telling it from other failures, and going on in smaller slices with the same maths."""

import contextlib
import gc
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import torch
from torch import Tensor, nn

from satsuma.train.loop import clear_gradients, train
from satsuma.train.run import Batches, Run, Step

CPU_ASKED = re.compile(r"tried to allocate (\d+) bytes", re.IGNORECASE)
ASKED = re.compile(r"(?:tried|unable) to allocate ([\d.]+) ?([KMGT]?i?B)", re.IGNORECASE)
POWERS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class SliceChange:
    """When `micro` became another: in `epoch`, after `step` steps of the fit."""

    epoch: int
    step: int
    micro: int


@dataclass(slots=True, kw_only=True)
class Slices:
    """`micro` as memory allows it: None (whole batches) until a step runs out, then half as much each time.

    `sizes`: how many samples the batches have. `alone`: whether a slice may be of one sample, which batch
    normalisation cannot do. `changes`: when `micro` became another.
    """

    sizes: tuple[int, ...] = (1,)
    alone: bool = True
    micro: int | None = None
    changes: list[SliceChange] = field(default_factory=list)

    def smaller(self) -> int | None:
        """The largest smaller `micro`, by halves, whose slices the model can take; None if there is none."""
        found = max(self.sizes) if self.micro is None else min(self.micro, max(self.sizes))
        while found > 1:
            found = (found + 1) // 2
            if self.alone or (found > 1 and all(size % found != 1 for size in self.sizes)):
                return found
        return None

    def shrink(self, epoch: int, step: int) -> bool:
        """Take the next smaller `micro` for the step after `step`; False if there is none."""
        micro = self.smaller()
        if micro is None:
            return False
        self.micro = micro
        self.changes.append(SliceChange(epoch, step, micro))
        return True


def train_in_slices(run: Run, data: Batches, *, epochs: int, slices: Slices) -> Iterator[Step]:
    """`train`, in slices of `slices.micro` samples; a step that runs out of memory is made again in smaller ones.

    The step is then the same: its batch, its draws and the model's buffers are as they were before it. Memory that
    runs out while the weights are updated, or in `data`, is an error.
    """
    while True:
        steps = train(run, data, epochs=epochs, micro=slices.micro)
        buffers = [buffer.clone() for buffer in run.model.buffers()]
        failed = False
        while not failed:
            try:
                step = next(steps, None)
            except (MemoryError, RuntimeError) as error:
                if not (is_out_of_memory(error) and is_within(error, "add_gradients")):
                    raise
                if not slices.shrink(run.first_epoch + run.step // len(data), run.step):
                    raise
                failed = True
                release(error)
            else:
                if step is None:
                    return
                yield step
                copy_all(buffers, list(run.model.buffers()))
        copy_all(list(run.model.buffers()), buffers)
        clear_gradients(run)
        free_unused()


def copy_all(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Fill each tensor with its source's values."""
    with torch.no_grad():
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is that of a GPU's or the CPU's memory, as torch, NumPy and Python raise it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    told = ("not enough memory", "can't allocate memory", "out of memory", "std::bad_alloc", "Cannot allocate memory")
    return isinstance(error, RuntimeError) and any(part in text for part in told)


def asked_bytes(error: BaseException) -> int | None:
    """How many bytes could not be had, as the error's text says it.

    >>> asked_bytes(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000 bytes."))
    4000
    >>> asked_bytes(RuntimeError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has ..."))
    1610612736
    """
    text = str(error)
    if exact := CPU_ASKED.search(text):
        return int(exact[1])
    if found := ASKED.search(text):
        return round(float(found[1]) * 2.0 ** (10 * POWERS[found[2][0].lower()]))
    return None


def is_within(error: BaseException, function: str) -> bool:
    """Whether an error came out of a function of this name in this package."""
    return function in own_functions(error.__traceback__)


def own_functions(trace: TracebackType | None) -> list[str]:
    """The package's functions that an error came through, outermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    package = __name__.partition(".")[0]
    return [f.f_code.co_name for f in frames if f.f_globals.get("__name__", "").partition(".")[0] == package]


def release(error: BaseException) -> None:
    """Let go of what the frames that an error came through hold: activations of a step that will not be."""
    with contextlib.suppress(RuntimeError):
        traceback.clear_frames(error.__traceback__)


def free_unused() -> None:
    """Give memory that nothing holds back to where it came from."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def tensor_bytes(tensors: Iterator[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def kept_bytes(run: Run) -> int:
    """Bytes of what stays from step to step: weights, their gradients, buffers and the optimiser's state."""
    state = (value for kept in run.optimizer.state.values() for value in kept.values() if isinstance(value, Tensor))
    gradients = (p for p in run.model.parameters() if p.requires_grad)
    held = (tensor_bytes(run.model.parameters()), tensor_bytes(run.model.buffers()), tensor_bytes(gradients))
    return sum(held) + tensor_bytes(state)


def needs_two(model: nn.Module) -> bool:
    """Whether some layer normalises over the batch while training, and so cannot take one sample alone."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return any(norm.training or not model.training for norm in norms)
