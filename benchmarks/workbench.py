"""What the workbench costs: training alone, watched by an open page, and under 200 requests at once; times of pages.

The workbench is the command `satsuma open` in a process of its own, on a run of 10,000 generated pictures. A page that
watches asks what its script asks for, as often: how the run stands each second, the figures, the batch. Being watched
may cost training a twentieth; a page answers in 200 ms.
"""

import argparse
import contextlib
import http.client
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from common import interleaved, machine, print_ratios
from PIL import Image

import satsuma as sm

N, CLASSES, SIDE = 10_000, 10, 32
AT_ONCE, BURST_S = 200, 10.0
PAGES = ("run", "data", "clean", "errors", "augment", "try", "rates")
ASKED = 20  # times for each page


def draw(folder: Path, n: int) -> None:
    """`n` pictures, a folder a class: a disc whose place and colour belong to the class, on noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for i in range(n):
        kind = i % CLASSES
        angle = 2 * np.pi * kind / CLASSES + rng.normal(0, 0.15)
        place = SIDE / 2 + SIDE / 4 * np.array([np.sin(angle), np.cos(angle)])
        disc = (rows - place[0]) ** 2 + (columns - place[1]) ** 2 < (SIDE / 6) ** 2
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3))
        pixels[disc, kind % 3] += 120
        file = folder / f"class-{kind}" / f"{i:05}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(file)


class Bench:
    """The command `satsuma open` on a folder of runs, and requests to it."""

    def __init__(self, runs: Path) -> None:
        command = [sys.executable, "-m", "satsuma.cli.main", "open", str(runs), "--no-browser"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert self.process.stdout is not None
        told = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", self.process.stdout.readline())
        assert told is not None, "satsuma open said no address"
        self.port = int(told[1])
        self.cookie = f"satsuma-{self.port}={told[2]}"

    def ask(self, path: str, accept: str = "application/json") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Cookie": self.cookie, "Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def worked_s(self) -> float:
        """Seconds of a processor that the workbench has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def train(data: Path, runs: Path, epochs: int) -> Path:
    """A run of the small network on the pictures, from files; its folder."""
    folder = runs / f"run-{len(list(runs.glob('run-*'))) + 1}"
    dls = sm.ImageDataLoaders.from_folder(data, valid_pct=0.2, bs=64, check=False)
    learn = sm.Learner(dls, "small_cnn", metrics=sm.accuracy, progress=False, run_dir=folder)
    learn.fit_one_cycle(epochs, 0.01)
    return folder


