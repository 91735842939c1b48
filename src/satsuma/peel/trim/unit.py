"""One part of a script while it is being trimmed: its text, its syntax tree, and what of that is asked often."""

import ast
import functools
import io
import tokenize
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, TypeVar, cast

R = TypeVar("R")
N = TypeVar("N", bound=ast.AST)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, *COMPREHENSIONS)
FIELDS: dict[type, tuple[str, ...]] = {  # of each kind of node: those that hold nodes, operators and contexts aside
    kind: tuple(f for f in kind._fields if f not in ("ctx", "op", "ops", "id", "attr", "kind", "type_ignores"))
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
} | {ast.Constant: ()}

BINDERS = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.Import, ast.ImportFrom,
    ast.MatchAs, ast.MatchStar, ast.MatchMapping,
)  # fmt: skip


def once_a_node(make: Callable[[ast.AST], R]) -> Callable[[ast.AST], R]:
    """Keep on each node what a function gives for it: trees never change."""
    attribute = f"_{make.__name__}"

    @functools.wraps(make)
    def kept(node: ast.AST) -> R:
        if attribute not in node.__dict__:
            node.__dict__[attribute] = make(node)
        return cast(R, node.__dict__[attribute])

    return kept


def children(node: ast.AST) -> list[ast.AST]:
    """`ast.iter_child_nodes`, operators and contexts aside."""
    found: list[ast.AST] = []
    for name in FIELDS[type(node)]:
        value = getattr(node, name)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [v for v in value if isinstance(v, ast.AST)]
    return found


@once_a_node
def tree_nodes(root: ast.AST) -> list[ast.AST]:
    """`ast.walk`, operators and contexts aside."""
    found = [root]
    for node in found:  # it grows
        found += children(node)
    return found


class Unit:
    """One part of the script, a piece or (the last one) `main`, as text and as a tree that is parsed when needed."""

    def __init__(self, name: str, text: str, *, kind: str, own: bool, number: int) -> None:
        self.name, self.text, self.kind, self.own, self.number = name, text, kind, own, number
        self.found: dict[Any, Any] = {}  # what was worked out of it

    def with_text(self, text: str) -> "Unit":
        return Unit(self.name, text, kind=self.kind, own=self.own, number=self.number)

    def once(self, make: Callable[..., R], *given: Hashable) -> R:
        """`make(unit, *given)`, worked out once."""
        key = (make, *given)
        if key not in self.found:
            self.found[key] = make(self, *given)
        return cast(R, self.found[key])

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_python(self) -> bool:
        try:
            return bool(self.tree)
        except SyntaxError:
            return False

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return tree_nodes(self.tree)

    @cached_property
    def by_kind(self) -> dict[type, list[Any]]:
        found: dict[type, list[Any]] = {}
        for node in self.nodes:
            found.setdefault(type(node), []).append(node)
        return found

    def all(self, kind: type[N]) -> list[N]:
        """The nodes of one kind."""
        return self.by_kind.get(kind, [])

    @cached_property
    def words(self) -> set[str]:
        """Every name and attribute."""
        return {n.id for n in self.all(ast.Name)} | {n.attr for n in self.all(ast.Attribute)}

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in children(node)}

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
        return {n for node in self.all(ast.JoinedStr) for n in tree_nodes(node) if n is not node}

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
        return {n for root in roots for n in tree_nodes(root)}

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
        above = self.parents.get(node, self.tree)
        if isinstance(above, ast.Module):
            return above
        if isinstance(above, FunctionNode | ast.ClassDef):
            return above if node in above.body else self.scope_of(above)
        if isinstance(above, ast.Lambda):
            return above if node is above.body else self.scope_of(above)
        if isinstance(above, COMPREHENSIONS):
            return above
        around = self.parents[above]
        if isinstance(around, COMPREHENSIONS) and above is around.generators[0] and node is above.iter:
            return self.scope_of(around)
        return self.scope_of(above)

    def inside(self, node: ast.AST, root: ast.AST) -> bool:
        return node is root or any(above is root for above in self.up(node))

    def binding_scope(self, node: ast.AST) -> ast.AST:
        scope = self.scope_of(node)
        if isinstance(self.parents.get(node), ast.NamedExpr):
            while isinstance(scope, COMPREHENSIONS):
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
        loads = (n for n in self.all(ast.Name) if isinstance(n.ctx, ast.Load))
        return [n for n in loads if self.binder(n, n.id) is None]

    @cached_property
    def long_strings(self) -> set[int]:
        """Numbers of lines that begin inside a string, whose indentation is therefore content."""
        found: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.STRING:
                found.update(range(token.start[0] + 1, token.end[0] + 1))
        return found


def reads_by_name(unit: Unit) -> dict[str, list[tuple[Unit, ast.Name]]]:
    found: dict[str, list[tuple[Unit, ast.Name]]] = {}
    for node in unit.global_names:
        found.setdefault(node.id, []).append((unit, node))
    return found


def attributes_by_name(unit: Unit) -> dict[str, list[tuple[Unit, ast.Attribute]]]:
    found: dict[str, list[tuple[Unit, ast.Attribute]]] = {}
    for node in unit.all(ast.Attribute):
        found.setdefault(node.attr, []).append((unit, node))
    return found


def quoted_words(unit: Unit) -> set[str]:
    """Every word in quotes."""
    return {n.value for n in unit.all(ast.Constant) if isinstance(n.value, str) and n.value.isidentifier()}


def bound_names(node: ast.AST) -> list[str]:
    """The names that `node` itself binds."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if not isinstance(node, BINDERS):
        return []
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


@functools.lru_cache(maxsize=4096)
def import_names(line: str) -> tuple[str, ...]:
    """The names that an import line binds."""
    return tuple(name for node in ast.parse(line).body for name in bound_names(node))
