"""`satsuma doctor FILE` and `satsuma doctor RUN`: what a file holds, and whether it is whole.

What is printed comes from files that anyone may have written, so it goes through `printable`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from satsuma.cli.show import cell
from satsuma.errors import SatsumaError, UserError
from satsuma.ship.code import to_code
from satsuma.ship.model_file import DIGEST, KEY, load_learner, read_header
from satsuma.ship.recipe import opaque_parts
from satsuma.ship.schema import PARTS, printable
from satsuma.ship.weights import HOW_TO_CONVERT, SUFFIX
from satsuma.train.checkpoint import CONTENTS_DIGEST, read_metadata, read_tensors, refuse_irregular
from satsuma.train.resume_file import KEY as STATE_KEY
from satsuma.train.resume_file import read_state

console = Console(highlight=False, soft_wrap=True)
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
WIDTH = 300  # characters of one part of a model that are shown
CLASSES_SHOWN = 200
DIGITS = 12  # of a digest


def tell(text: str) -> None:
    console.print(text, markup=False)


def show_path(path: Path) -> None:
    """A run's folder, or a file. Raises `UserError`, `ModelFileError` or `ValueError` with what is wrong with it."""
    if path.is_dir():
        show_folder(path)
    elif path.suffix.lower() in PICKLES:
        refuse_irregular(path)
        how = HOW_TO_CONVERT.format(str(path), str(path.with_suffix(SUFFIX)))
        raise UserError(f"{path}: written by torch.save, which may hold code, and so not looked into. {how}")
    else:
        show_file(path)


def show_file(path: Path) -> None:
    """One safetensors file: a model, a checkpoint or weights alone."""
    refuse_irregular(path)
    metadata = read_metadata(path)
    if KEY in metadata:
        show_model(path)
    elif STATE_KEY in metadata:
        read_state(path)
        tell(f"{path}: {size_text(path)}, where a fit stood: learn.fit(..., resume=True) goes on from there")
        show_tensors(path)
    else:
        tell(f"{path}: {size_text(path)}, weights alone: learn.load(FILE) or weights=FILE reads them")
        show_tensors(path)


def show_model(path: Path) -> None:
    """What a model file holds; loading it is the check that it is whole."""
    header = read_header(path)
    tell(f"{path}: {size_text(path)}, format {header['format']}")
    tell(f"written by satsuma {printable(header.get('satsuma'))}, torch {printable(header.get('torch'))}")
    show_facts(header.get("facts", {}))
    for name, text in described_parts(header):
        tell(f"{name}: {text}")
    yours = list(dict.fromkeys(printable(name, WIDTH) for field in PARTS for name in opaque_parts(header[field])))
    if yours:
        show_tensors(path)
        tell(f"needs these parts of your own when loading: {', '.join(yours)}")
        return
    predictor = load_learner(path, device="cpu")
    parameters = sum(p.numel() for p in predictor.model.parameters())
    tell(f"model: {type(predictor.model).__name__} with {parameters:,} parameters")
    tell(f"classes: {classes_text(predictor.vocab)}")
    show_tensors(path)
    tell("the file is whole and loads")


