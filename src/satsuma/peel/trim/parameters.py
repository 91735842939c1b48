"""Parameters that get the same constant from every caller become that constant."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from satsuma.peel.trim.calls import (
    Signature,
    Site,
    drop_arguments,
    drop_parameters,
    signature_of,
    site_of,
    sites_of,
    unseen_keywords,
)
from satsuma.peel.trim.documents import without_descriptions
from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import dotted_name
from satsuma.peel.trim.unit import Unit, tree_nodes

TRANSPARENT = ("contextmanager", "contextlib.contextmanager", "torch.no_grad", "torch.inference_mode")


def constant_parameters(program: Program) -> Iterator[Change]:
    """For each function one change that drops all its constant parameters."""
    unseen = unseen_keywords(program)
    for name, (unit, node) in program.functions().items():
        if unit.kind == "main" and name == "main":
            continue
        if all(dotted_name(d.func if isinstance(d, ast.Call) else d) in TRANSPARENT for d in node.decorator_list):
            signature = signature_of(node)
            sites, escapes = sites_of(program, name, signature)
            yield dropped(Callee(unit, node, signature, sites, escapes), unseen)
    for name, (unit, cls) in program.classes().items():
        callee = constructor_of(program, name, unit, cls)
        if callee is not None:
            yield dropped(callee, unseen)
        for method in own_methods(program, unit, cls):
            yield dropped(method, unseen)


@dataclass(slots=True)
class Callee:
    """A function with everything that is known of its callers."""

    unit: Unit
    node: ast.FunctionDef
    signature: Signature
    sites: list[Site]
    escapes: bool


def constructor_of(program: Program, name: str, unit: Unit, cls: ast.ClassDef) -> Callee | None:
    """`__init__` of a class that no other class extends, with the calls of the class."""
    init = next((n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if init is None or init.decorator_list or cls.decorator_list:
        return None
    signature = signature_of(init, bound=True)
    sites, _ = sites_of(program, name, signature)
    escapes = False
    for where, use in program.uses(name):
        parent = where.parents[use]
        if isinstance(parent, ast.ClassDef):
            return None
        called = any(site.unit is where and use in (site.call.func, *site.call.args) for site in sites)
        if not called and use not in where.in_annotations and not is_neutral(where, use):
            escapes = True
    return Callee(unit, init, signature, sites, escapes)


def is_neutral(unit: Unit, use: ast.Name) -> bool:
    """Whether a use of a class makes no object of it: `isinstance(x, Class)`, `Class.attribute`."""
    parent = unit.parents[use]
    if isinstance(parent, ast.Attribute):
        return True
    while isinstance(parent, ast.BinOp | ast.Tuple):
        parent = unit.parents[parent]
    return isinstance(parent, ast.Call) and dotted_name(parent.func) in ("isinstance", "issubclass")


def own_methods(program: Program, unit: Unit, cls: ast.ClassDef) -> Iterator[Callee]:
    """Methods that are only called by `self` inside their class, and by nobody else's name."""
    for node in cls.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("__") or node.decorator_list:
            continue
        if not node.args.args or any(isinstance(b, ast.ClassDef) for b in cls.bases):
            continue
        uses = program.attributes().get(node.name, [])
        signature = signature_of(node, bound=True)
        sites = []
        for where, use in uses:
            parent = where.parents[use]
            mine = where is unit and where.inside(use, cls) and dotted_name(use.value) == "self"
            if mine and isinstance(parent, ast.Call) and parent.func is use:
                sites.append(site_of(where, parent, signature, partial=False))
        alone = program.once(method_counts)[node.name] == 1
        if len(sites) == len(uses) and uses and node.name not in program.quoted() and alone and not cls.bases:
            yield Callee(unit, node, signature, sites, escapes=False)


def method_counts(program: Program) -> Counter[str]:
    """How many classes of the library have a method of each name."""
    return Counter(n.name for _, c in program.classes().values() for n in c.body if isinstance(n, ast.FunctionDef))


