"""Model files: one safetensors file with the weights and, in its JSON header, all that prediction needs.

Loading runs no code from the file: the header may only name parts of a fixed table (`parts.py`), and the model is
built without memory before its weights are checked against it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional as F

from satsuma.data.blocks import Block
from satsuma.data.transforms import make_steps
from satsuma.errors import ModelFileError, spelled
from satsuma.functional.links import (
    LOGITS_OF_CLASSES,
    LOGITS_OF_YES,
    LOGS_OF_CLASSES,
    PLAIN_VALUES,
    PROBABILITIES_OF_YES,
    loss_meaning,
)
from satsuma.functional.losses import binary_cross_entropy, cross_entropy, mse, nll
from satsuma.nn.transfer import TransferModel
from satsuma.ship.predictor import Predictor, names_columns
from satsuma.ship.recipe import build_module, from_recipe, opaque_parts, to_recipe
from satsuma.train.checkpoint import assign_weights, read_weights, save_weights
from satsuma.train.precision import PRECISIONS, autocast_dtype, has_bf16_units, pick_device, placed_model
from satsuma.version import __version__

FORMAT = 1
KEY = "satsuma"  # of the header's metadata
DIGEST = "satsuma_sha256"  # of the text under KEY, against damage
MAX_HEADER = 10_000_000  # characters
FIELDS = ("format", "model", "blocks", "n_inp", "item_tfms", "batch_tfms", "loss", "precision")

# a loss that gives outputs the same meaning as one of the user's own, which a file cannot hold
STAND_INS: Mapping[str, Callable[..., Any]] = {
    LOGITS_OF_CLASSES: cross_entropy,
    LOGS_OF_CLASSES: nll,
    LOGITS_OF_YES: binary_cross_entropy,
    PROBABILITIES_OF_YES: F.binary_cross_entropy,
    PLAIN_VALUES: mse,
}


def write_model(path: str | Path, predictor: Predictor, facts: Mapping[str, Any] | None = None) -> Path:
    """Write `predictor` to one file; `facts`: more JSON for the header (results, versions), not read back."""
    loss = to_recipe(predictor.loss)
    header = {
        "format": FORMAT,
        "satsuma": __version__,
        "torch": torch.__version__,
        "model": to_recipe(predictor.model),
        "blocks": to_recipe(predictor.blocks),
        "n_inp": predictor.n_inp,
        "item_tfms": to_recipe(predictor.item_tfms),
        "batch_tfms": to_recipe(predictor.batch_tfms),
        "loss": to_recipe(STAND_INS[loss_meaning(predictor.loss)]) if opaque_parts(loss) else loss,
        "precision": precision_name(predictor.autocast),
        "facts": dict(facts or {}),
    }
    text = json.dumps(header)
    return save_weights(predictor.model, Path(path), {KEY: text, DIGEST: digest_of_text(text)})


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model_path(path: str | Path) -> Path:
    """The model file that `path` is, or that lies in the run's folder `path`."""
    return Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file. Raises `FileNotFoundError`, `ModelFileError` for a file that is something else."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such model file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a whole safetensors file ({error})") from error
    text = metadata.get(KEY)
    if text is None:
        raise ModelFileError(f"{path}: holds weights, but was not written by Learner.export (no {KEY!r} in its header)")
    if len(text) > MAX_HEADER:
        raise ModelFileError(f"{path}: its header is {len(text):,} characters long, more than {MAX_HEADER:,}")
    if digest_of_text(text) != metadata.get(DIGEST):
        raise ModelFileError(f"{path}: its header is damaged (it does not have the digest it was written with)")
    try:
        header: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its header is not JSON ({error})") from error
    missing = [name for name in FIELDS if not isinstance(header, dict) or name not in header]
    if missing:
        raise ModelFileError(f"{path}: its header lacks {', '.join(missing)}")
    if header["format"] != FORMAT:
        raise ModelFileError(f"{path}: format {header['format']!r}; this version of Satsuma reads format {FORMAT}")
    return header


