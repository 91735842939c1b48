"""What importing costs, beside torch; what `satsuma --help` and completion cost; how many packages the core brings."""

import importlib.metadata
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 9
PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("satsuma"))


def seconds(command: list[str], environment: dict[str, str] | None = None) -> float:
    begun = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False, env={**os.environ, **(environment or {})})
    return time.perf_counter() - begun


def compared(commands: dict[str, list[str]], base: str) -> None:
    """Whole-process seconds, in turn; medians, and the median of the ratios to `base`."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(REPEATS + 1):
        for name, command in commands.items():
            taken = seconds(command)
            if turn:
                found[name].append(taken)
    print("| command | median s | ratio |\n|---|---|---|")
    for name, values in found.items():
        ratio = statistics.median(a / b for a, b in zip(values, found[base], strict=True))
        print(f"| {name} | {statistics.median(values):.3f} | {ratio:.3f} |")


def core_packages() -> dict[str, list[str]]:
    """The packages that `pip install satsuma` brings, split into torch's own and the others (extras left out)."""
    from packaging.requirements import Requirement

    def needs(name: str, seen: set[str]) -> set[str]:
        if name in seen:
            return seen
        seen.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needs(requirement.name.lower().replace("_", "-"), seen)
        return seen

    torch = needs("torch", set())
    return {"torch's own": sorted(torch), "the others": sorted(needs("satsuma", set()) - torch)}


def main() -> None:
    compared(
        {
            "import torch": [PYTHON, "-c", "import torch"],
            "import satsuma": [PYTHON, "-c", "import satsuma"],
            "import torch, satsuma": [PYTHON, "-c", "import torch, satsuma"],
            "import satsuma; satsuma.Learner": [PYTHON, "-c", "import satsuma; satsuma.Learner"],
            "import satsuma; every public name": [PYTHON, "-c", "from satsuma import *"],
        },
        "import torch",
    )
    found = [seconds([COMMAND, "--help"]) for _ in range(REPEATS)]
    print(f"satsuma --help: median {statistics.median(found):.3f} s")
    complete = {"_SATSUMA_COMPLETE": "complete_bash", "COMP_WORDS": "satsuma tr", "COMP_CWORD": "1"}
    found = [seconds([COMMAND], complete) for _ in range(REPEATS)]
    print(f"completion of 'satsuma tr': median {statistics.median(found):.3f} s")
    for kind, names in core_packages().items():
        print(f"{kind}: {len(names)} ({', '.join(names)})")


if __name__ == "__main__":
    main()
