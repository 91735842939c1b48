"""Model files: one safetensors file with the weights and, in its JSON header, all that prediction needs.

Loading runs no code from the file: the header may only name parts of a fixed table (`parts.py`), and the model is
built without memory before its weights are checked against it.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from satsuma.data.blocks import Block
from satsuma.errors import ModelFileError
from satsuma.ship.predictor import Predictor
from satsuma.ship.recipe import build_module, from_recipe, opaque_parts, to_recipe
from satsuma.train.checkpoint import assign_weights, read_weights, save_weights
from satsuma.train.precision import pick_device
from satsuma.version import __version__

FORMAT = 1
KEY = "satsuma"  # of the header's metadata
MAX_HEADER = 10_000_000  # characters
FIELDS = ("format", "model", "blocks", "n_inp", "item_tfms", "batch_tfms", "loss")


def write_model(path: str | Path, predictor: Predictor, facts: Mapping[str, Any] | None = None) -> Path:
    """Write `predictor` to one file; `facts`: more JSON for the header (results, versions), not read back."""
    header = {
        "format": FORMAT,
        "satsuma": __version__,
        "torch": torch.__version__,
        "model": to_recipe(predictor.model),
        "blocks": to_recipe(predictor.blocks),
        "n_inp": predictor.n_inp,
        "item_tfms": to_recipe(predictor.item_tfms),
        "batch_tfms": to_recipe(predictor.batch_tfms),
        "loss": to_recipe(predictor.loss),
        "facts": dict(facts or {}),
    }
    return save_weights(predictor.model, Path(path), {KEY: json.dumps(header)})


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file. Raises `FileNotFoundError`, `ModelFileError` for a file that is something else."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such model file")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a whole safetensors file ({error})") from error
    if text is None:
        raise ModelFileError(f"{path}: holds weights, but was not written by Learner.export (no {KEY!r} in its header)")
    if len(text) > MAX_HEADER:
        raise ModelFileError(f"{path}: its header is {len(text):,} characters long, more than {MAX_HEADER:,}")
    try:
        header: dict[str, Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(f"{path}: its header is not JSON ({error})") from error
    missing = [name for name in FIELDS if not isinstance(header, dict) or name not in header]
    if missing:
        raise ModelFileError(f"{path}: its header lacks {', '.join(missing)}")
    if header["format"] != FORMAT:
        raise ModelFileError(f"{path}: format {header['format']!r}; this version of Satsuma reads format {FORMAT}")
    return header


def load_learner(
    path: str | Path,
    *,
    model: nn.Module | None = None,
    item_tfms: tuple[Callable[..., Any], ...] | None = None,
    batch_tfms: tuple[Callable[..., Any], ...] | None = None,
    loss: Callable[..., Any] | None = None,
    device: str = "auto",
) -> Predictor:
    """The predictor in a file that `Learner.export` wrote. Nothing in the file is run.

    `model`, `item_tfms`, `batch_tfms`, `loss`: your own parts, where the file could only describe them.
    Raises `FileNotFoundError`; `ModelFileError` for a damaged file, or one that needs parts that are not given.
    """
    header = read_header(path)
    blocks = rebuilt(path, header, "blocks", None)
    n_inp = header["n_inp"]
    if not (isinstance(blocks, tuple) and all(isinstance(b, Block) for b in blocks)):
        raise ModelFileError(f"{path}: its blocks are not blocks")
    if not (isinstance(n_inp, int) and 1 <= n_inp <= len(blocks)):
        raise ModelFileError(f"{path}: n_inp is {n_inp!r} for {len(blocks)} blocks")
    fresh = rebuilt(path, header, "model", model)
    where = pick_device(device)
    try:
        assign_weights(fresh, read_weights(Path(path)), str(path), assign=model is None)
    except ValueError as error:
        raise ModelFileError(str(error)) from error
    if any(t.is_meta for t in fresh.state_dict().values()):
        raise ModelFileError(f"{path}: some of the model's weights are not in the file")
    return Predictor(
        model=fresh.to(where).eval(),
        blocks=blocks,
        n_inp=n_inp,
        item_tfms=rebuilt(path, header, "item_tfms", item_tfms),
        batch_tfms=rebuilt(path, header, "batch_tfms", batch_tfms),
        loss=rebuilt(path, header, "loss", loss),
        device=where,
    )


def rebuilt(path: str | Path, header: Mapping[str, Any], field: str, given: Any) -> Any:
    """The value of one field of the header, or what the caller gave instead."""
    if given is not None:
        return given
    yours = opaque_parts(header[field])
    if yours:
        raise ModelFileError(
            f"{path}: {field} has parts of your own, which a file cannot hold: {', '.join(yours)}. "
            f"Load it with load_learner(path, {field}=...)."
        )
    try:
        return build_module(header[field]) if field == "model" else from_recipe(header[field])
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {field}: {error}") from error
