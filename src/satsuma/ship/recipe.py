"""Values ↔ JSON: how a run and a model file say what they are made of, without code.

Numbers, text, None, lists (back as tuples) stand for themselves. The rest are objects with one telling key:

- `{"name": "satsuma.functional.losses.cross_entropy"}`: a function or class of the table in `parts.py`
- `{"partial": name, "args": [...], "kwargs": {...}}`: a `functools.partial` of one
- `{"new": name, "kwargs": {...}}`: a frozen dataclass; only values that differ from the defaults
- `{"module": name, "kwargs": {...}}` or, for `nn.Sequential`, `"children": [[name, module], ...]`
- `{"path": ...}`, `{"slice": [...]}`, `{"mapping": [[key, value], ...]}`
- `{"float": "nan"}` (which JSON has no word for), `{"dtype": ...}`, `{"tensor": [...], "dtype": ...}`
- `{"opaque": text}`: something of the user's that a file can only describe
"""

import dataclasses
import functools
import inspect
import math
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
MAX_BLOCKS = 1_000  # in a stage of a network; a file that asks for more would only keep the machine busy
UNREADABLE = ("device", "dtype", "_weight", "_freeze", "size_average", "reduce")  # arguments that leave no attribute
DTYPE_NAMES = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 bool"
DTYPES: Mapping[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES.split()}


def to_recipe(value: Any) -> Any:
    """The JSON form of a value; what cannot be rebuilt becomes `{"opaque": ...}`."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
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
        return {"tensor": to_recipe(value.tolist()), "dtype": str(value.dtype).removeprefix("torch.")}
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
        factory: Any = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        if default is dataclasses.MISSING or not same(mine, default):
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
        if name in ("self", *UNREADABLE) or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if not hasattr(module, name):
            return None
        value = getattr(module, name)
        if isinstance(parameter.default, bool) and not isinstance(value, bool):
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
    """The value of a JSON form. Raises `ModelFileError`, and nothing else, for what cannot be built from the table."""
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
    except ModelFileError:
        raise
    except Exception as error:  # constructors given nonsense raise nearly anything
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
        refuse_heavy(kwargs)
        if part is nn.Sequential:
            return sequential(recipe["children"], depth)
        return part(**kwargs)
    return plain_object(recipe, depth)


def refuse_heavy(kwargs: Mapping[str, Any]) -> None:
    """Refuse what would take memory or time before the weights can be compared: a real device, countless blocks."""
    named = [name for name in UNREADABLE if name in kwargs]
    if named:
        raise ModelFileError(f"a file may not choose {', '.join(named)}")
    blocks = kwargs.get("layers", ())
    if not all(isinstance(n, int) and n <= MAX_BLOCKS for n in blocks):
        raise ModelFileError(f"layers is {str(blocks)[:100]}; up to {MAX_BLOCKS:,} blocks are read")


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
        dtype = DTYPES.get(str(recipe["dtype"]))
        if dtype is None:
            raise ModelFileError(f"{str(recipe['dtype'])[:100]!r} is no dtype that a file may use")
        return torch.tensor(from_recipe(recipe["tensor"], depth), dtype=dtype) if "tensor" in recipe else dtype
    if "float" in recipe:
        return float(recipe["float"])
    if "opaque" in recipe:
        raise ModelFileError(f"{recipe['opaque']} is not a part of Satsuma: give it when loading")
    raise ModelFileError(f"the recipe has an object of no known kind: {', '.join(sorted(recipe))[:100]}")


def looked_up(name: Any) -> Any:
    part = known_parts().get(str(name))
    if part is None:
        raise ModelFileError(f"{str(name)[:100]!r} is not in the table of parts that a file may use")
    return part


def opaque_parts(recipe: Any, depth: int = 0) -> list[str]:
    """What in a recipe is only described, not rebuilt; nesting that `from_recipe` refuses is not looked into."""
    if isinstance(recipe, dict) and "opaque" in recipe:
        return [str(recipe["opaque"])]
    inner = list(recipe.values()) if isinstance(recipe, dict) else recipe
    if not isinstance(inner, list) or depth > 2 * MAX_DEPTH:
        return []
    return [name for value in inner for name in opaque_parts(value, depth + 1)]
