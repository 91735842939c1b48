"""Workers that die or hang are noticed and named. No time is asserted; the timeouts are short to be over soon."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest
from tests.data.fakes import Pictures, Stacked
from tests.data.test_streamed import same

from satsuma.data.loader import DataLoader
from satsuma.data.watching import Wait

SILENT = "ignore:the loader has waited"


class Killed(Stacked):
    """Sample 5 gets the process that reads it killed, as by the kernel."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        if index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().picture(index, rng)


class Hanging(Stacked):
    """Sample 5 waits for an event that comes only when the test is over, as a read of a dead mount waits."""

    def __init__(self, n: int, event: Any) -> None:
        super().__init__(n)
        self.event = event

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        if index == 5:
            self.event.wait()
        return super().picture(index, rng)


class Asleep(Stacked):
    """The same, for a process that is ended while it waits."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        if index == 5:
            time.sleep(600)
        return super().picture(index, rng)


class HangingBatches(Hanging):
    """The same, of whole batches."""

    batch = Pictures.batch


class Steady(Stacked):
    """Samples that each take a part of the timeout, batches more than all of it."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        time.sleep(0.2)
        return super().picture(index, rng)


@pytest.fixture
def event():
    happened = threading.Event()
    yield happened
    happened.set()


@pytest.mark.filterwarnings(SILENT)
@pytest.mark.parametrize("kind", [Hanging, HangingBatches])
def test_a_thread_that_hangs_is_named(event, kind):
    batches = iter(DataLoader(kind(40, event), 4, workers=2, timeout=0.4))
    next(batches)
    told = r"waited \d+ s for a batch: worker thread \d is at sample 5, pets/5.jpg, in wait \(.*threading.py:\d+\)"
    with pytest.raises(TimeoutError, match=told) as found:
        next(batches)
    assert "loader.timeout" in str(found.value)


@pytest.mark.filterwarnings(SILENT)
def test_a_batch_made_in_parts_is_watched_too(event):
    with pytest.raises(TimeoutError, match=r"sample 5, pets/5.jpg"):
        list(DataLoader(Hanging(8, event), 8, workers=3, timeout=0.4))


def test_a_warning_comes_first_and_nothing_more_if_it_goes_on():
    happened = threading.Event()
    loader = DataLoader(Hanging(12, happened), 4, workers=2, timeout=60)
    loader.timeout = 5.0
    batches = iter(loader)
    next(batches)
    threading.Timer(1.5, happened.set).start()
    with pytest.warns(UserWarning, match=r"worker thread \d is at sample 5, .*It is an error after 5 s"):
        rest = list(batches)
    same([*rest], list(DataLoader(Stacked(12), 4))[1:])


def test_slow_but_healthy_is_no_hanging():
    """Each batch takes longer than the timeout, each sample a fraction of it."""
    loader = DataLoader(Steady(20), 10, workers=1, timeout=1.5)
    same(loader, DataLoader(Stacked(20), 10))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_same_batches_without_a_timeout(workers):
    for kind, n in ((Pictures, 23), (Stacked, 23), (Stacked, 7)):
        watched = DataLoader(kind(n), 5, True, workers=workers)
        same(watched.epoch(3), DataLoader(kind(n), 5, True, workers=workers, timeout=None).epoch(3))
        same(watched.epoch(3, start=1), DataLoader(kind(n), 5, True).epoch(3, start=1))


def test_progress_restarts_the_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("satsuma.data.watching.time.monotonic", lambda: now[0])
    wait = Wait(timeout=300.0)
    for second in range(0, 3000, 59):
        now[0] = float(second)
        wait.look(("worker", second), "slow")
    now[0] += 61
    with pytest.warns(UserWarning, match="has waited 61 s for a batch: stuck. It is an error after 300 s"):
        wait.look(("worker", second), "stuck")
    now[0] += 200
    wait.look(("worker", second), "warned already")
    now[0] += 40
    with pytest.raises(TimeoutError, match="has waited 301 s"):
        wait.look(("worker", second), "stuck")


def test_a_thread_that_hangs_does_not_keep_python_from_ending():
    code = """
        import threading
        import warnings
        from satsuma.data.loader import DataLoader

        class Stuck:
            def __len__(self): return 4
            def __getitem__(self, i): return threading.Event().wait()

        warnings.simplefilter("ignore")
        try:
            list(DataLoader(Stuck(), 2, workers=2, timeout=0.2))
        except TimeoutError as error:
            print(error)
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    assert "is at sample 0, in wait" in done.stdout


def ends_within_a_task(tasks: Any, at: Any) -> None:
    """A thread that ends without a word of the task that it took."""
    future, _, _ = tasks.get()
    if future is not None:
        at[future] = threading.current_thread()


def ends_at_once(tasks: Any, at: Any) -> None:
    """A thread that ends before any task."""


@pytest.mark.parametrize(
    ("thread", "told"),
    [
        (ends_within_a_task, r"worker thread \d of the loader has ended within a batch"),
        (ends_at_once, "have ended before"),
    ],
)
def test_threads_that_end_are_noticed(monkeypatch, thread, told):
    monkeypatch.setattr("satsuma.data.watching.work_through", thread)
    with pytest.raises(RuntimeError, match=told):
        list(DataLoader(Stacked(24), 4, workers=2, timeout=20))


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_timeout_is_above_zero(timeout):
    with pytest.raises(ValueError, match="seconds above 0, or None"):
        DataLoader(Pictures(5), timeout=timeout)
    with pytest.raises(TypeError, match="number of seconds"):
        DataLoader(Pictures(5), timeout="long")


def test_a_new_loader_has_the_timeout():
    loader = DataLoader(Pictures(5), timeout=7)
    assert loader.new(batch_size=2).timeout == 7.0
    assert loader.to("cpu").timeout == 7.0


# --- processes ----------------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_is_named():
    told = r"a worker process of the loader died: number 1 \(pid \d+\) at a batch of sample 4, pets/4.jpg; sample 5"
    with pytest.raises(RuntimeError, match=told) as found:
        list(DataLoader(Killed(24), 4, workers=2, worker_kind="processes"))
    assert "killed by SIGKILL, as the system does when memory runs out" in str(found.value)
    assert "fewer workers" in str(found.value)


@pytest.mark.filterwarnings(SILENT)
def test_a_process_that_hangs_is_named():
    batches = iter(DataLoader(Asleep(24), 4, workers=2, worker_kind="processes", timeout=2))
    next(batches)
    told = r"worker process 1 \(pid \d+\) is at a batch of sample 4, pets/4.jpg; sample 5"
    with pytest.raises(TimeoutError, match=told):
        next(batches)
    assert not multiprocessing.active_children()


def test_processes_give_the_same_batches_while_watched():
    loader = DataLoader(Stacked(23), 5, True, workers=2, worker_kind="processes", timeout=60)
    for epoch in (0, 1):
        same(loader.epoch(epoch), DataLoader(Stacked(23), 5, True).epoch(epoch))
    assert loader.batches.processes.engine is not None
