"""The tokens of a piece of source: where brackets pair, which parentheses are needless, and where comments stand."""

import ast
import io
import tokenize
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

Position = tuple[int, int]  # line from 1, column in characters
LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER)
UNPARENTHESISED = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Call,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
)


@dataclass(slots=True)
class SourceText:
    """Source, with the questions that a formatter has about it."""

    text: str
    lines: list[str] = field(init=False)
    tokens: list[tokenize.TokenInfo] = field(init=False)  # those that mean something
    starts: list[Position] = field(init=False)
    comments: list[tokenize.TokenInfo] = field(init=False)
    pairs: dict[int, int] = field(init=False)  # index of a closing bracket → that of its opening one
    owned: set[int] = field(init=False)  # opening parentheses that belong to a call, a definition...
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.text.splitlines()
        found = list(tokenize.generate_tokens(io.StringIO(self.text).readline))
        self.comments = [token for token in found if token.type == tokenize.COMMENT]
        self.tokens = [token for token in found if token.type not in LAYOUT]
        self.starts = [token.start for token in self.tokens]
        self.pairs, self.owned, opened = {}, set(), []
        for i, token in enumerate(self.tokens):
            if token.type == tokenize.OP and token.string in ("(", "[", "{"):
                opened.append(i)
            elif token.type == tokenize.OP and token.string in (")", "]", "}"):
                self.pairs[i] = opened.pop()
        self.tree = ast.parse(self.text)
        for node in nodes_in_order(self.tree):
            if isinstance(node, ast.Call):
                self.owned.add(self.pairs[self.after(self.end(node)) - 1])
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.owned.add(self.after_keyword(node) + 2)
            elif isinstance(node, ast.With) and (node.items[0].optional_vars or len(node.items) > 1):
                self.owned.add(self.after(self.start(node)) + 1)
            elif isinstance(node, ast.ImportFrom):
                self.owned |= set(range(self.after(self.start(node)), self.after(self.end(node))))

    def after_keyword(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
        """The index of the token `def` or `class`."""
        i = self.after(self.start(node))
        while self.tokens[i].string not in ("def", "class"):
            i += 1
        return i

    def after(self, position: Position) -> int:
        """The index of the first token that starts at `position` or later."""
        return bisect_left(self.starts, position)

    def column(self, line: int, offset: int) -> Position:
        """From ast's columns, which count bytes."""
        text = self.lines[line - 1]
        return line, offset if text.isascii() else len(text.encode()[:offset].decode())

    def start(self, node: ast.AST) -> Position:
        return self.column(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> Position:
        return self.column(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def segment(self, start: Position, end: Position) -> str:
        if start[0] == end[0]:
            return self.lines[start[0] - 1][start[1] : end[1]]
        rows = [
            self.lines[start[0] - 1][start[1] :],
            *self.lines[start[0] : end[0] - 1],
            self.lines[end[0] - 1][: end[1]],
        ]
        return "\n".join(rows)

    def words(self, node: ast.AST) -> list[tokenize.TokenInfo]:
        return self.tokens[self.after(self.start(node)) : self.after(self.end(node))]

    def around(self, node: ast.expr) -> list[tuple[int, int]]:
        """The pairs of parentheses around an expression that are nobody else's, from the inside out."""
        first, after = self.after(self.start(node)) - 1, self.after(self.end(node))
        found = []
        while (
            first >= 0
            and after < len(self.tokens)
            and self.pairs.get(after) == first
            and self.tokens[first].string == "("
            and first not in self.owned
        ):
            found.append((first, after))
            first, after = first - 1, after + 1
        return found

    def parenthesised(self, node: ast.expr) -> bool:
        """Whether there are parentheses around it that are worth keeping."""
        if isinstance(node, UNPARENTHESISED) or (isinstance(node, ast.Constant) and not self.strings(node)):
            return isinstance(node, ast.Constant) and type(node.value) is int and bool(self.around(node))
        if isinstance(node, ast.Constant | ast.JoinedStr) and len(self.strings(node)) == 1:
            return False
        return bool(self.around(node))

    def strings(self, node: ast.expr) -> list[str]:
        """The literals that a string is put together from; none of another value."""
        if not isinstance(node, ast.JoinedStr) and not (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ):
            return []
        parts: list[str] = []
        depth, begin = 0, self.start(node)
        for token in self.words(node):
            kind = tokenize.tok_name[token.type]
            if kind == "FSTRING_START":
                begin, depth = (token.start if depth == 0 else begin), depth + 1
            elif kind == "FSTRING_END":
                depth -= 1
                if depth == 0:
                    parts.append(self.segment(begin, token.end))
            elif kind == "STRING" and depth == 0:
                parts.append(token.string)
        return parts

    def span(self, node: ast.expr) -> tuple[Position, Position]:
        """From where to where it goes, with all parentheses around it."""
        pairs = self.around(node)
        if not pairs:
            return self.start(node), self.end(node)
        return self.tokens[pairs[-1][0]].start, self.tokens[pairs[-1][1]].end


def nodes_in_order(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but for those within f-strings, which are text here."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from nodes_in_order(child)
