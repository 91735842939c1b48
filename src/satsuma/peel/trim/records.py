"""Records come apart: a data class that one function builds and others read becomes that function's variables.

`run = Run(model=model, scaler=None)` is then `scaler = None`, `run.model` is `model`, and what took `run` takes the
fields that it reads.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from satsuma.peel.trim.calls import argument_rows, parameter_rows, signature_of
from satsuma.peel.trim.parameters import is_constant
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.statements import line_start, stands_alone
from satsuma.peel.trim.unit import Unit, all_args, tree_nodes


@dataclass(slots=True)
class Reader:
    """A function with the parameter that is the record: the fields it reads itself, and the calls it is handed to."""

    unit: Unit
    node: ast.FunctionDef
    name: str  # of the parameter, or of the variable where the record is built
    reads: list[ast.Attribute] = field(default_factory=list)
    writes: list[ast.Attribute] = field(default_factory=list)
    handed: list[tuple[ast.Call, ast.Name, str]] = field(default_factory=list)  # call, argument, function's name
    build: ast.Assign | None = None
    names: dict[str, str] = field(default_factory=dict)  # field → what it is called here
    fields: set[str] = field(default_factory=set)  # read here or by what it is handed to


class NotPlainError(Exception):
    """The record is used in a way that is not understood, and stays."""


def records(program: Program) -> Iterator[Change]:
    """One change for each record class that can be taken apart."""
    for name, (home, node) in program.classes().items():
        fields = record_fields(home, node)
        if not fields:
            continue
        try:
            yield taken_apart(program, name, home, fields)
        except NotPlainError:
            continue


def record_fields(unit: Unit, node: ast.ClassDef) -> dict[str, ast.expr | None] | None:
    """The fields of a data class that has nothing else, with their defaults; None for any other class."""
    if node.bases or len(node.decorator_list) != 1 or "dataclass" not in ast.dump(node.decorator_list[0]):
        return None
    found: dict[str, ast.expr | None] = {}
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            if member.value is not None and not is_constant(unit, member.value):
                return None
            found[member.target.id] = member.value
        elif not (isinstance(member, ast.Expr) and isinstance(member.value, ast.Constant)):
            return None
    return found


def taken_apart(program: Program, name: str, home: Unit, fields: dict[str, ast.expr | None]) -> Change:
    builders = [builder_of(unit, use) for unit, use in program.uses(name) if use not in unit.in_annotations]
    if not builders:
        return []
    readers: dict[str, Reader] = {}
    functions = program.functions()
    for builder in builders:
        gather(builder, fields)
    queue = [callee for builder in builders for callee in builder.handed]
    while queue:
        call, argument, called = queue.pop()
        unit, node = functions.get(called, (None, None))
        if unit is None or node is None or node.decorator_list or any(b.node is node for b in builders):
            raise NotPlainError
        parameter = parameter_for(node, call, argument)
        if called in readers:
            if readers[called].name != parameter:
                raise NotPlainError
            continue
        readers[called] = Reader(unit, node, parameter)
        gather(readers[called], fields)
        if readers[called].writes:
            raise NotPlainError
        queue += readers[called].handed
    everyone = [*builders, *readers.values()]
    check_callers(program, readers, everyone)
    settle_fields(readers, everyone)
    for reader in everyone:
        choose_names(reader, fields)
    edits: list[Edit] = []
    for reader in everyone:
        edits += edits_of(home, reader, readers, fields)
    return edits


def builder_of(unit: Unit, use: ast.Name) -> Reader:
    """The function in which `run = Run(...)` stands once, by keyword."""
    call = unit.parents[use]
    statement = unit.parents.get(call)
    if not (isinstance(call, ast.Call) and call.func is use and isinstance(statement, ast.Assign)):
        raise NotPlainError
    function = unit.scope_of(statement)
    target = statement.targets[0]
    if unit.own or call.args or any(k.arg is None for k in call.keywords) or not isinstance(target, ast.Name):
        raise NotPlainError
    if len(statement.targets) != 1 or not isinstance(function, ast.FunctionDef) or not stands_alone(unit, statement):
        raise NotPlainError
    return Reader(unit, function, target.id, build=statement)


def gather(reader: Reader, fields: dict[str, ast.expr | None]) -> None:
    """Find every use of the record in a function; NotPlainError for one that is neither a field nor an argument."""
    unit = reader.unit
    for n in tree_nodes(reader.node):
        if isinstance(n, ast.arg) and n.arg == reader.name and reader.build is not None:
            raise NotPlainError
        if not isinstance(n, ast.Name) or n.id != reader.name:
            continue
        parent = unit.parents[n]
        if reader.build is not None and n is reader.build.targets[0]:
            continue
        if not isinstance(n.ctx, ast.Load) or not unit.editable(n) or n in unit.in_f_strings:
            raise NotPlainError
        if unit.binder(n, n.id) is not reader.node:
            raise NotPlainError
        if isinstance(parent, ast.Attribute) and parent.attr in fields:
            if isinstance(parent.ctx, ast.Load):
                reader.reads.append(parent)
            elif isinstance(parent.ctx, ast.Store) and unit.scope_of(parent) is reader.node:
                reader.writes.append(parent)
            else:
                raise NotPlainError
        elif isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and n in parent.args:
            if unit.binder(parent, parent.func.id) is not None:
                raise NotPlainError
            reader.handed.append((parent, n, parent.func.id))
        else:
            raise NotPlainError
    if reader.writes and any(unit.scope_of(read) is not reader.node for read in reader.reads):
        raise NotPlainError


def parameter_for(node: ast.FunctionDef, call: ast.Call, argument: ast.Name) -> str:
    place = call.args.index(argument)
    signature = signature_of(node)
    if any(isinstance(a, ast.Starred) for a in call.args[: place + 1]) or place >= len(signature.positional):
        raise NotPlainError
    return signature.positional[place]


def check_callers(program: Program, readers: dict[str, Reader], everyone: list[Reader]) -> None:
    """Every use of a function that takes the record must be a call that is handed it."""
    handed = {id(call.func) for reader in everyone for call, _, _ in reader.handed}
    for name in readers:
        for unit, use in program.uses(name):
            if id(use) not in handed or unit.own:
                raise NotPlainError


def settle_fields(readers: dict[str, Reader], everyone: list[Reader]) -> None:
    """Fields that each function reads, itself or by handing the record on."""
    for reader in everyone:
        reader.fields = {read.attr for read in (*reader.reads, *reader.writes)}
    changed = True
    while changed:
        changed = False
        for reader in everyone:
            for _, _, called in reader.handed:
                more = readers[called].fields - reader.fields
                reader.fields |= more
                changed = changed or bool(more)


def choose_names(reader: Reader, fields: dict[str, ast.expr | None]) -> None:
    """A field keeps its name, unless that means something else in the function: then it is `run_name`."""
    taken = {n.id for n in tree_nodes(reader.node) if isinstance(n, ast.Name)}
    taken |= {n.arg for n in tree_nodes(reader.node) if isinstance(n, ast.arg)}
    taken |= {n.name for n in tree_nodes(reader.node) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for name in fields:
        plain = name not in taken or overwritten_last(reader, name)
        if reader.build is not None and name in taken:
            plain = is_same_value(reader, name)
        chosen = name if plain else f"{reader.name}_{name}"
        if chosen != name and chosen in taken:
            raise NotPlainError
        reader.names[name] = chosen


def is_same_value(reader: Reader, name: str) -> bool:
    """Whether the record's field is a variable of the same name, as in `Run(model=model)`, which stays what it is."""
    assert reader.build is not None
    assert isinstance(reader.build.value, ast.Call)
    given = {k.arg: k.value for k in reader.build.value.keywords}.get(name)
    if not isinstance(given, ast.Name) or given.id != name or reader.unit.binder(given, name) is not reader.node:
        return False
    if any(write.attr == name for write in reader.writes):
        return False
    stores = [n for n in tree_nodes(reader.node) if isinstance(n, ast.Name) and n.id == name and not is_load(n)]
    arguments = sum(a.arg == name for a in all_args(reader.node.args))
    return len(stores) + arguments == 1 and all(reader.unit.scope_of(n) is reader.node for n in stores)


