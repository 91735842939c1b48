"""Worker processes, for transforms that hold the interpreter lock or draw from global generators.

The engine is `torch.utils.data.DataLoader`; order and draws stay ours: a worker is asked for a batch by its indices.
"""

import pickle
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader as TorchDataLoader

from satsuma.data.buffers import pinned_parts

Request = tuple[int, Sequence[int]]  # the epoch, and the indices of one batch


class MakesBatches(Protocol):
    """What a worker runs; see `BatchMaker`."""

    def load(self, indices: Sequence[int], epoch: int) -> Any: ...


@dataclass(slots=True)
class SentBatch:
    """What comes back from a worker: a batch, or why there is none."""

    batch: Any = None
    error: BaseException | None = None

    def pin_memory(self) -> "SentBatch":
        return SentBatch(pinned_parts(self.batch), self.error)


class RequestedBatches(torch.utils.data.Dataset[SentBatch]):
    """A data set for torch's loader whose "index" is a request, so that one sample of it is one batch of ours."""

    def __init__(self, maker: MakesBatches) -> None:
        self.maker = maker

    def __getitem__(self, request: Request) -> SentBatch:
        epoch, indices = request
        try:
            return SentBatch(self.maker.load(indices, epoch))
        except Exception as error:
            return SentBatch(error=sendable(error))


@dataclass(slots=True)
class RequestList(torch.utils.data.Sampler[Request]):
    """The requests of the coming epoch; changed between epochs, so that workers stay."""

    requests: list[Request] = field(default_factory=list)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


class WorkerProcesses:
    """`workers` processes that make batches. They start with the first epoch and stay for the next ones.

    An epoch that is left early, an error, or the end of this object ends them. Pickled, it arrives without any.
    """

    def __init__(self, maker: MakesBatches, workers: int, pin: bool = False) -> None:
        self.maker, self.workers, self.pin = maker, workers, pin
        self.requests = RequestList()
        self.engine: Any = None
        self.busy = threading.Lock()  # one epoch at a time; another is given processes of its own

    def __repr__(self) -> str:
        return f"WorkerProcesses({self.workers})"

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerProcesses, (self.maker, self.workers, self.pin)

    def epoch(self, requests: list[Request]) -> Iterator[Any]:
        """The batches asked for, in order. Errors are those of `maker`; `RuntimeError` if a process dies."""
        if not self.busy.acquire(blocking=False):
            yield from WorkerProcesses(self.maker, self.workers, self.pin).epoch(requests)
            return
        whole = False
        sent: Iterator[SentBatch] = iter(())
        try:
            sent = self.started(requests)
            for _ in requests:
                answer = self.answer(sent)
                if answer.error is not None:
                    raise answer.error
                yield answer.batch
            whole = True
        finally:
            del sent
            if not whole:
                self.close()
            self.busy.release()

    def started(self, requests: list[Request]) -> Iterator[SentBatch]:
        if self.engine is None:
            self.engine = TorchDataLoader(
                RequestedBatches(self.maker),
                batch_size=None,  # no collating of torch's
                sampler=self.requests,
                num_workers=self.workers,
                collate_fn=as_it_came,
                pin_memory=self.pin,
                worker_init_fn=calm_libraries,
                generator=torch.Generator(),  # or it would draw a seed from the global one
                persistent_workers=True,
            )
        self.requests.requests = requests
        try:
            return iter(self.engine)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.engine = None
            raise ValueError(
                f"the data set cannot be sent to worker processes: {error}. Use functions and classes defined at the "
                f"top of a module (no lambdas), or worker_kind='threads'."
            ) from error

    def answer(self, sent: Iterator[SentBatch]) -> SentBatch:
        try:
            return next(sent)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            told = " ".join(str(error).split())
        raise RuntimeError(
            f"a worker process of the loader died: {told}. Most often memory ran out: use fewer workers, a smaller "
            f"batch size, or worker_kind='threads', whose batches are not copied."
        )

    def close(self) -> None:
        """End the processes; a later epoch starts new ones."""
        engine, self.engine = self.engine, None
        iterator = getattr(engine, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()  # what its __del__ does; a traceback may keep it from being deleted

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        self.close()


def as_it_came(batch: Any) -> Any:
    """Instead of torch's collating."""
    return batch


def calm_libraries(worker: int) -> None:
    """In a worker: no threads of OpenCV's, whose pool does not live through a fork; torch does so itself."""
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        cv2.setNumThreads(0)


def sendable(error: Exception) -> Exception:
    """An error as it can travel: itself with the worker's traceback as a note, its cause if that can travel too."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_tb(error.__traceback__)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
