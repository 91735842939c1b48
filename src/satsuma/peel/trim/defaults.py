"""Arguments of torch's and NumPy's functions that are what the function takes anyway."""

import ast
import functools
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from satsuma.peel.trim.calls import argument_rows, arguments_in_order, close_of, remove_items
from satsuma.peel.trim.program import Change, Program, changes_of
from satsuma.peel.trim.purity import dotted_name
from satsuma.peel.trim.unit import Unit

ROOTS = ("torch.nn.functional.",)
MISSING: Any = object()


def default_arguments(program: Program) -> Iterator[Change]:
    """One change for each call that spells a default."""
    modules = tuple(module_of(line) for line in program.imports)
    for unit in program.library:
        yield from unit.once(changes_of, defaults_of_unit, modules)


def defaults_of_unit(unit: Unit, imported: tuple[tuple[str, str], ...]) -> Iterator[Change]:
    modules = dict(imported)
    for node in unit.all(ast.Call):
        if not node.keywords or not unit.editable(node):
            continue
        root, _, rest = dotted_name(node.func).partition(".")
        if not rest or root not in modules or unit.binder(node, root) is not None:
            continue
        full = f"{modules[root]}.{rest}"
        if not full.startswith(ROOTS):
            continue
        defaults = argument_defaults(full)
        gone = {
            i
            for i, given in enumerate(arguments_in_order(node))
            if isinstance(given, ast.keyword)
            and isinstance(given.value, ast.Constant)
            and same_constant(defaults.get(given.arg or "", MISSING), given.value.value)
        }
        yield remove_items(unit, argument_rows(unit, node), gone, close_of(unit, node))


def same_constant(default: Any, value: Any) -> bool:
    return type(default) is type(value) and default == value


@functools.lru_cache(maxsize=256)
def argument_defaults(full: str) -> dict[str, Any]:
    """The defaults of a function by its full name; none where they cannot be told."""
    module, _, name = full.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        return {n: p.default for n, p in inspect.signature(found).parameters.items()}
    except (ImportError, AttributeError, TypeError, ValueError):
        return {}


@functools.lru_cache(maxsize=4096)
def module_of(line: str) -> tuple[str, str]:
    """The name that an import line binds, and the full name of what it stands for.

    >>> module_of("from torch.nn import functional as F"), module_of("import numpy as np")
    (('F', 'torch.nn.functional'), ('np', 'numpy'))
    """
    (node,) = ast.parse(line).body
    assert isinstance(node, ast.Import | ast.ImportFrom)
    alias = node.names[0]
    if isinstance(node, ast.ImportFrom):
        return alias.asname or alias.name, f"{node.module}.{alias.name}"
    return alias.asname or alias.name.partition(".")[0], alias.name if alias.asname else alias.name.partition(".")[0]
