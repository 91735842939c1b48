"""Waiting for batches with an eye on who makes them: workers that die or hang are named, with what they were at."""

import re
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import FrameType
from typing import Any

from satsuma.data.processes import RequestList
from satsuma.data.streamed import Streamed, in_parts, load_sample, sample_name, sample_order

TIMEOUT = 300.0  # seconds at one sample, or one batch of a process, after which a worker is thought to hang
PIDS = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")
SHOWN = 5  # samples of a batch that a message names
ENDING = 10.0  # seconds that threads are given to end, after which they are left to end by themselves


@dataclass(slots=True, kw_only=True)
class Wait:
    """One wait for a batch: a warning after a while without progress, `TimeoutError` after `timeout` seconds."""

    timeout: float
    begun: float = field(default_factory=time.monotonic)
    at: Any = None
    warned: bool = False

    def look(self, at: Any, told: str) -> None:
        """`at`: what changes if there is progress. `told`: who is waited for."""
        now = time.monotonic()
        if at != self.at:
            self.at, self.begun, self.warned = at, now, False
        waited = now - self.begun
        if waited >= self.timeout:
            raise TimeoutError(
                f"the loader has waited {waited:.0f} s for a batch: {told}. A disk or network mount that does not "
                f"answer, or a transform that does not end? If it is only slow, give the loader more time: "
                f"DataLoader(timeout=...), or loader.timeout = ... (seconds; None: for ever)"
            )
        if waited >= min(60.0, self.timeout / 5) and not self.warned:
            self.warned = True
            warnings.warn(
                f"the loader has waited {waited:.0f} s for a batch: {told}. It is an error after {self.timeout:.0f} s",
                UserWarning,
                stacklevel=2,
            )


def looks_every(timeout: float) -> float:
    """Seconds between two looks at what the workers do."""
    return min(5.0, timeout / 20)


def watched_epoch(batches: Any, epoch: int, start: int, timeout: float | None) -> Iterator[Any]:
    """`batches.epoch(epoch, start=start)`; workers that hang for `timeout` seconds are an error (None: are not)."""
    if not isinstance(batches, Streamed) or batches.workers == 0 or timeout is None:
        return iter(batches.epoch(epoch, start=start))
    if batches.processes is not None:
        processes: Any = batches.processes
        processes.answer = ProcessWatch(batches.maker.dataset, processes.requests, timeout)  # in the method's place
        return batches.epoch(epoch, start=start)
    order = sample_order(len(batches.maker.dataset), batches.shuffle, batches.maker.seed, epoch)
    size = batches.batch_size
    takes = [order[i * size : (i + 1) * size] for i in range(start, len(batches))]
    return by_watched_threads(batches.maker, takes, epoch, batches.workers, timeout)


