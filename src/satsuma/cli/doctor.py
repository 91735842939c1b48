"""`satsuma doctor`: what this machine can do, what a file or a run holds, or how fast a folder of photos is read."""

import importlib.metadata
import platform
import shutil
from pathlib import Path

import torch
from rich.console import Console

from satsuma.train.precision import has_bf16_units, pick_device
from satsuma.version import __version__

console = Console(highlight=False, soft_wrap=True)
EXTRAS = {"scikit-learn": "satsuma demo", "torchmetrics": "its metrics"}


def run_doctor(model: Path | None, loader: Path | None = None) -> None:
    """Print the report on the machine, on `model`, or on loading the photos below `loader`."""
    if model is not None and loader is not None:
        raise ValueError("doctor looks at one thing: a model file, or with --loader a folder of images; got both")
    if loader is not None:
        from satsuma.cli.doctor_loader import show_loader

        show_loader(loader)
        return
    if model is not None:
        from satsuma.cli.doctor_files import show_path

        show_path(model)
        return
    device = pick_device("auto")
    rows = [
        ("satsuma", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("torch", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        ("device", device_text(device)),
        ("bf16", "yes, used for convolutions and large models" if has_bf16_units(device) else "no units for it"),
        ("disk", f"{shutil.disk_usage('.').free / 1e9:.0f} GB free here"),
        *((name, f"{version_of(name)} ({use})") for name, use in EXTRAS.items()),
    ]
    for name, text in rows:
        console.print(f"{name:13} {text}", markup=False)


def device_text(device: torch.device) -> str:
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return f"{facts.name}, {facts.total_memory / 1e9:.0f} GB"
    return "Apple GPU (mps)" if device.type == "mps" else "cpu (no GPU that this PyTorch can use)"


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
