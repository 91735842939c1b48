"""Live values → Python text that builds them again, with bare names that `lift` brings along."""

import dataclasses
import functools
import importlib
import inspect
import io
import math
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.errors import PeelError
from satsuma.peel.homes import is_installed, is_library
from satsuma.peel.live import refuse_counting
from satsuma.peel.rebuild import (
    GETTERS,
    arguments_of,
    hooked,
    rebuilds_module,
    rebuilds_object,
    same_value,
    shared_weights,
    without_pairs,
)
from satsuma.ship.recipe import MAX_NUMBERS

SHORT = {  # module → how a script calls it, and the line that brings it
    "torch.nn": ("nn", "from torch import nn"),
    "torch.nn.functional": ("F", "from torch.nn import functional as F"),
    "torch.optim": ("torch.optim", "import torch"),
    "torch": ("torch", "import torch"),
    "numpy": ("np", "import numpy as np"),
}
READ_OFF = (bool, int, float, complex, str, bytes, range)
PLAIN = (*READ_OFF, PurePath, slice, torch.dtype, torch.device, np.generic, np.dtype, re.Pattern, Enum)
BUILD_IT = "give Learner a function that builds it"


def is_plain(value: Any) -> bool:
    """Whether a value is told whole by a literal or a short call: numbers, text, containers of them, small arrays."""
    if isinstance(value, tuple | list | set | frozenset):
        return all(is_plain(v) for v in value)
    if isinstance(value, Mapping):
        return type(value) in (dict, OrderedDict) and all(is_plain(v) for pair in value.items() for v in pair)
    if isinstance(value, Tensor | np.ndarray):
        return type(value) in (Tensor, np.ndarray) and math.prod(value.shape) <= MAX_NUMBERS
    if isinstance(value, functools.partial):
        return is_plain(value.func) and is_plain(value.args) and is_plain(value.keywords)
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | np.ufunc | type):
        return True
    return value is None or isinstance(value, (*PLAIN, *GETTERS))


def public_place(value: Any) -> tuple[str, str] | None:
    """The most public module of an installed package that holds a value, and its name there; None if none does."""
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or getattr(value, "_name", None)
    if isinstance(value, types.BuiltinFunctionType):
        own = value.__name__  # torch.relu says it is a method of a hidden class
    if not isinstance(own, str) or "." in own:
        return None
    for module in SHORT:
        if getattr(sys.modules.get(module), own, None) is value:
            return module, own
    home = getattr(value, "__module__", None)
    if not isinstance(home, str) or home.split(".")[0] in ("__main__", "satsuma") or not is_installed(home):
        return None
    parts = home.split(".")
    places = [home.lstrip("_"), *(".".join(parts[: i + 1]) for i in range(len(parts)))]
    found = [place for place in places if getattr(sys.modules.get(place), own, None) is value]
    return (min(found, key=lambda place: "._" in f".{place}"), own) if found else None


def import_for(value: Any, name: str) -> str | None:
    """The line that imports a value under `name` from an installed package; None if there is none."""
    place = public_place(value)
    if place is None:
        return None
    module, own = place
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def spelled_value(value: Any, names: dict[str, Any], imports: set[str], hidden: frozenset[str] = frozenset()) -> str:
    """Python text that builds `value` again.

    What it names is added to `names` (name → the function or class, to be lifted) or, as a line, to `imports`.
    `hidden`: names of the user's for which `own_NAME` is written, a second name for the same.
    Raises `PeelError` for what no text builds; it names the part, says why, and what to do.

    >>> names, imports = {}, set()
    >>> spelled_value(functools.partial(nn.Linear, 3, bias=False), names, imports)
    'partial(nn.Linear, 3, bias=False)'
    >>> sorted(imports)
    ['from functools import partial', 'from torch import nn']
    """
    return Speller(names, imports, hidden).text(value)


