"""What the header of a model file must look like, checked before anything is built from it.

Types, sizes and nesting are bounded, keys are known, and each field may name only the parts of its role. Every fault
is a `ModelFileError` that names the place: `model.children.3.kwargs.bias`. What may come is listed in `recipe.py`.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from satsuma.errors import ModelFileError
from satsuma.ship.parts import allowed_parts
from satsuma.ship.recipe import DTYPES, MAX_BLOCKS, MAX_DEPTH, MAX_NUMBERS
from satsuma.train.checkpoint import plain_text
from satsuma.train.precision import PRECISIONS

FORMAT = 1
MAX_HEADER = 10_000_000  # characters
MAX_TEXT = 10_000  # characters of one text in it
MAX_VALUES = 1_000_000
MAX_LAYERS = 10_000  # more would only keep the machine busy before the weights are compared
MAX_NETWORKS = 16  # whole ones, such as a ResNet
MAX_PARTS = 100  # inputs and targets
LARGEST = 2**64  # of whole numbers; a seed may have 64 bits
SHOWN = 60  # characters of a text from a file that an error shows

PARTS = ("model", "blocks", "item_tfms", "batch_tfms", "loss")  # fields that hold recipes
FIELDS = ("format", "model", "blocks", "n_inp", "item_tfms", "batch_tfms", "loss", "precision")
NOTES = ("satsuma", "torch", "facts")  # told by `satsuma doctor`, not used
HOLDERS = ("partial", "args", "mapping", "slice", "tensor")  # keys of an object below which there are more recipes
NETWORKS = ("ResNet", "ConvNeXt", "MobileNetV3", "SqueezeNet", "TransferModel")

Place = tuple[str, Any, int]  # where in the header, the value there, how deep


def printable(value: Any, most: int = SHOWN) -> str:
    """A value from a file as `plain_text`; of a list or object only how long it is."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    return plain_text(value, most)


