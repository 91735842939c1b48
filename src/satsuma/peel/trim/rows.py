"""Rows whose parts are known: `(x, y)[0]` is `x`, and `set((x, y))` is `{x, y}`."""

import ast
from collections.abc import Iterator
from typing import Any

from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.statements import delete, stands_alone
from satsuma.peel.trim.unit import Unit, tree_nodes


def known_rows(program: Program) -> Iterator[Change]:
    """One change for each row that is sliced, indexed, made again or added to."""
    return program.each(rows_of_unit)


def rows_of_unit(unit: Unit) -> Iterator[Change]:
    for node in unit.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Tuple) and unit.editable(node):
            yield chosen_parts(unit, node, node.value)
        elif isinstance(node, ast.Call) and unit.editable(node):
            yield bare_display(unit, node)
        elif isinstance(node, ast.BinOp) and unit.editable(node):
            yield without_nothing(unit, node)
        elif isinstance(node, ast.AugAssign):
            yield joined_lists(unit, node)


def bare_display(unit: Unit, node: ast.Call) -> Change:
    """`set((a, b))` is `{a, b}`, `tuple((a, b))` is `(a, b)`."""
    if not (isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords):
        return []
    (row,) = node.args
    if not isinstance(row, ast.Tuple) or not row.elts or unit.binder(node, node.func.id) is not None:
        return []
    parts = ", ".join(unit.source(part) for part in row.elts)
    if node.func.id == "set" and not any(isinstance(part, ast.Starred) for part in row.elts):
        return put(unit, node, f"{{{parts}}}")
    if node.func.id == "tuple":
        return put(unit, node, f"({parts}{',' if len(row.elts) == 1 else ''})")
    return []


def without_nothing(unit: Unit, node: ast.BinOp) -> Change:
    """`"" + text` is `text`."""
    if isinstance(node.op, ast.Add) and isinstance(node.left, ast.Constant) and node.left.value == "":
        known = isinstance(node.right, ast.Name | ast.Constant)
        return put(unit, node, unit.source(node.right), node.right) if known else []
    return []


def joined_lists(unit: Unit, node: ast.AugAssign) -> Change:
    """`row = [a]` with `row += [b]` right after it is `row = [a, b]`; `row += []` goes."""
    name, added = node.target, node.value
    if not (isinstance(name, ast.Name) and isinstance(node.op, ast.Add) and isinstance(added, ast.List)):
        return []
    block = next((b for b in blocks(unit.parents[node]) if node in b), [])
    if not added.elts and len(block) > 1:
        return delete(unit, [node])
    before = block[block.index(node) - 1] if node in block[1:] else None
    target = before.targets[0] if isinstance(before, ast.Assign) and len(before.targets) == 1 else None
    target = before.target if isinstance(before, ast.AnnAssign | ast.AugAssign) else target
    if not isinstance(target, ast.Name) or target.id != name.id or not isinstance(before.value, ast.List):  # type: ignore[union-attr]
        return []
    if any(isinstance(n, ast.Name) and n.id == name.id for n in tree_nodes(added)):
        return []
    first: ast.List = before.value  # type: ignore[union-attr]
    between = unit.text[unit.span(before)[1] : unit.span(node)[0]]  # type: ignore[arg-type]
    if between.strip() or not stands_alone(unit, node):
        return []
    parts = ", ".join(unit.source(part) for part in (*first.elts, *added.elts))
    return [Edit(unit, *unit.span(first), f"[{parts}]"), *delete(unit, [node])]


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The rows of statements in a compound one."""
    for name in ("body", "orelse", "finalbody"):
        found = getattr(node, name, None)
        if isinstance(found, list):
            yield found


def chosen_parts(unit: Unit, node: ast.Subscript, row: ast.Tuple) -> Change:
    """The parts of a row of names and constants that an index or a slice takes."""
    if not all(isinstance(part, ast.Name | ast.Constant) for part in row.elts) or not isinstance(node.ctx, ast.Load):
        return []
    try:
        taken: Any = row.elts[index_of(node.slice)]
    except (ValueError, IndexError):
        return []
    if isinstance(taken, list):
        comma = "," if len(taken) == 1 else ""
        return put(unit, node, f"({', '.join(unit.source(part) for part in taken)}{comma})")
    return put(unit, node, unit.source(taken))


def index_of(node: ast.expr) -> Any:
    """The index or slice that an expression of whole numbers stands for. `ValueError` for any other."""
    if isinstance(node, ast.Slice):
        return slice(*(None if part is None else index_of(part) for part in (node.lower, node.upper, node.step)))
    found = ast.literal_eval(node)
    if not isinstance(found, int):
        raise ValueError(ast.unparse(node))
    return found