class Watcher:
    """Asks as an open page does for the run that is newest; and if it shall, many requests at once.

    It is a process of its own, as a browser is, so that training shares no interpreter with it.
    """

    def __init__(self, bench: Bench, runs: Path, *, bursts: bool) -> None:
        self.bench, self.runs, self.bursts = bench, runs, bursts
        own = multiprocessing.get_context("fork")
        self.over, self.seen = own.Event(), own.Queue()
        self.failed: list[tuple[str, int]] = []
        self.taken: list[float] = []  # seconds of each answer
        self.share = 0.0  # of one processor that the workbench used meanwhile
        self.process = own.Process(target=self.watch)

    def __enter__(self) -> "Watcher":
        self.begun, self.worked = time.monotonic(), self.bench.worked_s()
        self.process.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.share = (self.bench.worked_s() - self.worked) / (time.monotonic() - self.begun)
        self.over.set()
        self.failed, self.taken = self.seen.get()
        self.process.join()

    def get(self, path: str) -> None:
        begun = time.perf_counter()
        try:
            status, _ = self.bench.ask(path)
        except OSError:
            status = 0  # it did not answer in time
        self.taken.append(time.perf_counter() - begun)
        if status not in (200, 202):
            self.failed.append((path, status))

    def watch(self) -> None:
        second, last_burst = 0, time.monotonic() - BURST_S / 2
        while not self.over.wait(1.0):
            newest = max(self.runs.glob("run-*/history.jsonl"), key=lambda file: file.stat().st_mtime, default=None)
            if newest is None:
                continue
            base = f"/open/{newest.parent.name}/run"
            self.get(f"{base}/now?epochs=0")
            if second % 2 == 0:
                for kind in ("loss", "metrics", "rate"):
                    self.get(f"{base}/figure/{kind}")
            if second % 3 == 0:
                self.get(f"{base}/batch")
            if self.bursts and time.monotonic() - last_burst > BURST_S:
                last_burst = time.monotonic()
                self.burst(f"{base}/now")
            second += 1
        self.seen.put((self.failed, self.taken))

    def burst(self, path: str) -> None:
        threads = [threading.Thread(target=self.get, args=(path,)) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def watched(bench: Bench, data: Path, runs: Path, epochs: int, told: list[Watcher], *, bursts: bool) -> None:
    with Watcher(bench, runs, bursts=bursts) as watcher:
        train(data, runs, epochs)
    told.append(watcher)


def page_times(bench: Bench, name: str) -> Iterator[tuple[str, float, float, float]]:
    """Each page's milliseconds, once what it waits for is made: median, longest, and of the processor's time."""
    addresses = ["/runs", *(f"/open/{name}/{page}" for page in PAGES), f"/open/{name}/picture/1/7?side=128"]
    for address in addresses:
        ready = time.monotonic() + 300
        while True:
            status, body = bench.ask(address, "text/html")
            if status != 202 and b'http-equiv="refresh"' not in body:
                break
            assert time.monotonic() < ready, f"{address} is still waiting"
            time.sleep(0.2)
        if status == 404:
            continue
        taken, worked = [], bench.worked_s()
        for _ in range(ASKED):
            begun = time.perf_counter()
            bench.ask(address, "text/html")
            taken.append((time.perf_counter() - begun) * 1000)
        worked_ms = (bench.worked_s() - worked) * 1000 / ASKED
        yield address.replace(f"/open/{name}", ""), statistics.median(taken), max(taken), worked_ms


def compare_training(bench: Bench, data: Path, runs: Path, epochs: int, rounds: int) -> None:
    told: list[Watcher] = []
    under_requests = f"watched, and {AT_ONCE} requests at once every {BURST_S:.0f} s"
    contestants: dict[str, Callable[[], object]] = {
        "alone": partial(train, data, runs, epochs),
        "watched by a page": partial(watched, bench, data, runs, epochs, told, bursts=False),
        under_requests: partial(watched, bench, data, runs, epochs, told, bursts=True),
    }
    print_ratios(f"training {epochs} epochs", interleaved(contestants, rounds), "alone")
    failed = [fault for watcher in told for fault in watcher.failed]
    print(f"\n{sum(len(watcher.taken) for watcher in told):,} requests, {len(failed)} without an answer {failed[:3]}")
    for bursts, what in ((False, "watched"), (True, "under requests")):
        taken = sorted(1000 * s for watcher in told if watcher.bursts == bursts for s in watcher.taken)
        shares = [100 * watcher.share for watcher in told if watcher.bursts == bursts][1:]
        print(
            f"{what}: answers in {statistics.median(taken):.0f} ms (median), {taken[-1]:.0f} ms (longest); "
            f"the workbench worked for {statistics.median(shares):.1f}% of a core's time"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds on 2,000 pictures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("training", "pages"))
    given = parser.parse_args()
    n, epochs, rounds = (2_000, 5, 2) if given.quick else (N, 3, given.rounds)
    print(machine())
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as at_end:
        data, runs = Path(temporary) / "pictures", Path(temporary) / "runs"
        runs.mkdir()
        draw(data, n)
        folder = train(data, runs, 1)
        bench = Bench(runs)
        at_end.callback(bench.end)
        if given.only != "pages":
            compare_training(bench, data, runs, epochs, rounds)
        if given.only != "training":
            print("\n| page | median ms | longest ms | processor ms |\n|---|---|---|---|")
            for page, median, longest, worked in page_times(bench, folder.name):
                print(f"| {page} | {median:.0f} | {longest:.0f} | {worked:.1f} |", flush=True)


if __name__ == "__main__":
    main()