def parsed_header(text: str) -> dict[str, Any]:
    """The header in a file's metadata, checked. Raises `ModelFileError` naming the field."""
    if len(text) > MAX_HEADER:
        raise ModelFileError(f"its header is {len(text):,} characters long, more than {MAX_HEADER:,}")
    try:
        header = json.loads(text, object_pairs_hook=without_twins, parse_constant=refused_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is not JSON ({printable(error, 200)})") from error
    check_header(header)
    return dict(header)


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a key twice")
    return found


def refused_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def check_header(header: Any) -> None:
    """Refuse a header, as JSON gives it, that is not what `write_model` writes."""
    missing = [name for name in FIELDS if not isinstance(header, dict) or name not in header]
    if missing:
        raise ModelFileError(f"its header lacks {', '.join(missing)}")
    if type(header["format"]) is not int or header["format"] != FORMAT:
        raise ModelFileError(f"format {printable(header['format'])}; this version of Satsuma reads format {FORMAT}")
    unknown = [printable(name) for name in header if name not in (*FIELDS, *NOTES)]
    if unknown:
        raise ModelFileError(f"its header has {', '.join(unknown[:3])}, which format {FORMAT} does not have")
    for name in ("satsuma", "torch"):
        if not isinstance(header.get(name, ""), str) or len(header.get(name, "")) > SHOWN:
            raise ModelFileError(f"{name} is {printable(header[name])}; expected a version")
    if type(header["n_inp"]) is not int or not 1 <= header["n_inp"] <= MAX_PARTS:
        raise ModelFileError(f"n_inp is {printable(header['n_inp'])}; expected 1 to {MAX_PARTS}")
    if header["precision"] not in PRECISIONS[1:]:
        raise ModelFileError(f"precision is {printable(header['precision'])}; one of {', '.join(PRECISIONS[1:])}")
    check_facts(header.get("facts", {}))
    for field in PARTS:
        check_recipe(header[field], field)


def check_facts(facts: Any) -> None:
    if not isinstance(facts, dict):
        raise ModelFileError("facts is not an object")
    for where, value, _ in walked(facts, "facts", below_facts):
        refuse_large(where, value)


def below_facts(place: Place) -> list[tuple[str, Any]]:
    where, value, _ = place
    if isinstance(value, dict):
        return [(f"{where}.{printable(name)}", inner) for name, inner in value.items()]
    return [(where, inner) for inner in value] if isinstance(value, list) else []


def check_recipe(recipe: Any, field: str) -> None:
    """Refuse a recipe that `from_recipe` should not be given for this field of a header."""
    allowed = allowed_parts(field)
    layers = networks = blocks = 0
    for where, value, _ in walked(recipe, field, below_recipe):
        refuse_large(where, value)
        if not isinstance(value, dict):
            continue
        check_object(where, value, allowed)
        layers += "module" in value
        networks += str(value.get("module")).rpartition(".")[2] in NETWORKS
        blocks += blocks_of(where, value)
    for what, count, most in (("layers", layers, MAX_LAYERS), ("networks", networks, MAX_NETWORKS)):
        if count > most:
            raise ModelFileError(f"{field}: {count:,} {what}, more than {most:,}")
    if blocks > MAX_BLOCKS:
        raise ModelFileError(f"{field}: layers asks for {printable(blocks)} blocks; up to {MAX_BLOCKS:,} are read")


def walked(value: Any, field: str, below: Callable[[Place], list[tuple[str, Any]]]) -> Iterator[Place]:
    """All values below one, with their places, without recursion. Refuses too many, and too deep nesting."""
    waiting: list[Place] = [(field, value, 0)]
    count = 0
    while waiting:
        place = waiting.pop()
        count += 1
        if place[2] > MAX_DEPTH:
            raise ModelFileError(f"{field}: nested more than {MAX_DEPTH} deep")
        if count > MAX_VALUES:
            raise ModelFileError(f"{field}: more than {MAX_VALUES:,} values")
        yield place
        waiting += ((where, inner, place[2] + 1) for where, inner in below(place))


def below_recipe(place: Place) -> list[tuple[str, Any]]:
    """The recipes in a recipe, once `check_object` has seen it."""
    where, value, _ = place
    if isinstance(value, list):
        return [(f"{where}[{i}]", inner) for i, inner in enumerate(value)]
    if not isinstance(value, dict):
        return []
    found = [(f"{where}.kwargs.{name}", inner) for name, inner in value.get("kwargs", {}).items()]
    found += [(f"{where}.{key}", value[key]) for key in HOLDERS if key in value]
    return found + [(f"{where}.children.{printable(name)}", child) for name, child in value.get("children", ())]


def refuse_large(where: str, value: Any) -> None:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ModelFileError(f"{where}: a text of {len(value):,} characters, more than {MAX_TEXT:,}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ModelFileError(f"{where}: a whole number of {value.bit_length()} bits, more than 64")
    if isinstance(value, float) and not math.isfinite(value):
        raise ModelFileError(f"{where}: a number too large for a float")


def check_object(where: str, value: dict[str, Any], allowed: frozenset[str]) -> None:
    """One object of a recipe: its keys are those of one kind, and what they hold is of the right type."""
    check = CHECKS.get(frozenset(value))
    if check is None:
        keys = ", ".join(printable(key) for key in sorted(value)[:5])
        raise ModelFileError(f"{where}: an object of no known kind, with {keys or 'nothing in it'}")
    for key in ("name", "new", "module"):
        if key in value and not (isinstance(value[key], str) and value[key] in allowed):
            raise ModelFileError(
                f"{where}: {printable(value[key])!r} is not in the table of parts that a file may use there"
            )
    kwargs = value.get("kwargs", {})
    if not (isinstance(kwargs, dict) and all(name.isidentifier() and len(name) <= SHOWN for name in kwargs)):
        raise ModelFileError(f"{where}.kwargs: expected arguments by name, got {printable(kwargs)}")
    fault = check(value)
    if fault:
        raise ModelFileError(f"{where}: {fault}")


def no_fault(value: Mapping[str, Any]) -> str:
    return ""


def partial_fault(value: Mapping[str, Any]) -> str:
    inner = value["partial"]
    callable_kind = isinstance(inner, dict) and not {"name", "partial", "opaque"}.isdisjoint(inner)
    return "" if callable_kind and isinstance(value["args"], list) else "a partial of what is no function"


def children_fault(value: Mapping[str, Any]) -> str:
    if value["module"] != "torch.nn.Sequential":
        return f"{value['module']} has no children"
    pairs = value["children"]
    if not (isinstance(pairs, list) and all(isinstance(p, list) and len(p) == 2 for p in pairs)):
        return f"children are {printable(pairs)}; expected pairs of a name and a layer"
    names = [name for name, _ in pairs]
    if not all(isinstance(name, str) and 0 < len(name) <= SHOWN and "." not in name for name in names):
        return f"children are named {printable(names)}"
    return "two children of one name" if len(set(names)) < len(names) else ""


def mapping_fault(value: Mapping[str, Any]) -> str:
    pairs = value["mapping"]
    right = isinstance(pairs, list) and all(isinstance(p, list) and len(p) == 2 for p in pairs)
    return "" if right else f"a mapping of {printable(pairs)}; expected pairs"


def path_fault(value: Mapping[str, Any]) -> str:
    path = value["path"]
    if not isinstance(path, str) or "\0" in path:
        return f"{printable(path)!r} is no path"
    anchored = PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)
    outside = anchored or ".." in PureWindowsPath(path).parts
    return f"the path {printable(path)!r} leads out of the folder" if outside else ""


def slice_fault(value: Mapping[str, Any]) -> str:
    ends = value["slice"]
    right = isinstance(ends, list) and len(ends) == 2 and all(end is None or is_json_number(end) for end in ends)
    return "" if right else f"a slice of {printable(ends)}; expected start and stop"


def float_fault(value: Mapping[str, Any]) -> str:
    return "" if value["float"] in ("nan", "inf", "-inf") else f"{printable(value['float'])!r} is no float"


def dtype_fault(value: Mapping[str, Any]) -> str:
    known = isinstance(value["dtype"], str) and value["dtype"] in DTYPES
    return "" if known else f"{printable(value['dtype'])!r} is no dtype that a file may use"


def tensor_fault(value: Mapping[str, Any]) -> str:
    """Numbers in lists of lists: not too many, of a shape that `torch.tensor` will check."""
    waiting, count = [value["tensor"]], 0
    while waiting:
        held = waiting.pop()
        count += 1
        if count > 2 * MAX_NUMBERS:
            return f"a tensor of more than {MAX_NUMBERS:,} numbers"
        if isinstance(held, list):
            waiting += held
        elif not (
            is_json_number(held) or isinstance(held, bool) or (isinstance(held, dict) and set(held) == {"float"})
        ):
            return f"a tensor of {printable(held)}"
    return dtype_fault(value)


def opaque_fault(value: Mapping[str, Any]) -> str:
    right = isinstance(value["opaque"], str) and len(value["opaque"]) <= 1000 and value["opaque"].isprintable()
    return "" if right else f"what cannot be held is described by {printable(value['opaque'])!r}"


def is_json_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def blocks_of(where: str, value: Mapping[str, Any]) -> int:
    """How many blocks a network is asked to have in its stages."""
    counts = value.get("kwargs", {}).get("layers", [])
    if not (isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)):
        raise ModelFileError(f"{where}.kwargs.layers: {printable(counts)}; expected the number of blocks in each stage")
    return sum(counts)


CHECKS: Mapping[frozenset[str], Callable[[Mapping[str, Any]], str]] = {
    frozenset({"name"}): no_fault,
    frozenset({"partial", "args", "kwargs"}): partial_fault,
    frozenset({"new", "kwargs"}): no_fault,
    frozenset({"module", "kwargs"}): no_fault,
    frozenset({"module", "children"}): children_fault,
    frozenset({"mapping"}): mapping_fault,
    frozenset({"path"}): path_fault,
    frozenset({"slice"}): slice_fault,
    frozenset({"float"}): float_fault,
    frozenset({"dtype"}): dtype_fault,
    frozenset({"tensor", "dtype"}): tensor_fault,
    frozenset({"opaque"}): opaque_fault,
}
