"""Which `raise` statements somebody waits for: those that may run inside `try` with a handler that goes on."""

import ast
import builtins
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from satsuma.peel.trim.program import Program
from satsuma.peel.trim.purity import dotted_name
from satsuma.peel.trim.unit import FunctionNode, Unit, children, tree_nodes

MAKERS = ("__init__", "__post_init__", "__new__")
LEAVES = (ast.Return, ast.Yield, ast.YieldFrom, ast.Break, ast.Continue)
BUILTIN_ERRORS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


def awaited_raises(unit: Unit) -> list[tuple[ast.Raise, list[str], set[str]]]:
    """Each raise of a unit with the functions around it, and what handlers around it in the unit catch."""
    found = []
    for node in unit.all(ast.Raise):
        names: list[str] = []
        types: set[str] = set()
        for above in unit.up(node):
            if isinstance(above, FunctionNode):
                owner = unit.parents[above]
                if isinstance(owner, ast.ClassDef):
                    names.append(f"{owner.name}.{above.name}" if above.name in MAKERS else f".{above.name}")
                else:
                    names.append(above.name)
            elif isinstance(above, ast.Try) and any(node in tree_nodes(s) for s in above.body):
                types |= {t for h in above.handlers if not is_doomed(h.body, set()) for t in caught_by(h)}
            elif isinstance(above, ast.With):
                types |= suppressed(above)
        found.append((node, names, types))
    return found


def kept_raises(unit: Unit, watched: dict[str, set[str]]) -> set[ast.Raise]:
    """The raises of a unit that a handler elsewhere may wait for, or one around them in the same unit."""
    return {
        node
        for node, names, types in unit.once(awaited_raises)
        if may_be_caught(node, types.union(*(watched.get(name, ()) for name in names)))
    }


def may_be_caught(node: ast.Raise, types: set[str]) -> bool:
    if not types:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    name = dotted_name(raised).rpartition(".")[2] if raised is not None else ""
    kind = BUILTIN_ERRORS.get(name)
    if kind is None:
        return True
    return any(t not in BUILTIN_ERRORS or issubclass(kind, BUILTIN_ERRORS[t]) for t in types)


