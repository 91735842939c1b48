"""Recipe → Python text that builds the value again."""

from typing import Any

import satsuma
from satsuma.ship.parts import known_parts
from satsuma.ship.recipe import DTYPES

MODULE_ALIASES = {"torch.nn": "nn", "torch.nn.functional": "F", "torch.optim": "optim"}
IMPORTS = {
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
    "optim": "from torch import optim",
    "partial": "from functools import partial",
    "Path": "from pathlib import Path",
    "torch": "import torch",
    "sm": "import satsuma as sm",
}


def to_code(recipe: Any, imports: set[str]) -> str:
    """Python for the JSON form of a value; the import lines it needs are added to `imports`.

    Names come from the table of parts alone, so that no recipe, whoever wrote it, puts code of its own into a script.
    Raises `ValueError` for what `from_recipe` would not build.

    >>> to_code({"new": "satsuma.vision.geometry.Resize", "kwargs": {"size": 224}}, set())
    'sm.Resize(size=224)'
    """
    if isinstance(recipe, list):
        inner = ", ".join(to_code(v, imports) for v in recipe)
        return f"({inner},)" if len(recipe) == 1 else f"({inner})"
    if not isinstance(recipe, dict):
        return repr(recipe)
    for key, write in WRITERS.items():
        if key in recipe:
            return str(write(recipe, imports))
    raise ValueError(f"an object of no known kind: {sorted(recipe)}")


def name_code(name: str, imports: set[str]) -> str:
    """`sm.Resize` for `satsuma.vision.geometry.Resize`, `nn.Linear` for `torch.nn.Linear`."""
    if name not in known_parts():
        raise ValueError(f"{str(name)[:100]!r} is not in the table of parts that a recipe may use")
    module, _, last = name.rpartition(".")
    if module.startswith("satsuma.") and last not in dir(satsuma):
        imports.add(f"from {module} import {last}")
        return last
    alias = MODULE_ALIASES.get(module, "sm")
    imports.add(IMPORTS[alias])
    return f"{alias}.{last}"


def call_code(name: str, kwargs: dict[str, Any], imports: set[str]) -> str:
    return f"{name_code(name, imports)}({', '.join(keywords(kwargs, imports))})"


def keywords(kwargs: dict[str, Any], imports: set[str]) -> list[str]:
    for name in kwargs:
        if not name.isidentifier():
            raise ValueError(f"{name[:100]!r} is no argument's name")
    return [f"{name}={to_code(value, imports)}" for name, value in kwargs.items()]


def partial_code(recipe: dict[str, Any], imports: set[str]) -> str:
    imports.add(IMPORTS["partial"])
    parts = [to_code(recipe["partial"], imports), *(to_code(v, imports) for v in recipe["args"])]
    return f"partial({', '.join(parts + keywords(recipe['kwargs'], imports))})"


def module_code(recipe: dict[str, Any], imports: set[str]) -> str:
    if "children" not in recipe:
        return call_code(recipe["module"], recipe["kwargs"], imports)
    layers = ", ".join(to_code(child, imports) for _, child in recipe["children"])
    return f"{name_code(recipe['module'], imports)}({layers})"


def path_code(recipe: dict[str, Any], imports: set[str]) -> str:
    imports.add(IMPORTS["Path"])
    return f"Path({recipe['path']!r})"


def tensor_code(recipe: dict[str, Any], imports: set[str]) -> str:
    imports.add(IMPORTS["torch"])
    return f"torch.tensor({to_code(recipe['tensor'], imports)}, dtype={dtype_code(recipe, imports)})"


def dtype_code(recipe: dict[str, Any], imports: set[str]) -> str:
    imports.add(IMPORTS["torch"])
    if recipe["dtype"] not in DTYPES:
        raise ValueError(f"{str(recipe['dtype'])[:100]!r} is no dtype that a recipe may use")
    return f"torch.{recipe['dtype']}"


def named_code(recipe: dict[str, Any], imports: set[str]) -> str:
    return name_code(recipe["name"], imports)


def new_code(recipe: dict[str, Any], imports: set[str]) -> str:
    return call_code(recipe["new"], recipe["kwargs"], imports)


def float_code(recipe: dict[str, Any], imports: set[str]) -> str:
    return f"float({recipe['float']!r})"


def mapping_code(recipe: dict[str, Any], imports: set[str]) -> str:
    return "{" + ", ".join(f"{to_code(k, imports)}: {to_code(v, imports)}" for k, v in recipe["mapping"]) + "}"


def slice_code(recipe: dict[str, Any], imports: set[str]) -> str:
    start, stop = recipe["slice"]
    return f"slice({stop!r})" if start is None else f"slice({start!r}, {stop!r})"


def opaque_code(recipe: dict[str, Any], imports: set[str]) -> str:
    return "..."  # whoever writes the script says above it what of theirs is to stand here


WRITERS = {
    "name": named_code,
    "partial": partial_code,
    "new": new_code,
    "module": module_code,
    "mapping": mapping_code,
    "path": path_code,
    "slice": slice_code,
    "tensor": tensor_code,
    "dtype": dtype_code,
    "float": float_code,
    "opaque": opaque_code,
}
