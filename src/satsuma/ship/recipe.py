"""Values ↔ JSON: how a run and a model file say what they are made of, without code.

Numbers, text, None, lists (back as tuples) stand for themselves. The rest are objects with one telling key:

- `{"name": "satsuma.functional.losses.cross_entropy"}`: a function or class of the table in `parts.py`
- `{"partial": name, "args": [...], "kwargs": {...}}`: a `functools.partial` of one
- `{"new": name, "kwargs": {...}}`: a frozen dataclass; only values that differ from the defaults
- `{"module": name, "kwargs": {...}}` or, for `nn.Sequential`, `"children": [[name, module], ...]`
- `{"path": ...}`, `{"slice": [...]}`, `{"dtype": ...}`, `{"tensor": [...], "dtype": ...}`
- `{"opaque": text}`: something of the user's that a file can only describe
"""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.errors import ModelFileError
from satsuma.ship.parts import full_name, known_parts

MAX_DEPTH = 40  # deeper nesting than any real model's, far from Python's recursion limit
MAX_NUMBERS = 10_000  # numbers of a tensor (class weights, say) that a recipe will hold


def to_recipe(value: Any) -> Any:
    """The JSON form of a value; what cannot be rebuilt becomes `{"opaque": ...}`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_recipe(v) for v in value]
    if isinstance(value, Mapping):
        return {"mapping": [[to_recipe(k), to_recipe(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return to_recipe(value.item())
    if isinstance(value, Path):
        return {"path": value.as_posix()}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, Tensor) and value.numel() <= MAX_NUMBERS:
        return {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, functools.partial):
        kwargs = {k: to_recipe(v) for k, v in value.keywords.items()}
        return {"partial": to_recipe(value.func), "args": [to_recipe(v) for v in value.args], "kwargs": kwargs}
    if isinstance(value, nn.Module):
        return module_recipe(value)
    if full_name(value) is not None:
        return {"name": full_name(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and full_name(type(value)) is not None:
        return {"new": full_name(type(value)), "kwargs": {k: to_recipe(v) for k, v in changed_fields(value).items()}}
    return {"opaque": described(value)}


def changed_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults."""
    found = {}
    for field in dataclasses.fields(value):
        mine = getattr(value, field.name)
        if field.default is dataclasses.MISSING or not same(mine, field.default):
            found[field.name] = mine
    return found


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def described(value: Any) -> str:
    """A user's own part in words: where a function or class comes from, or the object's repr."""
    home = value if inspect.isfunction(value) or isinstance(value, type) else type(value)
    return f"{getattr(home, '__module__', '?')}.{getattr(home, '__qualname__', '?')}"


def module_recipe(module: nn.Module) -> Any:
    """How to build `module` again: its class and constructor's arguments, read back from attributes of the same names.

    A module of the user's own class, or one changed since it was built, is opaque.
    """
    name = full_name(type(module))
    if name is None or any(p.is_meta for p in module.parameters()):
        return {"opaque": described(module)}
    if type(module) is nn.Sequential:
        children = [[child_name, module_recipe(child)] for child_name, child in module.named_children()]
        opaque = [child for _, child in children if "opaque" in child]
        return opaque[0] if opaque else {"module": name, "children": children}
    kwargs = constructor_arguments(module)
    if kwargs is None:
        return {"opaque": described(module)}
    recipe = {"module": name, "kwargs": {k: to_recipe(v) for k, v in kwargs.items()}}
    return recipe if rebuilds(module, recipe) else {"opaque": described(module)}


