"""What takes long, one after the other in a thread beside the server: models read, predictions made, faults found."""

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from satsuma.errors import SatsumaError

PATIENCE_S = 0.1  # what is made sooner is waited for
FORESEEN = (SatsumaError, ValueError, TypeError, OSError)


class Waiting(Exception):  # noqa: N818  not an error: the page says what is being worked on, and asks again
    """What was asked for is being made. `what`: a text's name that says what."""

    def __init__(self, what: str, since: float) -> None:
        super().__init__(what)
        self.what, self.since = what, since


class JobError(Exception):
    """What was asked for could not be made; the message says why."""


@dataclass(slots=True)
class Job:
    """One piece of work and what became of it. `state`: "waits", "runs", "done" or "failed"."""

    make: Callable[[], Any] | None  # None once it has begun, so that nothing is held on to by it
    version: Any
    state: str = "waits"
    result: Any = None
    error: str = ""
    since: float = field(default_factory=time.monotonic)
    ready: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """Makes each thing once, by its key, in one thread; of another version anew, which takes the place of the old."""

    def __init__(self) -> None:
        self.jobs: dict[Any, Job] = {}
        self.queue: queue.Queue[Job] = queue.Queue()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def get(self, key: Any, what: str, make: Callable[[], Any], *, version: Any = None) -> Any:
        """The result of `make()`, which runs once for each `key` and `version`; only the newest version is kept.

        Raises `Waiting` until it is there, `JobError` if it failed. `what`: the name of the text that says what it is.
        """
        with self.lock:
            job = self.job(key, make, version)
            if job.state == "waits":
                self.start()
        job.ready.wait(PATIENCE_S)
        if job.state == "failed":
            raise JobError(job.error)
        if job.state != "done":
            raise Waiting(what, job.since)
        return job.result

    def now(self, key: Any, make: Callable[[], Any], *, version: Any = None) -> Any:
        """As `get`, but at once, in this thread: for use inside of another job."""
        with self.lock:
            job = self.job(key, make, version)
        run_job(job)
        if job.state == "failed":
            raise JobError(job.error)
        return job.result

    def job(self, key: Any, make: Callable[[], Any], version: Any) -> Job:
        """The job of that key and version, put into the queue if it is new."""
        job = self.jobs.get(key)
        if job is None or job.version != version:
            job = self.jobs[key] = Job(make, version)
            self.queue.put(job)
        return job

    def state(self, key: Any, *, version: Any = None) -> str:
        """How far the work of `key` and `version` is; "" if nobody asked for it."""
        with self.lock:
            job = self.jobs.get(key)
            return job.state if job is not None and job.version == version else ""

    def forget(self, *keys: Any) -> None:
        """Make these anew when they are next asked for."""
        with self.lock:
            for key in keys:
                self.jobs.pop(key, None)

    def forget_failed(self) -> None:
        """Try again what could not be made, when it is next asked for."""
        with self.lock:
            self.jobs = {key: job for key, job in self.jobs.items() if job.state != "failed"}

    def start(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self.work, name="workbench-jobs", daemon=True)
            self.thread.start()

    def work(self) -> None:
        while True:
            run_job(self.queue.get())


def run_job(job: Job) -> None:
    """Run a job; what goes wrong is kept for those who ask, ours as it is and others with their kind."""
    make, job.make = job.make, None
    if make is None:
        return
    job.state = "runs"
    try:
        job.result = make()
        job.state = "done"
    except Exception as error:  # the thread goes on
        ours = isinstance(error, (*FORESEEN, JobError))
        job.error = str(error) if ours and str(error) else "".join(traceback.format_exception_only(error)).strip()
        job.state = "failed"
    job.ready.set()
