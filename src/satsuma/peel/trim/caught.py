"""Which `raise` statements somebody waits for: those that may run inside `try` with a handler that goes on."""

import ast
import builtins
from collections.abc import Collection, Iterator, Sequence

from satsuma.peel.trim.program import FunctionNode, Program, Unit
from satsuma.peel.trim.purity import dotted_name

MAKERS = ("__init__", "__post_init__", "__new__")
LEAVES = (ast.Return, ast.Yield, ast.YieldFrom, ast.Break, ast.Continue)
BUILTIN_ERRORS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


def kept_raises(unit: Unit, watched: dict[str, set[str]]) -> set[ast.Raise]:
    """The raises of a unit that a handler elsewhere may wait for, or one around them in the same unit."""
    kept: set[ast.Raise] = set()
    for node in unit.nodes:
        if not isinstance(node, ast.Raise):
            continue
        types: set[str] = set()
        for above in unit.up(node):
            if isinstance(above, FunctionNode):
                owner = unit.parents[above]
                names = [above.name]
                if isinstance(owner, ast.ClassDef):
                    names = [f"{owner.name}.{above.name}" if above.name in MAKERS else f".{above.name}"]
                types |= {t for name in names for t in watched.get(name, ())}
        for above in unit.up(node):
            if isinstance(above, ast.Try) and any(node in ast.walk(s) for s in above.body):
                types |= {t for h in above.handlers if not is_doomed(h.body, set()) for t in caught_by(h)}
            if isinstance(above, ast.With):
                types |= {t for item in above.items for t in suppressed_by(item.context_expr)}
        if may_be_caught(node, types):
            kept.add(node)
    return kept


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


def suppressed_by(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.Call) and dotted_name(expression.func).rpartition(".")[2] == "suppress":
        return {dotted_name(a).rpartition(".")[2] or "BaseException" for a in expression.args}
    return set()


def raises_to_keep(program: Program) -> set[ast.Raise]:
    """All raises that somebody waits for.

    At first whatever ends in a `raise` counts as never reached, with what only it leads to; what must be kept of that
    then counts as reached, until nothing more has to be kept.
    """
    return program.remembered("kept raises", find_raises_to_keep)


def find_raises_to_keep(program: Program) -> set[ast.Raise]:
    kept: set[ast.Raise] = set()
    while True:
        watched = watched_names(program, kept)
        more = kept.union(*(kept_raises(unit, watched) for unit in program.library))
        if more == kept:
            return kept
        kept = more


def dead_statements(unit: Unit, kept: set[ast.Raise]) -> set[ast.AST]:
    """The statements of a unit that are only there to raise."""
    if unit.own:
        return set()
    blocks: list[list[ast.stmt]] = []
    for node in unit.nodes:
        if isinstance(node, ast.If):
            blocks += [node.body, node.orelse]
        elif isinstance(node, ast.ExceptHandler):
            blocks.append(node.body)
        elif isinstance(node, FunctionNode) and node.body:
            blocks.append([node.body[-1]])
    return {statement for block in blocks if is_doomed(block, kept) for statement in block}


def live_units(program: Program, dead: dict[Unit, set[ast.AST]]) -> set[Unit]:
    """The units that `main` and the user's code lead to, dead statements aside."""
    owner = {name: unit for unit in program.units for name in unit.bound[unit.tree]}
    queue = [unit for unit in program.units if unit.own or unit.kind == "main"]
    found = set(queue)
    while queue:
        unit = queue.pop()
        for name in {n.id for n in live_nodes(unit.tree, dead[unit]) if isinstance(n, ast.Name)}:
            target = owner.get(name)
            if target is not None and target not in found:
                found.add(target)
                queue.append(target)
    return found


def live_nodes(root: ast.AST, dead: Collection[ast.AST]) -> Iterator[ast.AST]:
    """`ast.walk` that leaves dead statements out."""
    queue = [root]
    while queue:
        node = queue.pop()
        if node not in dead:
            yield node
            queue.extend(ast.iter_child_nodes(node))


