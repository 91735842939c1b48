"""Docstrings that speak of options which trimming took away are cut to their claim."""

import ast
import builtins
import re
from collections.abc import Iterator

from satsuma.peel.trim.documents import docstring_node
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.unit import FunctionNode, Unit, tree_nodes

ENTRY = re.compile(r"(?:^|(?<=[.;)\]]\s)|(?<=\n))\s*((?:`?[a-z_]\w*`?, )*`?[a-z_]\w*`?): ")
QUOTED = re.compile(r"`([A-Za-z_]\w*)`")
SOURCE = re.compile(r"Source: .*", re.DOTALL)


def stale_documents(program: Program) -> Iterator[Change]:
    """One change for each docstring whose later paragraphs describe what is not there."""
    known = program.together(all_identifiers) | set(dir(builtins)) | program.imported
    for unit in program.library:
        for node in unit.nodes:
            if isinstance(node, FunctionNode | ast.ClassDef):
                yield shortened(unit, node, known)


def all_identifiers(unit: Unit) -> set[str]:
    return {name for node in unit.nodes for name in identifiers(node)}


def shortened(unit: Unit, node: FunctionNode | ast.ClassDef, known: set[str]) -> Change:
    found = docstring_node(node)
    if found is None or not unit.source(found).startswith('"""'):
        return []
    text = unit.source(found)[3:-3]
    first, gap, rest = text.partition("\n\n")
    if not gap or not is_stale(rest, options_of(node), known):
        return []
    source = SOURCE.search(rest)
    if source is None:
        return [Edit(unit, *unit.span(found), f'"""{first.rstrip()}"""')]
    indent = " " * (found.col_offset)
    return [Edit(unit, *unit.span(found), f'"""{first.rstrip()}\n\n{indent}{source[0].rstrip()}\n{indent}"""')]


def is_stale(text: str, options: set[str], known: set[str]) -> bool:
    """Whether a text explains an option, or quotes a name, that is not there."""
    for entry in ENTRY.finditer(text):
        if not {name.strip(" `") for name in entry[1].split(",")} <= options:
            return True
    return any(name not in known for name in QUOTED.findall(text))


def options_of(node: FunctionNode | ast.ClassDef) -> set[str]:
    """What a docstring may explain: parameters, for a class those of its methods, its fields and attributes."""
    return {name for n in tree_nodes(node) for name in identifiers(n)} - {"self"}


def identifiers(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, FunctionNode | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