def dropped(callee: Callee, unseen: set[str]) -> Change:
    """One change that makes all constant parameters of a function constants."""
    if not callee.sites and not callee.escapes:
        return []
    values: dict[str, str] = {}
    for name in callee.signature.names:
        text = constant_argument(callee, name, unseen)
        if text is not None and substitutable(callee, name, text):
            values[name] = text
    if not values:
        return []
    unit, node = callee.unit, callee.node
    edits: list[Edit] = []
    for use in reads(unit, node):
        if use.id in values:
            edits += substituted(unit, use, values[use.id])
    edits += drop_parameters(unit, node, set(values))
    for site in callee.sites:
        less = drop_arguments(site, set(values))
        if less is None:
            return []
        edits += less
    return [*edits, *without_descriptions(unit, node, set(values), values)]


def substituted(unit: Unit, use: ast.Name, text: str) -> list[Edit]:
    parent = unit.parents[use]
    if isinstance(parent, ast.FormattedValue):
        return [Edit(unit, *unit.span(use), text)]
    return put(unit, use, text)


def reads(unit: Unit, node: ast.FunctionDef) -> list[ast.Name]:
    """Where the parameters of a function are read in its body."""
    return [
        n
        for n in tree_nodes(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and unit.binder(n, n.id) is node
    ]


def substitutable(callee: Callee, name: str, text: str) -> bool:
    """Whether `text` means the same at every place where the parameter is read, and the parameter is never set."""
    unit, node = callee.unit, callee.node
    for n in tree_nodes(node):
        if isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load):
            return False
        if isinstance(n, ast.ExceptHandler | ast.Global | ast.Nonlocal) and name in ast.dump(n):
            return False
    roots = {n.id for n in tree_nodes(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
    for use in reads(unit, node):
        if use.id != name:
            continue
        if not unit.editable(use) or (('"' in text or "'" in text) and use in unit.in_f_strings):
            return False
        for root in roots:
            binder = unit.binder(use, root)
            if binder is not None and not (binder is node and root == name):
                return False
    return True


def constant_argument(callee: Callee, name: str, unseen: set[str]) -> str | None:
    """The text of the constant that a parameter gets from every caller; None if there is none."""
    found: dict[str, str] = {}
    default = callee.signature.defaults.get(name)
    loose = callee.escapes or any(site.partial for site in callee.sites)
    if loose and (name in unseen or "**" in unseen):
        return None
    if callee.escapes and (name not in callee.signature.keyword or default is None):
        return None
    if callee.escapes and default is not None:
        note(found, callee.unit, default)
    for site in callee.sites:
        if name in site.unseen:
            return None
        value, unit = site.given.get(name), site.unit
        if value is None:
            if default is None or (site.partial and name not in callee.signature.keyword):
                return None
            value, unit = default, callee.unit
        elif isinstance(value, ast.Name) and value.id == name and unit.binder(value, name) is callee.node:
            continue  # it hands on what it got
        elif unit.kind == "main" and is_setting(value):
            return None  # the recipe, which main spells out
        note(found, unit, value)
    return next(iter(found.values())) if len(found) == 1 and "" not in found else None


def is_setting(value: ast.expr) -> bool:
    """Whether a constant says how something is done, and not merely that it is off or on."""
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    if isinstance(value, ast.Tuple):
        return bool(value.elts)
    return isinstance(value, ast.Constant) and not isinstance(value.value, bool) and bool(value.value)


def note(found: dict[str, str], unit: Unit, value: ast.expr) -> None:
    """Write down what is given; "" for what is no constant."""
    found[ast.dump(value) if is_constant(unit, value) else ""] = unit.source(value)


def is_constant(unit: Unit, node: ast.expr) -> bool:
    """A literal, a tuple of them, or a name that the whole script shares."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Tuple):
        return all(is_constant(unit, e) for e in node.elts) and len(node.elts) <= 4
    root = dotted_name(node).partition(".")[0]
    if isinstance(node, ast.Attribute) and root == "self":
        return False
    return bool(root) and unit.binder(node, root) is None and is_shared(node, root)


def is_shared(node: ast.expr, root: str) -> bool:
    """Whether a name of the module never changes: attributes are those of modules and classes."""
    return not isinstance(node, ast.Attribute) or root.islower() or root[0].isupper()
