"""A generator's loops, laid out where they are consumed: `for step in train(...)` becomes the two visible loops."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

YIELDED = "YIELDED"  # in the code for a step, what the generator would have given


def unroll(
    function: Callable[..., Any],
    *,
    per_step: str,
    arguments: Mapping[str, str],
    before_epoch: str = "",
    per_epoch: str = "",
    indent: int = 4,
) -> str:
    """The body of the generator `function`, two nested `for` loops, with its `yield` replaced by `per_step`.

    arguments: the expressions that stand for its parameters. before_epoch, per_epoch: code before and after the inner
    loop. A `return` within the inner loop becomes `break`: `per_epoch` says whether to go on. indent: of the result.
    """
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    (outer,) = [node for node in definition.body if isinstance(node, ast.For)]
    (inner,) = [node for node in outer.body if isinstance(node, ast.For)]
    lines = source.splitlines()
    edits: list[tuple[int, int, int, str]] = []  # line, from, to, new text
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id in arguments:
            edits.append((node.lineno - 1, node.col_offset, node.end_col_offset or 0, arguments[node.id]))
        if isinstance(node, ast.Return):
            edits.append((node.lineno - 1, node.col_offset, node.end_col_offset or 0, "break"))
    for line, start, end, text in sorted(edits, reverse=True):
        raw = lines[line].encode()
        lines[line] = (raw[:start] + text.encode() + raw[end:]).decode()
    (given,) = [node for node in inner.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield)]
    assert isinstance(given.value, ast.Yield)
    assert given.value.value is not None
    assert given.end_lineno is not None
    value = "\n".join(lines[given.lineno - 1 : given.end_lineno]).strip().removeprefix("yield ")
    value = value.partition("  # ")[0]
    assert inner.end_lineno is not None
    assert outer.end_lineno == inner.end_lineno
    parts = [
        "\n".join(lines[outer.lineno - 1 : inner.lineno - 1]),
        indented(before_epoch, inner.col_offset),
        "\n".join(lines[inner.lineno - 1 : given.lineno - 1]),
        indented(per_step.replace(YIELDED, value), given.col_offset),
        "\n".join(lines[given.end_lineno : inner.end_lineno]),
        indented(per_epoch, inner.col_offset),
    ]
    return indented(textwrap.dedent("\n".join(part for part in parts if part)), indent)


def indented(code: str, columns: int) -> str:
    """`code`, dedented and moved right; nothing of nothing."""
    return textwrap.indent(textwrap.dedent(code).strip("\n"), " " * columns)
