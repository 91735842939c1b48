"""A script while it is being trimmed: its parts as text with the syntax tree of each, and edits by position."""

import ast
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

from satsuma.peel.pieces import Piece, Sources

R = TypeVar("R")
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Unit:
    """One part of the script, a piece or (the last one) `main`, as text and as a tree that is parsed when needed."""

    def __init__(self, name: str, text: str, *, kind: str, own: bool, number: int) -> None:
        self.name, self.text, self.kind, self.own, self.number = name, text, kind, own, number

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def starts(self) -> list[int]:
        found, place = [], 0
        for line in self.lines:
            found.append(place)
            place += len(line) + 1
        return found

    def place(self, lineno: int, col: int) -> int:
        """The index in `text` of a position as `ast` gives it, whose columns count bytes."""
        line = self.lines[lineno - 1]
        return self.starts[lineno - 1] + (col if line.isascii() else len(line.encode()[:col].decode()))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends in `text`, a definition with its decorators."""
        first: ast.AST = node
        start = self.place(first.lineno, first.col_offset)  # type: ignore[attr-defined]
        decorators = getattr(node, "decorator_list", ())
        if decorators:
            start = self.text.rindex("@", 0, self.span(decorators[0])[0])
        return start, self.place(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def span_of_def(self, node: FunctionNode) -> int:
        """Where the `def` of a function begins, its decorators behind."""
        return self.place(node.lineno, node.col_offset)

    def source(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def up(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, from its parent to the module."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    @cached_property
    def in_f_strings(self) -> set[ast.AST]:
        return {n for node in self.nodes if isinstance(node, ast.JoinedStr) for n in ast.walk(node) if n is not node}

    def editable(self, node: ast.AST) -> bool:
        """Whether the position of `node` is known; inside f-strings it may be wrong before Python 3.12."""
        if node not in self.in_f_strings:
            return True
        return isinstance(node, ast.Name) and self.source(node) == node.id

    @cached_property
    def in_annotations(self) -> set[ast.AST]:
        """Nodes that are part of an annotation."""
        roots: list[ast.AST] = []
        for node in self.nodes:
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
                roots.append(node.annotation)
            elif isinstance(node, FunctionNode) and node.returns is not None:
                roots.append(node.returns)
        return {n for root in roots for n in ast.walk(root)}

    @cached_property
    def bound(self) -> dict[ast.AST, set[str]]:
        """The names that each scope (function, lambda, comprehension, class, the module) binds by itself."""
        found: dict[ast.AST, set[str]] = {self.tree: set()}
        for node in self.nodes:
            if isinstance(node, (*SCOPES, ast.ClassDef)):
                found[node] = set()
        for node in self.nodes:
            for name in bound_names(node):
                found[self.binding_scope(node)].add(name)
            if isinstance(node, FunctionNode | ast.Lambda):
                found[node] |= {a.arg for a in all_args(node.args)}
        for node in self.nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                found[self.scope_of(node)] -= set(node.names)
        return found

    def scope_of(self, node: ast.AST) -> ast.AST:
        """The scope in which the names of `node` are looked up first."""
        if node not in self.scopes:
            self.scopes[node] = self.found_scope(node)
        return self.scopes[node]

    @cached_property
    def scopes(self) -> dict[ast.AST, ast.AST]:
        return {}

    def found_scope(self, node: ast.AST) -> ast.AST:
        child = node
        for above in self.up(node):
            if isinstance(above, FunctionNode | ast.ClassDef):
                if child in above.body:
                    return above
            elif isinstance(above, ast.Lambda):
                if child is above.body:
                    return above
            elif isinstance(above, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                first = above.generators[0]
                if not (child is first and self.inside(node, first.iter)):
                    return above
            elif isinstance(above, ast.Module):
                return above
            child = above
        return self.tree

    def inside(self, node: ast.AST, root: ast.AST) -> bool:
        return node is root or any(above is root for above in self.up(node))

    def binding_scope(self, node: ast.AST) -> ast.AST:
        scope = self.scope_of(node)
        if isinstance(self.parents.get(node), ast.NamedExpr):
            while isinstance(scope, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                scope = self.scope_of(scope)
        return scope

    def binder(self, node: ast.AST, name: str) -> ast.AST | None:
        """The scope whose `name` a use at `node` sees; None if it is the module's (or a builtin)."""
        scope, first = self.scope_of(node), True
        while not isinstance(scope, ast.Module):
            if name in self.bound[scope] and (first or not isinstance(scope, ast.ClassDef)):
                return scope
            scope, first = self.scope_of(scope), False
        return None

    @cached_property
    def global_names(self) -> list[ast.Name]:
        """The names read here that are the script's own, imported or built in."""
        return [
            n
            for n in self.nodes
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and self.binder(n, n.id) is None
        ]

    @cached_property
    def reads(self) -> dict[str, list[ast.Name]]:
        """`global_names` by name."""
        found: dict[str, list[ast.Name]] = {}
        for n in self.global_names:
            found.setdefault(n.id, []).append(n)
        return found

    @cached_property
    def long_strings(self) -> set[int]:
        """Numbers of lines that begin inside a string, whose indentation is therefore content."""
        found: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.STRING:
                found.update(range(token.start[0] + 1, token.end[0] + 1))
        return found


def bound_names(node: ast.AST) -> list[str]:
    """The names that `node` itself binds."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, FunctionNode | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ExceptHandler) and node.name:
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
        return [node.name]
    if isinstance(node, ast.MatchMapping) and node.rest:
        return [node.rest]
    return []


def all_args(args: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (args.vararg, args.kwarg) if a is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `text[start:end]` of a unit by `new`."""

    unit: Unit
    start: int
    end: int
    new: str


Change = Sequence[Edit]  # edits that only make sense together