def watched_names(program: Program, kept: set[ast.Raise]) -> dict[str, set[str]]:
    """Functions, classes and methods, by name, that may run under a handler which goes on: what it catches."""
    calls: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    dead = {unit: dead_statements(unit, kept) for unit in program.units}
    live = live_units(program, dead)
    passed = passed_names(program, dead)
    for unit in live:
        for node in live_nodes(unit.tree, dead[unit]):
            if isinstance(node, FunctionNode):
                name = f".{node.name}" if isinstance(unit.parents[node], ast.ClassDef) else node.name
                given = passed.get(node.name, set()) if calls_local(unit, node) else set()
                calls.setdefault(name, set()).update(mentioned(node, dead[unit]), given)
            elif isinstance(node, ast.ClassDef):
                makers = [m for m in node.body if isinstance(m, FunctionNode) and m.name in MAKERS]
                named = {f"{node.name}.{m.name}" for m in makers}
                calls.setdefault(node.name, set()).update(named)
                for member in makers:
                    calls[f"{node.name}.{member.name}"] = mentioned(member, dead[unit])
    for unit in live:
        for node in live_nodes(unit.tree, dead[unit]):
            if isinstance(node, ast.Try):
                types = {t for h in node.handlers if unit.own or not is_doomed(h.body, kept) for t in caught_by(h)}
            elif isinstance(node, ast.With):
                types = {t for item in node.items for t in suppressed_by(item.context_expr)}
            else:
                continue
            if not types:
                continue
            names = {name for statement in node.body for name in mentioned(statement, dead[unit])}
            if any(calls_local(unit, statement) for statement in node.body):
                names |= may_be_called(program, unit, node, dead, passed)
            for name in names:
                found.setdefault(name, set()).update(types)
    queue = list(found)
    while queue:
        name = queue.pop()
        for called in calls.get(name, ()):
            before = len(found.setdefault(called, set()))
            found[called] |= found[name]
            if len(found[called]) > before:
                queue.append(called)
    return found


def passed_names(program: Program, dead: dict[Unit, set[ast.AST]]) -> dict[str, set[str]]:
    """What is mentioned in the arguments of calls of each name, or of `partial` of it."""
    found: dict[str, set[str]] = {}
    for unit in program.units:
        for node in live_nodes(unit.tree, dead[unit]):
            if isinstance(node, ast.Call):
                names = {n for a in (*node.args, *node.keywords) for n in mentioned(a)}
                found.setdefault(dotted_name(node.func).rpartition(".")[2], set()).update(names)
                for keyword in node.keywords:
                    found.setdefault(f"{keyword.arg}=", set()).update(mentioned(keyword.value))
                if dotted_name(node.func).endswith("partial") and node.args:
                    found.setdefault(dotted_name(node.args[0]).rpartition(".")[2], set()).update(names)
    return found


def may_be_called(
    program: Program, unit: Unit, node: ast.AST, dead: dict[Unit, set[ast.AST]], passed: dict[str, set[str]]
) -> set[str]:
    """What a variable that is called inside `node` may be: something that its function mentions, or is given.

    With "__call__", any object, if a class is among it, or a field of which is not known what it holds.
    """
    found: set[str] = set()
    for above in unit.up(node):
        if isinstance(above, FunctionNode):
            found |= mentioned(above, dead[unit]) | passed.get(above.name, set())
            given = passed.get(above.name, set())
            break
    else:
        return {".__call__"}
    classes, known = program.classes(), {*program.functions(), *program.classes(), *program.imported}
    for name in given - known:
        found |= passed.get(name.lstrip(".") + "=", set())
    objects = {n for n in found if n in classes}
    fields = {n for n in given - known if n.startswith(".") and f"{n[1:]}=" not in passed}
    return found | {".__call__"} if objects or fields else found


def calls_local(unit: Unit, root: ast.AST) -> bool:
    """Whether something is called below `root` that a variable holds."""
    for n in ast.walk(root):
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


def is_doomed(block: Sequence[ast.stmt], kept: set[ast.Raise]) -> bool:
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
    return ends and not any(isinstance(n, LEAVES) or n in kept for s in block for n in ast.walk(s))
