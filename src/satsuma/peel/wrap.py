"""Python source in the form that `ruff format` gives it, for code whose statements were changed in place."""

import ast
import tokenize
from dataclasses import dataclass, field

from satsuma.peel.wrap_code import INSIDE, ExpressionWriter, Item, Unsupported, bracket
from satsuma.peel.wrap_doc import SOFT, Comment, Doc, Group, Indent, Printer
from satsuma.peel.wrap_parentheses import if_broken, takes_comment, whole
from satsuma.peel.wrap_source import Position, SourceText

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BLOCKS = (*DEFINITIONS, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.ExceptHandler, ast.Match, ast.AsyncFor)


def wrapped(text: str) -> str:
    """`text` with each statement broken over lines as ruff would; what it cannot break stays as it is.

    The lines of a comment and those of a string of several lines stay too. The meaning is always that of `text`.
    """
    source = SourceText(text)
    found = Statements(source)
    found.collect(source.tree.body, 0)
    done = "\n".join(found.write()) + "\n"
    return done if ast.dump(stripped(ast.parse(done))) == ast.dump(stripped(source.tree)) else text


def stripped(tree: ast.Module) -> ast.Module:
    """With docstrings without the space at their lines' ends."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = "\n".join(line.rstrip() for line in node.value.value.strip().splitlines())
    return tree


@dataclass(frozen=True, slots=True)
class Head:
    """A statement, or the line with which one starts that holds others."""

    node: ast.AST
    start: Position
    end: Position
    depth: int
    decorator: bool = False


@dataclass(slots=True)
class Row:
    """Lines of the result that belong together, and what decides the blank lines before them."""

    text: str
    depth: int
    blank: int  # lines in the source
    kind: str  # "definition", "class", "import", "docstring", "comment", "clause", "code"
    opens: bool = False  # a block


@dataclass(slots=True)
class Statements:
    """The statements of one source, from top to bottom."""

    source: SourceText
    heads: list[Head] = field(default_factory=list)

    def collect(self, body: list[ast.stmt], depth: int) -> None:
        for node in body:
            for decorator in node.decorator_list if isinstance(node, DEFINITIONS) else ():
                start, end = self.source.span(decorator)
                self.heads.append(Head(decorator, (start[0], start[1] - 1), end, depth, decorator=True))
            self.collect_node(node, depth)

    def collect_node(self, node: ast.stmt | ast.ExceptHandler, depth: int) -> None:
        start = self.source.start(node)
        if not isinstance(node, BLOCKS):
            self.heads.append(Head(node, start, self.source.end(node), depth))
            return
        if not isinstance(node, ast.Try):
            self.heads.append(Head(node, start, self.colon(start), depth))
        if verbatim_block(node):
            self.heads[-1] = Head(node, start, self.source.end(node), depth)
            return
        assert not isinstance(node, ast.Match)
        self.collect(node.body, depth + 1)
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                self.collect_node(handler, depth)
        other = getattr(node, "orelse", [])
        if len(other) == 1 and isinstance(other[0], ast.If) and self.word(other[0]) == "elif":
            self.collect_node(other[0], depth)
        else:
            self.collect(other, depth + 1)
        self.collect(getattr(node, "finalbody", []), depth + 1)

    def word(self, node: ast.AST) -> str:
        return self.source.tokens[self.source.after(self.source.start(node))].string

    def colon(self, start: Position) -> Position:
        """The end of the colon that ends the head of a block."""
        depth = 0
        for token in self.source.tokens[self.source.after(start) :]:
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if token.string == ":" and depth == 0:
                    return token.end
        raise AssertionError("a block without a colon")

    def write(self) -> list[str]:
        """The lines of the result."""
        rows: list[Row] = []
        lines, line, blank = self.source.lines, 1, 0
        heads = sorted(self.heads, key=lambda head: head.start)
        for head in heads:
            while line < head.start[0]:
                blank = self.other_line(lines[line - 1], blank, rows)
                line += 1
            rows.append(Row(self.written(head), head.depth, blank, kind_of(head, rows), is_block(head)))
            line, blank = max(line, head.end[0] + 1), 0
        for text in lines[line - 1 :]:
            blank = self.other_line(text, blank, rows)
        return with_blank_lines(rows)

    def other_line(self, text: str, blank: int, rows: list[Row]) -> int:
        """A line that no statement starts: blank, a comment, or `else:`."""
        if not text.strip():
            return blank + 1
        comment = text.lstrip().startswith("#")
        depth = (len(text) - len(text.lstrip())) // 4
        rows.append(Row(text.rstrip(), depth, blank, "comment" if comment else "clause", not comment))
        return 0

    def written(self, head: Head) -> str:
        """The head, wrapped; as it is where it cannot be."""
        comments = [c for c in self.source.comments if head.start <= c.start and c.start[0] <= head.end[0]]
        last = comments[-1] if comments and comments[-1].start >= head.end else None
        writer = ExpressionWriter(self.source)
        verbatim = "\n".join(row.rstrip() for row in self.source.lines[head.start[0] - 1 : head.end[0]])
        if is_docstring(head.node):
            return docstring(verbatim)
        if last is not None and last.string.startswith("# fmt: skip"):
            return verbatim
        try:
            doc = HeadWriter(writer, None if last is None else Comment(last.string)).head(head)
        except Unsupported:
            return verbatim
        if last is not None:
            writer.taken.add(last.start)
        if any(comment.start not in writer.taken for comment in comments):
            return verbatim
        done = Printer(head.depth * 4).print(doc)
        return done if all(comment.string in done for comment in comments) else verbatim


def kind_of(head: Head, rows: list[Row]) -> str:
    if head.decorator or isinstance(head.node, DEFINITIONS):
        if rows and rows[-1].kind == "decorator":
            return "decorator" if head.decorator else "decorated"
        return "decorator" if head.decorator else "definition"
    if isinstance(head.node, ast.Import | ast.ImportFrom):
        return "import"
    if is_docstring(head.node):
        return "docstring"
    if isinstance(head.node, ast.ExceptHandler):
        return "clause"
    return "code"


def is_block(head: Head) -> bool:
    return isinstance(head.node, BLOCKS) and not head.decorator and not verbatim_block(head.node)


def verbatim_block(node: ast.AST) -> bool:
    """A block that is one row."""
    return isinstance(node, ast.Match) or is_stub(node)


def is_stub(node: ast.AST) -> bool:
    """A definition with `...` for a body."""
    return isinstance(node, DEFINITIONS) and len(node.body) == 1 and ast.unparse(node.body[0]) == "..."


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def docstring(text: str) -> str:
    """Without lines that are left empty before its end."""
    quotes = '"""'
    if not text.rstrip().endswith(quotes) or "\n" not in text:
        return text
    body = text.rstrip().removesuffix(quotes)
    rows = body.splitlines()
    while not rows[-1].strip():
        rows.pop()
    if len(rows) == 1:
        return rows[0].rstrip() + quotes
    if body.rstrip(" ").endswith("\n"):
        indent = len(text) - len(text.lstrip())
        return "\n".join([*rows, " " * indent + quotes])
    return "\n".join(rows) + quotes


