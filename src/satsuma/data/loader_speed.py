"""How fast a loader is with each number and kind of workers, measured: which setting is best, and what holds it up."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from satsuma.data.global_draws import seeded_globals
from satsuma.data.loader import DataLoader, worker_processes
from satsuma.data.streamed import BatchMaker, Streamed, by_threads, load_sample, sample_order, sample_rng

Setting = tuple[int, str]  # workers, and their kind

ROUNDS = 3  # each setting's best of so many, in turn: what else the machine does only slows
SLOWER = 0.05  # share by which the loader's own setting may be behind the best before it is told
TIMED_SAMPLES = 48  # how many samples are made to learn what their stages cost
SCALING = 1.3  # threads that bring less than this are said not to scale


@dataclass(frozen=True, slots=True)
class LoaderSpeeds:
    """Samples a second of each setting (workers, kind), of `usual`, the loader's own one, among them.

    `sample_seconds`: of each stage of making one sample in one thread.
    """

    rates: Mapping[Setting, float]
    usual: Setting
    sample_seconds: Mapping[str, float]

    @property
    def best(self) -> Setting:
        """The fastest setting."""
        return max(self.rates, key=self.rates.__getitem__)

    @property
    def holds_lock(self) -> bool:
        """Whether transforms seem to hold the interpreter lock: two threads bring little, two processes much."""
        needed = ((1, "threads"), (2, "threads"), (2, "processes"))
        if any(setting not in self.rates for setting in needed):
            return False
        one, threads, processes = (self.rates[setting] for setting in needed)
        return threads < SCALING * one and processes > SCALING * threads

    @property
    def advice(self) -> str:
        """What to set, in a sentence or two."""
        workers, kind = self.best
        behind = 1 - self.rates[self.usual] / self.rates[self.best]
        told = f"best: {setting_text(self.best)}, {self.rates[self.best]:,.0f} samples/s; "
        if behind <= SLOWER:
            same = self.best == self.usual
            told += "that is the setting now." if same else f"now {setting_text(self.usual)}, as fast within 5%."
        else:
            told += f"now {setting_text(self.usual)}, {behind:.0%} slower: "
            told += f'set workers={workers}, worker_kind="{kind}".' if workers else "set workers=0."
        if self.holds_lock:
            told += "\nThreads do not scale here: transforms hold the interpreter lock; processes do not share one."
        return told

    def __str__(self) -> str:
        rows = [f"{'loader':14} {'samples/s':>10}"]
        for setting, rate in self.rates.items():
            marks = ["now"] * (setting == self.usual) + ["best"] * (setting == self.best)
            rows.append(f"{setting_text(setting):14} {rate:10,.0f}   {', '.join(marks)}".rstrip())
        whole = sum(self.sample_seconds.values())
        if whole:
            stages = self.sample_seconds.items()
            told = ", ".join(f"{stage} {spent * 1000:.2f} ms ({spent / whole:.0%})" for stage, spent in stages)
            rows += ["", f"one sample: {told}"]
        return "\n".join([*rows, "", self.advice])


def setting_text(setting: Setting) -> str:
    """How a setting is called.

    >>> setting_text((0, "threads")), setting_text((1, "threads")), setting_text((2, "processes"))
    ('no workers', '1 thread', '2 processes')
    """
    workers, kind = setting
    singular = {"threads": "thread", "processes": "process"}[kind]
    return "no workers" if workers == 0 else f"{workers} {singular if workers == 1 else kind}"


def worker_settings(cores: int, usual: Setting, *, threads: bool = True) -> list[Setting]:
    """What to try on a machine of `cores`: 0, 1, 2, 4, ... threads up to twice as many, 2, 4, ... processes up to it.

    >>> worker_settings(2, (2, "threads"))
    [(0, 'threads'), (1, 'threads'), (2, 'threads'), (4, 'threads'), (2, 'processes')]
    """
    counts = [2**k for k in range(5)]
    found: list[Setting] = [(0, "threads")]
    if threads:
        found += [(n, "threads") for n in counts if n <= 2 * cores]
    found += [(n, "processes") for n in counts if 2 <= n <= max(2, cores)]
    return sorted({*found, usual}, key=setting_order)


def setting_order(setting: Setting) -> tuple[bool, int]:
    return setting[1] == "processes", setting[0]


def loader_speeds(loader: DataLoader, *, seconds: float = 1.0, settings: Sequence[Setting] = ()) -> LoaderSpeeds:
    """Make batches with every setting in turn, each for about `seconds` a round; `settings` says which.

    What happens to a batch after it is made (copies to a GPU, batch transforms there) is not counted; nor is the
    start of processes, which stay from epoch to epoch.
    Raises `ValueError` for data that lies in memory, which is batched without workers.
    """
    streamed = loader.batches
    if not isinstance(streamed, Streamed):
        raise ValueError("loader_speeds: this data lies in memory and is batched by indexing; workers change nothing")
    usual = (streamed.workers, "processes" if streamed.processes is not None else "threads")
    threads = not getattr(loader.dataset, "needs_processes", False)
    tried = list(settings) or worker_settings(os.cpu_count() or 1, usual, threads=threads)
    stages = stage_seconds(loader)
    made = 2 * seconds / max(sum(stages.values()), 1e-9)  # samples, by two threads
    takes = many_takes(loader, min(max(round(made / loader.batch_size), 8), 2000))
    rates = dict.fromkeys(sorted({*tried, usual}, key=setting_order), 0.0)
    for number in range(ROUNDS):
        for setting in rates:
            rates[setting] = max(rates[setting], samples_per_s(streamed.maker, setting, takes, number))
    return LoaderSpeeds(rates, usual, stages)


def many_takes(loader: DataLoader, count: int) -> list[list[int]]:
    """The samples of `count` batches, in the loader's order, from the beginning again where it ends."""
    order = sample_order(len(loader.dataset), loader.shuffle, loader.seed, 0)
    size = min(loader.batch_size, len(order))
    return [[order[(i * size + k) % len(order)] for k in range(size)] for i in range(count)]


