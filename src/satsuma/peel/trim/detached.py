"""`loss = loss.detach()` goes where the loss is but read as a number, which needs no detaching."""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.program import Change, Program
from satsuma.peel.trim.statements import delete
from satsuma.peel.trim.unit import Unit, tree_nodes


def needless_detach(program: Program) -> Iterator[Change]:
    """One change for each such statement."""
    return program.each(detached_in_unit)


def detached_in_unit(unit: Unit) -> Iterator[Change]:
    for node in unit.all(ast.Assign) if "detach" in unit.words else ():
        if is_own_detach(node) and only_read_as_number(unit, node):
            yield delete(unit, [node])


def is_own_detach(node: ast.Assign) -> bool:
    """Whether a statement is `name = name.detach()`."""
    target = node.targets[0]
    return isinstance(target, ast.Name) and ast.unparse(node) == f"{target.id} = {target.id}.detach()"


def only_read_as_number(unit: Unit, node: ast.Assign) -> bool:
    """Whether the name is set right before, in the same block, and all that reads it later is `.item()`."""
    target = node.targets[0]
    assert isinstance(target, ast.Name)
    scope = unit.scope_of(node)
    block = getattr(unit.parents[node], "body", [])
    if node not in block:
        return False
    before, after = block[: block.index(node)], block[block.index(node) + 1 :]
    if not any(isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == target.id for s in before):
        return False
    inside = {n for s in (*before, node) for n in tree_nodes(s)}
    for name in (n for n in tree_nodes(scope) if isinstance(n, ast.Name) and n.id == target.id):
        if name in inside:
            continue
        parent = unit.parents[name]
        if not isinstance(parent, ast.Attribute) or parent.attr != "item" or not isinstance(name.ctx, ast.Load):
            return False
        if not any(name in set(tree_nodes(s)) for s in after):
            return False
    return True