def with_blank_lines(rows: list[Row]) -> list[str]:
    """The rows' lines, with as many blank ones between them as ruff wants."""
    lines: list[str] = []
    before: dict[int, str] = {}  # depth → kind of what came last there
    inside: list[bool] = []  # by depth: whether the block is a class's
    for number, row in enumerate(rows):
        previous = rows[number - 1] if number else None
        count = min(row.blank, 1 if row.depth else 2)
        apart = 1 if row.depth else 2
        following = next((r for r in rows[number:] if r.kind != "comment"), None)
        defines = (
            following is not None and following.kind in ("definition", "decorator") and following.depth == row.depth
        )
        attached = previous is not None and previous.kind == "comment" and previous.depth == row.depth
        starts_definition = (
            defines and not (attached and count == 0) and (row.kind != "comment" or touches(rows, number))
        )
        if previous is None or previous.opens or previous.kind == "decorator" or row.kind == "clause":
            count = 0
        elif starts_definition or (before.get(row.depth) == "definition" and previous.depth > row.depth):
            count = apart
        elif (
            previous.kind == "docstring" and previous.depth == row.depth and inside[row.depth : row.depth + 1] == [True]
        ):
            count = 1
        elif previous.kind == "import" and row.kind not in ("import", "comment") and previous.depth == row.depth:
            count = max(count, 1)
        lines += [""] * count
        lines += row.text.split("\n")
        for depth in [depth for depth in before if depth > row.depth]:
            del before[depth]
        before[row.depth] = "definition" if row.kind in ("definition", "decorated") else row.kind
        del inside[row.depth + 1 :]
        inside += [False] * (row.depth + 2 - len(inside))
        inside[row.depth + 1] = row.opens and row.text.lstrip().startswith("class ")
    return lines


