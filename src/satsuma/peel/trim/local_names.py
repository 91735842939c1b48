"""Local variables: those that stand for a constant become it, those that nobody reads go."""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.parameters import is_constant
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import is_pure, pure_functions
from satsuma.peel.trim.statements import block_of, delete
from satsuma.peel.trim.unit import FunctionNode, Unit, tree_nodes


def local_names(program: Program) -> Iterator[Change]:
    """Edits that spread constants and drop what is not read."""
    return program.each(names_of_unit, pure_functions(program).union(plain_records(program)))


def names_of_unit(unit: Unit, pure: frozenset[str]) -> Iterator[Change]:
    for node in unit.nodes:
        if isinstance(node, FunctionNode):
            table = NameTable(unit, node)
            for name in sorted(table.stores):
                yield (
                    spread_constant(table, name)
                    or spread_alias(table, name)
                    or returned_at_once(table, name)
                    or unread(table, name, pure)
                )


def plain_records(program: Program) -> Iterator[str]:
    """Data classes whose construction only stores what it is given."""
    for name, (_, node) in program.classes().items():
        methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
        if any("dataclass" in ast.dump(d) for d in node.decorator_list) and not methods & {"__post_init__", "__init__"}:
            yield name


class NameTable:
    """The names that a function binds (its parameters aside), where it sets and where it reads each."""

    def __init__(self, unit: Unit, node: FunctionNode) -> None:
        self.unit, self.node = unit, node
        self.parameters = {a.arg for a in tree_nodes(node.args) if isinstance(a, ast.arg)}
        self.stores: dict[str, list[ast.AST]] = {}
        self.loads: dict[str, list[ast.Name]] = {}
        shared = {n for s in tree_nodes(node) if isinstance(s, ast.Global | ast.Nonlocal) for n in s.names}
        for n in tree_nodes(node):
            if isinstance(n, ast.Name):
                if not isinstance(n.ctx, ast.Load):
                    if unit.binding_scope(n) is node:
                        self.stores.setdefault(n.id, []).append(n)
                elif unit.binder(n, n.id) is node:
                    self.loads.setdefault(n.id, []).append(n)
            elif isinstance(n, FunctionNode | ast.ClassDef | ast.ExceptHandler) and n is not node and n.name:
                if unit.scope_of(n) is node:
                    self.stores.setdefault(n.name, []).append(n)
            elif isinstance(n, ast.Import | ast.ImportFrom):
                for alias in n.names:
                    self.stores.setdefault(alias.asname or alias.name.partition(".")[0], []).append(n)
        for name in shared:
            self.stores.pop(name, None)

    def only_assignment(self, name: str) -> ast.Assign | ast.AnnAssign | None:
        """The one statement `name = value` that sets a name, if there is no other."""
        stores = self.stores[name]
        if len(stores) != 1 or name in self.parameters:
            return None
        parent = self.unit.parents[stores[0]]
        if isinstance(parent, ast.Assign) and parent.targets == [stores[0]]:
            return parent
        if isinstance(parent, ast.AnnAssign) and parent.value is not None and parent.target is stores[0]:
            return parent
        return None

    def follows(self, name: str, statement: ast.stmt) -> bool:
        """Whether every read of a name comes after a statement, in its block or below."""
        block = block_of(self.unit, statement)
        after = block[block.index(statement) + 1 :]
        below = {n for s in after for n in tree_nodes(s)}
        return all(load in below for load in self.loads.get(name, ()))


def spread_constant(table: NameTable, name: str) -> Change:
    """`x = None` set once: each read becomes the constant."""
    unit, statement = table.unit, table.only_assignment(name)
    if statement is None or statement.value is None:
        return []
    if isinstance(statement.value, ast.Dict) and not statement.value.keys and table.follows(name, statement):
        loads = table.loads.get(name, [])
        if loads and all(is_spread(unit, load) for load in loads):
            return replaced(table, loads, "{}", statement)
    if not is_constant(unit, statement.value):
        return []
    if not table.follows(name, statement) or not table.loads.get(name):
        return []
    loads, text = table.loads[name], unit.source(statement.value)
    if isinstance(statement.value, ast.Constant) and len(text) > 12 and len(loads) > 1:
        return []
    if isinstance(statement.value, ast.Attribute | ast.Tuple) and len(loads) > 1:
        return []
    return replaced(table, loads, text, statement)


def is_spread(unit: Unit, load: ast.Name) -> bool:
    """Whether a name only stands as `**name` in a dictionary."""
    parent = unit.parents[load]
    return isinstance(parent, ast.Dict) and any(
        k is None and v is load for k, v in zip(parent.keys, parent.values, strict=True)
    )


