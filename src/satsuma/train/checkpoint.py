"""Weights on disk: safetensors files, written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from satsuma.functional.losses import shape_text

SHOWN = 5  # how many layer names an error lists


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, never a part."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """The model's parameters and buffers as a safetensors file, by their names."""
    weights = {  # cloned, since a file cannot hold layers that share their weights
        name: t.detach().cpu().contiguous().clone() for name, t in model.state_dict().items()
    }
    return save_tensors(weights, path, metadata)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Tensors on the CPU, each in memory of its own, as a safetensors file."""
    write_whole(path, save({name: t.contiguous() for name, t in tensors.items()}, dict(metadata or {})))
    return path


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill the model from a safetensors file of weights.

    Raises `FileNotFoundError`; `ValueError` for a damaged file, or naming the layers that do not fit.
    """
    assign_weights(model, read_weights(path), str(path))


def read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error


def assign_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str, *, assign: bool = False) -> None:
    """`load_state_dict`, with an error that names the layers that do not fit, their shapes and number formats."""
    own = model.state_dict()
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{name} is not in the model" for name in weights if name not in own]
    for name in own.keys() & weights.keys():
        mine, new = own[name], weights[name]
        if mine.shape != new.shape:
            faults.append(f"{name} is {shape_text(new)}, the model's is {shape_text(mine)}")
        elif mine.dtype != new.dtype and (assign or mine.is_floating_point() != new.is_floating_point()):
            faults.append(f"{name} is of {new.dtype}, the model's is of {mine.dtype}")
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(f"{source}: its weights do not fit this model: {'; '.join(sorted(faults)[:SHOWN])}{more}")
    # cloned, so that the model's weights are aligned memory of its own and not the mapped file
    model.load_state_dict({name: t.clone() for name, t in weights.items()} if assign else weights, assign=assign)
