"""Where a run took place: versions, machine and the state of the code around it, as its recipe tells them."""

import functools
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from satsuma.version import __version__

PATIENCE_S = 5.0  # seconds that git may take


def versions() -> dict[str, str]:
    """Of what computes a run's numbers."""
    return {
        "satsuma": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "python": platform.python_version(),
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """Processor, its cores, torch's threads, and the GPU if there is one: sums are rounded as these divide them."""
    found = {"cpu": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return found if device.type != "cuda" else {**found, "gpu": torch.cuda.get_device_name(device)}


@functools.cache
def processor() -> str:
    """The processor's name; on Linux the model, elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def code_state(folder: Path) -> dict[str, Any] | None:
    """The git commit of a folder, and whether its tracked files were changed since; None outside of git."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    commit = git(folder, "rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "changed": bool(git(folder, "status", "--porcelain", "-uno"))}


def git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if there is no git, or if it fails or takes too long."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