class Program:
    """All units, the last of which is `main`, and the import lines."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.imports = list(sources.imports)
        self.units = [Unit(p.name, p.text, kind=p.kind, own=p.own, number=i) for i, p in enumerate(sources.pieces)]
        self.found: dict[str, Any] = {}  # what was worked out of the script as it now is
        self.units.append(Unit("main", sources.main, kind="main", own=False, number=len(self.units)))

    def result(self) -> Sources:
        pieces: list[Piece] = []
        for unit in self.units[:-1]:
            if unit.text.strip():
                pieces.append(replace(self.sources.pieces[unit.number], text=unit.text))
        return replace(self.sources, imports=tuple(self.imports), pieces=tuple(pieces), main=self.units[-1].text)

    @property
    def library(self) -> list[Unit]:
        """The units that may be edited."""
        return [unit for unit in self.units if not unit.own and unit.text]

    @property
    def imported(self) -> set[str]:
        """The names that the import lines bind."""
        found: set[str] = set()
        for line in self.imports:
            for node in ast.parse(line).body:
                found.update(bound_names(node))
        return found

    def functions(self) -> dict[str, tuple[Unit, ast.FunctionDef]]:
        """The library's top-level functions, those of `main` among them, by name."""
        return self.remembered("functions", Program.find_functions)

    def find_functions(self) -> dict[str, tuple[Unit, ast.FunctionDef]]:
        found: dict[str, tuple[Unit, ast.FunctionDef]] = {}
        for unit in self.library:
            for node in unit.tree.body:
                if isinstance(node, ast.FunctionDef):
                    found[node.name] = (unit, node)
        return found

    def classes(self) -> dict[str, tuple[Unit, ast.ClassDef]]:
        """The library's classes by name."""
        return self.remembered("classes", Program.find_classes)

    def find_classes(self) -> dict[str, tuple[Unit, ast.ClassDef]]:
        return {
            node.name: (unit, node)
            for unit in self.library
            for node in unit.tree.body
            if isinstance(node, ast.ClassDef)
        }

    def attributes(self) -> dict[str, list[tuple[Unit, ast.Attribute]]]:
        """Every attribute that is read or set anywhere, by name."""
        return self.remembered("attributes", Program.find_attributes)

    def find_attributes(self) -> dict[str, list[tuple[Unit, ast.Attribute]]]:
        found: dict[str, list[tuple[Unit, ast.Attribute]]] = {}
        for unit in self.units:
            for n in unit.nodes:
                if isinstance(n, ast.Attribute):
                    found.setdefault(n.attr, []).append((unit, n))
        return found

    def quoted(self) -> set[str]:
        """Every word in quotes: what a name that is worked out may be."""
        return self.remembered("quoted", Program.find_quoted)

    def find_quoted(self) -> set[str]:
        return {
            n.value
            for unit in self.units
            for n in unit.nodes
            if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier()
        }

    def uses(self, name: str) -> list[tuple[Unit, ast.Name]]:
        """Where the script's own name `name` is read."""
        return [(unit, n) for unit in self.units if unit.text for n in unit.reads.get(name, ())]

    def apply(self, changes: Iterable[Change]) -> bool:
        """Make the changes that can be made side by side; True if there was one. The others are for the next round.

        A change to several units goes alone in each of them: what it was computed from must still hold.
        """
        accepted: list[Change] = []
        touched: dict[Unit, list[Edit]] = {}
        alone: set[Unit] = set()
        for change in changes:
            units = {edit.unit for edit in change}
            if any(unit.own for unit in units) or units & alone or not change:
                continue
            single = len(units) == 1
            if not single and units & set(touched):
                continue
            if any(clash(edit, other) for edit in change for other in touched.get(edit.unit, ())):
                continue
            accepted.append(change)
            for edit in change:
                touched.setdefault(edit.unit, []).append(edit)
            if not single:
                alone |= units
        texts = edited(edit for change in accepted for edit in change)
        broken = {unit for unit, text in texts.items() if not is_python(text)}
        if broken:  # changes that each leave something of a block, but not together: one at a time
            first: dict[Unit, Change] = {}
            for change in accepted:
                for unit in {edit.unit for edit in change} & broken:
                    if is_python(edited(change)[unit]):
                        first.setdefault(unit, change)
            spoilt = {id(c) for c in accepted if {e.unit for e in c} & broken} - {id(c) for c in first.values()}
            texts = edited(edit for change in accepted if id(change) not in spoilt for edit in change)
        if not all(is_python(text) for text in texts.values()):
            return False
        for unit, text in texts.items():
            self.rewrite(unit, text)
        return bool(texts)

    def remembered(self, name: str, make: Callable[["Program"], R]) -> R:
        """What `make` gives for the script as it now is, worked out once."""
        if name not in self.found:
            self.found[name] = make(self)
        return cast(R, self.found[name])

    def rewrite(self, unit: Unit, text: str) -> None:
        self.found.clear()
        index = self.units.index(unit)
        self.units[index] = Unit(unit.name, text, kind=unit.kind, own=unit.own, number=unit.number)


def edited(edits: Iterable[Edit]) -> dict[Unit, str]:
    """The new text of each unit."""
    by_unit: dict[Unit, list[Edit]] = {}
    for edit in edits:
        by_unit.setdefault(edit.unit, []).append(edit)
    found = {}
    for unit, listed in by_unit.items():
        text = unit.text
        for edit in sorted(listed, key=lambda e: (e.start, e.end), reverse=True):
            text = text[: edit.start] + edit.new + text[edit.end :]
        found[unit] = text
    return found


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def clash(one: Edit, two: Edit) -> bool:
    if one.start == one.end or two.start == two.end:
        return one.start <= two.end and two.start <= one.end
    return one.start < two.end and two.start < one.end