def is_load(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def overwritten_last(reader: Reader, name: str) -> bool:
    """Whether a function sets a variable of a field's name only after it has read the field for the last time.

    As in `seed = mix_seed(run.seed, step)`: the parameter `seed` can be that variable.
    """
    if reader.build is not None or reader.writes:
        return False
    unit, node = reader.unit, reader.node
    uses = [n for n in tree_nodes(node) if isinstance(n, ast.Name) and n.id == name]
    if any(a.arg == name for a in all_args(node.args)) or any(unit.scope_of(n) is not node for n in uses):
        return False
    stores = [n for n in uses if not is_load(n)]
    if not stores:
        return False  # a name of the script's
    first = min(stores, key=lambda n: (n.lineno, n.col_offset))
    statement = unit.parents[first]
    if not (isinstance(statement, ast.Assign) and statement in node.body):
        return False
    reads: list[ast.expr] = [r for r in reader.reads if r.attr == name]
    reads += [call for call, _, _ in reader.handed]
    limit = statement.end_lineno or 0
    return all((r.end_lineno or 0) <= limit for r in reads)


def edits_of(home: Unit, reader: Reader, readers: dict[str, Reader], fields: dict[str, ast.expr | None]) -> list[Edit]:
    """All edits of one function: the signature or the building, the fields, the calls it hands the record to."""
    unit = reader.unit
    edits = [Edit(unit, *unit.span(a), reader.names[a.attr]) for a in (*reader.reads, *reader.writes)]
    annotations = field_annotations(home)
    for call, argument, called in reader.handed:
        names = [reader.names[f] for f in fields if f in readers[called].fields]
        edits.append(replace_item(unit, argument_rows(unit, call), call.args.index(argument), ", ".join(names)))
    if reader.build is None:
        rows, keys = parameter_rows(unit, reader.node)
        shown = [f"{reader.names[f]}: {annotations[f]}" for f in fields if f in reader.fields]
        edits.append(replace_item(unit, rows, keys.index(reader.name), ", ".join(shown)))
        if any(f in fields for f in reader.fields) and "/" in keys:
            raise NotPlainError
        return edits
    return [*edits, *unbuilt(home, reader, fields)]


def replace_item(unit: Unit, rows: list[tuple[int, int]], place: int, text: str) -> Edit:
    if text or len(rows) == 1:
        return Edit(unit, *rows[place], text)
    if place + 1 < len(rows):
        return Edit(unit, rows[place][0], rows[place + 1][0], "")
    return Edit(unit, rows[place - 1][1], rows[place][1], "")


def field_annotations(home: Unit) -> dict[str, str]:
    cls = next(n for n in home.tree.body if isinstance(n, ast.ClassDef))
    return {
        m.target.id: home.source(m.annotation)
        for m in cls.body
        if isinstance(m, ast.AnnAssign) and isinstance(m.target, ast.Name)
    }


def unbuilt(home: Unit, reader: Reader, fields: dict[str, ast.expr | None]) -> list[Edit]:
    """`run = Run(...)` as one assignment for each field, in the order in which they were worked out."""
    unit = reader.unit
    assert reader.build is not None
    assert isinstance(reader.build.value, ast.Call)
    start, end = unit.span(reader.build)
    margin = " " * (start - line_start(unit, start))
    lines: list[str] = []
    keywords = {k.arg: k.value for k in reader.build.value.keywords}
    if any(k not in fields for k in keywords):
        raise NotPlainError
    for name, value in keywords.items():
        assert name is not None
        if any(isinstance(n, ast.Name) and n.id == reader.name for n in tree_nodes(value)):
            raise NotPlainError
        own = isinstance(value, ast.Name) and value.id == reader.names[name]
        if not own:
            lines.append(f"{reader.names[name]} = {unit.source(value)}")
    for name, default in fields.items():
        if name not in keywords:
            if default is None:
                raise NotPlainError
            if name in reader.fields:
                lines.append(f"{reader.names[name]} = {home.source(default)}")
    text = f"\n{margin}".join(lines) if lines else "pass"
    return [Edit(unit, start, end, text)]
