"""What the benchmarks share: data, and timing of several contestants in turn within one run."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Where real data lies: `SATSUMA_DATA`, or `../shared/data` beside the project."""
    folder = Path(os.environ.get("SATSUMA_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"{folder}: no data there; set SATSUMA_DATA to a folder that holds mnist/")
    return folder


def interleaved(contestants: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, list[float]]:
    """Seconds of each contestant, `repeats` times, in turn (A B C, A B C, ...), after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_number in range(repeats + 1):
        for name, contestant in contestants.items():
            begun = time.perf_counter()
            contestant()
            if round_number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def print_ratios(title: str, seconds: Mapping[str, list[float]], base: str) -> None:
    """Each contestant's median seconds, and the median (min to max) of its ratio to `base`, round by round."""
    print(f"\n{title}\n| contestant | median s | ratio to {base} | min | max |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[base], strict=True)]
        print(
            f"| {name} | {statistics.median(values):.3f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} | {max(ratios):.2f} |"
        )


def interleaved_rates(contestants: Mapping[str, Callable[[], int]], repeats: int = 5) -> dict[str, list[float]]:
    """How many a second each contestant did (it returns how many), `repeats` times in turn, after an uncounted round.

    The counts may differ: the slow may do fewer than the fast.
    """
    counts: dict[str, int] = {}
    timed = {name: partial(noting, counts, name, contestant) for name, contestant in contestants.items()}
    return {name: [counts[name] / s for s in values] for name, values in interleaved(timed, repeats).items()}


def noting(counts: dict[str, int], name: str, contestant: Callable[[], int]) -> None:
    counts[name] = contestant()


def print_rates(title: str, rates: Mapping[str, list[float]], ours: str, asked: Mapping[str, float]) -> None:
    """Each contestant's median rate, and how many times it `ours` does (round by round); `asked`: at least this."""
    print(f"\n{title}\n| contestant | median a second | ours is × | min | max | asked |\n|---|---|---|---|---|---|")
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(rates[ours], values, strict=True)]
        wanted = f"≥ {asked[name]}" if name in asked else ""
        print(
            f"| {name} | {statistics.median(values):.1f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} | {max(ratios):.2f} | {wanted} |",
            flush=True,
        )


def machine() -> str:
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores"
