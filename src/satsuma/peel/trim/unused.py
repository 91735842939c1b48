"""What the script never gets to goes: definitions, methods, class constants, imports."""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import dotted_name
from satsuma.peel.trim.statements import body_of, delete
from satsuma.peel.trim.unit import FunctionNode, Unit, bound_names, quoted_words, tree_nodes

NEVER_CALLED = ("__repr__", "__reduce__", "__getstate__", "__setstate__", "extra_repr", "__del__")


def unused_units(program: Program) -> bool:
    """Empty every unit of the library that `main` and the user's own code do not lead to; True if there was one."""
    owner = {name: unit for unit in program.units for name in top_names(unit)}
    queue = [unit for unit in program.units if unit.own or unit.kind == "main"]
    reached = set(queue)
    while queue:
        for name in queue.pop().once(names_read):
            unit = owner.get(name)
            if unit is not None and unit not in reached:
                reached.add(unit)
                queue.append(unit)
    gone = [unit for unit in program.units if unit not in reached and unit.text]
    for unit in gone:
        program.put(unit.with_text(""))
    return bool(gone)


def top_names(unit: Unit) -> set[str]:
    return unit.bound[unit.tree]


def names_read(unit: Unit) -> set[str]:
    """Names of the script that a unit reads, those in quoted annotations included."""
    found = {n.id for n in unit.global_names}
    for node in unit.all(ast.Constant):
        if isinstance(node.value, str) and node in unit.in_annotations:
            try:
                quoted = ast.parse(node.value, mode="eval")
            except SyntaxError:
                continue
            found |= {n.id for n in tree_nodes(quoted) if isinstance(n, ast.Name)}
    return found


def unused_imports(program: Program) -> bool:
    """Drop imported names that nothing reads; True if there was one."""
    read = program.together(names_read)
    lines = []
    for line in program.imports:
        node = ast.parse(line).body[0]
        assert isinstance(node, ast.Import | ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            lines.append(line)
            continue
        kept = [a for a in node.names if (a.asname or a.name.partition(".")[0]) in read or "*" in a.name]
        if len(kept) == len(node.names):
            lines.append(line)
        elif kept:
            shown = ", ".join(f"{a.name} as {a.asname}" if a.asname else a.name for a in kept)
            dots = "." * node.level if isinstance(node, ast.ImportFrom) else ""
            module = f"from {dots}{node.module or ''} import " if isinstance(node, ast.ImportFrom) else "import "
            lines.append(module + shown)
    if lines == program.imports:
        return False
    program.imports = lines
    program.found.clear()
    return True


def attributes_read(unit: Unit) -> set[str]:
    """Every attribute that is read, and every word in quotes that may name one."""
    found = {node.attr for node in unit.all(ast.Attribute) if isinstance(node.ctx, ast.Load)}
    found |= {alias.name for node in unit.all(ast.ImportFrom) for alias in node.names}
    return found | unit.once(quoted_words)


def unused_members(program: Program) -> Iterator[Change]:
    """Methods and class constants that nobody asks for."""
    read = program.together(attributes_read)
    processes = any("multiprocessing" in line or "ProcessPool" in line for line in program.imports)
    processes = processes or any("multiprocessing" in unit.text or "pickle" in unit.text for unit in program.units)
    for unit in program.library:
        for cls in unit.all(ast.ClassDef):
            record = any("dataclass" in ast.dump(d) for d in cls.decorator_list)
            foreign = any(dotted_name(b) not in program.classes() for b in cls.bases)
            enum = any(
                "Enum" in dotted_name(b) or "Tuple" in dotted_name(b) or "Dict" in dotted_name(b) for b in cls.bases
            )
            gone: list[ast.stmt] = []
            for member in cls.body:
                if isinstance(member, FunctionNode):
                    if member_unused(member, read, foreign, processes):
                        gone.append(member)
                elif isinstance(member, ast.Assign) and not enum:
                    names = [n for t in member.targets for n in bound_names(t)]
                    inside = any(isinstance(n, ast.Name) and n.id in names and n not in member.targets
                                 for n in tree_nodes(cls))  # fmt: skip
                    if names and not inside and not any(n in read or n.startswith("__") for n in names):
                        gone.append(member)
                elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and member.value:
                    gone += [] if record or enum or foreign or member.target.id in read else [member]
            yield delete(unit, gone)


def member_unused(member: FunctionNode, read: set[str], foreign: bool, processes: bool) -> bool:
    name = member.name
    if name in NEVER_CALLED:
        return name in ("__repr__", "extra_repr") or not processes
    if name == "__post_init__":
        return not body_of(member)
    if name.startswith("__") or name in read:
        return False
    return not (foreign and name in HOOKS)


# methods by which torch, Python's threads or argparse call a class that extends theirs
HOOKS = frozenset(
    [
        "forward",
        "backward",
        "train",
        "eval",
        "step",
        "run",
        "reset_parameters",
        "setup_context",
        "state_dict",
        "load_state_dict",
        "jvp",
        "vmap",
        "zero_grad",
        "apply",
        "default",
        "error",
        "write",
        "close",
        "flush",
        "handle",
    ]
)


def only_annotations(program: Program) -> Iterator[Change]:
    """A class of which nothing is made, named in annotations alone, is `Any` there."""
    for name, (home, node) in program.classes().items():
        uses = [(u, n) for u, n in program.uses(name) if not (u is home and any(a is node for a in u.up(n)))]
        if not uses or any(n not in u.in_annotations for u, n in uses) or any(u.own for u, _ in uses):
            continue
        if any(n in u.in_f_strings for u, n in uses):
            continue
        if "from typing import Any" not in program.imports:
            program.imports.append("from typing import Any")
        for unit, use in uses:
            target: ast.AST = use
            while isinstance(unit.parents[target], ast.BinOp):
                target = unit.parents[target]  # Any | None is Any
            if isinstance(unit.parents[target], ast.Subscript) and unit.parents[target].value is target:  # type: ignore[attr-defined]
                target = unit.parents[target]
            yield [Edit(unit, *unit.span(target), "Any")]
