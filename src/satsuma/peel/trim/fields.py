"""Fields of data classes: one that is the same constant in every object becomes it, one that nobody reads goes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from satsuma.peel.trim.calls import Signature, Site, drop_arguments, site_of
from satsuma.peel.trim.documents import without_descriptions
from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.parameters import is_constant, is_setting
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import dotted_name, is_pure, pure_functions
from satsuma.peel.trim.statements import delete
from satsuma.peel.trim.unit import FunctionNode, Unit, attributes_by_name, tree_nodes

ASKING = ("getattr", "hasattr", "setattr", "attrgetter", "__setattr__")
WHOLE = ("asdict", "astuple", "fields", "vars")  # what looks at all fields at once


@dataclass(slots=True)
class Record:
    """A data class with its fields, the statement that declares each, and everywhere it is built."""

    name: str
    unit: Unit
    node: ast.ClassDef
    declared: dict[str, ast.AnnAssign]
    signature: Signature
    sites: list[Site]


def record_fields_settled(program: Program) -> Iterator[Change]:
    """One change for each field that can go."""
    if program.together(called_names) & set(WHOLE):
        return
    asked = program.together(asked_names)
    asked |= program.quoted() if "" in asked else set()
    reads, writes = attribute_uses(program)
    pure = pure_functions(program)
    replaced = program.together(replaced_names)
    if "" in replaced:
        return
    for record in data_classes(program):
        for field in record.declared:
            if field in asked or field in writes or field in replaced:
                continue
            if not reads.get(field):
                yield unread_field(record, field, pure)
                continue
            text = constant_field(record, field)
            if text is not None and all(belongs(record, unit, n) for unit, n in reads[field]):
                yield constant_everywhere(record, field, text, reads[field])


def data_classes(program: Program) -> Iterator[Record]:
    """The library's data classes that nothing extends and that are only built by plain calls."""
    for name, (unit, node) in program.classes().items():
        found = [d for d in node.decorator_list if dotted_name(d.func if isinstance(d, ast.Call) else d) == "dataclass"]
        if len(found) != 1 or len(node.decorator_list) != 1 or node.bases:
            continue
        decorator = found[0]
        options = {k.arg: k.value for k in decorator.keywords} if isinstance(decorator, ast.Call) else {}
        declared = {
            m.target.id: m for m in node.body if isinstance(m, ast.AnnAssign) and isinstance(m.target, ast.Name)
        }
        text = unit.text
        if "ClassVar" in text or "InitVar" in text or "KW_ONLY" in text or "order" in options:
            continue
        keyword_only = "kw_only" in options
        names = list(declared)
        signature = Signature([] if keyword_only else names, names if keyword_only else [], "", "", {}, {})
        signature.defaults = {f: m.value for f, m in declared.items() if m.value is not None}
        sites: list[Site] = []
        for where, use in program.uses(name):
            parent = where.parents[use]
            if isinstance(parent, ast.Call) and parent.func is use and where.editable(parent):
                sites.append(site_of(where, parent, signature, partial=False))
            elif use not in where.in_annotations and not only_asked(where, use):
                break
        else:
            if sites and not any(site.unit.own or site.unseen for site in sites):
                yield Record(name, unit, node, declared, signature, sites)


def only_asked(unit: Unit, use: ast.Name) -> bool:
    parent = unit.parents[use]
    while isinstance(parent, ast.BinOp | ast.Tuple):
        parent = unit.parents[parent]
    return isinstance(parent, ast.Call) and dotted_name(parent.func) == "isinstance"


def called_names(unit: Unit) -> set[str]:
    return {dotted_name(n.func).rpartition(".")[2] for n in unit.all(ast.Call)}


def asked_names(unit: Unit) -> set[str]:
    """Attributes that are asked for by their name in quotes; "" stands for any that is quoted somewhere."""
    found: set[str] = set()
    for n in unit.all(ast.Call):
        if dotted_name(n.func).rpartition(".")[2] in ASKING:
            found |= {a.value for a in n.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
            found |= {"" for a in n.args[1:2] if not isinstance(a, ast.Constant)}
    return found


def attribute_uses(program: Program) -> tuple[dict[str, list[tuple[Unit, ast.Attribute]]], set[str]]:
    """Where each attribute is read, and the names of those that are set."""
    return program.once(Program.joined, loads_by_name), program.together(attributes_set)


def loads_by_name(unit: Unit) -> dict[str, list[tuple[Unit, ast.Attribute]]]:
    loads = {
        name: [(u, n) for u, n in uses if isinstance(n.ctx, ast.Load)]
        for name, uses in unit.once(attributes_by_name).items()
    }
    return {name: uses for name, uses in loads.items() if uses}


def attributes_set(unit: Unit) -> set[str]:
    found = {name for n in unit.all(ast.MatchClass) for name in n.kwd_attrs}
    return found | {n.attr for n in unit.all(ast.Attribute) if not isinstance(n.ctx, ast.Load)}


def replaced_names(unit: Unit) -> set[str]:
    """The fields that `replace(x, field=...)` sets; "" stands for any."""
    calls = [n for n in unit.all(ast.Call) if dotted_name(n.func).rpartition(".")[2] == "replace"]
    return {k.arg or "" for n in calls for k in n.keywords}


def constant_field(record: Record, field: str) -> str | None:
    """The text of the constant that a field has in every object."""
    found: dict[str, str] = {}
    for site in record.sites:
        value, unit = site.given.get(field), site.unit
        if value is None:
            value, unit = record.signature.defaults.get(field), record.unit
        elif isinstance(value, ast.Attribute) and value.attr == field and belongs(record, unit, value):
            continue  # copied from another object of the class
        elif unit.kind == "main" and is_setting(value):
            return None  # the recipe, which main spells out
        if value is None or not is_constant(unit, value):
            return None
        found[ast.dump(value)] = unit.source(value)
    return next(iter(found.values())) if len(found) == 1 else None


def belongs(record: Record, unit: Unit, node: ast.Attribute) -> bool:
    """Whether an attribute is surely one of an object of the class."""
    if not isinstance(node.value, ast.Name) or not unit.editable(node) or node in unit.in_f_strings or unit.own:
        return False
    name = node.value.id
    scope = unit.binder(node.value, name)
    if not isinstance(scope, FunctionNode):
        return False
    stores = [
        n for n in tree_nodes(scope) if isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load)
    ]
    arguments = [a for a in tree_nodes(scope.args) if isinstance(a, ast.arg) and a.arg == name]
    if name == "self":
        return unit is record.unit and unit.parents[scope] is record.node and not stores
    if arguments:
        annotation = arguments[0].annotation
        written = (
            annotation.value if isinstance(annotation, ast.Constant) else dotted_name(annotation) if annotation else ""
        )
        return written == record.name and not stores
    return bool(stores) and all(made_by(unit, n, record.name) for n in stores)