def constructor_arguments(module: nn.Module) -> dict[str, Any] | None:
    """The constructor's arguments that differ from their defaults; None if they cannot be read back."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in ("self", "device", "dtype"):
            continue
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or not hasattr(module, name):
            return None
        value = getattr(module, name)
        if isinstance(value, Tensor) or (value is None and isinstance(parameter.default, bool)):
            value = value is not None  # bias=True becomes a parameter, bias=False None
        if parameter.default is inspect.Parameter.empty or not same(value, parameter.default):
            found[name] = value
    return found


def rebuilds(module: nn.Module, recipe: Any) -> bool:
    """Whether `recipe` gives a module with the same text, and weights of the same names and shapes."""
    try:
        again = build_module(recipe)
    except (ModelFileError, TypeError, ValueError):
        return False
    ours = {k: v.shape for k, v in module.state_dict().items()}
    return repr(again) == repr(module) and ours == {k: v.shape for k, v in again.state_dict().items()}


def build_module(recipe: Any) -> nn.Module:
    """The module of a recipe on the meta device: its shapes without memory, to be given weights."""
    with torch.device("meta"):
        module = from_recipe(recipe)
    if not isinstance(module, nn.Module):
        raise ModelFileError(f"the recipe of the model describes a {type(module).__name__}, not a model")
    return module


def from_recipe(recipe: Any, depth: int = 0) -> Any:
    """The value of a JSON form. Raises `ModelFileError` for what is malformed, opaque, or not in the table."""
    if depth > MAX_DEPTH:
        raise ModelFileError(f"the recipe is nested more than {MAX_DEPTH} deep")
    if recipe is None or isinstance(recipe, bool | int | float | str):
        return recipe
    if isinstance(recipe, list):
        return tuple(from_recipe(v, depth + 1) for v in recipe)
    if not isinstance(recipe, dict):
        raise ModelFileError(f"the recipe holds a {type(recipe).__name__}")
    try:
        return from_object(recipe, depth + 1)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelFileError(f"the recipe cannot be built: {' '.join(str(error).split())[:200]}") from error


def from_object(recipe: dict[str, Any], depth: int) -> Any:
    kwargs = {str(k): from_recipe(v, depth) for k, v in recipe.get("kwargs", {}).items()}
    if "name" in recipe:
        return looked_up(recipe["name"])
    if "partial" in recipe:
        args = from_recipe(recipe.get("args", []), depth)
        return functools.partial(from_recipe(recipe["partial"], depth), *args, **kwargs)
    if "new" in recipe:
        part = looked_up(recipe["new"])
        if not (isinstance(part, type) and dataclasses.is_dataclass(part)):
            raise ModelFileError(f"{recipe['new']} is not a value that a recipe may build")
        return part(**kwargs)
    if "module" in recipe:
        part = looked_up(recipe["module"])
        if not (isinstance(part, type) and issubclass(part, nn.Module)):
            raise ModelFileError(f"{recipe['module']} is not a layer")
        if part is nn.Sequential:
            return sequential(recipe["children"], depth)
        return part(**kwargs)
    return plain_object(recipe, depth)


def sequential(children: list[Any], depth: int) -> nn.Sequential:
    model = nn.Sequential()
    for name, child in children:
        model.add_module(str(name), from_recipe(child, depth))
    return model


def plain_object(recipe: dict[str, Any], depth: int) -> Any:
    if "mapping" in recipe:
        return {from_recipe(k, depth): from_recipe(v, depth) for k, v in recipe["mapping"]}
    if "path" in recipe:
        return Path(str(recipe["path"]))
    if "slice" in recipe:
        start, stop = recipe["slice"]
        return slice(start, stop)
    if "dtype" in recipe:
        dtype = getattr(torch, str(recipe["dtype"]), None)
        if not isinstance(dtype, torch.dtype):
            raise ModelFileError(f"{recipe['dtype']!r} is no dtype")
        return torch.tensor(recipe["tensor"], dtype=dtype) if "tensor" in recipe else dtype
    if "opaque" in recipe:
        raise ModelFileError(f"{recipe['opaque']} is not a part of Satsuma: give it when loading")
    raise ModelFileError(f"the recipe has an object of no known kind: {', '.join(sorted(recipe))[:100]}")


def looked_up(name: Any) -> Any:
    part = known_parts().get(str(name))
    if part is None:
        raise ModelFileError(f"{str(name)[:100]!r} is not in the table of parts that a file may use")
    return part


def opaque_parts(recipe: Any) -> list[str]:
    """What in a recipe is only described, not rebuilt."""
    if isinstance(recipe, dict):
        if "opaque" in recipe:
            return [str(recipe["opaque"])]
        return [name for value in recipe.values() for name in opaque_parts(value)]
    return [name for value in recipe for name in opaque_parts(value)] if isinstance(recipe, list) else []
