"""Files that break while a model trains: another sample takes the place, the file is named, too many end the run.

What stands in is a function of (seed, epoch, index) and of which files are broken, so that the number and the kind of
workers change nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from satsuma.data.buffers import pinned_parts
from satsuma.data.checks import on_one_line, warn_user
from satsuma.data.processes import WorkerProcesses
from satsuma.data.samples import Samples, get_value
from satsuma.data.seeds import STAND_IN, mix_seed
from satsuma.data.streamed import BatchMaker, Streamed, load_sample, sample_name

MAX_BROKEN = 0.01  # the share of a `DataBlock`'s training samples that may break before a run stops


@dataclass(frozen=True, slots=True)
class Mended:
    """A batch in which others stand in for `n` samples that cannot be read. `broken`: the name of each → the reason."""

    batch: Any
    broken: dict[str, str]
    n: int

    def pin_memory(self) -> "Mended":
        return Mended(pinned_parts(self.batch), self.broken, self.n)


@dataclass(slots=True)
class BrokenFiles:
    """Training files found broken since the loader was made: name → reason, and how many samples were `replaced`.

    More than `limit` of them end the run.
    """

    limit: int
    total: int
    reasons: dict[str, str] = field(default_factory=dict)
    replaced: int = 0

    def counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches; a file is warned of when it is first found. Raises `ValueError` beyond the limit."""
        for batch in batches:
            if isinstance(batch, Mended):
                self.note(batch)
                batch = batch.batch
            yield batch
            del batch  # or its memory could not be used again while the next one is made

    def note(self, mended: Mended) -> None:
        new = {name: reason for name, reason in mended.broken.items() if name not in self.reasons}
        self.reasons.update(new)
        self.replaced += mended.n
        refuse_too_many(self.reasons, self.limit, self.total)
        for name, reason in new.items():
            warn_user(f"{on_one_line(name)}: {reason}; other training samples take its place")

    @property
    def line(self) -> str:
        """What happened, in one line; "" if nothing did."""
        if not self.reasons:
            return ""
        files = "1 training file" if len(self.reasons) == 1 else f"{len(self.reasons)} training files"
        times = "once" if self.replaced == 1 else f"{self.replaced} times"
        names = ", ".join(f"{on_one_line(name)} ({reason})" for name, reason in list(self.reasons.items())[:5])
        more = ", ..." if len(self.reasons) > 5 else ""
        return f"{files} of {self.total} could not be read; other samples took their place {times}: {names}{more}"


@dataclass(slots=True)
class MendingMaker:
    """`maker`, but that a sample whose file cannot be read is replaced by another of the data set."""

    maker: BatchMaker
    limit: int
    known: set[int] = field(default_factory=set)  # found broken before, so looked at before the others

    @property
    def dataset(self) -> Any:
        return self.maker.dataset

    @property
    def seed(self) -> int:
        return self.maker.seed

    def load(self, indices: Sequence[int], epoch: int) -> Any:
        """The batch, `Mended` if others stand in. Any error but that of reading a file is raised."""
        broken: dict[int, str] = {}
        looked = bool(self.known) and self.look_at([i for i in indices if i in self.known], epoch, broken)
        while True:
            chosen = [self.stand_in(i, epoch, broken) for i in indices]
            try:
                batch = self.maker.load(chosen, epoch)
            except Exception:
                looked = self.look_at(chosen, epoch, broken)
                if looked:
                    continue
                batch = self.maker.load(chosen, epoch)  # whole again by now, or it fails for another reason
            if not broken:
                return batch
            n = sum(i != j for i, j in zip(indices, chosen, strict=True))
            return Mended(batch, named_reasons(self.dataset, broken), n)

    def look_at(self, indices: Sequence[int], epoch: int, broken: dict[int, str]) -> bool:
        """Add those that cannot be read to `broken`; whether there are any. `ValueError` beyond the limit."""
        before = len(broken)
        for index in indices:
            reason = "" if index in broken else self.reason(index, epoch)
            if reason:
                broken[index] = reason
                self.known.add(index)
                if len(broken) > self.limit:
                    refuse_too_many(named_reasons(self.dataset, broken), self.limit, len(self.dataset))
        return len(broken) > before

    def reason(self, index: int, epoch: int) -> str:
        """Why the files of a sample cannot be read; "" if they can. An error of another kind is raised."""
        for _ in range(2):  # a file may be written anew while it is read
            try:
                load_sample(self.dataset, index, self.seed, epoch, self.maker.augment)
                return ""
            except MemoryError:
                raise
            except Exception as error:
                failure = error
                if found := reading_problem(self.dataset, index, error):
                    return found
        raise failure

    def stand_in(self, index: int, epoch: int, broken: dict[int, str]) -> int:
        """`index`, or if that is broken the first of the samples drawn for it that is not."""
        found, attempt = index, 0
        while found in broken:
            attempt += 1
            found = mix_seed(self.seed, STAND_IN, epoch, index, attempt) % len(self.dataset)
        return found


def mending(batches: Streamed, limit: int) -> Streamed:
    """The same batches, made by a `MendingMaker`."""
    maker: Any = MendingMaker(batches.maker, limit)
    processes: Any = batches.processes
    if processes is not None:
        processes = WorkerProcesses(MendingMaker(processes.maker, limit), processes.workers, processes.pin)
    return replace(batches, maker=maker, processes=processes)


def allowed_broken(max_broken: float, n: int) -> int:
    """How many of `n` samples may break: the share rounded up, so that any share above 0 allows one; not all."""
    if isinstance(max_broken, bool) or not 0 <= max_broken < 1:
        raise ValueError(f"max_broken is a share of the samples, 0 or more and below 1, got {max_broken!r}")
    return min(math.ceil(max_broken * n - 1e-9), n - 1)


def reading_problem(dataset: Any, index: int, error: BaseException) -> str:
    """Why the files of a sample cannot be read, now that `error` was raised; "" if that came of something else.

    Samples of a `DataBlock`: what its check finds in the files now. Of any other data set: an `OSError`.
    """
    if isinstance(dataset, Samples):
        return sample_problem(dataset, index)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or " ".join(str(cause).split()) or type(cause).__name__
        cause = cause.__cause__
    return ""


def sample_problem(samples: Samples, index: int) -> str:
    """The first problem with the files that a sample is read from; "" if there is none."""
    for getter, block in zip(samples.getters, samples.blocks, strict=True):
        value = get_value(getter, samples.items[index])
        if not isinstance(value, str | Path):
            continue
        found = block.examine(value).problem if hasattr(block, "examine") else loading_problem(block, value)
        if found:
            return str(found)
    return ""


def loading_problem(block: Any, value: Any) -> str:
    """Why a block without a check of its own cannot read a file; a label that is none is no matter of reading."""
    try:
        block.load(value)
    except (OSError, EOFError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    except Exception:
        return ""
    return ""


def named_reasons(dataset: Any, broken: dict[int, str]) -> dict[str, str]:
    return {sample_name(dataset, i): reason for i, reason in broken.items()}


def refuse_too_many(reasons: dict[str, str], limit: int, total: int) -> None:
    """Raise `ValueError` that names all files if they are more than `limit`."""
    if len(reasons) > limit:
        listed = "\n".join(f"  {on_one_line(name)}: {reason}" for name, reason in reasons.items())
        raise ValueError(
            f"{len(reasons)} of {total} training files cannot be read any more, and {limit} may (max_broken):\n"
            f"{listed}\nMend or put them back; or allow a larger share, for example max_broken=0.05."
        )
