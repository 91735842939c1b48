"""Expressions as documents that break where ruff breaks them."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from satsuma.peel.wrap_doc import HARD, SOFT, SPACE, Choice, Comment, Doc, FitsBroken, Group, Indent
from satsuma.peel.wrap_source import Position, SourceText

Level = Group | str | None  # in optional parentheses; "in" brackets; outside of any
INSIDE = "in"
BRACKETED = (ast.List, ast.Set, ast.Dict, ast.Tuple, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SYMBOLS: dict[type, tuple[str, int]] = {  # how it is written, how strongly it binds (less: stronger)
    ast.Pow: ("**", 2),
    ast.Mult: ("*", 4),
    ast.MatMult: ("@", 4),
    ast.Div: ("/", 4),
    ast.FloorDiv: ("//", 4),
    ast.Mod: ("%", 4),
    ast.Add: ("+", 5),
    ast.Sub: ("-", 5),
    ast.LShift: ("<<", 6),
    ast.RShift: (">>", 6),
    ast.BitAnd: ("&", 7),
    ast.BitXor: ("^", 8),
    ast.BitOr: ("|", 9),
    ast.Eq: ("==", 10),
    ast.NotEq: ("!=", 10),
    ast.Lt: ("<", 10),
    ast.LtE: ("<=", 10),
    ast.Gt: (">", 10),
    ast.GtE: (">=", 10),
    ast.Is: ("is", 10),
    ast.IsNot: ("is not", 10),
    ast.In: ("in", 10),
    ast.NotIn: ("not in", 10),
    ast.And: ("and", 12),
    ast.Or: ("or", 13),
}
UNARY: dict[type, str] = {ast.Not: "not ", ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}


class Unsupported(Exception):  # noqa: N818  no error: the statement stays as it is
    """Code that is left as it stands."""


@dataclass(slots=True)
class Item:
    """One of several between commas: its document, and from where to where it goes."""

    doc: Doc
    start: Position
    end: Position


@dataclass(slots=True)
class ExpressionWriter:
    """Documents for the expressions of one source."""

    source: SourceText
    taken: set[Position] = field(default_factory=set)  # comments that are in a document
    opened: dict[Position, str] = field(default_factory=dict)  # comments behind the bracket that opens there

    def expression(self, node: ast.expr, level: Level, *, keep: bool = True) -> Doc:
        """keep: whether parentheses around it are kept."""
        if keep and self.source.parenthesised(node):
            return bracket("(", self.bare(node, INSIDE), ")", level)
        return self.bare(node, level)

    def bare(self, node: ast.expr, level: Level) -> Doc:
        match node:
            case ast.Name():
                return node.id
            case ast.Constant() | ast.JoinedStr():
                return self.literal(node, level)
            case ast.Attribute() | ast.Call() | ast.Subscript():
                return self.chain(node, level)
            case ast.BinOp() | ast.BoolOp() | ast.Compare():
                return only_group(self.operators(self.flattened(node), level), level)
            case ast.UnaryOp():
                return [UNARY[type(node.op)], self.expression(node.operand, level)]
            case ast.IfExp():
                return only_group(self.conditional(node, level), level)
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict():
                return self.collection(node, level)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self.comprehension(node, level)
            case ast.Starred():
                return ["*", self.expression(node.value, level)]
            case ast.NamedExpr():
                return [self.bare(node.target, level), " := ", self.expression(node.value, level)]
            case ast.Lambda():
                parameters = self.plain(self.source.start(node), self.source.span(node.body)[0])
                return [parameters, " ", self.expression(node.body, level)]
            case ast.Slice():
                return self.slice(node)
            case ast.Await():
                return ["await ", self.expression(node.value, level)]
        raise Unsupported(type(node).__name__)

    def plain(self, start: Position, end: Position) -> str:
        """Source text as it is, in one line."""
        text = self.source.segment(start, end)
        if "\n" in text:
            raise Unsupported("several lines of text")
        return text.strip()

    def literal(self, node: ast.Constant | ast.JoinedStr, level: Level) -> Doc:
        parts = [normal_quotes(part) for part in self.source.strings(node)]
        if not parts:
            return self.plain(self.source.start(node), self.source.end(node))
        if any("\n" in part for part in parts):
            raise Unsupported("a string of several lines")
        if len(parts) == 1:
            return parts[0]
        broken: list[Doc] = [parts[0]]
        for part in parts[1:]:
            broken += [only_line(level, SPACE), part]
        one = joined_string(parts)
        if one is None:
            return only_group(broken, level)
        return Choice(broken, one, level) if isinstance(level, Group) else Group(Choice(broken, one))

    def chain(self, node: ast.expr, level: Level) -> Doc:
        """Attributes, calls and subscripts one after another; from two calls on, broken before their dots."""
        fluent = is_fluent(node, self.source)
        links: list[Doc] = []
        current: ast.expr = node
        while True:
            match current:
                case ast.Attribute():
                    links.append("." + current.attr)
                    inner = current.value
                    after_call = isinstance(inner, ast.Call | ast.Subscript) or self.source.parenthesised(inner)
                    if fluent and after_call:
                        links.append(only_line(level, SOFT))
                case ast.Call():
                    links.append(self.arguments(current, level))
                    inner = current.func
                case ast.Subscript():
                    links.append(self.subscript(current, level))
                    inner = current.value
                case _:
                    break
            current = inner
            if self.source.parenthesised(current):
                break
        links.append(self.expression(current, level))
        parts: Doc = list(reversed(links))
        if not fluent:
            return parts
        return only_group(parts, level)

    def arguments(self, node: ast.Call, level: Level) -> Doc:
        start = self.source.span(node.func)[1]
        given: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        if not given:
            return "()"
        if len(given) == 1 and isinstance(given[0], ast.GeneratorExp):
            return bracket("(", self.comprehension_parts(given[0]), ")", level)
        given.sort(key=self.source.start)
        items = [self.argument(each) for each in given]
        content = Group(self.joined(items, start, self.source.end(node)))
        return bracket("(", content, ")", level, self.opened.get(start))

    def argument(self, node: ast.expr | ast.keyword) -> Item:
        if isinstance(node, ast.keyword):
            head = "**" if node.arg is None else f"{node.arg}="
            value = self.expression(node.value, INSIDE, keep=node.arg is None or self.keeps(node.value))
            return Item([head, value], self.source.start(node), self.source.span(node.value)[1])
        return self.item(node)

    def item(self, node: ast.expr) -> Item:
        return Item(self.expression(node, INSIDE, keep=self.keeps(node)), *self.source.span(node))

    def keeps(self, node: ast.expr) -> bool:
        """Whether parentheses around an item between commas stay."""
        if isinstance(node, ast.NamedExpr | ast.Lambda | ast.IfExp | ast.Yield | ast.Starred):
            return True
        return len(self.source.strings(node)) > 1

    def subscript(self, node: ast.Subscript, level: Level) -> Doc:
        part = node.slice
        if isinstance(part, ast.Tuple) and not self.is_wrapped_tuple(part) and part.elts:
            items = [self.item(each) for each in part.elts]
            start, end = self.source.span(node.value)[1], self.source.end(node)
            return bracket("[", Group(self.joined(items, start, end, single=len(items) == 1)), "]", level)
        return bracket("[", self.expression(part, INSIDE, keep=False), "]", level)

    def is_wrapped_tuple(self, node: ast.Tuple) -> bool:
        words = self.source.words(node)
        if not words or words[0].string != "(":
            return False
        first = self.source.after(self.source.start(node))
        return self.source.pairs.get(self.source.after(self.source.end(node)) - 1) == first

    def slice(self, node: ast.Slice) -> Doc:
        parts = [part for part in (node.lower, node.upper, node.step) if part is not None]
        apart = " " if any(not is_simple(part) for part in parts) else ""
        doc: list[Doc] = []
        if node.lower is not None:
            doc += [self.expression(node.lower, INSIDE), apart]
        doc.append(":")
        if node.upper is not None:
            doc += [apart, self.expression(node.upper, INSIDE)]
        if node.step is not None:
            doc += [apart if node.upper is not None else "", ":", apart, self.expression(node.step, INSIDE)]
        return doc

    def collection(self, node: ast.Tuple | ast.List | ast.Set | ast.Dict, level: Level) -> Doc:
        start, end = self.source.start(node), self.source.end(node)
        if isinstance(node, ast.Dict):
            items = [self.pair(key, value) for key, value in zip(node.keys, node.values, strict=True)]
            left, right = "{", "}"
        else:
            items = [self.item(each) for each in node.elts]
            brackets = {ast.List: "[]", ast.Set: "{}", ast.Tuple: "()"}[type(node)]
            left, right = brackets[0], brackets[1]
        if isinstance(node, ast.Tuple) and not self.is_wrapped_tuple(node):
            if len(items) == 1:
                return [items[0].doc, ","]
            flat: list[Doc] = [items[0].doc]
            for each in items[1:]:
                flat += [", ", each.doc]
            return flat
        if not items:
            return left + right
        single = isinstance(node, ast.Tuple) and len(items) == 1
        content = self.joined(items, start, end, single=single)
        return bracket(left, content, right, level, self.opened.get(start))

    def pair(self, key: ast.expr | None, value: ast.expr) -> Item:
        doc = self.expression(value, INSIDE, keep=self.keeps(value))
        if key is None:
            start, end = self.source.span(value)
            return Item(["**", doc], (start[0], start[1] - 2), end)
        return Item(
            [Group(self.expression(key, INSIDE)), ": ", doc], self.source.span(key)[0], self.source.span(value)[1]
        )

    def joined(
        self, items: Sequence[Item], start: Position, end: Position, *, single: bool = False, always: bool = False
    ) -> Doc:
        """Items between the brackets that start and end there, one a line if they break, with their comments.

        single: a tuple of one. always: a comma is also set behind an only item that breaks.
        """
        doc: list[Doc] = []
        comments = [c for c in self.source.comments if start <= c.start < end]
        magic = not single and self.has_magic_comma(items[-1].end, end)
        for number, item in enumerate(items):
            last = number == len(items) - 1
            before = [c for c in comments if c.start < item.start and c.start not in self.taken]
            for comment in before:
                if not self.source.lines[comment.start[0] - 1][: comment.start[1]].isspace():
                    if number or start in self.opened:
                        raise Unsupported("a comment in an odd place")
                    self.opened[start] = comment.string
                    self.taken.add(comment.start)
                    doc.append(Group("", broken=True))
                    continue
                self.taken.add(comment.start)
                doc += [comment.string, HARD]
            doc.append(item.doc)
            until = end if last else items[number + 1].start
            trailing = [c for c in comments if item.end <= c.start < until and c.start[0] == item.end[0]]
            doc.append("," if not last or single else Choice(",", "") if len(items) > 1 or always or magic else "")
            for comment in trailing:
                self.taken.add(comment.start)
                doc += [Comment(comment.string), Group("", broken=True)]
            doc.append(SPACE if not last else "")
        for comment in comments:
            if comment.start >= items[-1].end and comment.start not in self.taken:
                self.taken.add(comment.start)
                doc += [HARD, comment.string]
        if magic:
            doc.append(Group("", broken=True))
        return doc

    def has_magic_comma(self, start: Position, end: Position) -> bool:
        words = self.source.tokens[self.source.after(start) : self.source.after(end)]
        return bool(words) and words[0].string == ","

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, level: Level) -> Doc:
        brackets = {ast.ListComp: "[]", ast.GeneratorExp: "()"}.get(type(node), "{}")
        return bracket(brackets[0], self.comprehension_parts(node), brackets[1], level)

    def comprehension_parts(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Group:
        if isinstance(node, ast.DictComp):
            head: Doc = [
                Group(self.expression(node.key, INSIDE)),
                ": ",
                self.expression(node.value, INSIDE, keep=self.keeps(node.value)),
            ]
        else:
            head = self.expression(node.elt, INSIDE)
        doc: list[Doc] = [Group(head)]
        for clause in node.generators:
            target = self.expression(clause.target, INSIDE, keep=False)
            iterated = self.expression(clause.iter, INSIDE)
            doc += [SPACE, Group(["async " if clause.is_async else "", "for ", target, " in ", iterated])]
            for test in clause.ifs:
                doc += [SPACE, Group(["if ", self.expression(test, INSIDE, keep=False)])]
        return Group(doc)

    def conditional(self, node: ast.IfExp, level: Level) -> Doc:
        doc: list[Doc] = [
            self.expression(node.body, level),
            only_line(level, SPACE),
            "if ",
            self.expression(node.test, level),
            only_line(level, SPACE),
            "else ",
        ]
        other = node.orelse
        if isinstance(other, ast.IfExp) and not self.source.parenthesised(other):
            return [*doc, self.conditional(other, level)]
        return [*doc, self.expression(other, level)]

    def flattened(self, node: ast.expr) -> list[ast.expr | ast.operator | ast.cmpop | ast.boolop]:
        """Operands and operators in the order they stand, into operands that have no parentheses."""
        if isinstance(node, ast.BinOp):
            return [*self.operand(node.left), node.op, *self.operand(node.right)]
        if isinstance(node, ast.Compare):
            found: list[ast.expr | ast.operator | ast.cmpop | ast.boolop] = self.operand(node.left)
            for operator, right in zip(node.ops, node.comparators, strict=True):
                found += [operator, *self.operand(right)]
            return found
        assert isinstance(node, ast.BoolOp)
        found = self.operand(node.values[0])
        for value in node.values[1:]:
            found += [node.op, *self.operand(value)]
        return found

    def operand(self, node: ast.expr) -> list[ast.expr | ast.operator | ast.cmpop | ast.boolop]:
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare) and not self.source.parenthesised(node):
            return self.flattened(node)
        return [node]

    def operators(self, parts: list[ast.expr | ast.operator | ast.cmpop | ast.boolop], level: Level) -> Doc:
        """Broken before the operators that bind least; what binds more stays together as long as it fits."""
        if len(parts) == 1:
            assert isinstance(parts[0], ast.expr)
            return self.expression(parts[0], level)
        weakest = max(SYMBOLS[type(part)][1] for part in parts[1::2])
        doc: list[Doc] = []
        begin = 0
        for i in [*range(1, len(parts), 2), len(parts)]:
            if i < len(parts) and SYMBOLS[type(parts[i])][1] < weakest:
                continue
            piece = parts[begin:i]
            doc.append(
                self.operators(piece, level) if len(piece) == 1 else only_group(self.operators(piece, level), level)
            )
            if i < len(parts):
                hugged = isinstance(parts[i], ast.Pow) and all(
                    self.is_simple_power(p) for p in (parts[i - 1], parts[i + 1])
                )
                doc.append(only_line(level, SOFT if hugged else SPACE))
                doc.append(SYMBOLS[type(parts[i])][0] + ("" if hugged else " "))
            begin = i + 1
        return doc

    def is_simple_power(self, node: object) -> bool:
        """Whether no spaces stand around `**` beside it."""
        if not isinstance(node, ast.expr) or self.source.parenthesised(node):
            return False
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            node = node.operand
        while isinstance(node, ast.Attribute):
            node = node.value
            if not isinstance(node, ast.Name | ast.Attribute):
                return False
        number = isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)
        return number or isinstance(node, ast.Name)


def bracket(left: str, content: Doc, right: str, level: Level, comment: str | None = None) -> Doc:
    doc: Doc = [left, [] if comment is None else Comment(comment), Group([Indent([SOFT, content]), SOFT]), right]
    return FitsBroken(doc, level) if isinstance(level, Group) else doc


def only_line(level: Level, line: Doc) -> Doc:
    """A break that is one only within brackets."""
    assert line in (SOFT, SPACE)
    if level == INSIDE:
        return line
    flat = "" if line is SOFT else " "
    return Choice(line, flat, level) if isinstance(level, Group) else flat


def only_group(content: Doc, level: Level) -> Doc:
    if level == INSIDE:
        return Group(content)
    return Group(content, when=level) if isinstance(level, Group) else content


def is_simple(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        node = node.operand
    return isinstance(node, ast.Name | ast.Constant)


def is_fluent(node: ast.expr, source: SourceText) -> bool:
    """Whether there are two dots after brackets."""
    count, current = 0, node
    while isinstance(current, ast.Attribute | ast.Call | ast.Subscript):
        inner = current.func if isinstance(current, ast.Call) else current.value
        wrapped = source.parenthesised(inner)
        if isinstance(current, ast.Attribute):
            count += wrapped or isinstance(inner, ast.Call | ast.Subscript)
        elif wrapped:
            count += 1
        if wrapped:
            break
        current = inner
    return count >= 2


def normal_quotes(literal: str) -> str:
    """In double quotes, where that needs no escapes."""
    prefix, body = re.fullmatch(r"(\w*)(.*)", literal, re.DOTALL).groups()  # type: ignore[union-attr]
    if not body.startswith("'") or body.startswith("'''"):
        return literal
    inner = body[1:-1]
    if '"' in inner or "\\'" in inner or ("f" in prefix.lower() and "{" in inner):
        return literal
    return f'{prefix}"{inner}"'


def joined_string(parts: Sequence[str]) -> str | None:
    """Strings that follow each other as one; None where their kinds do not go together."""
    found = [re.fullmatch(r"([bBfFuU]?)\"((?!\"\").*)\"", part) for part in parts]
    if any(match is None for match in found):
        return None
    kinds = {match[1].lower() for match in found if match}
    if kinds - {"", "f"} and len(kinds) > 1:
        return None
    inner = ""
    for match in found:
        assert match is not None
        plain = "f" in kinds and not match[1]
        inner += match[2].replace("{", "{{").replace("}", "}}") if plain else match[2]
    return f'{"f" if "f" in kinds else "".join(kinds)}"{inner}"'
