"""Small scripts for the trimming tests: made of text, run as they are and trimmed."""

import ast
import textwrap

from satsuma.peel.pieces import Piece, Sources
from satsuma.peel.trim import trim

KINDS = {ast.FunctionDef: "function", ast.ClassDef: "class", ast.Assign: "constant", ast.AnnAssign: "constant"}


def sources(text, own=()):
    """`Sources` of a script; definitions whose names are in `own` are the user's."""
    text = textwrap.dedent(text).strip("\n")
    lines = text.split("\n")
    imports, pieces, main = [], [], ""
    for node in ast.parse(text).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        written = "\n".join(lines[first - 1 : node.end_lineno])
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(written)
        elif isinstance(node, ast.FunctionDef) and node.name == "main":
            main = written
        else:
            name = getattr(node, "name", None) or ast.unparse(getattr(node, "target", None) or node.targets[0])
            pieces.append(Piece(name=name, text=written, kind=KINDS[type(node)], room="satsuma.x", own=name in own))
    return Sources(imports=tuple(imports), pieces=tuple(pieces), main=main)


def joined(parts):
    return "\n".join([*parts.imports, *(piece.text for piece in parts.pieces), parts.main]) + "\n"


def value_of(text):
    names = {"__name__": "script"}
    exec(compile(text, "script", "exec"), names)
    return names["main"]()


def trimmed(text, own=(), facts=()):
    """The trimmed text, once it has given the same as the whole one and trimming it again has changed nothing."""
    whole = sources(text, own)
    less = trim(whole, dict(facts))
    assert value_of(joined(less)) == value_of(joined(whole))
    assert joined(trim(less, dict(facts))) == joined(less)
    return joined(less)