def samples_per_s(maker: BatchMaker, setting: Setting, takes: Sequence[Sequence[int]], epoch: int) -> float:
    """Samples a second with one setting, from the first batch's beginning to the last one's end."""
    workers, kind = setting
    processes = worker_processes(maker, workers) if kind == "processes" else None
    if processes is not None:  # once without the clock: they start
        exhaust(processes.epoch([(epoch, take) for take in takes[:workers]]))
    begun = time.perf_counter()
    if processes is not None:
        exhaust(processes.epoch([(epoch, take) for take in takes]))
    elif workers:
        exhaust(by_threads(maker, takes, epoch, workers))
    else:
        exhaust(maker.load(take, epoch) for take in takes)
    spent = time.perf_counter() - begun
    if processes is not None:
        processes.close()
    return sum(len(take) for take in takes) / spent


def exhaust(batches: Iterator[Any]) -> None:
    for _ in batches:
        pass


def stage_seconds(loader: DataLoader) -> dict[str, float]:
    """Mean seconds of each stage of making a sample, in this thread; empty for data that lies in memory."""
    if not isinstance(loader.batches, Streamed):
        return {}
    maker, total = loader.batches.maker, dict[str, float]()
    n = min(len(maker.dataset), TIMED_SAMPLES)
    with seeded_globals(maker.seed):
        for i in range(-2, n):  # the first ones open libraries: not counted
            index = max(i, 0) * len(maker.dataset) // n
            for stage, spent in timed_stages(maker, index).items():
                total[stage] = total.get(stage, 0.0) + (spent / n if i >= 0 else 0.0)
    return total


def timed_stages(maker: BatchMaker, index: int) -> dict[str, float]:
    """Seconds by stage of one sample; of a data set that does not tell them apart, of the whole."""
    if hasattr(maker.dataset, "timed_sample"):
        rng = sample_rng(maker.dataset, index, maker.seed, 0, maker.augment)
        found: dict[str, float] = maker.dataset.timed_sample(index, rng)
        if found:
            return found
    begun = time.perf_counter()
    load_sample(maker.dataset, index, maker.seed, 0, maker.augment)
    return {"sample": time.perf_counter() - begun}
