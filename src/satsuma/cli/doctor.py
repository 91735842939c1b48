"""`satsuma doctor`: what this machine can do, what a model file holds, or how fast a folder of photos is read."""

import importlib.metadata
import platform
import shutil
from pathlib import Path

import torch
from rich.console import Console

from satsuma.cli.show import cell
from satsuma.ship.model_file import load_learner, model_path, read_header
from satsuma.ship.recipe import opaque_parts
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
        show_model(model_path(model))
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


def show_model(path: Path) -> None:
    """What a model file holds; loading it is the check that it is whole."""
    header = read_header(path)
    yours = [
        name for field in ("model", "blocks", "item_tfms", "batch_tfms", "loss") for name in opaque_parts(header[field])
    ]
    console.print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, format {header['format']}", markup=False)
    console.print(f"written by satsuma {header['satsuma']}, torch {header['torch']}", markup=False)
    facts = header.get("facts", {})
    if isinstance(facts, dict):
        for name, value in facts.items():
            told = ", ".join(f"{k} {cell(v)}" for k, v in value.items()) if isinstance(value, dict) else value
            console.print(f"{name}: {told}", markup=False)
    if yours:
        console.print(f"needs these parts of your own when loading: {', '.join(yours)}", markup=False)
        return
    predictor = load_learner(path, device="cpu")
    parameters = sum(p.numel() for p in predictor.model.parameters())
    console.print(f"model: {type(predictor.model).__name__} with {parameters:,} parameters", markup=False)
    console.print(
        f"transforms: {', '.join(repr(t) for t in (*predictor.item_tfms, *predictor.batch_tfms)) or 'none'}",
        markup=False,
    )
    console.print(f"classes: {', '.join(str(v) for v in predictor.vocab) or 'none (numbers)'}", markup=False)
    console.print("the file is whole and loads", markup=False)
