"""Checkpoints on disk: a fit's state as one safetensors file each, of which the last two are kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from satsuma.train.checkpoint import CONTENTS_DIGEST, plain_text, read_tensors, save_tensors
from satsuma.train.state import packed, unpacked

PREFIX = "resume-"  # then the number of steps that the run had made
KEY = "satsuma_state"  # of the header: the JSON
STATE_FORMAT = 1
KEPT = 2


def write_state(folder: Path, steps: int, state: Mapping[str, Any]) -> Path:
    """Write the state of a run after so many steps, durably; then remove all but the last two.

    Raises `OSError` where the disk is full or the folder cannot be written: the earlier files are then untouched.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"format": STATE_FORMAT, "state": packed(dict(state), "state", tensors)})
    path = folder / f"{PREFIX}{steps:09}.safetensors"
    save_tensors(tensors, path, {KEY: text})
    for old in state_files(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def state_files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted(folder.glob(f"{PREFIX}*.safetensors"), reverse=True)


def read_state(path: Path) -> dict[str, Any]:
    """What `write_state` was given.

    Raises `ValueError` naming the file if it is torn, damaged or something else; `FileNotFoundError`.
    """
    tensors, metadata = read_tensors(path)
    if KEY not in metadata or CONTENTS_DIGEST not in metadata:
        raise ValueError(f"{path}: no checkpoint of a fit, or damaged (its header lacks the state or the digest)")
    try:
        held = json.loads(metadata[KEY])
        written, state = held["format"], unpacked(held["state"], tensors) if held["format"] == STATE_FORMAT else {}
    except (ValueError, RecursionError, TypeError, KeyError) as error:  # not as `packed` writes it: a stranger's
        raise ValueError(f"{path}: its state is not that of a fit ({plain_text(error)})") from error
    if written != STATE_FORMAT:
        raise ValueError(f"{path}: format {plain_text(written)}; this version of Satsuma reads format {STATE_FORMAT}")
    if not isinstance(state, dict):
        raise ValueError(f"{path}: its state is a {type(state).__name__}, not that of a fit")
    return state
