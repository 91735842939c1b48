"""What trimming leaves behind: blocks of `pass`, brackets around nothing much, runs of empty lines."""

import ast
import re
from collections.abc import Iterator, Sequence

from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import is_pure, is_test, pure_functions
from satsuma.peel.trim.statements import decide_if, delete, drop_else, is_elif, replace_by_block
from satsuma.peel.trim.unit import FunctionNode, Unit, tree_nodes
from satsuma.peel.wrap import is_docstring

ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript)


def tidied(program: Program) -> Iterator[Change]:
    """Edits that change nothing but the look."""
    return program.each(tidied_unit, pure_functions(program))


def tidied_unit(unit: Unit, pure: frozenset[str]) -> Iterator[Change]:
    for node in unit.nodes:
        if isinstance(node, FunctionNode):
            yield needless_return(unit, node)
        elif isinstance(node, ast.If):
            yield tidied_if(unit, node)
        elif isinstance(node, ast.Pass):
            yield needless_pass(unit, node)
        elif isinstance(node, ast.For | ast.While | ast.Try) and node.orelse and is_nothing(node.orelse):
            yield drop_else(unit, node)
        elif isinstance(node, ast.For) and is_nothing(node.body) and not node.orelse:
            if is_pure(node.iter) and not used_later(unit, node):
                yield delete(unit, [node])
        elif isinstance(node, ast.Try) and is_nothing(node.body) and not node.finalbody and not node.orelse:
            yield delete(unit, [node])
        elif isinstance(node, ast.Try) and node.finalbody and is_nothing(node.finalbody) and not node.handlers:
            yield replace_by_block(unit, node, node.body)
        elif isinstance(node, ast.Expr) and is_pure(node.value, pure) and not is_docstring(node):
            if not (isinstance(node.value, ast.Constant) and node.value.value is ...):
                yield delete(unit, [node])
        elif isinstance(node, ATOMS) and unit.editable(node) and node not in unit.in_f_strings:
            yield without_brackets(unit, node)


def needless_return(unit: Unit, node: FunctionNode) -> Change:
    """A bare `return` at the end of a function that gives nothing, also at the end of an `if` there."""
    if any(isinstance(n, ast.Return) and n.value is not None for n in tree_nodes(node)):
        return []
    last: ast.stmt = node.body[-1]
    while isinstance(last, ast.If):
        last = (last.orelse or last.body)[-1]
    return delete(unit, [last]) if isinstance(last, ast.Return) else []


def is_nothing(block: Sequence[ast.stmt]) -> bool:
    return all(isinstance(s, ast.Pass) for s in block)


def used_later(unit: Unit, loop: ast.For) -> bool:
    names = {n.id for n in tree_nodes(loop.target) if isinstance(n, ast.Name)}
    inside = set(tree_nodes(loop))
    return any(isinstance(n, ast.Name) and n.id in names and n not in inside for n in unit.nodes)


def tidied_if(unit: Unit, node: ast.If) -> Change:
    """An `if` of which one or both sides are empty."""
    if node.orelse and is_nothing(node.orelse):
        return drop_else(unit, node)
    if is_nothing(node.body) and is_test(node.test):
        if not node.orelse:
            return decide_if(unit, node, False)
        if not is_elif(unit, node) and not is_elif(unit, node.orelse[0]):
            start, end = unit.span(node.test)
            simple = isinstance(node.test, ast.Name | ast.Call | ast.Attribute)
            test = f"not {unit.source(node.test)}" if simple else f"not ({unit.source(node.test)})"
            body = drop_pass_branch(unit, node)
            return [Edit(unit, start, end, test), *body] if body else []
    return []


def drop_pass_branch(unit: Unit, node: ast.If) -> list[Edit]:
    """Take the `pass` and the `else:` behind it out of an `if`, so that the other branch is its body."""
    start, end = unit.span(node.body[0])
    found = re.compile(r"\s*else:[^\n]*").match(unit.text, end)
    return [Edit(unit, start, found.end(), "pass")] if found else []


def needless_pass(unit: Unit, node: ast.Pass) -> Change:
    """`pass` beside other statements, or beneath a docstring."""
    parent = unit.parents[node]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block and len(block) > 1:
            return delete(unit, [node])
    return []


KEYWORDS = frozenset(
    [
        "return",
        "if",
        "elif",
        "while",
        "in",
        "not",
        "and",
        "or",
        "is",
        "else",
        "yield",
        "assert",
        "await",
        "from",
        "lambda",
    ]
)


def without_brackets(unit: Unit, node: ast.expr) -> Change:
    """`(x)` is `x` where the brackets only hold together what needs no holding."""
    start, end = unit.span(node)
    before, after = start - 1, end
    if before < 0 or unit.text[before] != "(" or unit.text[after : after + 1] != ")":
        return []
    ahead = unit.text[:before].rstrip(" ")
    word = re.search(r"(\w+)$", ahead)
    if (word and word[1] not in KEYWORDS) or ahead.endswith((")", "]", "}", '"', "'", "@")):
        return []
    parent = unit.parents[node]
    if isinstance(parent, ast.Tuple | ast.GeneratorExp | ast.ClassDef | FunctionNode | ast.With | ast.withitem):
        return []
    if isinstance(parent, ast.Call) and parent.func is not node and unit.span(parent.func)[1] == before:
        return []
    if isinstance(parent, ast.Attribute) and isinstance(node, ast.Constant):
        return []
    return [Edit(unit, before, after + 1, unit.text[start:end])] if "\n" not in unit.text[start:end] else []


def blank_runs(unit: Unit) -> str:
    """A unit's text in which runs of empty lines are one line, or two at the outermost level."""
    kept: list[str] = []
    for number, line in enumerate(unit.lines, 1):
        if number in unit.long_strings or line.strip():
            needless = bool(kept) and not kept[-1] and len(kept) > 1 and kept[-2].rstrip().endswith(":")
            if needless and line.startswith(" ") and number not in unit.long_strings:
                kept.pop()
            kept.append(line)
        elif not (len(kept) > 1 and not kept[-1] and (not kept[-2] or unit.kind != "main")):
            kept.append("")
    return "\n".join(kept).strip("\n")
