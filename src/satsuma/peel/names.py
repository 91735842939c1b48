"""What a piece of source text asks for: the names it needs from outside, and which of them as it is defined."""

import ast
import io
import re
import symtable
import tokenize
from collections.abc import Iterable, Iterator

OF_EVERY_MODULE = frozenset({"__name__", "__file__", "__doc__", "__spec__", "__package__", "__annotations__"})
TOOL_NOTE = re.compile(r"(type: ?ignore|noqa|pragma|fmt:|mypy:|pyright:)")


def free_names(text: str) -> list[str]:
    """The names that `text` needs from outside, in the order of their first use; those of builtins among them.

    >>> free_names("def area(r: float) -> float:\\n    return PI * r**2")
    ['float', 'PI']
    """
    tree = ast.parse(text)
    top = symtable.symtable(text, "piece", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    wanted = set(global_names(top)) - bound - OF_EVERY_MODULE
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in wanted]
    return list(dict.fromkeys(node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))))


def global_names(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that a scope and those within it read from the module."""
    for symbol in table.get_symbols():
        if symbol.is_global() or (table.get_type() == "module" and symbol.is_referenced()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from global_names(inner)


def names_within(text: str) -> set[str]:
    """The names that some function within `text` binds for itself."""

    def within(table: symtable.SymbolTable) -> Iterator[str]:
        for inner in table.get_children():
            yield from (s.get_name() for s in inner.get_symbols() if s.is_local())
            yield from within(inner)

    return set(within(symtable.symtable(text, "piece", "exec")))


def top_bindings(text: str) -> set[str]:
    """The names that `text` binds at its top level."""
    top = symtable.symtable(text, "piece", "exec")
    return {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}


def quoted_names(text: str) -> list[str]:
    """The names within quoted annotations: those a checker looks for, though nothing reads them as the code runs."""
    found: list[str] = []
    for place in type_expressions(ast.parse(text)):
        literal = {id(n) for s in ast.walk(place) if is_literal_type(s) for n in ast.walk(s)}
        for node in ast.walk(place):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in literal:
                try:
                    inner = ast.parse(node.value.strip(), mode="eval")
                except SyntaxError:
                    continue
                found += [n.id for n in ast.walk(inner) if isinstance(n, ast.Name)]
    return list(dict.fromkeys(found))


def is_literal_type(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node.value).split(".")[-1] in ("Literal", "Annotated")


def type_expressions(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that are read as types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "cast" and node.args:
            yield node.args[0]


def names_at_import(text: str, *, lazy_types: bool) -> tuple[set[str], set[str]]:
    """The names that are read as `text` is defined, and those of them that are called or decorate.

    `lazy_types`: annotations are not evaluated (`from __future__ import annotations`).
    """
    read: set[str] = set()
    called: set[str] = set()
    for node in nodes_at_import(ast.parse(text).body, lazy_types):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                read.add(inner.id)
            elif isinstance(inner, ast.Call):
                called |= {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)}
    return read, called


def nodes_at_import(body: Iterable[ast.stmt], lazy_types: bool) -> Iterator[ast.AST]:
    """The parts of statements that run when they are defined: all but the bodies of functions."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (as_called(d) for d in node.decorator_list)
            yield from (d for d in (*node.args.defaults, *node.args.kw_defaults) if d is not None)
            if not lazy_types:
                signature = ast.FunctionDef(node.name, node.args, [], [], node.returns)
                yield from type_expressions(signature)
        elif isinstance(node, ast.ClassDef):
            yield from (as_called(d) for d in node.decorator_list)
            yield from (*node.bases, *(k.value for k in node.keywords))
            yield from nodes_at_import(node.body, lazy_types)
        elif isinstance(node, ast.AnnAssign) and lazy_types:
            yield from () if node.value is None else (node.value,)
        else:
            yield node


def as_called(decorator: ast.expr) -> ast.expr:
    return decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])


def without_tool_notes(text: str) -> str:
    """`text` without comments meant for a type checker or a linter.

    >>> without_tool_notes("x = f()  # type: ignore[no-untyped-call]  # the norm")
    'x = f()  # the norm'
    """
    lines = text.split("\n")
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.type != tokenize.COMMENT or not TOOL_NOTE.search(token.string):
            continue
        row, column = token.start
        parts = [part.strip() for part in token.string.lstrip("#").split("#")]
        kept = "".join(f"  # {part}" for part in parts if not TOOL_NOTE.match(part))
        before = lines[row - 1][:column].rstrip()
        if before:
            lines[row - 1] = before + kept
        elif kept:
            lines[row - 1] = " " * column + kept.strip()
        else:
            del lines[row - 1]
    return "\n".join(lines)


def with_changes(text: str, changes: Iterable[tuple[ast.expr, str]]) -> str:
    """`text` with the source of some of its nodes replaced."""
    lines = [line + "\n" for line in text.split("\n")]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def place(row: int, column: int) -> int:
        return starts[row - 1] + len(lines[row - 1].encode()[:column].decode())

    spans = [
        (place(n.lineno, n.col_offset), place(n.end_lineno or n.lineno, n.end_col_offset or 0), new)
        for n, new in changes
    ]
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def without_lines(text: str, gone: Iterable[ast.stmt | ast.expr]) -> str:
    """`text` without the lines of some of its nodes."""
    rows = {row for node in gone for row in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return "\n".join(line for row, line in enumerate(text.split("\n"), 1) if row not in rows)
