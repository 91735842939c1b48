"""Edits of whole statements: taking them away, and putting a block in the place of what encloses it."""

import ast
from collections.abc import Sequence

from satsuma.peel.trim.program import Edit
from satsuma.peel.trim.unit import FunctionNode, Unit

BLOCKS = ("body", "orelse", "finalbody")


def block_of(unit: Unit, statement: ast.stmt) -> list[ast.stmt]:
    """The list of statements that `statement` stands in."""
    parent = unit.parents[statement]
    for name in BLOCKS:
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    raise LookupError(ast.dump(statement))


def is_elif(unit: Unit, node: ast.AST) -> bool:
    parent = unit.parents.get(node)
    if not (isinstance(node, ast.If) and isinstance(parent, ast.If) and parent.orelse == [node]):
        return False
    return unit.text.startswith("elif", unit.span(node)[0])


def line_start(unit: Unit, place: int) -> int:
    return unit.text.rfind("\n", 0, place) + 1


def line_end(unit: Unit, place: int) -> int:
    found = unit.text.find("\n", place)
    return len(unit.text) if found < 0 else found


def stands_alone(unit: Unit, node: ast.AST) -> bool:
    """Whether no other code shares the lines of a statement."""
    start, end = unit.span(node)
    rest = unit.text[end : line_end(unit, end)].strip()
    return not unit.text[line_start(unit, start) : start].strip() and (not rest or rest.startswith("#"))


def with_comments(unit: Unit, start: int) -> int:
    """`start` of a line, or of the comment lines that stand directly above it at the same indent."""
    start = line_start(unit, start)
    line = unit.text[start : line_end(unit, start)]
    indent = line[: len(line) - len(line.lstrip())]
    while start > 0:
        above = line_start(unit, start - 1)
        if not unit.text[above : start - 1].startswith(indent + "#"):
            break
        start = above
    return start


def delete(unit: Unit, statements: Sequence[ast.stmt]) -> list[Edit]:
    """Take statements of one block away, with the comments above them; `pass` stands where nothing is left."""
    if not statements:
        return []
    block = block_of(unit, statements[0])
    gone = [s for s in block if s in statements]
    edits: list[Edit] = []
    empty = len(gone) == len(block) and not isinstance(unit.parents[gone[0]], ast.Module)
    for i, statement in enumerate(gone):
        start, end = unit.span(statement)
        if not stands_alone(unit, statement) or (empty and i == 0):
            edits.append(Edit(unit, start, end, "pass"))
            continue
        edits.append(Edit(unit, with_comments(unit, start), min(line_end(unit, end) + 1, len(unit.text)), ""))
    return edits


def block_text(unit: Unit, block: Sequence[ast.stmt], indent: int) -> str:
    """The lines of a block with the comments before it, moved to `indent` columns; no newline at the end."""
    first, last = block[0], block[-1]
    begin = with_comments(unit, unit.span(first)[0])
    end = line_end(unit, unit.span(last)[1])
    number = unit.text.count("\n", 0, begin) + 1
    start = unit.span(first)[0]
    by = indent - (start - line_start(unit, start))
    lines = []
    for i, line in enumerate(unit.text[begin:end].split("\n"), number):
        if i in unit.long_strings or not line.strip():
            lines.append(line)
        elif by < 0:
            lines.append(line[min(-by, len(line) - len(line.lstrip())) :])
        else:
            lines.append(" " * by + line)
    return "\n".join(lines)


def own_block(unit: Unit, block: Sequence[ast.stmt]) -> bool:
    """Whether a block stands on lines of its own, and not beside its header."""
    return all(stands_alone(unit, s) for s in block)


def replace_by_block(unit: Unit, statement: ast.stmt, block: Sequence[ast.stmt]) -> list[Edit]:
    """Put a block that lies inside `statement` in its place."""
    kept = [s for s in block if not isinstance(s, ast.Pass)]
    if not kept:
        return delete(unit, [statement])
    if not (stands_alone(unit, statement) and own_block(unit, block)):
        return []
    start, end = unit.span(statement)
    begin = line_start(unit, start)
    return [Edit(unit, begin, line_end(unit, end), block_text(unit, kept, start - begin))]


def decide_if(unit: Unit, node: ast.If, test: bool) -> list[Edit]:
    """Simplify an `if` (or `elif`) whose test is always `test`."""
    if not ((own_block(unit, node.body) and own_block(unit, node.orelse)) or unit_elif(unit, node)):
        return []
    start, end = unit.span(node)
    if is_elif(unit, node):
        if test:
            edits = [Edit(unit, start, header_end(unit, node), "else:")]
            if node.orelse:
                edits.append(Edit(unit, line_end(unit, unit.span(node.body[-1])[1]), line_end(unit, end), ""))
            return edits
        if not node.orelse:
            return [Edit(unit, with_comments(unit, start), min(line_end(unit, end) + 1, len(unit.text)), "")]
        return [Edit(unit, start, else_start(unit, node), "")]
    if test:
        return replace_by_block(unit, node, node.body)
    if not node.orelse:
        return delete(unit, [node])
    if is_elif(unit, node.orelse[0]):
        after = unit.span(node.orelse[0])[0]
        return [Edit(unit, start, after + 2, "")]  # "el" of "elif" goes too
    return replace_by_block(unit, node, node.orelse)


def unit_elif(unit: Unit, node: ast.If) -> bool:
    return own_block(unit, node.body) and len(node.orelse) == 1 and is_elif(unit, node.orelse[0])


def header_end(unit: Unit, node: ast.If) -> int:
    """Behind the colon of an `if`."""
    place = unit.span(node.test)[1]
    while unit.text[place] != ":":
        place += 1
    return place + 1


def else_start(unit: Unit, node: ast.If) -> int:
    """Where the `else` or `elif` of an `if` begins."""
    if is_elif(unit, node.orelse[0]):
        return unit.span(node.orelse[0])[0]
    place = line_end(unit, unit.span(node.body[-1])[1])
    start = unit.span(node)[0]
    margin = " " * (start - line_start(unit, start))
    return unit.text.index(f"\n{margin}else", place) + 1 + len(margin)


def drop_else(unit: Unit, node: ast.If | ast.For | ast.While | ast.Try) -> list[Edit]:
    """Take the `else:` block away."""
    last = node.handlers[-1].body[-1] if isinstance(node, ast.Try) and node.handlers else node.body[-1]
    end = line_end(unit, unit.span(node.orelse[-1])[1])
    return [Edit(unit, line_end(unit, unit.span(last)[1]), end, "")]


def terminates(block: Sequence[ast.stmt]) -> bool:
    """Whether what follows a block is never reached."""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    if isinstance(last, ast.If):
        return terminates(last.body) and terminates(last.orelse)
    return isinstance(last, ast.With) and False


def docstring_of(node: FunctionNode | ast.ClassDef) -> str:
    return ast.get_docstring(node) or ""


def body_of(node: FunctionNode | ast.ClassDef) -> list[ast.stmt]:
    """The body without docstring and `pass`."""
    rest = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return [s for s in rest if not isinstance(s, ast.Pass) and not is_ellipsis(s)]


def is_ellipsis(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value is ...
    )