@dataclasses.dataclass(frozen=True, slots=True)
class Speller:
    """The names and import lines that the text so far needs."""

    names: dict[str, Any]
    imports: set[str]
    hidden: frozenset[str] = frozenset()

    def text(self, value: Any) -> str:
        if value is None or value is Ellipsis or type(value) in READ_OFF:
            return f"float({str(value)!r})" if isinstance(value, float) and not math.isfinite(value) else repr(value)
        if isinstance(value, Enum):
            return f"{self.named(type(value))}.{value.name}"
        if isinstance(value, np.generic | np.dtype | np.ndarray | Tensor | torch.dtype | torch.device):
            return self.numbers(value)
        if isinstance(value, tuple | list | set | frozenset | Mapping):
            return self.container(value)
        if isinstance(value, nn.Module):
            return self.module(value)
        if isinstance(value, functools.partial):
            self.imports.add("from functools import partial")
            return self.call("partial", [value.func, *value.args], value.keywords)
        if isinstance(value, slice):
            return self.slice(value)
        if isinstance(value, PurePath):
            self.imports.add("from pathlib import Path")
            return f"Path({value.as_posix()!r})"
        if isinstance(value, re.Pattern):
            self.imports.add("import re")
            flags = re.RegexFlag(value.flags & ~re.UNICODE if isinstance(value.pattern, str) else value.flags)
            shown = f", {str(flags).replace('|', ' | ')}" if flags else ""
            return f"re.compile({value.pattern!r}{shown})"
        if isinstance(value, type) or inspect.isroutine(value) or isinstance(value, np.ufunc):
            return self.named(value)
        if hasattr(value, "__wrapped__") and hasattr(value, "__qualname__"):
            return self.named(value)
        return self.object(value)

    def call(self, what: str, positional: Any, named: Mapping[str, Any]) -> str:
        parts = [*(self.text(v) for v in positional), *(f"{k}={self.text(v)}" for k, v in named.items())]
        return f"{what}({', '.join(parts)})"

    def slice(self, value: slice) -> str:
        parts = [value.start, value.stop] if value.step is None else [value.start, value.stop, value.step]
        return self.call("slice", parts[1:] if parts[0] is None and len(parts) == 2 else parts, {})

    def container(self, value: Any) -> str:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self.call(self.named(type(value)), [], dict(zip(value._fields, value, strict=True)))
        if type(value) is OrderedDict:
            self.imports.add("from collections import OrderedDict")
            return f"OrderedDict([{', '.join(self.text(pair) for pair in value.items())}])"
        if type(value) in (dict, types.MappingProxyType):
            return "{" + ", ".join(f"{self.text(k)}: {self.text(v)}" for k, v in value.items()) + "}"
        if type(value) not in (tuple, list, set, frozenset):
            return self.object(value)
        inner = [self.text(v) for v in value]
        if isinstance(value, set | frozenset):
            inner = sorted(inner)  # a set has no order of its own, and a script should not change between runs
            braces = "{" + ", ".join(inner) + "}" if inner else "set()"
            return braces if isinstance(value, set) else f"frozenset({braces if inner else ''})"
        if isinstance(value, list):
            return f"[{', '.join(inner)}]"
        return f"({inner[0]},)" if len(inner) == 1 else f"({', '.join(inner)})"

    def numbers(self, value: Any) -> str:
        if isinstance(value, torch.dtype | torch.device):
            self.imports.add("import torch")
            return str(value) if isinstance(value, torch.dtype) else f"torch.device({str(value)!r})"
        if isinstance(value, Tensor):
            return self.tensor(value)
        self.imports.add("import numpy as np")
        if isinstance(value, np.dtype):
            return f"np.dtype({value.name!r})"
        if isinstance(value, np.generic):
            return f"np.{type(value).__name__}({self.text(value.item())})"
        if type(value) is not np.ndarray or value.dtype.kind not in "biufU" or value.size > MAX_NUMBERS:
            raise PeelError(f"peel: {said(value)} cannot be written as code; keep it in a file that the code reads")
        if value.size == 0:
            return f"np.zeros({value.shape!r}, dtype=np.{value.dtype.name})"
        inner = value.tolist()
        dtype = (
            "" if value.dtype.kind == "U" or np.array(inner).dtype == value.dtype else f", dtype=np.{value.dtype.name}"
        )
        return f"np.array({self.text(inner)}{dtype})"

    def tensor(self, value: Tensor) -> str:
        self.imports.add("import torch")
        if type(value) is not Tensor or value.numel() > MAX_NUMBERS or value.is_meta or value.is_sparse:
            raise PeelError(f"peel: {said(value)} cannot be written as code; keep it in a file that the code reads")
        if value.numel() == 0:
            return f"torch.zeros({tuple(value.shape)!r}, dtype={value.dtype})"
        inner = value.tolist()
        dtype = "" if torch.tensor(inner).dtype == value.dtype else f", dtype={value.dtype}"
        return f"torch.tensor({self.text(inner)}{dtype})"

    def named(self, value: Any) -> str:
        """A function or class by its name; what has to come along for that is noted."""
        if getattr(value, "__module__", None) == "builtins" and inspect.isroutine(value) | isinstance(value, type):
            return str(value.__qualname__)
        owner = getattr(value, "__self__", None)
        if inspect.ismethod(value) and not isinstance(owner, type):
            raise PeelError(
                f"peel: {value.__qualname__} is a method of one {type(owner).__name__}, which has no name in a "
                f"script; make it a function in a file"
            )
        own = getattr(value, "__name__", "")
        if getattr(torch.Tensor, own, None) is value:
            self.imports.add("import torch")
            return f"torch.Tensor.{own}"
        place = public_place(value)
        if place is not None:
            short, line = SHORT.get(place[0], ("", f"from {place[0]} import {place[1]}"))
            self.imports.add(line)
            return ".".join(filter(None, (short, place[1])))
        return self.own_name(value)

    def own_name(self, value: Any) -> str:
        """The name of a function or class of the library's or the user's, or that of its class and the rest."""
        name = getattr(value, "__qualname__", None)
        module = getattr(value, "__module__", None) or getattr(getattr(value, "__objclass__", None), "__module__", None)
        if name is None or module is None:
            raise PeelError(f"peel: {said(value)} has no name that a script could use; {BUILD_IT}")
        if "<lambda>" in name:
            raise PeelError(f"peel: a lambda of {module} has no name in a script; give it a name with def, in a file")
        if "<locals>" in name:
            raise PeelError(
                f"peel: {name} is defined within a function and sees that function's variables; move it to the top "
                f"level of a file (functools.partial can hand it values)"
            )
        first, _, rest = name.partition(".")
        if rest:
            root = getattr(sys.modules.get(module) or importlib.import_module(module), first, None)
            if root is None:
                raise PeelError(
                    f"peel: {said(value)} has no name that a script could use; make it a function in a file"
                )
            return f"{self.named(root)}.{rest}"
        if first in self.hidden and not is_library(module):
            first = f"own_{first}"
        refuse_one_name(first, self.names.setdefault(first, value), value)
        return str(first)

    def object(self, value: Any) -> str:
        """An instance by the call that builds it."""
        cls = type(value)
        if isinstance(value, GETTERS):
            args = value.__reduce__()[1]
            self.imports.add(f"from operator import {cls.__name__}")
            return self.call(cls.__name__, args, {})
        if dataclasses.is_dataclass(value) and cls.__init__.__qualname__ == f"{cls.__qualname__}.__init__":
            named = given_fields(value)
            if not builds_fields(value, named):
                raise PeelError(f"peel: {said(value)} is not what its own fields build; {BUILD_IT}")
            return self.call(self.named(cls), [], named)
        if isinstance(value, torch.Generator | io.IOBase):
            raise PeelError(f"peel: {said(value)} cannot be written as code; open or seed one in a function in a file")
        refuse_counting(cls)
        found = arguments_of(value)
        if isinstance(found, str):
            raise PeelError(
                f"peel: {said(value)} cannot be written as code: it does not keep its argument {found!r} in an "
                f"attribute of that name; {fixed_by(value)}"
            )
        if not rebuilds_object(value, *found):
            raise PeelError(
                f"peel: {said(value)} cannot be written as code: built again from its attributes it is another; "
                f"{fixed_by(value)}"
            )
        return self.call(self.named(cls), *found)

    def module(self, module: nn.Module) -> str:
        """A module by the call that builds it, without its weights; `.to(...)` if these are not of the default type."""
        text = self.layer(module)
        kinds = {v.dtype for v in module.state_dict().values() if v.is_floating_point()}
        if kinds <= {torch.get_default_dtype()}:
            return text
        if len(kinds) > 1:
            raise PeelError(f"peel: {said(module)} mixes {' and '.join(sorted(map(str, kinds)))}; {BUILD_IT}")
        self.imports.add("import torch")
        return f"{text}.to({kinds.pop()})"

    def layer(self, module: nn.Module) -> str:
        name = type(module).__name__
        if hooked(module):
            raise PeelError(f"peel: the model's {name} has hooks or replaced methods, which no script would have")
        if type(module) in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            return self.layers(module)
        found = arguments_of(module)
        if isinstance(found, str):
            raise PeelError(
                f"peel: the model's {name} cannot be written as code: its constructor's argument {found!r} is kept in "
                f"no attribute of that name; keep it (self.{found} = {found}), or {BUILD_IT}"
            )
        shorter = without_pairs(module, *found)
        if rebuilds_module(module, *shorter):
            found = shorter
        elif not rebuilds_module(module, *found):
            raise PeelError(
                f"peel: the model's {name} cannot be written as code: built again from its attributes it is another, "
                f"so it was changed after it was built or does not keep its arguments; {BUILD_IT}"
            )
        what = self.named(type(module))
        parts = [*(self.part(v) for v in found[0]), *(f"{k}={self.part(v)}" for k, v in found[1].items())]
        return f"{what}({', '.join(parts)})"

    def part(self, value: Any) -> str:
        return self.layer(value) if isinstance(value, nn.Module) else self.text(value)

    def layers(self, module: nn.Module) -> str:
        """A container by its children."""
        if shared_weights(module):
            raise PeelError(f"peel: layers of the model's {type(module).__name__} share weights; {BUILD_IT}")
        what = self.named(type(module))
        children = [(k, self.layer(v)) for k, v in module._modules.items() if v is not None]
        if isinstance(module, nn.ModuleDict):
            return f"{what}({{{', '.join(f'{k!r}: {text}' for k, text in children)}}})"
        if [k for k, _ in children] != [str(i) for i in range(len(children))]:
            self.imports.add("from collections import OrderedDict")
            return f"{what}(OrderedDict([{', '.join(f'({k!r}, {text})' for k, text in children)}]))"
        inner = ", ".join(text for _, text in children)
        return f"{what}([{inner}])" if isinstance(module, nn.ModuleList) else f"{what}({inner})"


