"""Whether a statement's expression that does not fit gets parentheses, or is broken at brackets of its own."""

import ast
from dataclasses import dataclass

from satsuma.peel.wrap_code import BRACKETED, INSIDE, SYMBOLS, ExpressionWriter, is_fluent
from satsuma.peel.wrap_doc import SOFT, SPACE, BestFit, Choice, Comment, Doc, Group, Indent
from satsuma.peel.wrap_source import SourceText


def whole(writer: ExpressionWriter, node: ast.expr, comment: Comment | None = None, *, returned: bool = False) -> Doc:
    """The expression that a statement consists of, or that stands after its keyword or `=`; with what follows it."""
    source = writer.source
    tail: Doc = [] if comment is None else comment
    if isinstance(node, ast.Tuple) and not writer.is_wrapped_tuple(node) and len(node.elts) > 1:
        if returned and len(node.elts) == 2:
            return in_optional([tuple_parts(writer, node, group := Group("")), tail], group)
        start, end = source.span(node)
        return if_broken([writer.joined([writer.item(each) for each in node.elts], start, end), tail])
    kept = isinstance(node, ast.NamedExpr | ast.Yield | ast.YieldFrom) and source.parenthesised(node)
    kind = "never" if kept else parentheses_for(node, source)
    if kind == "never":
        return [writer.expression(node, None, keep=kept), tail]
    if kind == "best fit":
        return BestFit([writer.bare(node, None), tail])
    if not may_go_without(node, source):
        return if_broken([writer.bare(node, INSIDE), tail])
    group = Group("")
    return in_optional([writer.bare(node, group), tail], group)


def in_optional(content: Doc, group: Group) -> Group:
    """Parentheses that are there if `group` breaks; brackets within `content` may break without it."""
    group.content = [
        Choice("(", "", group),
        Indent([Choice(SOFT, "", group), content], group),
        SOFT,
        Choice(")", "", group),
    ]
    return group


def tuple_parts(writer: ExpressionWriter, node: ast.Tuple, group: Group) -> Doc:
    doc: list[Doc] = []
    for each in node.elts:
        doc += [", " if not doc else [Choice([",", SPACE], ", ", group)], writer.expression(each, group)]
    return [*doc[1:], Choice(",", "", group)]


def if_broken(content: Doc) -> Doc:
    """With parentheses where it does not fit on the line."""
    return Group([Choice("(", ""), Indent([SOFT, content]), SOFT, Choice(")", "")])


def takes_comment(node: ast.expr, source: SourceText) -> bool:
    """Whether a comment at the end of the line goes into the parentheses that the expression gets."""
    return isinstance(node, ast.Name | ast.Constant | ast.JoinedStr) and parentheses_for(node, source) == "best fit"


def parentheses_for(node: ast.expr, source: SourceText) -> str:
    """One of "never", "best fit" (if it fits only so) or "if broken"."""
    match node:
        case ast.Name():
            return "best fit"
        case ast.Constant() | ast.JoinedStr():
            return "if broken" if len(source.strings(node)) > 1 else "best fit"
        case ast.Attribute() | ast.Call() | ast.Subscript():
            if is_fluent(node, source):
                return "if broken"
            inner = node.func if isinstance(node, ast.Call) else node.value
            if source.parenthesised(inner):
                return "never"
            if isinstance(node, ast.Attribute) and isinstance(inner, ast.Name):
                return "best fit"
            kind = parentheses_for(inner, source)
            if isinstance(node, ast.Call) and kind == "best fit" and not has_brackets(node, source):
                return kind
            return "never" if kind == "best fit" else kind
        case ast.UnaryOp() if source.parenthesised(node.operand):
            return "never"
    return "never" if isinstance(node, BRACKETED) else "if broken"


def may_go_without(node: ast.expr, source: SourceText) -> bool:
    """Whether breaking at the brackets within may do, so that no parentheses are needed around all."""
    found = Operators(source)
    found.look_into(node)
    if not found.bracketed or found.count > 1:
        return False
    if found.strongest in (NONE, ATTRIBUTE):
        return True
    ends = [
        node for node in (found.first, found.last) if not isinstance(node, ast.Subscript) or source.parenthesised(node)
    ]
    return any(has_brackets(node, source) for node in ends)


NONE, ATTRIBUTE, STRING, CONDITIONAL = 0, 1, 11, 14


@dataclass(slots=True)
class Operators:
    """The operators outside of brackets, of the kind that binds least: how many, and what stands at the two ends."""

    source: SourceText
    strongest: int = NONE
    count: int = 0
    bracketed: bool = False
    first: ast.expr | None = None
    first_is_word: bool = False
    last: ast.expr | None = None

    def note(self, precedence: int, count: int = 1) -> None:
        if precedence > self.strongest:
            self.strongest, self.count = precedence, count
        elif precedence == self.strongest:
            self.count += count

    def visit(self, node: ast.expr) -> None:
        self.last = node
        if self.source.parenthesised(node):
            self.bracketed = True
        else:
            self.look_into(node)
        if self.first is None and not self.first_is_word:
            self.first = node

    def look_into(self, node: ast.expr) -> None:
        match node:
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                self.bracketed = True
            case ast.GeneratorExp():
                self.bracketed = True
            case ast.BoolOp():
                self.note(SYMBOLS[type(node.op)][1], len(node.values) - 1)
                for value in node.values:
                    self.visit(value)
            case ast.BinOp():
                self.note(SYMBOLS[type(node.op)][1])
                self.visit(node.left)
                self.visit(node.right)
            case ast.Compare():
                self.note(10, len(node.ops))
                for value in (node.left, *node.comparators):
                    self.visit(value)
            case ast.IfExp():
                self.note(CONDITIONAL, 2)
                for value in (node.body, node.test, node.orelse):
                    self.visit(value)
            case ast.Call():
                self.bracketed = True
                self.visit(node.func)
                self.last = node
            case ast.Subscript():
                self.bracketed = True
                self.visit(node.value)
                self.last = node
            case ast.Attribute():
                if has_brackets(node.value, self.source) or isinstance(node.value, (ast.Call, *BRACKETED)):
                    self.note(ATTRIBUTE)
                self.visit(node.value)
                self.last = node
            case ast.UnaryOp():
                if self.first is None:
                    self.first_is_word = True
                self.visit(node.operand)
            case ast.Lambda():
                if self.first is None:
                    self.first_is_word = True
                self.visit(node.body)
            case ast.Await() | ast.Starred():
                if self.first is None:
                    self.first_is_word = True
                self.visit(node.value)
            case ast.Constant() | ast.JoinedStr():
                parts = self.source.strings(node)
                if len(parts) > 1:
                    self.note(STRING, len(parts) - 1)


def has_brackets(node: ast.expr | None, source: SourceText) -> bool:
    """Whether it starts or ends with brackets that hold something."""
    if node is None:
        return False
    if source.parenthesised(node):
        return True
    match node:
        case ast.Call():
            return bool(node.args or node.keywords)
        case ast.Dict():
            return bool(node.keys)
        case ast.List() | ast.Set() | ast.Tuple():
            return bool(node.elts)
    return isinstance(node, ast.Subscript | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
