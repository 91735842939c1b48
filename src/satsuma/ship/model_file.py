"""Model files: one safetensors file with the weights and, in its JSON header, all that prediction needs.

Loading runs no code from the file: the header is checked against a schema (`schema.py`), may only name parts of a
fixed table (`parts.py`), and the model is built without memory before its weights are checked against it. Header and
weights have digests, so that no damage passes unseen.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
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
from satsuma.ship.parts import allowed_parts
from satsuma.ship.predictor import Predictor, names_columns
from satsuma.ship.recipe import build_module, from_recipe, opaque_parts, to_recipe
from satsuma.ship.schema import FORMAT, MAX_HEADER, parsed_header, path_fault, printable
from satsuma.train.checkpoint import assign_weights, read_metadata, read_tensors, save_weights
from satsuma.train.precision import PRECISIONS, autocast_dtype, has_bf16_units, pick_device, placed_model
from satsuma.version import __version__

KEY = "satsuma"  # of the header's metadata
DIGEST = "satsuma_sha256"  # of the text under KEY, against damage

# a loss that gives outputs the same meaning as one of the user's own, which a file cannot hold
STAND_INS: Mapping[str, Callable[..., Any]] = {
    LOGITS_OF_CLASSES: cross_entropy,
    LOGS_OF_CLASSES: nll,
    LOGITS_OF_YES: binary_cross_entropy,
    PROBABILITIES_OF_YES: F.binary_cross_entropy,
    PLAIN_VALUES: mse,
}


def write_model(path: str | Path, predictor: Predictor, facts: Mapping[str, Any] | None = None) -> Path:
    """Write `predictor` to one file; `facts`: more JSON for the header (results, versions), not read back.

    Raises `ModelFileError` for what `load_learner` would refuse: more than a file may hold.
    """
    loss = field_recipe("loss", predictor.loss)
    header = {
        "format": FORMAT,
        "satsuma": __version__,
        "torch": torch.__version__,
        "model": field_recipe("model", predictor.model),
        "blocks": field_recipe("blocks", predictor.blocks),
        "n_inp": predictor.n_inp,
        "item_tfms": field_recipe("item_tfms", predictor.item_tfms),
        "batch_tfms": field_recipe("batch_tfms", predictor.batch_tfms),
        "loss": to_recipe(STAND_INS[loss_meaning(predictor.loss)]) if opaque_parts(loss) else loss,
        "precision": precision_name(predictor.autocast),
        "facts": dict(facts or {}),
    }
    text = json.dumps(header)
    try:
        parsed_header(text)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: cannot be written, since it could not be read again: {error}") from error
    return save_weights(predictor.model, Path(path), {KEY: text, DIGEST: digest_of_text(text)})


def field_recipe(field: str, value: Any) -> Any:
    """The recipe of a part; what a file may not name in this field (layers with weights among transforms) is opaque."""
    return without_outsiders(to_recipe(value), allowed_parts(field))


def without_outsiders(recipe: Any, allowed: frozenset[str]) -> Any:
    if isinstance(recipe, list):
        return [without_outsiders(value, allowed) for value in recipe]
    if not isinstance(recipe, dict):
        return recipe
    named = [recipe[key] for key in ("name", "new", "module") if key in recipe and recipe[key] not in allowed]
    if named:
        return {"opaque": named[0]}
    if "path" in recipe and path_fault(recipe):
        return {"opaque": f"the path {printable(recipe['path'], 200)}"}
    inner = {key: without_outsiders(value, allowed) for key, value in recipe.items() if key != "kwargs"}
    if "kwargs" in recipe:
        inner["kwargs"] = {name: without_outsiders(value, allowed) for name, value in recipe["kwargs"].items()}
    return inner


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model_path(path: str | Path) -> Path:
    """The model file that `path` is, or that lies in the run's folder `path`."""
    return Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file. Raises `FileNotFoundError`, `ModelFileError` for a file that is something else."""
    refuse_missing(path)
    try:
        return header_of(path, read_metadata(Path(path)))
    except ValueError as error:
        raise ModelFileError(str(error)) from error


def read_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and weights of a model file, both of one and the same file, checked. Raises as `read_header`."""
    refuse_missing(path)
    try:
        weights, metadata = read_tensors(Path(path))
    except ValueError as error:
        raise ModelFileError(str(error)) from error
    return header_of(path, metadata), weights


def refuse_missing(path: str | Path) -> None:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such model file")


def header_of(path: str | Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get(KEY)
    if text is None:
        raise ModelFileError(f"{path}: holds weights, but was not written by Learner.export (no {KEY!r} in its header)")
    if len(text) <= MAX_HEADER and digest_of_text(text) != metadata.get(DIGEST):
        raise ModelFileError(f"{path}: its header is damaged (it does not have the digest it was written with)")
    try:
        return parsed_header(text)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


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
    header, weights = read_model(path)
    n_inp = header["n_inp"]
    found = checked_blocks(path, rebuilt(path, header, "blocks", None if blocks is None else tuple(blocks)), n_inp)
    fresh = rebuilt(path, header, "model", model)
    meaning = rebuilt(path, header, "loss", loss)
    if not callable(meaning):
        raise ModelFileError(f"{path}: its loss is a {type(meaning).__name__}, not a function")
    refuse_other_outputs(path, fresh, found[n_inp:], meaning)
    where = pick_device(device)
    try:
        assign_weights(fresh, weights, str(path), assign=model is None)
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
        autocast=autocast_on(header["precision"], where),
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
        raise ModelFileError(f"{path}: {field}: {printable(error, 400)}") from error


def checked_blocks(path: str | Path, blocks: Any, n_inp: int) -> tuple[Block, ...]:
    right = isinstance(blocks, tuple) and all(isinstance(b, Block) and not isinstance(b, type) for b in blocks)
    if not right:
        raise ModelFileError(f"{path}: its blocks are not blocks")
    if n_inp > len(blocks):
        raise ModelFileError(f"{path}: n_inp is {n_inp} for {len(blocks)} blocks")
    return tuple(blocks)


def checked_steps(path: str | Path, field: str, transforms: Any) -> tuple[Callable[..., Any], ...]:
    try:
        return make_steps(transforms).transforms
    except TypeError as error:
        raise ModelFileError(f"{path}: {field}: {printable(error, 400)}") from error


def precision_name(autocast: torch.dtype | None) -> str:
    return next(name for name in PRECISIONS[1:] if autocast_dtype(name) == autocast)


def autocast_on(precision: str, device: torch.device) -> torch.dtype | None:
    """The precision that a model was trained in, where `device` computes in it; else float32, which is finer."""
    there = has_bf16_units(device) if precision == "bf16" else device.type == "cuda"
    return autocast_dtype(precision) if there else None