def refuse_one_name(name: str, held: Any, value: Any) -> None:
    """`PeelError` where `name` stands for `held` already, which is not `value`."""
    if held is not value:
        modules = [getattr(part, "__module__", None) or type(part).__name__ for part in (held, value)]
        raise PeelError(
            f"peel: {modules[0]}.{name} and {modules[1]}.{name} have one name, and a script has one place for a name; "
            f"rename yours"
        )


def given_fields(value: Any) -> dict[str, Any]:
    """The constructor's fields of a dataclass that differ from their defaults; a cache that `==` skips is left out."""
    found = {}
    for field in dataclasses.fields(value):
        mine = getattr(value, field.name)
        factory: Any = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        cache = field.compare is False and field.repr is False and default is not dataclasses.MISSING
        if field.init and not cache and not same_value(mine, default):
            found[field.name] = mine
    return found


def builds_fields(value: Any, named: Mapping[str, Any]) -> bool:
    """Whether a dataclass built from these fields has the same ones; those that it fills in itself may differ."""
    try:
        again = type(value)(**named)
    except Exception:  # a `__post_init__` may raise nearly anything
        return False
    fields = [f.name for f in dataclasses.fields(value) if f.init and f.compare]
    return all(same_value(getattr(again, name), getattr(value, name)) for name in fields)


def fixed_by(value: Any) -> str:
    if callable(value):
        return "make it a function in a file, or a dataclass"
    return f"make {type(value).__name__} a dataclass, or build it in a function"


def said(value: Any) -> str:
    """A value in words, for messages: its class's full name, and the shape of an array."""
    shape = f" {list(value.shape)}" if isinstance(value, Tensor | np.ndarray) else ""
    return f"a {type(value).__module__}.{type(value).__qualname__}{shape}"
