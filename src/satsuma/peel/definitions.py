"""Single definitions as text: what of them is left out of a script, and what no script can hold."""

import ast
from collections.abc import Iterator
from typing import Any

from satsuma.errors import PeelError
from satsuma.peel.homes import Home, Imported, imported, is_library
from satsuma.peel.names import without_lines
from satsuma.peel.pieces import Piece

DROPPED = ("spelled", "spelled_class")  # decorators that only better a message


def refuse_nested(value: Any, user: str) -> None:
    """Raise `PeelError` for a function or class that has no place at the top level of a file."""
    if value.__name__ == "<lambda>":
        raise PeelError(
            f"peel: {user} uses a lambda, which has no source of its own; give it a name with def, in a file"
        )
    if "<locals>" in value.__qualname__:
        raise PeelError(
            f"peel: {user} uses {value.__qualname__}, which is defined within a function and sees that function's "
            f"variables; move it to the top level of a file (functools.partial can hand it values)"
        )
    if "." in value.__qualname__:
        raise PeelError(
            f"peel: {user} uses {value.__qualname__}, which is part of a class; make it a function in a file"
        )


def refuse_changed_globals(piece: Piece) -> None:
    """Raise `PeelError` if the user's code changes a global as it runs: a script would start with another value."""
    for node in ast.walk(ast.parse(piece.text)) if piece.own else ():
        if isinstance(node, ast.Global):
            raise PeelError(
                f"peel: {piece.name} changes the global {node.names[0]!r} as it runs, so that a script that starts "
                f"afresh could give other numbers; keep it in an object"
            )


def is_literal_line(node: ast.stmt, live: Any) -> bool:
    """Whether a statement assigns one name the literal that it has at this moment."""
    value = getattr(node, "value", None)
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    if value is None or len(targets) != 1 or not isinstance(targets[0], ast.Name):
        return False
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return False
    return type(literal) is type(live) and repr(literal) == repr(live)


def one_of_several(node: ast.stmt, name: str) -> str:
    """`b = 2` for the second name of `a, b = 1, 2`; nothing for another statement."""
    if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Tuple)):
        return ""
    target = node.targets[0]
    if not isinstance(target, ast.Tuple) or len(target.elts) != len(node.value.elts):
        return ""
    values = {ast.unparse(n): ast.unparse(v) for n, v in zip(target.elts, node.value.elts, strict=True)}
    return f"{name} = {values[name]}" if name in values else ""


def without_dropped_decorators(text: str) -> str:
    """`text` without the decorators that better the message for a misspelt keyword."""
    decorated = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    dropped = [d for n in decorated for d in n.decorator_list if isinstance(d, ast.Name) and d.id in DROPPED]
    return without_lines(text, dropped)


def without_inner_imports(text: str, home: Home) -> tuple[str, dict[str, Imported]]:
    """`text` without the imports of satsuma within its functions, and what they bind."""
    tree = ast.parse(text)
    found: dict[str, Imported] = {}
    gone: list[ast.stmt] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound = imported(node, home.name.rpartition(".")[0])
            if bound and all(is_library(i.module) for i in bound.values()):
                found |= bound
                gone.append(node)
    return (without_lines(text, gone) if gone else text), found


def chains(tree: ast.AST) -> Iterator[list[ast.expr]]:
    """Each `a.b.c` of a tree: the nodes of `a`, `a.b` and `a.b.c`."""
    inner: set[int] = set()
    for node in ast.walk(tree):  # outermost first
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        found: list[ast.expr] = [node]
        while isinstance(found[-1], ast.Attribute):
            found.append(found[-1].value)
            inner.add(id(found[-1]))
        if isinstance(found[-1], ast.Name):
            yield found[::-1]
