"""What a learner says and does when memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from satsuma.data.checks import warn_user
from satsuma.data.watching import loader_death
from satsuma.errors import OutOfMemoryError
from satsuma.functional.losses import shape_text
from satsuma.hooks.base import Hook
from satsuma.learner.checks import VALIDATION, check_first_batch, explained
from satsuma.learner.recording import write_recipe
from satsuma.train.fit import StepRow
from satsuma.train.free_memory import byte_text, free_memory
from satsuma.train.memory import (
    SliceChange,
    Slices,
    asked_bytes,
    free_unused,
    is_out_of_memory,
    kept_bytes,
    needs_two,
    own_functions,
    release,
)
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

REMEDY = "Give the learner "  # begins what is said to do
PLACES = {  # a function that an error came through → where that was; the innermost of those it came through counts
    "check_first_batch": "while the model was tried on a first batch",
    "load_sample": "while a batch was made",
    "stacked": "while a batch was made",
    "whole": "while a batch was made",
    "predict_batches": "in evaluation",
    "joined_outputs": "in evaluation, as the outputs of all batches were put together",
    "add_gradients": "in the forward and backward pass",
    "update_weights": "as the optimiser updated the weights",
}


def batch_sizes(learn: "Learner") -> tuple[int, ...]:
    """How many samples the training batches have."""
    loader = learn.dls.train
    n, size = len(loader.dataset), loader.batch_size
    last = 0 if loader.drop_last else n % size
    return tuple(found for found in (min(n, size), last) if found)


def settled_slices(learn: "Learner") -> Slices | None:
    """The learner's slices, for the model and data as they are now; None unless it was given `micro="auto"`."""
    if learn.slices is not None:
        learn.slices.sizes, learn.slices.alone = batch_sizes(learn), not needs_two(learn.model)
    return learn.slices


class NoteSlices(Hook):
    """Says that `micro` has become another, and writes it into the recipe."""

    def __init__(self, learn: "Learner") -> None:
        self.learn = learn

    def on_step(self, run: Run, row: StepRow) -> None:
        if self.learn.slices is not None and self.learn.slices.micro != self.learn.micro:
            note_slices(self.learn)


def note_slices(learn: "Learner") -> None:
    """The learner's `micro` is now that of its slices; say so, and keep it in the run's folder."""
    assert learn.slices is not None
    learn.micro = learn.slices.micro
    change = learn.slices.changes[-1]
    norms = "; batch normalisation is over a slice" if needs_two(learn.model) else ""
    warn_user(f"out of memory {change_text(change)}: going on with micro={change.micro}, the same update{norms}")
    if learn.run_dir is not None and learn.world.rank == 0:
        write_recipe(learn, learn.run_dir)


def change_text(change: SliceChange) -> str:
    return f"at step {change.step + 1} (epoch {change.epoch})"


def restore_slices(learn: "Learner", changes: list[list[int]] | None) -> None:
    """Bring the learner's slices to what they had become. `changes`: of the recipe or a checkpoint."""
    if changes is None or learn.slices is None:
        return
    learn.slices.changes = [SliceChange(*change) for change in changes]
    learn.slices.micro = learn.micro = learn.slices.changes[-1].micro if changes else None


def late_change(changes: list[list[int]] | None) -> str:
    """How `micro` changed while the weights were already learning; "" if one `micro` does for all steps."""
    late = [SliceChange(*change) for change in changes or () if change[0] or change[1]]
    return "; ".join(f"micro became {change.micro} {change_text(change)}" for change in late)


