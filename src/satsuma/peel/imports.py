"""Import lines merged and in the order of ruff's isort."""

import ast
import sys
from collections.abc import Iterable

from satsuma.peel.wrap_doc import STEP, WIDTH

FUTURE, STANDARD, THIRD = range(3)


def sorted_imports(lines: Iterable[str]) -> str:
    """One block of text: `__future__`, the standard library, all others; several names of a module on one line.

    >>> print(sorted_imports(["import torch", "from torch import nn", "from torch import Tensor", "import argparse"]))
    import argparse
    <BLANKLINE>
    import torch
    from torch import Tensor, nn
    """
    modules: set[tuple[str, str | None]] = set()
    members: dict[str, set[str]] = {}
    renamed: set[tuple[str, str, str]] = set()
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.Import):
            modules |= {(a.name, a.asname) for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                if alias.asname is None or alias.asname == alias.name:
                    members.setdefault(node.module, set()).add(alias.name)
                else:
                    renamed.add((node.module, alias.name, alias.asname))
    blocks: dict[int, list[tuple[tuple[object, ...], str]]] = {FUTURE: [], STANDARD: [], THIRD: []}
    for module, name in modules:
        blocks[group_of(module)].append(
            ((0, module.lower(), module, name or ""), f"import {module}" + (f" as {name}" if name else ""))
        )
    for module, names in members.items():
        ordered = sorted(names, key=member_key)
        key = (1, module.lower(), module, member_key(ordered[0]), "")
        blocks[group_of(module)].append((key, from_line(module, ordered)))
    for module, name, other in renamed:
        key = (1, module.lower(), module, member_key(name), other)
        blocks[group_of(module)].append((key, from_line(module, [f"{name} as {other}"])))
    return "\n\n".join("\n".join(line for _, line in sorted(block)) for block in blocks.values() if block)


def group_of(module: str) -> int:
    root = module.partition(".")[0]
    return FUTURE if root == "__future__" else STANDARD if root in sys.stdlib_module_names else THIRD


def member_key(name: str) -> tuple[int, str, str]:
    """CONSTANTS, then Classes, then others."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name


def from_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    rows = "".join(f"{' ' * STEP}{name},\n" for name in names)
    return f"from {module} import (\n{rows})"
