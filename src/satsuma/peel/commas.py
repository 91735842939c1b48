"""Commas behind the last of several parts, which keep a row from standing on one line."""

import io
import tokenize
from keyword import iskeyword

OPENING, CLOSING = "([{", ")]}"


def without_last_commas(text: str) -> str:
    """`text` without the commas that stand before a closing bracket and mean nothing.

    >>> without_last_commas("f(a, b,)"), without_last_commas("while (a,) in x: f()"), without_last_commas("x[a,]")
    ('f(a, b)', 'while (a,) in x: f()', 'x[a,]')
    """
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type != tokenize.NL]
    gone: list[tuple[int, int]] = []
    open_rows: list[tuple[bool, int]] = []  # is it a call's or a signature's; commas so far
    for i, token in enumerate(tokens):
        if token.type != tokenize.OP:
            continue
        if token.string in OPENING:
            before = tokens[i - 1] if i else None
            joined = before is not None and (
                (before.type == tokenize.NAME and not iskeyword(before.string)) or before.string in (")", "]")
            )
            open_rows.append(((token.string == "(") == joined or token.string == "{", 0))
        elif token.string in CLOSING:
            row, commas = open_rows.pop()
            last = tokens[i - 1]
            if last.type == tokenize.OP and last.string == "," and (row or commas > 1):
                gone.append(last.start)
        elif token.string == "," and open_rows:
            open_rows[-1] = (open_rows[-1][0], open_rows[-1][1] + 1)
    lines = text.split("\n")
    for line, column in sorted(gone, reverse=True):
        lines[line - 1] = lines[line - 1][:column] + lines[line - 1][column + 1 :]
    return "\n".join(lines)