def explained_memory(error: BaseException, learn: "Learner", run: Run | None = None) -> OutOfMemoryError:
    """An error of memory in words: where, what was asked for, what there is, what takes it, and what to do."""
    batch = found_batch(error)
    if learn.slices is not None:
        learn.micro = learn.slices.micro
    where = PLACES.get(innermost(error), "in the model" if run is None else "in the fit")
    if VALIDATION in getattr(error, "__notes__", ()):
        where = VALIDATION
    step = "" if run is None else f", step {run.step + 1}, epoch {run.first_epoch + run.step // len(learn.dls.train)}"
    parts = [f"out of memory on {learn.device} {where}{step}: {wanted(error, learn.device)}."]
    shapes = "" if batch is None else f" of {', '.join(f'{shape_text(t)} {dtype_text(t)}' for t in batch)}"
    slices = "" if learn.micro is None else f", in slices of {learn.micro} (micro)"
    parts.append(
        f"The training batch size is {learn.dls.bs}{slices}; the batch{shapes}, precision {learn.precision}."
        if shapes
        else f"The training batch size is {learn.dls.bs}{slices}, precision {learn.precision}."
    )
    if run is not None:
        parts.append(f"Weights, gradients and the optimiser's state take {byte_text(kept_bytes(run))}.")
    return OutOfMemoryError(" ".join([*parts, remedies(learn, where)]))


def innermost(error: BaseException) -> str:
    """The last of the functions in `PLACES` that an error came through."""
    found = [name for name in own_functions(error.__traceback__) if name in PLACES]
    return found[-1] if found else ""


def wanted(error: BaseException, device: torch.device) -> str:
    asked, free = asked_bytes(error), free_memory(device)
    told = "more was asked for" if asked is None else f"{byte_text(asked)} more were asked for"
    return told if free is None else f"{told}, about {byte_text(free)} are free now"


def dtype_text(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def found_batch(error: BaseException) -> tuple[Tensor, ...] | None:
    """The batch that was in the model when memory ran out, from the frames of the error."""
    trace = error.__traceback__
    while trace is not None:
        batch = trace.tb_frame.f_locals.get("batch")
        if isinstance(batch, tuple) and batch and all(isinstance(part, Tensor) for part in batch):
            return batch
        trace = trace.tb_next
    return None


def remedies(learn: "Learner", where: str) -> str:
    """What to do about it, the least costly first."""
    if where == PLACES["load_sample"]:
        return "Use fewer workers (workers=), a smaller batch size (bs=) or smaller items, and no cache."
    if where in (VALIDATION, PLACES["predict_batches"], PLACES["joined_outputs"]):
        return "Use a smaller batch size (bs=) or smaller items, or less validation data."
    ways = []
    smaller = Slices(sizes=batch_sizes(learn), alone=not needs_two(learn.model), micro=learn.micro).smaller()
    if smaller is not None and where != PLACES["update_weights"]:
        auto = "" if learn.slices is not None else ', or micro="auto", which finds it'
        ways.append(f"micro={smaller} (the same update in slices of {smaller}{auto})")
    ways.append("a smaller batch size (bs=; learn.largest_batch() says which fits) or smaller items")
    if learn.precision == "float32":
        ways.append('precision="bf16"')
    return f"{REMEDY}{'; or '.join(ways)}."


def explained_or_same(error: Exception, learn: "Learner", run: Run | None = None) -> Exception:
    """`explained_memory` where memory ran out; of any other error what `explained` makes of it."""
    if is_out_of_memory(error) and not isinstance(error, OutOfMemoryError):
        found = explained_memory(error, learn, run)
        release(error)
        return found
    for loader in learn.dls.loaders:
        if told := loader_death(loader, error):
            return RuntimeError(told)
    return explained(error, learn.model, learn.dls) if isinstance(error, RuntimeError) else error


@contextmanager
def explaining_memory(learn: "Learner") -> Iterator[None]:
    """Memory that runs out while it lasts is told by `explained_memory`; any other error as it is."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise explained_or_same(error, learn) from error


def checked(learn: "Learner") -> None:
    """`check_first_batch` for the learner, in smaller slices if memory runs out and `micro` is "auto"."""
    slices = settled_slices(learn)
    while True:
        try:
            check_first_batch(
                learn.model,
                learn.dls,
                learn.loss_func,
                learn.metrics,
                autocast_dtype(learn.precision),
                learn.micro,
                learn.mixup,
            )
            return
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            later = VALIDATION in getattr(error, "__notes__", ())
            if later or slices is None or not slices.shrink(learn.epochs_done, 0):
                raise explained_or_same(error, learn) from error
            release(error)
        free_unused()
        note_slices(learn)