def touches(rows: list[Row], number: int) -> bool:
    """Whether the comment at `number` stands right above the definition that follows."""
    while rows[number].kind == "comment":
        number += 1
        if rows[number].blank:
            return False
    return True


@dataclass(slots=True)
class HeadWriter:
    """Documents for statements and the heads of blocks."""

    writer: ExpressionWriter
    comment: Comment | None  # at the end of its line

    def head(self, head: Head) -> Doc:
        if head.decorator:
            assert isinstance(head.node, ast.expr)
            return [["@", self.writer.expression(head.node, None)], self.tail()]
        doc = self.statement(head.node, head)
        end = ": ..." if is_stub(head.node) else ":" if isinstance(head.node, BLOCKS) else ""
        return [doc, end, self.tail()]

    def tail(self) -> Doc:
        return [] if self.comment is None else self.comment

    def value(self, node: ast.expr, *, returned: bool = False) -> Doc:
        """The last expression of a statement, which may take the comment with it."""
        if self.comment is None or not takes_comment(node, self.writer.source):
            return whole(self.writer, node, returned=returned)
        comment, self.comment = self.comment, None
        return whole(self.writer, node, comment)

    def all_of(self, node: ast.expr) -> Doc:
        return whole(self.writer, node)

    def target(self, node: ast.expr) -> Doc:
        if isinstance(node, ast.Tuple) and not self.writer.is_wrapped_tuple(node) and len(node.elts) > 1:
            return whole(self.writer, node)
        return self.writer.expression(node, None, keep=False)

    def flat(self, node: ast.expr) -> Doc:
        """On one line."""
        printed = Printer(-10_000).print(self.writer.expression(node, None, keep=False))
        if "\n" in printed:
            raise Unsupported("several lines")
        return printed

    def statement(self, node: ast.AST, head: Head) -> Doc:
        match node:
            case ast.Expr(value=ast.Yield(value=value)):
                return "yield" if value is None else ["yield ", self.value(value)]
            case ast.Expr(value=ast.YieldFrom(value=value)):
                return ["yield from ", self.all_of(value)]
            case ast.Delete(targets=[target]):
                return ["del ", self.all_of(target)]
            case ast.ExceptHandler(type=ast.expr() as caught):
                return ["except ", self.all_of(caught), f" as {node.name}" if node.name else ""]
            case ast.Expr():
                return self.all_of(node.value)
            case ast.Assign():
                targets: list[Doc] = [[self.target(t), " = "] for t in node.targets]
                return [*targets, self.value(node.value)]
            case ast.AnnAssign():
                named: Doc = [
                    self.writer.expression(node.target, None),
                    ": ",
                    self.all_of(node.annotation),
                ]
                return named if node.value is None else [named, " = ", self.value(node.value)]
            case ast.AugAssign():
                operator = self.writer.source.tokens[
                    self.writer.source.after(self.writer.source.span(node.target)[1])
                ].string
                return [self.writer.expression(node.target, None), f" {operator} ", self.value(node.value)]
            case ast.Return():
                return "return" if node.value is None else ["return ", self.value(node.value, returned=True)]
            case ast.Assert():
                message: Doc = [] if node.msg is None else [", ", self.all_of(node.msg)]
                return ["assert ", self.all_of(node.test), message]
            case ast.Raise(exc=ast.expr() as error):
                cause: Doc = [] if node.cause is None else [" from ", self.writer.expression(node.cause, None)]
                return ["raise ", self.all_of(error), cause]
            case ast.If() | ast.While():
                return [
                    self.writer.source.tokens[self.writer.source.after(head.start)].string,
                    " ",
                    self.all_of(node.test),
                ]
            case ast.For():
                return ["for ", self.writer.expression(node.target, None, keep=False), " in ", self.all_of(node.iter)]
            case ast.With():
                return ["with ", self.managers(node)]
            case ast.FunctionDef():
                return self.function(node)
            case ast.ClassDef():
                return self.class_head(node)
            case ast.ImportFrom():
                return self.import_from(node)
        text = self.writer.plain(head.start, head.end)
        return text.removesuffix(":") if isinstance(node, BLOCKS) else text

    def managers(self, node: ast.With) -> Doc:
        first = node.items[0]
        if len(node.items) == 1 and first.optional_vars is None:
            return self.all_of(first.context_expr)
        if len(node.items) == 1:
            assert first.optional_vars is not None
            return [self.writer.expression(first.context_expr, None), " as ", self.flat(first.optional_vars)]
        items = []
        for each in node.items:
            start, end = self.writer.source.span(each.context_expr)
            doc: Doc = self.writer.expression(each.context_expr, INSIDE)
            if each.optional_vars is not None:
                doc, end = [doc, " as ", self.flat(each.optional_vars)], self.writer.source.span(each.optional_vars)[1]
            items.append(Item(doc, start, end))
        return if_broken(self.writer.joined(items, items[0].start, items[-1].end))

    def function(self, node: ast.FunctionDef) -> Doc:
        source = self.writer.source
        opening = source.after_keyword(node) + 2
        closing = next(close for close, opened in source.pairs.items() if opened == opening)
        items = self.parameters(node.args)
        if not items:
            returns: Doc = [] if node.returns is None else [" -> ", self.flat(node.returns)]
            return [f"def {node.name}()", returns]
        returns = [] if node.returns is None else [" -> ", self.all_of(node.returns)]
        inner = self.writer.joined(items, source.tokens[opening].start, source.tokens[closing].end, always=True)
        one = len([item for item in items if item.doc not in ("*", "/")]) == 1
        comment = self.writer.opened.get(source.tokens[opening].start)
        behind: Doc = [] if comment is None else Comment(comment)
        return Group([f"def {node.name}(", behind, Indent([SOFT, inner if one else Group(inner)]), SOFT, ")", returns])

    def parameters(self, given: ast.arguments) -> list[Item]:
        source = self.writer.source
        items: list[Item] = []
        positional = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
        for number, (each, default) in enumerate(zip(positional, defaults, strict=True)):
            items.append(self.parameter(each, default))
            if number + 1 == len(given.posonlyargs):
                items.append(self.mark("/", items[-1].end))
        if given.vararg is not None:
            items.append(self.parameter(given.vararg, None, "*"))
        elif given.kwonlyargs:
            before = items[-1].end if items else self.before(source.start(given.kwonlyargs[0]))
            items.append(self.mark("*", before))
        for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            items.append(self.parameter(each, default))
        if given.kwarg is not None:
            items.append(self.parameter(given.kwarg, None, "**"))
        return items

    def before(self, position: Position) -> Position:
        """Before the `*,` that stands before `position`."""
        return self.writer.source.tokens[self.writer.source.after(position) - 2].start

    def mark(self, sign: str, after: Position) -> Item:
        for token in self.writer.source.tokens[self.writer.source.after(after) :]:
            if token.string == sign:
                return Item(sign, token.start, token.end)
        raise AssertionError(f"no {sign} in the parameters")

    def parameter(self, node: ast.arg, default: ast.expr | None, stars: str = "") -> Item:
        start, end = self.writer.source.start(node), self.writer.source.end(node)
        doc: list[Doc] = [stars, node.arg]
        if node.annotation is not None:
            doc += [": ", self.writer.expression(node.annotation, INSIDE, keep=False)]
        if default is not None:
            equal = "=" if node.annotation is None else " = "
            doc += [equal, self.writer.expression(default, INSIDE, keep=self.writer.keeps(default))]
            end = self.writer.source.span(default)[1]
        return Item(doc, (start[0], start[1] - len(stars)), end)

    def class_head(self, node: ast.ClassDef) -> Doc:
        source = self.writer.source
        given: list[ast.expr | ast.keyword] = [*node.bases, *node.keywords]
        opening = source.after_keyword(node) + 2
        if not given:
            return f"class {node.name}"
        closing = next(close for close, opened in source.pairs.items() if opened == opening)
        items = [self.writer.argument(each) for each in given]
        inner = self.writer.joined(items, source.tokens[opening].start, source.tokens[closing].end)
        return [f"class {node.name}", bracket("(", Group(inner), ")", None)]

    def import_from(self, node: ast.ImportFrom) -> Doc:
        items = [
            Item(
                a.name if a.asname is None else f"{a.name} as {a.asname}",
                self.writer.source.start(a),
                self.writer.source.end(a),
            )
            for a in node.names
        ]
        head = f"from {'.' * node.level}{node.module or ''} import "
        return [head, if_broken(self.writer.joined(items, items[0].start, self.writer.source.end(node), always=True))]
