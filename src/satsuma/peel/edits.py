"""Source text changed at places that its syntax tree tells, so that all else, comments too, stays as it is."""

import ast
from dataclasses import dataclass, field


@dataclass(slots=True)
class Text:
    """Source text, its tree, and the changes to be made to it: (from, to, what stands there instead), in bytes."""

    code: str
    raw: bytes = b""
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    starts: list[int] = field(default_factory=list)
    changes: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.raw, self.tree = self.code.encode(), ast.parse(self.code)
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def begin(self, node: ast.AST) -> int:
        return self.starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined, no-any-return]

    def end(self, node: ast.AST) -> int:
        return self.starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined, no-any-return]

    def outer(self, node: ast.AST) -> tuple[int, int]:
        """From where to where a node stands, with the parentheses around what a method is called on."""
        begin, end = self.begin(node), self.end(node)
        while self.raw[end : end + 1] == b")" and self.raw[begin - 1 : begin] == b"(":
            begin, end = begin - 1, end + 1
        return begin, end

    def source(self, node: ast.AST) -> str:
        return self.raw[self.begin(node) : self.end(node)].decode()

    def change(self, begin: int, end: int, new: str) -> None:
        self.changes.append((begin, end, new))

    def change_node(self, node: ast.AST, new: str) -> None:
        self.change(self.begin(node), self.end(node), new)

    def line_of(self, node: ast.AST) -> tuple[int, int]:
        """From the start of a statement's first line (or decorator's) to the end of its last."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])  # type: ignore[attr-defined]
        return self.starts[first - 1], self.starts[node.end_lineno]  # type: ignore[attr-defined]

    def remove_lines(self, node: ast.AST) -> None:
        """Take a statement's lines out, and empty ones after it; `pass` stands in where it shares a line."""
        begin, end = self.line_of(node)
        before = self.raw[begin : self.begin(node)].strip()
        if self.raw[self.end(node) : end].strip().startswith(b";") or (before and not before.startswith(b"@")):
            self.change_node(node, "pass")
            return
        while end < len(self.raw) and self.raw[end : self.starts[self.starts.index(end) + 1]].strip() == b"":
            end = self.starts[self.starts.index(end) + 1]
        self.change(begin, end, "")

    def changed(self) -> str:
        """The text with all changes made; of two that overlap, the one that takes in the other counts."""
        raw, place, parts = self.raw, 0, []
        for begin, end, new in sorted(self.changes, key=lambda change: (change[0], change[1] != change[0], -change[1])):
            if begin < place:
                continue
            parts += [raw[place:begin], new.encode()]
            place = end
        return b"".join([*parts, raw[place:]]).decode()


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
