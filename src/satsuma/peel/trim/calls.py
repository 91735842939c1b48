"""Who calls a function of the script, and with what."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from satsuma.peel.trim.program import Edit, Program
from satsuma.peel.trim.purity import dotted_name
from satsuma.peel.trim.unit import Unit, tree_nodes

PARTIALS = ("partial", "functools.partial")


@dataclass(slots=True)
class Signature:
    """The parameters of a function, with the default of each that has one."""

    positional: list[str]
    keyword: list[str]
    vararg: str
    kwarg: str
    defaults: dict[str, ast.expr]
    nodes: dict[str, ast.arg]

    @property
    def names(self) -> list[str]:
        return [*self.positional, *self.keyword]


def signature_of(node: ast.FunctionDef, *, bound: bool = False) -> Signature:
    """`bound`: without the first parameter, as a method is called."""
    args = node.args
    listed = [*args.posonlyargs, *args.args]
    defaults = dict(zip([a.arg for a in listed][len(listed) - len(args.defaults) :], args.defaults, strict=True))
    defaults |= {a.arg: d for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None}
    positional = [a.arg for a in listed][1 if bound else 0 :]
    return Signature(
        positional,
        [a.arg for a in args.kwonlyargs],
        args.vararg.arg if args.vararg else "",
        args.kwarg.arg if args.kwarg else "",
        defaults,
        {a.arg: a for a in (*listed, *args.kwonlyargs)},
    )


@dataclass(slots=True)
class Site:
    """One call, or `partial`, of a function: what it gives each parameter, and which it may give unseen."""

    unit: Unit
    call: ast.Call
    partial: bool
    given: dict[str, ast.expr] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)


def site_of(unit: Unit, call: ast.Call, signature: Signature, *, partial: bool) -> Site:
    site = Site(unit, call, partial)
    for i, arg in enumerate(call.args[1:] if partial else call.args):
        if isinstance(arg, ast.Starred):
            site.unseen.update(signature.positional[i:])
            break
        if i < len(signature.positional):
            site.given[signature.positional[i]] = arg
    for keyword in call.keywords:
        if keyword.arg is None:
            site.unseen.update(signature.names)
        else:
            site.given[keyword.arg] = keyword.value
    return site


def sites_of(program: Program, name: str, signature: Signature) -> tuple[list[Site], bool]:
    """All calls of a top-level name, and whether it is also used as a value."""
    sites, escapes = [], False
    for unit, use in program.uses(name):
        parent = unit.parents[use]
        if isinstance(parent, ast.Call) and parent.func is use:
            sites.append(site_of(unit, parent, signature, partial=False))
        elif isinstance(parent, ast.Call) and dotted_name(parent.func) in PARTIALS and parent.args[0] is use:
            sites.append(site_of(unit, parent, signature, partial=True))
        elif use not in unit.in_annotations:
            escapes = True
    return sites, escapes


def unseen_keywords(program: Program) -> set[str]:
    """The keywords with which values are called that may be any function; "**" where they cannot be told."""
    functions = program.functions()
    takes_any = {name for name, (_, node) in functions.items() if node.args.kwarg is not None}
    known = frozenset({*functions, *program.classes(), *program.imported} - takes_any)
    return {name for unit in program.units for name in unit.once(unseen_in, known & unit.words)}


def unseen_in(unit: Unit, known: frozenset[str]) -> set[str]:
    """`known`: what names the keywords itself that it takes."""
    found: set[str] = set()
    for node in unit.all(ast.Call):
        root = dotted_name(node.func).partition(".")[0] if node.keywords else ""
        if not node.keywords or (root in known and unit.binder(node, root) is None):
            continue
        if isinstance(node.func, ast.Name) and unit.binder(node, root) is None and not unit.own:
            continue  # a builtin
        for keyword in node.keywords:
            found |= {keyword.arg} if keyword.arg else spread_keys(unit, keyword.value)
    return found


def spread_keys(unit: Unit, value: ast.expr) -> set[str]:
    """The keywords that `**value` may hold; "**" where they cannot be told."""
    if isinstance(value, ast.Dict):
        if all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in value.keys):
            return {k.value for k in value.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}
        return {"**"}
    if isinstance(value, ast.IfExp):
        return spread_keys(unit, value.body) | spread_keys(unit, value.orelse)
    scope = unit.binder(value, value.id) if isinstance(value, ast.Name) else None
    if isinstance(value, ast.Name) and isinstance(scope, ast.FunctionDef):
        if scope.args.kwarg is not None and scope.args.kwarg.arg == value.id:
            return set()  # counted where that function is called
        stores = [n for n in tree_nodes(scope) if isinstance(n, ast.Name) and n.id == value.id and n is not value]
        parents = [unit.parents[n] for n in stores]
        if stores and all(isinstance(p, ast.Assign) and p.targets == [n] for n, p in zip(stores, parents, strict=True)):
            return {key for p in parents if isinstance(p, ast.Assign) for key in spread_keys(unit, p.value)}
    return {"**"}


def remove_items(unit: Unit, items: Sequence[tuple[int, int]], gone: set[int], close: int) -> list[Edit]:
    """Take some of the items of a row in brackets away, each from `items[i][0]` to `items[i][1]`; `close`: its end."""
    if not gone:
        return []
    kept = [i for i in range(len(items)) if i not in gone]
    if not kept:
        return [Edit(unit, items[0][0], close, "")]
    edits = []
    for i in sorted(gone):
        if i < kept[-1]:
            edits.append(Edit(unit, items[i][0], items[i + 1][0], ""))
        else:
            edits.append(Edit(unit, items[i - 1][1], items[i][1], ""))
    return edits


def close_of(unit: Unit, node: ast.AST) -> int:
    """The place of the bracket that ends a call."""
    return unit.span(node)[1] - 1


def argument_rows(unit: Unit, call: ast.Call) -> list[tuple[int, int]]:
    """The spans of a call's arguments in the order of the text, brackets of their own included."""
    rows = []
    for node in arguments_in_order(call):
        start, end = unit.span(node)
        if isinstance(node, ast.keyword):
            end = widened(unit, unit.span(node.value), call)[1]
        else:
            start, end = widened(unit, (start, end), call)
        rows.append((start, end))
    return rows