def by_watched_threads(
    maker: Any, takes: Sequence[Sequence[int]], epoch: int, workers: int, timeout: float
) -> Iterator[Any]:
    """`by_threads`, whose threads are watched, and left behind if they hang."""
    pool: Any = WatchedThreads(workers, maker.dataset, timeout)
    waiting: deque[Future[Any]] = deque()
    try:
        if 0 < len(takes) < workers:
            for take in takes:
                yield in_parts(pool, maker, take, epoch, -(-workers // len(takes)))
            return
        for take in takes:
            waiting.append(pool.submit(maker.load, take, epoch))
            if len(waiting) > workers + 1:  # bounded: at most this many batches lie ready
                yield pool.result(waiting.popleft())
        while waiting:
            yield pool.result(waiting.popleft())
    finally:
        pool.end()


class WatchedThreads:
    """Threads that make batches, and can be left behind: one that hangs keeps neither loop nor Python from ending."""

    def __init__(self, workers: int, dataset: Any, timeout: float) -> None:
        self.dataset, self.timeout = dataset, timeout
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.at: dict[Future[Any], threading.Thread] = {}  # who works on what
        self.hangs = False
        self.threads = [
            threading.Thread(target=work_through, args=(self.tasks, self.at), name=f"satsuma-loader_{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self.threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.put((future, function, arguments))
        return future

    def map(self, function: Callable[..., Any], *columns: Any) -> Iterator[Any]:
        """The results for each row of the columns, all worked on at once."""
        rows = zip(*columns, strict=False)  # one may be an endless repetition
        futures = [self.submit(function, *row) for row in rows]
        return (self.result(future) for future in futures)

    def result(self, future: Future[Any]) -> Any:
        """What a task gives. Raises its error, or `TimeoutError` if the thread that has it hangs."""
        wait = Wait(timeout=self.timeout)
        while True:
            try:
                return future.result(looks_every(self.timeout))
            except TimeoutError:
                if future.done():
                    return future.result()
            self.look(future, wait)

    def look(self, future: Future[Any], wait: Wait) -> None:
        thread = self.at.get(future)
        if thread is None:  # in the queue, behind what the threads are at
            if not any(thread.is_alive() for thread in self.threads):
                raise RuntimeError("the worker threads of the loader have ended before their work")
            wait.look(None, f"all {len(self.threads)} worker threads are busy")
            return
        number = self.threads.index(thread)
        if not thread.is_alive():
            raise RuntimeError(f"worker thread {number} of the loader has ended within a batch")
        index, place = place_of(thread)
        name = "a batch" if index is None else numbered_name(self.dataset, index)
        try:
            wait.look((number, index), f"worker thread {number} is at {name}{place}")
        except TimeoutError:
            self.hangs = True
            raise

    def end(self) -> None:
        """Let go of what has not begun, and wait for the threads, but not for one that hangs."""
        while not self.tasks.empty():
            self.tasks.get()[0].cancel()
        for _ in self.threads:
            self.tasks.put((None, None, ()))
        until = time.monotonic() + (0 if self.hangs else ENDING)
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))


def work_through(tasks: "SimpleQueue[Any]", at: dict[Future[Any], threading.Thread]) -> None:
    """What a thread does: tasks, one after another, until there is one without a function."""
    while True:
        future, function, arguments = tasks.get()
        if function is None:
            return
        if future.set_running_or_notify_cancel():
            at[future] = threading.current_thread()
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)
            del at[future]
        del future, function, arguments  # or a batch's memory could not be used again while this one waits


def place_of(thread: threading.Thread) -> tuple[int | None, str]:
    """The sample that a thread is at, None if that cannot be told; and where in the code, in words."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return None, ""
    place = f", in {frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
    while frame is not None and frame.f_code is not load_sample.__code__ and frame.f_code.co_name != "batch":
        frame = frame.f_back
    index = None if frame is None else frame.f_locals.get("index")
    return index if isinstance(index, int) else None, place


def numbered_name(dataset: Any, index: int) -> str:
    """What to call a sample: its number, and its file where there is one."""
    name = sample_name(dataset, index)
    return name if name == f"sample {index}" else f"sample {index}, {name}"


@dataclass(slots=True)
class ProcessWatch:
    """Waits for the answers of worker processes, as `WorkerProcesses.answer` does."""

    dataset: Any
    asked: RequestList
    timeout: float
    sent: Any = None  # torch's iterator, whose workers and tasks are looked at

    def __call__(self, sent: Any) -> Any:
        """The next answer. `TimeoutError` naming a worker that hangs, `RuntimeError` one that died."""
        self.sent = sent
        sent._timeout = looks_every(self.timeout)
        wait = Wait(timeout=self.timeout)
        while True:
            try:
                return next(sent)
            except RuntimeError as error:
                if told := self.death(error):
                    raise RuntimeError(told) from None
                if "DataLoader timed out" not in str(error):
                    raise
            wait.look(getattr(sent, "_rcvd_idx", None), self.waited_for())

    def waited_for(self) -> str:
        tasks, number = getattr(self.sent, "_task_info", {}), getattr(self.sent, "_rcvd_idx", -1)
        if number not in tasks:
            return f"its {len(self.sent._workers)} worker processes are silent"
        return f"worker process {tasks[number][0]} (pid {self.pid(tasks[number][0])}) is at {self.batch(number)}"

    def pid(self, worker: int) -> int | None:
        found: int | None = self.sent._workers[worker].pid
        return found

    def batch(self, number: int) -> str:
        """What to call the batch of a task."""
        _, indices = self.asked.requests[number]
        names = [numbered_name(self.dataset, i) for i in indices[:SHOWN]]
        more = f" and {len(indices) - SHOWN} more" if len(indices) > SHOWN else ""
        return f"a batch of {'; '.join(names)}{more}"

    def death(self, error: BaseException) -> str:
        """What to say of an error of torch's that tells of processes that died; "" for any other."""
        told = PIDS.search(str(error))
        if told is None or self.sent is None:
            return ""
        pids = [int(pid) for pid in told[1].replace(",", " ").split()]
        workers = [(i, process) for i, process in enumerate(self.sent._workers) if process.pid in pids]
        if not workers:
            return ""
        deaths = "; ".join(self.one_death(i, process.pid, process.exitcode) for i, process in workers)
        return (
            f"a worker process of the loader died: {deaths}. Most often memory ran out: use fewer workers, a smaller "
            f"batch size, or worker_kind='threads', whose batches are not copied."
        )

    def one_death(self, worker: int, pid: int, code: int | None) -> str:
        own = [n for n, task in sorted(self.sent._task_info.items()) if task[0] == worker and len(task) == 1]
        at = f" at {self.batch(own[0])}" if own and own[0] < len(self.asked.requests) else ""
        return f"number {worker} (pid {pid}){at}: {exit_text(code)}"


def exit_text(code: int | None) -> str:
    """How a process ended.

    >>> exit_text(-9)
    'it was killed by SIGKILL, as the system does when memory runs out'
    >>> exit_text(3)
    'it ended with exit code 3'
    """
    if code is None:
        return "it does not answer"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")


def loader_death(loader: Any, error: BaseException) -> str:
    """What to say of an error that came while the loop worked, since a worker process of `loader` died; "" if not."""
    for batches in (getattr(loader, "mending", None), getattr(loader, "batches", None)):
        watch = getattr(getattr(batches, "processes", None), "answer", None)
        if isinstance(watch, ProcessWatch) and (told := watch.death(error)):
            return told
    return ""