def returned_at_once(table: NameTable, name: str) -> Change:
    """`x = value` and then `return x` is `return value`."""
    unit, statement = table.unit, table.only_assignment(name)
    loads = table.loads.get(name, [])
    if statement is None or statement.value is None or len(loads) != 1:
        return []
    following = unit.parents[loads[0]]
    block = block_of(unit, statement)
    place = block.index(statement)
    if not isinstance(following, ast.Return) or block[place + 1 : place + 2] != [following]:
        return []
    start, end = unit.span(statement)[0], unit.span(following)[1]
    if unit.text.count("#", unit.span(statement)[1], end):
        return []
    return [Edit(unit, start, end, "return " + unit.text[value_start(unit, statement.value) : unit.span(statement)[1]])]


def spread_alias(table: NameTable, name: str) -> Change:
    """`x = y` of two local names of which neither is set again: each read of `x` is one of `y`."""
    unit, statement = table.unit, table.only_assignment(name)
    if statement is None or not isinstance(statement.value, ast.Name) or not table.loads.get(name):
        return []
    other = statement.value.id
    if unit.binder(statement.value, other) is not table.node or not table.follows(name, statement):
        return []
    count = len(table.stores.get(other, ())) + (other in table.parameters)
    if count != 1:
        return []
    return replaced(table, table.loads[name], other, statement)


def replaced(table: NameTable, loads: list[ast.Name], text: str, statement: ast.stmt) -> Change:
    unit = table.unit
    names = {n.id for n in tree_nodes(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
    edits: list[Edit] = []
    for load in loads:
        if not unit.editable(load) or ('"' in text and load in unit.in_f_strings):
            return []
        if any(unit.binder(load, n) is not unit.binder(statement, n) for n in names):
            return []
        parent = unit.parents[load]
        edits += (
            [Edit(unit, *unit.span(load), text)] if isinstance(parent, ast.FormattedValue) else put(unit, load, text)
        )
    return [*edits, *delete(unit, [statement])]


def unread(table: NameTable, name: str, pure: frozenset[str]) -> Change:
    """A variable that nobody reads goes; what has an effect on the right stays as a statement."""
    unit = table.unit
    if name in table.parameters or any(not feeds_itself(unit, load, name, pure) for load in table.loads.get(name, ())):
        return []
    edits: list[Edit] = []
    for store in table.stores[name]:
        parent = unit.parents[store]
        if isinstance(store, ast.FunctionDef):
            edits += delete(unit, [store])
        elif isinstance(store, ast.Import | ast.ImportFrom):
            if len(store.names) != 1:
                return []
            edits += delete(unit, [store])
        elif isinstance(parent, ast.Assign | ast.AnnAssign) and single_target(parent) is store:
            if parent.value is None or is_pure(parent.value, pure):
                edits += delete(unit, [parent])
            else:
                edits.append(Edit(unit, unit.span(parent)[0], value_start(unit, parent.value), ""))
        elif isinstance(parent, ast.AugAssign) and is_pure(parent.value, pure):
            edits += delete(unit, [parent])
        elif isinstance(parent, ast.Tuple):
            less = shorter_tuple(unit, parent, store, pure)
            if not less:
                return []
            edits += less
        else:
            return []
    return edits


def feeds_itself(unit: Unit, load: ast.Name, name: str, pure: frozenset[str]) -> bool:
    """Whether a read only serves to set the same variable, as in `highest = max(highest, rate)`."""
    for above in unit.up(load):
        if isinstance(above, ast.Assign):
            target = above.targets[0]
            return (
                len(above.targets) == 1
                and isinstance(target, ast.Name)
                and target.id == name
                and is_pure(above.value, pure)
            )
        if isinstance(above, ast.stmt):
            return False
    return False


def value_start(unit: Unit, value: ast.expr) -> int:
    """Where the right side of an assignment begins, its brackets included."""
    place = unit.span(value)[0]
    while True:
        before = unit.text[:place].rstrip()
        if not before.endswith("("):
            return place
        place = len(before) - 1


def single_target(parent: ast.Assign | ast.AnnAssign) -> ast.AST | None:
    if isinstance(parent, ast.AnnAssign):
        return parent.target
    return parent.targets[0] if len(parent.targets) == 1 else None


def shorter_tuple(unit: Unit, targets: ast.Tuple, store: ast.AST, pure: frozenset[str]) -> list[Edit]:
    """`a, b = x, y` without `b`, where `y` only looks."""
    parent = unit.parents[targets]
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1 or parent.targets[0] is not targets:
        return []
    values = parent.value
    if not isinstance(values, ast.Tuple) or len(values.elts) != len(targets.elts) or len(values.elts) < 2:
        return []
    if any(isinstance(e, ast.Starred) for e in (*values.elts, *targets.elts)):
        return []
    place = next(i for i, e in enumerate(targets.elts) if e is store)
    if not is_pure(values.elts[place], pure):
        return []
    lefts = [unit.source(e) for i, e in enumerate(targets.elts) if i != place]
    rights = [unit.source(e) for i, e in enumerate(values.elts) if i != place]
    return [Edit(unit, *unit.span(parent), f"{', '.join(lefts)} = {', '.join(rights)}")]