def show_facts(facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        told = ", ".join(f"{k} {cell(v)}" for k, v in value.items()) if isinstance(value, dict) else cell(value)
        tell(f"{printable(name)}: {printable(told, WIDTH)}")


def described_parts(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The header's parts in words, but the model and the classes, which are told once they are built."""
    count = header["n_inp"]
    blocks = header["blocks"] if isinstance(header["blocks"], list) else [header["blocks"]]
    transforms = [t for field in ("item_tfms", "batch_tfms") for t in as_list(header[field])]
    return [
        ("inputs", part_list(blocks[:count])),
        ("targets", part_list(blocks[count:])),
        ("transforms", part_list(transforms)),
        ("loss", part_list([header["loss"]])),
        ("precision", header["precision"]),
    ]


def as_list(recipe: Any) -> list[Any]:
    if isinstance(recipe, list):
        return recipe
    return [] if recipe is None else [recipe]


def part_list(recipes: Iterable[Any]) -> str:
    return ", ".join(part_text(recipe) for recipe in recipes) or "none"


def part_text(recipe: Any) -> str:
    """A part as the Python that makes it, or the description of one's own."""
    if isinstance(recipe, dict) and "opaque" in recipe:
        return f"{printable(recipe['opaque'], WIDTH)} (your own)"
    if isinstance(recipe, dict) and "vocab" in recipe.get("kwargs", {}):
        recipe = {**recipe, "kwargs": {name: value for name, value in recipe["kwargs"].items() if name != "vocab"}}
    try:
        return printable(to_code(recipe, set()).replace("sm.", ""), WIDTH)
    except (ValueError, KeyError, TypeError) as error:
        return f"cannot be told ({printable(error)})"


def classes_text(vocab: tuple[Any, ...]) -> str:
    more = f" and {len(vocab) - CLASSES_SHOWN:,} more" if len(vocab) > CLASSES_SHOWN else ""
    return ", ".join(printable(name) for name in vocab[:CLASSES_SHOWN]) + more or "none (numbers)"


def show_tensors(path: Path) -> None:
    """How many tensors a file holds, of which formats, and whether digests say that they are whole."""
    tensors, metadata = read_tensors(path)
    tell(f"tensors: {tensors_text(tensors)}")
    if DIGEST in metadata:
        tell(f"header: SHA-256 {metadata[DIGEST][:DIGITS]}... matches")
    if CONTENTS_DIGEST in metadata:
        tell(f"contents: SHA-256 {metadata[CONTENTS_DIGEST][:DIGITS]}... matches")
    else:
        tell("contents: no digest to check them by; another program wrote them, or an earlier Satsuma")


def tensors_text(tensors: Mapping[str, Tensor]) -> str:
    kinds = Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
    numbers = sum(t.numel() for t in tensors.values())
    return f"{len(tensors):,} with {numbers:,} numbers ({', '.join(f'{n} of {kind}' for kind, n in kinds.items())})"


def show_folder(folder: Path) -> None:
    """A run: its model, if it has one, and each of its other files in a line. `UserError` if any is damaged."""
    model = folder / "model.safetensors"
    files = sorted(f for pattern in ("*", "checkpoints/*", "models/*") for f in folder.glob(pattern + SUFFIX))
    records = [*sorted(folder.glob("*.json")), *folder.glob("history.jsonl")]
    if not files and not records:
        raise UserError(
            f"{folder}: holds no model file and no run; for a folder of images: satsuma doctor --loader {folder}"
        )
    damaged = []
    for file in [*records, *(f for f in files if f != model)]:
        try:
            tell(f"{file}: {whole_text(file)}")
        except (OSError, ValueError, SatsumaError) as error:
            damaged.append(printable(error, 2 * WIDTH))
    if model in files:
        try:
            show_model(model)
        except (OSError, ValueError, SatsumaError) as error:
            damaged.append(printable(error, 2 * WIDTH))
    if damaged:
        raise UserError(f"{len(damaged)} of {len(files) + len(records)} files are not whole:\n" + "\n".join(damaged))


def whole_text(file: Path) -> str:
    """One file of a run in a few words, once it is read from end to end. Raises `ValueError` if it cannot be."""
    refuse_irregular(file)
    if file.suffix == SUFFIX:
        tensors, metadata = read_tensors(file)
        if STATE_KEY in metadata:
            read_state(file)
        known = "whole" if CONTENTS_DIGEST in metadata else "readable, without a digest"
        return f"{size_text(file)}, {len(tensors):,} tensors, {known}"
    return json_text(file)


def json_text(file: Path) -> str:
    """A file of JSON, or with a JSON object a line; the last line may be torn, where a run was killed as it wrote."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines() if file.suffix == ".jsonl" else [text]
    for number, line in enumerate(lines):
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            if number and number == len(lines) - 1 and not text.endswith("\n"):
                return f"{size_text(file)}, {number:,} lines and a torn one, which is passed over"
            raise ValueError(f"{file}: line {number + 1} is not JSON ({error})") from error
    return f"{size_text(file)}, " + (f"{len(lines):,} lines" if file.suffix == ".jsonl" else "whole")


def size_text(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size:,} bytes"