def arguments_in_order(call: ast.Call) -> list[ast.expr | ast.keyword]:
    """A call's arguments in the order of the text."""
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    return sorted(given, key=lambda n: (n.lineno, n.col_offset))


def widened(unit: Unit, span: tuple[int, int], call: ast.Call) -> tuple[int, int]:
    """A span with the brackets around it, but not those of the call."""
    start, end = span
    opening = unit.text.index("(", unit.span(call.func)[1])
    while True:
        before, after = start - 1, end
        while before > opening and unit.text[before] in " \n":
            before -= 1
        while after < len(unit.text) and unit.text[after] in " \n":
            after += 1
        if before <= opening or unit.text[before] != "(" or unit.text[after : after + 1] != ")":
            return start, end
        start, end = before, after + 1


def drop_arguments(site: Site, names: set[str]) -> list[Edit] | None:
    """Edits that no longer give `names` at a call; None where that cannot be done by position."""
    call, unit = site.call, site.unit
    if not unit.editable(call):
        return None if any(n in site.given for n in names) else []
    ordered = arguments_in_order(call)
    if len(ordered) == 1 and isinstance(ordered[0], ast.GeneratorExp):
        return None
    values = {id(site.given[name]) for name in names if name in site.given}
    gone = {i for i, a in enumerate(ordered) if id(a.value if isinstance(a, ast.keyword) else a) in values}
    if site.partial and len(gone) == len(ordered) - 1:
        return [Edit(unit, *unit.span(call), unit.source(call.args[0]))]
    return remove_items(unit, argument_rows(unit, call), gone, close_of(unit, call))


def drop_parameters(unit: Unit, node: ast.FunctionDef, names: set[str]) -> list[Edit]:
    """Edits that take parameters out of a signature."""
    rows, keys = parameter_rows(unit, node)
    gone = {i for i, key in enumerate(keys) if key in names}
    if "*" in keys and all(k in names for k in keys[keys.index("*") + 1 :] if k != "**"):
        gone.add(keys.index("*"))
    if "/" in keys and all(k in names for k in keys[: keys.index("/")]):
        gone.add(keys.index("/"))
    return remove_items(unit, rows, gone, closing_bracket(unit, rows))


def parameter_rows(unit: Unit, node: ast.FunctionDef) -> tuple[list[tuple[int, int]], list[str]]:
    """The spans of what stands in a signature, with the name of each; "*" and "/" where they stand alone."""
    args = node.args
    rows: list[tuple[int, int]] = []
    keys: list[str] = []
    listed = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(listed) - len(args.defaults)) + list(args.defaults)
    for i, (arg, default) in enumerate(zip(listed, defaults, strict=True)):
        rows.append(parameter_span(unit, arg, default))
        keys.append(arg.arg)
        if args.posonlyargs and i == len(args.posonlyargs) - 1:
            place = unit.text.index("/", rows[-1][1])
            rows.append((place, place + 1))
            keys.append("/")
    if args.vararg or args.kwonlyargs:
        after = rows[-1][1] if rows else unit.text.index("(", unit.text.index(node.name, unit.span_of_def(node)))
        place = unit.text.index("*", after)
        if args.vararg:
            rows.append((place, parameter_span(unit, args.vararg, None)[1]))
            keys.append("*" + args.vararg.arg)
        else:
            rows.append((place, place + 1))
            keys.append("*")
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        rows.append(parameter_span(unit, arg, default))
        keys.append(arg.arg)
    if args.kwarg:
        place = unit.text.index("**", rows[-1][1] if rows else unit.span_of_def(node))
        rows.append((place, parameter_span(unit, args.kwarg, None)[1]))
        keys.append("**")
    return rows, keys


def parameter_span(unit: Unit, arg: ast.arg, default: ast.expr | None) -> tuple[int, int]:
    start, end = unit.span(arg)
    return start, end if default is None else unit.span(default)[1]


def closing_bracket(unit: Unit, rows: Sequence[tuple[int, int]]) -> int:
    return unit.text.index(")", rows[-1][1])