def made_by(unit: Unit, store: ast.Name, name: str) -> bool:
    parent = unit.parents[store]
    return (
        isinstance(parent, ast.Assign)
        and parent.targets == [store]
        and isinstance(parent.value, ast.Call)
        and dotted_name(parent.value.func) == name
    )


def without_field(record: Record, field: str) -> list[Edit] | None:
    """Edits that take a field out of the class and of every construction."""
    unit = record.unit
    edits = delete(unit, [record.declared[field]])
    for site in record.sites:
        less = drop_arguments(site, {field})
        if less is None:
            return None
        edits += less
    return [*edits, *without_descriptions(unit, record.node, {field})]


def unread_field(record: Record, field: str, pure: frozenset[str]) -> Change:
    values = [site.given[field] for site in record.sites if field in site.given]
    if not all(is_pure(value, pure) for value in values) or len(record.declared) == 1:
        return []
    return without_field(record, field) or []


def constant_everywhere(record: Record, field: str, text: str, reads: list[tuple[Unit, ast.Attribute]]) -> Change:
    roots = {n.id for n in tree_nodes(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
    if len(record.declared) == 1 or any(unit.binder(n, root) is not None for unit, n in reads for root in roots):
        return []
    inside = {id(v) for site in record.sites for f, v in site.given.items() if f == field}
    edits = without_field(record, field)
    if edits is None:
        return []
    for unit, n in reads:
        if id(n) not in inside:
            edits += put(unit, n, text)
    return edits


def unread_attributes(program: Program) -> Iterator[Change]:
    """`self.x = x` in `__init__` goes where nobody reads `.x`; in a network only if it is surely no layer."""
    reads, _ = attribute_uses(program)
    words = program.quoted()
    for _, (unit, cls) in program.classes().items():
        plain = not cls.bases
        for init in cls.body:
            if not isinstance(init, ast.FunctionDef) or init.name != "__init__":
                continue
            simple = {
                a.arg
                for a in tree_nodes(init.args)
                if isinstance(a, ast.arg) and a.annotation is not None and is_simple_type(a.annotation)
            }
            for statement in init.body:
                if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                    yield shorter_assignment(unit, statement, simple, plain, set(reads) | words)
                elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Attribute):
                    unread = statement.target.attr not in reads and statement.target.attr not in words
                    if unread and isinstance(statement.value, ast.Constant):
                        yield delete(unit, [statement])


def is_simple_type(annotation: ast.expr) -> bool:
    names = {n.id for n in tree_nodes(annotation) if isinstance(n, ast.Name)}
    return bool(names) and names <= {"int", "float", "str", "bool", "tuple", "Sequence"}


def shorter_assignment(unit: Unit, statement: ast.Assign, simple: set[str], plain: bool, read: set[str]) -> Change:
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) != isinstance(value, ast.Tuple):
        return []
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) else [value]
    if len(targets) != len(values):
        return []
    kept = [
        (t, v)
        for t, v in zip(targets, values, strict=True)
        if not (isinstance(t, ast.Attribute) and dotted_name(t.value) == "self" and t.attr not in read)
        or not is_pure(v)
        or not (plain or isinstance(v, ast.Constant) or is_plain_value(v, simple))
    ]
    if len(kept) == len(targets):
        return []
    if not kept:
        return delete(unit, [statement])
    left, right = ", ".join(unit.source(t) for t, _ in kept), ", ".join(unit.source(v) for _, v in kept)
    return [Edit(unit, *unit.span(statement), f"{left} = {right}")]


def is_plain_value(value: ast.expr, simple: set[str]) -> bool:
    if isinstance(value, ast.Call):
        return dotted_name(value.func) in ("tuple", "int", "float", "len", "str")
    return isinstance(value, ast.Name) and value.id in simple
