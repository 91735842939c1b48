"""Refusals go: what the library would say of wrong data and arguments, it has said when the recipe was made.

A `raise` is never reached in the run that a script repeats, unless someone waits for it: inside `try` with a handler
that goes on, whatever may be called from there keeps what it raises.
"""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.caught import is_doomed, raises_to_keep
from satsuma.peel.trim.program import Change, Edit, Program, changes_of
from satsuma.peel.trim.purity import dotted_name, is_test
from satsuma.peel.trim.statements import (
    block_text,
    body_of,
    decide_if,
    delete,
    is_elif,
    line_end,
    line_start,
    own_block,
    stands_alone,
    terminates,
)
from satsuma.peel.trim.unit import FunctionNode, Unit, tree_nodes

WARNERS = ("warnings.warn", "warn_user")


def guards(program: Program) -> Iterator[Change]:
    """Edits that take refusals away."""
    kept, empty = raises_to_keep(program), empty_functions(program)
    for unit in program.library:
        yield from unit.once(changes_of, guards_of_unit, kept.intersection(unit.all(ast.Raise)), empty & unit.words)


def guards_of_unit(unit: Unit, kept: frozenset[ast.Raise], empty: frozenset[str]) -> Iterator[Change]:
    for node in unit.nodes:
        if isinstance(node, ast.Assert):
            yield delete(unit, [node])
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if dotted_name(node.value.func) in WARNERS or says_nothing(unit, node.value, empty):
                yield delete(unit, [node])
        elif isinstance(node, ast.If):
            yield without_doomed_branch(unit, node, kept)
        elif isinstance(node, ast.Try):
            yield without_handlers(unit, node, kept)
        elif isinstance(node, FunctionNode):
            yield without_doomed_end(unit, node, kept)


def empty_functions(program: Program) -> frozenset[str]:
    """Functions in which nothing is left to do."""
    return frozenset(
        name
        for name, (unit, node) in program.functions().items()
        if unit.kind != "main" and not node.decorator_list and not body_of(node)
    )


def says_nothing(unit: Unit, call: ast.Call, empty: frozenset[str]) -> bool:
    """Whether a call is one of an empty function, with arguments that only look."""
    if not (isinstance(call.func, ast.Name) and call.func.id in empty and unit.binder(call, call.func.id) is None):
        return False
    return all(is_test(a) for a in call.args) and all(is_test(k.value) for k in call.keywords)


def without_doomed_branch(unit: Unit, node: ast.If, kept: frozenset[ast.Raise]) -> Change:
    """An `if` of which one side only raises always takes the other."""
    if not is_test(node.test):
        return []
    if is_doomed(node.body, kept):
        return decide_if(unit, node, False)
    if node.orelse and is_doomed(node.orelse, kept):
        return decide_if(unit, node, True)
    return []


def without_handlers(unit: Unit, node: ast.Try, kept: frozenset[ast.Raise]) -> Change:
    """Handlers that only raise go, and the `try` with the last of them."""
    gone: list[ast.ExceptHandler] = []
    for handler in reversed(node.handlers):  # a later one would catch what an earlier one no longer does
        bare = {n for n in tree_nodes(handler) if isinstance(n, ast.Raise) and n.exc is None}  # hands on the same error
        if not is_doomed(handler.body, kept - bare):
            break
        gone.append(handler)
    if not gone:
        return []
    if len(gone) == len(node.handlers):
        if not node.finalbody:
            if not stands_alone(unit, node) or not own_block(unit, [*node.body, *node.orelse]):
                return []
            start, end = unit.span(node)
            begin = line_start(unit, start)
            indent = start - begin
            text = block_text(unit, node.body, indent)
            if node.orelse:
                text += "\n" + block_text(unit, node.orelse, indent)
            return [Edit(unit, begin, line_end(unit, end), text)]
        if node.orelse:
            return []
    edits = []
    for handler in gone:
        start, end = unit.span(handler)
        edits.append(Edit(unit, line_start(unit, start), line_end(unit, end) + 1, ""))
    return edits


def without_doomed_end(unit: Unit, node: FunctionNode, kept: frozenset[ast.Raise]) -> Change:
    """A function that ends in a `raise` after tests: the last test always holds. One that only raises does nothing."""
    body = body_of(node)
    doomed = 0
    while doomed < len(body) and is_doomed(body[-1 - doomed :], kept):
        doomed += 1
    if not doomed or any(isinstance(n, ast.Yield | ast.YieldFrom) for n in tree_nodes(node)):
        return []
    before = body[: len(body) - doomed]
    if not before:
        return delete(unit, body)
    last = before[-1]
    while isinstance(last, ast.If) and len(last.orelse) == 1 and is_elif(unit, last.orelse[0]):
        last = last.orelse[0]
    if isinstance(last, ast.If) and not last.orelse and is_test(last.test) and terminates(last.body):
        return [*decide_if(unit, last, True), *delete(unit, body[len(body) - doomed :])]
    if any(isinstance(n, ast.Return) and n.value is not None for n in tree_nodes(node)) and not terminates(before):
        return []
    return delete(unit, body[len(body) - doomed :])
