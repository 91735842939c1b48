"""Expressions put in the place of others, in brackets where they need them."""

import ast

from satsuma.peel.trim.program import Edit
from satsuma.peel.trim.unit import FunctionNode, Unit

ATOMS = (
    ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Dict, ast.Set,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.JoinedStr,
)  # fmt: skip


def put(unit: Unit, node: ast.AST, text: str, new: ast.expr | None = None) -> list[Edit]:
    """Put `text` in the place of an expression, in brackets where what is around it could tear it apart."""
    new = ast.parse(f"({text})", mode="eval").body if new is None else new
    start, end = outer(unit, node) if isinstance(node, ast.expr) else unit.span(node)
    parent = unit.parents[node]
    safe = isinstance(new, ATOMS) or (text.startswith("(") and isinstance(new, ast.Tuple | ast.GeneratorExp))
    if isinstance(new, ast.Constant) and isinstance(new.value, int | float) and isinstance(parent, ast.Attribute):
        safe = False
    if not safe and "\n" not in text and not isinstance(new, ast.Tuple | ast.GeneratorExp | ast.Starred):
        safe = isinstance(parent, ast.Call | ast.keyword | ast.Return | ast.Expr | ast.Assign | ast.AnnAssign | ast.If)
        safe = safe and not (isinstance(parent, ast.Call) and node is parent.func)
    if not safe and "\n" not in text and not isinstance(new, ast.Starred):
        safe = -1 < strength(parent) < strength(new)
    return [Edit(unit, start, end, text if safe else f"({text})")]


def outer(unit: Unit, node: ast.expr) -> tuple[int, int]:
    """The span of an expression with the brackets that are only its own."""
    start, end = unit.span(node)
    parent = unit.parents[node]
    if isinstance(parent, ast.ClassDef | FunctionNode | ast.FormattedValue | ast.comprehension | ast.withitem):
        return start, end
    if not hasattr(parent, "lineno"):
        return start, end
    limit_low, limit_high = unit.span(parent)
    if isinstance(parent, ast.Call) and node is not parent.func:
        limit_low, limit_high = unit.text.index("(", outer(unit, parent.func)[1]), limit_high - 1
    while True:
        before, after = start, end
        while before > limit_low and unit.text[before - 1] in " \n":
            before -= 1
        while after < limit_high and unit.text[after] in " \n":
            after += 1
        if before - 1 <= limit_low - (not isinstance(parent, ast.Call)) or after >= limit_high:
            return start, end
        if unit.text[before - 1] != "(" or unit.text[after] != ")":
            return start, end
        start, end = before - 1, after + 1


def strength(node: ast.AST) -> int:
    """How firmly an operator holds its operands together; -1 for what is none of these."""
    if isinstance(node, ast.IfExp):
        return 0
    if isinstance(node, ast.BoolOp):
        return 1 if isinstance(node.op, ast.Or) else 2
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return 3
    if isinstance(node, ast.Compare):
        return 4
    return 5 if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow) else -1