def caught_by(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {dotted_name(part).rpartition(".")[2] or "BaseException" for part in parts}


def suppressed(node: ast.With) -> set[str]:
    return {t for item in node.items for t in suppressed_by(item.context_expr)}


def suppressed_by(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.Call) and dotted_name(expression.func).rpartition(".")[2] == "suppress":
        return {dotted_name(a).rpartition(".")[2] or "BaseException" for a in expression.args}
    return set()


def raises_to_keep(program: Program) -> frozenset[ast.Raise]:
    """All raises that somebody waits for.

    At first whatever ends in a `raise` counts as never reached, with what only it leads to; what must be kept of that
    then counts as reached, until nothing more has to be kept.
    """
    return program.once(find_raises_to_keep)


def find_raises_to_keep(program: Program) -> frozenset[ast.Raise]:
    kept: frozenset[ast.Raise] = frozenset()
    while True:
        watched = watched_names(program, kept)
        more = kept.union(*(kept_raises(unit, watched) for unit in program.library if unit.all(ast.Raise)))
        if more == kept:
            return kept
        kept = more


@dataclass(slots=True)
class Watch:
    """A block whose errors go no further."""

    types: set[str]  # of the errors
    names: set[str]  # what the block mentions
    function: str | None  # around a block that calls what a variable holds; "" if there is none
    around: set[str]  # what that function mentions


@dataclass(slots=True)
class Calls:
    """What of a unit may run while some of its raises are kept, and what that mentions."""

    names: set[str]
    calls: dict[str, set[str]]  # of each function, class and method
    takers: dict[str, str]  # those that call what a variable holds, and by what name they are called
    passed: dict[str, set[str]]  # see `passed_names`
    watches: list[Watch]


def calls_of(unit: Unit, kept: frozenset[ast.Raise]) -> Calls:
    dead = dead_statements(unit, kept)
    nodes = live_nodes(unit.tree, dead)
    found = Calls({n.id for n in nodes if isinstance(n, ast.Name)}, {}, {}, {}, [])
    for node in nodes:
        if isinstance(node, FunctionNode):
            name = f".{node.name}" if isinstance(unit.parents[node], ast.ClassDef) else node.name
            found.calls.setdefault(name, set()).update(mentioned(node, dead))
            if calls_local(unit, node):
                found.takers[name] = node.name
        elif isinstance(node, ast.ClassDef):
            makers = [m for m in node.body if isinstance(m, FunctionNode) and m.name in MAKERS]
            found.calls.setdefault(node.name, set()).update(f"{node.name}.{m.name}" for m in makers)
            found.calls |= {f"{node.name}.{m.name}": mentioned(m, dead) for m in makers}
        elif isinstance(node, ast.Call):
            note_passed(node, found.passed)
        elif isinstance(node, ast.Try):
            types = {t for h in node.handlers if unit.own or not is_doomed(h.body, kept) for t in caught_by(h)}
            found.watches += watch_of(unit, node, types, dead)
        elif isinstance(node, ast.With):
            found.watches += watch_of(unit, node, suppressed(node), dead)
    return found


def watch_of(unit: Unit, node: ast.Try | ast.With, types: set[str], dead: set[ast.AST]) -> list[Watch]:
    if not types:
        return []
    names = {name for statement in node.body for name in mentioned(statement, dead)}
    if not any(calls_local(unit, statement) for statement in node.body):
        return [Watch(types, names, None, set())]
    above = next((n for n in unit.up(node) if isinstance(n, FunctionNode)), None)
    return [Watch(types, names, above.name if above else "", mentioned(above, dead) if above else set())]


def note_passed(node: ast.Call, found: dict[str, set[str]]) -> None:
    """What is mentioned in the arguments of a call, or a `partial`, by the name of what is called, and by keyword."""
    names = {n for a in (*node.args, *node.keywords) for n in mentioned(a)}
    called = dotted_name(node.func)
    found.setdefault(called.rpartition(".")[2], set()).update(names)
    for keyword in node.keywords:
        found.setdefault(f"{keyword.arg}=", set()).update(mentioned(keyword.value))
    if called.endswith("partial") and node.args:
        found.setdefault(dotted_name(node.args[0]).rpartition(".")[2], set()).update(names)


def dead_statements(unit: Unit, kept: Collection[ast.Raise]) -> set[ast.AST]:
    """The statements of a unit that are only there to raise."""
    if unit.own or not unit.all(ast.Raise):
        return set()
    blocks = [block for node in unit.all(ast.If) for block in (node.body, node.orelse)]
    blocks += [node.body for node in unit.all(ast.ExceptHandler)]
    blocks += [node.body[-1:] for node in unit.all(ast.FunctionDef)]
    blocks += [node.body[-1:] for node in unit.all(ast.AsyncFunctionDef)]
    return {statement for block in blocks if is_doomed(block, kept) for statement in block}


def live_nodes(root: ast.AST, dead: Collection[ast.AST]) -> list[ast.AST]:
    """`tree_nodes` that leaves dead statements out."""
    if not dead:
        return tree_nodes(root)
    found = [] if root in dead else [root]
    for node in found:  # it grows
        found += [child for child in children(node) if child not in dead]
    return found


def live_units(program: Program, found: dict[Unit, Calls]) -> set[Unit]:
    """The units that `main` and the user's code lead to, dead statements aside."""
    owner = {name: unit for unit in program.units for name in unit.bound[unit.tree]}
    queue = [unit for unit in program.units if unit.own or unit.kind == "main"]
    live = set(queue)
    while queue:
        targets = {owner[name] for name in found[queue.pop()].names if name in owner} - live
        live |= targets
        queue += targets
    return live


def watched_names(program: Program, kept: frozenset[ast.Raise]) -> dict[str, set[str]]:
    """Functions, classes and methods, by name, that may run under a handler which goes on: what it catches."""
    by_unit = {unit: unit.once(calls_of, kept.intersection(unit.all(ast.Raise))) for unit in program.units}
    live = [by_unit[unit] for unit in live_units(program, by_unit)]
    passed = merged_sets(of.passed for of in by_unit.values())
    calls = merged_sets(of.calls for of in live)
    for of in live:
        for name, called in of.takers.items():
            calls[name] |= passed.get(called, set())
    found: dict[str, set[str]] = {}
    for watch in (w for of in live for w in of.watches):
        for name in watch.names | may_be_called(program, watch, passed):
            found.setdefault(name, set()).update(watch.types)
    queue = list(found)
    while queue:
        name = queue.pop()
        for called in calls.get(name, ()):
            before = len(found.setdefault(called, set()))
            found[called] |= found[name]
            if len(found[called]) > before:
                queue.append(called)
    return found


def merged_sets(parts: Iterable[dict[str, set[str]]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for part in parts:
        for name, names in part.items():
            found.setdefault(name, set()).update(names)
    return found


def may_be_called(program: Program, watch: Watch, passed: dict[str, set[str]]) -> set[str]:
    """What a variable that is called in a block may be: something that its function mentions, or is given.

    With "__call__", any object, if a class is among it, or a field of which is not known what it holds.
    """
    if watch.function is None:
        return set()
    if not watch.function:
        return {".__call__"}
    given = passed.get(watch.function, set())
    found = watch.around | given
    classes, known = program.classes(), {*program.functions(), *program.classes(), *program.imported}
    for name in given - known:
        found |= passed.get(name.lstrip(".") + "=", set())
    objects = {n for n in found if n in classes}
    fields = {n for n in given - known if n.startswith(".") and f"{n[1:]}=" not in passed}
    return found | {".__call__"} if objects or fields else found


def calls_local(unit: Unit, root: ast.AST) -> bool:
    """Whether something is called below `root` that a variable holds."""
    for n in tree_nodes(root):
        if isinstance(n, ast.Call):
            if isinstance(n.func, ast.Name) and unit.binder(n, n.func.id) is not None:
                return True
            if not isinstance(n.func, ast.Name | ast.Attribute):
                return True
    return False


def mentioned(root: ast.AST, dead: Collection[ast.AST] = ()) -> set[str]:
    """Every name and (".name") attribute that is read below `root`, and methods that Python calls for it."""
    found: set[str] = set()
    words: set[str] = set()
    for n in live_nodes(root, dead):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
            found.add(n.id)
            if n.id in ("getattr", "hasattr", "methodcaller"):
                found.add(".__call__")
        elif isinstance(n, ast.Attribute):
            found.add(f".{n.attr}")
        elif isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier():
            words |= {n.value, f".{n.value}"}
        elif isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load):
            fixed = isinstance(n.slice, ast.Constant | ast.Slice | ast.Tuple)
            if not fixed and not (isinstance(n.value, ast.Name) and n.value.id.isupper()):
                found.add(".__getitem__")
        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Call | ast.Subscript):
            found.add(".__call__")
    return found | words if ".__call__" in found else found


def is_doomed(block: Sequence[ast.stmt], kept: Collection[ast.Raise]) -> bool:
    """Whether a block always ends in a `raise` that may go, whatever it does before."""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, ast.Raise):
        ends = last not in kept
    elif isinstance(last, ast.If) and last.orelse:
        ends = is_doomed(last.body, kept) and is_doomed(last.orelse, kept)
    else:
        ends = False
    return ends and not any(isinstance(n, LEAVES) or n in kept for s in block for n in tree_nodes(s))