@spelled
def load_learner(
    path: str | Path,
    *,
    model: nn.Module | None = None,
    blocks: Sequence[Block] | None = None,
    item_tfms: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None,
    batch_tfms: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
    device: str | torch.device = "auto",
) -> Predictor:
    """The predictor in a file that `Learner.export` wrote, or in a run's folder. Nothing in the file is run.

    `model`, `blocks`, `item_tfms`, `batch_tfms`: your own parts, where the file could only describe them. `loss`: says
    what outputs mean, if not what the file says.
    Raises `FileNotFoundError`; `ModelFileError` for a damaged file, or one that needs parts that are not given.
    """
    path = model_path(path)
    header = read_header(path)
    n_inp = header["n_inp"]
    found = checked_blocks(path, rebuilt(path, header, "blocks", None if blocks is None else tuple(blocks)), n_inp)
    fresh = rebuilt(path, header, "model", model)
    meaning = rebuilt(path, header, "loss", loss)
    if not callable(meaning):
        raise ModelFileError(f"{path}: its loss is a {type(meaning).__name__}, not a function")
    refuse_other_outputs(path, fresh, found[n_inp:], meaning)
    where = pick_device(device)
    try:
        assign_weights(fresh, read_weights(Path(path)), str(path), assign=model is None)
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(str(error)) from error
    if any(t.is_meta for t in (*fresh.parameters(), *fresh.buffers())):
        raise ModelFileError(f"{path}: some of the model's weights are not in the file")
    return Predictor(
        model=placed_model(fresh, where).eval(),
        blocks=found,
        n_inp=n_inp,
        item_tfms=checked_steps(path, "item_tfms", rebuilt(path, header, "item_tfms", item_tfms)),
        batch_tfms=checked_steps(path, "batch_tfms", rebuilt(path, header, "batch_tfms", batch_tfms)),
        loss=meaning,
        device=where,
        autocast=autocast_on(path, header["precision"], where),
    )


def refuse_other_outputs(path: str | Path, model: nn.Module, targets: Sequence[Block], loss: Any) -> None:
    """`ModelFileError` where the model's last layer can be told, and gives another number of classes than there are."""
    last: nn.Module = model.head if isinstance(model, TransferModel) else model
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    if not (isinstance(last, nn.Linear) and names_columns(loss, targets)):
        return
    classes = len(getattr(targets[0], "vocab", ()))
    if last.out_features != classes:
        raise ModelFileError(
            f"{path}: its model gives {last.out_features} numbers an item, but its blocks name {classes} classes"
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


def checked_blocks(path: str | Path, blocks: Any, n_inp: Any) -> tuple[Block, ...]:
    right = isinstance(blocks, tuple) and all(isinstance(b, Block) and not isinstance(b, type) for b in blocks)
    if not right:
        raise ModelFileError(f"{path}: its blocks are not blocks")
    if not (isinstance(n_inp, int) and 1 <= n_inp <= len(blocks)):
        raise ModelFileError(f"{path}: n_inp is {str(n_inp)[:40]} for {len(blocks)} blocks")
    return tuple(blocks)


def checked_steps(path: str | Path, field: str, transforms: Any) -> tuple[Callable[..., Any], ...]:
    try:
        return make_steps(transforms).transforms
    except TypeError as error:
        raise ModelFileError(f"{path}: {field}: {error}") from error


def precision_name(autocast: torch.dtype | None) -> str:
    return next(name for name in PRECISIONS[1:] if autocast_dtype(name) == autocast)


def autocast_on(path: str | Path, precision: Any, device: torch.device) -> torch.dtype | None:
    """The precision that a model was trained in, where `device` computes in it; else float32, which is finer."""
    if precision not in PRECISIONS[1:]:
        raise ModelFileError(f"{path}: precision is {str(precision)[:40]}; one of {', '.join(PRECISIONS[1:])} is read")
    there = has_bf16_units(device) if precision == "bf16" else device.type == "cuda"
    return autocast_dtype(precision) if there else None
