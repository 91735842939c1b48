"""Functions of a few statements, called in one place of what is written for the run, stand in that place."""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.calls import signature_of, sites_of
from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import is_pure, pure_functions
from satsuma.peel.trim.statements import body_of, docstring_of, line_end, line_start, stands_alone
from satsuma.peel.trim.unit import SCOPES, Unit, tree_nodes

MOST = 7  # lines of a body that reads well in the place of its call
WIDTH = 120
LONGEST = 116  # columns of a line with a value in it
ENDS = (ast.Return, ast.Expr, ast.Assign)


def placed_bodies(program: Program) -> Iterator[Change]:
    """One change for each function whose statements can stand where it is called."""
    pure = pure_functions(program)
    for name, (unit, node) in program.functions().items():
        if unit.kind == "main" or node.decorator_list or node.args.kwarg or "Source" in docstring_of(node):
            continue
        sites, escapes = sites_of(program, name, signature_of(node))
        if escapes or len(sites) != 1 or sites[0].partial or sites[0].unit.own or not fits(unit, node):
            continue
        (site,) = sites
        wanted = site.unit.kind == "main" or hands_on(site.unit, site.call)
        change = placed_body(unit, node, site.unit, site.call, pure) if wanted else []
        yield change or (placed_value(unit, node, site.unit, site.call) if node.args.vararg else [])


def hands_on(unit: Unit, call: ast.Call) -> bool:
    """Whether a call is what a function of at most two statements returns."""
    above = unit.parents[call]
    function = unit.parents[above]
    return isinstance(above, ast.Return) and isinstance(function, ast.FunctionDef) and len(body_of(function)) <= 2


def is_name_or_number(node: ast.expr) -> bool:
    """A name or a constant, also with a sign."""
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Name | ast.Constant)


def fits(unit: Unit, node: ast.FunctionDef) -> bool:
    """Whether a function is a short row of statements, with a `return` at its end or none."""
    body = body_of(node)
    inner = [n for s in body for n in tree_nodes(s)]
    if not body or any(isinstance(n, (*SCOPES, ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom)) for n in inner):
        return False
    if [n for n in inner if isinstance(n, ast.Return)] != [s for s in body[-1:] if isinstance(s, ast.Return)]:
        return False
    start, end = unit.span(body[0])[0], unit.span(body[-1])[1]
    return all(stands_alone(unit, s) for s in body) and unit.text[start:end].count("\n") < MOST


def placed_body(home: Unit, node: ast.FunctionDef, unit: Unit, call: ast.Call, pure: frozenset[str]) -> Change:
    """The body of `home`'s function in the place of the statement that is its `call`; [] where that is not the same."""
    statement = unit.parents[call]
    if not isinstance(statement, ENDS) or not stands_alone(unit, statement) or not unit.editable(call):
        return []
    body = body_of(node)
    given = arguments_given(unit, node, call)
    bound = home.bound[node]
    if given is None or (bound & set(given)) & stored_names(body) or not ordered(home, body, given, pure):
        return []
    if name_captured(home, node, unit, call, statement, given):
        return []
    text = with_arguments(home, body, given, unit)
    if text is None:
        return []
    start, end = unit.span(statement)
    margin = start - line_start(unit, start)
    last = body[-1]
    if isinstance(last, ast.Return):
        head, _, value = text.rpartition("return ") if last.value is not None else (text, "", "None")
        before = unit.text[start : unit.span(call)[0]]
        after = unit.text[unit.span(call)[1] : end]
        bare = isinstance(statement, ast.Expr) and (last.value is None or is_pure(last.value, pure))
        text = head.rstrip() if bare else f"{head}{before}{value}{after}"
    elif not isinstance(statement, ast.Expr):
        return []
    rest = unit.text[end : line_end(unit, end)]
    if not isinstance(last, ast.Return):
        text = with_comment(text, home.text[(stop := home.span(last)[1]) : line_end(home, stop)], margin)
    lines = text.split("\n")
    if any("#" in line and margin + len(line) > WIDTH for line in lines):
        return []
    moved = [lines[0], *(" " * margin + line if line.strip() else line for line in lines[1:])]
    new = "\n".join(moved)
    if rest.strip() and len(moved) > 1:  # the comment of the call goes above what stands in its place
        return [Edit(unit, start, line_end(unit, end), f"{rest.strip()}\n{' ' * margin}{new}")]
    return [Edit(unit, start, end, new)] if new.strip() else []


def with_comment(text: str, comment: str, margin: int) -> str:
    """`text` with the comment of its last line, above that line where it is too long for it."""
    before, _, line = text.rpartition("\n")
    if not comment.strip() or margin + len(line + comment) <= WIDTH:
        return text + comment
    indent = line[: len(line) - len(line.lstrip())]
    return "\n".join([*([before] if before else []), indent + comment.strip(), line])


def placed_value(home: Unit, node: ast.FunctionDef, unit: Unit, call: ast.Call) -> Change:
    """What a function of `*rest` returns, in the place of its `call` with names and constants; [] if it is too long."""
    body = body_of(node)
    given = arguments_given(unit, node, call)
    if len(body) != 1 or given is None or not unit.editable(call) or call in unit.in_f_strings:
        return []
    if not isinstance(body[0], ast.Return) or body[0].value is None or "\n" in home.source(body[0]):
        return []
    parts = [part for value in given.values() for part in (value if isinstance(value, list) else [value])]
    if not all(isinstance(part, ast.Name | ast.Constant) for part in parts):
        return []
    shared = {n.id for n in tree_nodes(body[0]) if isinstance(n, ast.Name) and home.binder(n, n.id) is None}
    text = with_arguments(home, body, given, unit)
    longer = 0 if text is None else len(text) - len("return ") - len(unit.source(call))
    line = line_end(unit, unit.span(call)[1]) - line_start(unit, unit.span(call)[0])
    if text is None or line + longer > LONGEST or any(unit.binder(call, name) is not None for name in shared):
        return []
    return put(unit, call, text.removeprefix("return "))


def arguments_given(unit: Unit, node: ast.FunctionDef, call: ast.Call) -> dict[str, ast.expr | list[ast.expr]] | None:
    """What a call gives each parameter, a list for `*rest`; None where it leaves one to its default or spreads."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return None
    args = node.args
    names = [a.arg for a in (*args.posonlyargs, *args.args)]
    given: dict[str, ast.expr | list[ast.expr]] = dict(zip(names, call.args, strict=False))
    if args.vararg is not None:
        given[args.vararg.arg] = list(call.args[len(names) :])
    given |= {k.arg: k.value for k in call.keywords if k.arg is not None}
    wanted = {*names, *(a.arg for a in args.kwonlyargs)}
    if not wanted <= set(given) or any("\n" in unit.source(v) for v in given.values() if not isinstance(v, list)):
        return None
    return given


def stored_names(body: list[ast.stmt]) -> set[str]:
    return {n.id for s in body for n in tree_nodes(s) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}


def ordered(
    home: Unit, body: list[ast.stmt], given: dict[str, ast.expr | list[ast.expr]], pure: frozenset[str]
) -> bool:
    """Whether each argument means the same where the body reads it: a name, a constant, or read once and first."""
    stored = stored_names(body)
    for name, value in given.items():
        uses = [n for s in body for n in tree_nodes(s) if isinstance(n, ast.Name) and n.id == name]
        parts = value if isinstance(value, list) else value.elts if isinstance(value, ast.Tuple) else [value]
        simple = all(is_name_or_number(v) for v in parts)
        if simple and not any(isinstance(n, ast.Name) and n.id in stored for v in parts for n in tree_nodes(v)):
            continue
        if len(uses) != 1 or isinstance(value, list):
            return False
        value_root = getattr(body[0], "value", None)
        if not isinstance(body[0], ast.Assign | ast.Return | ast.Expr) or not isinstance(value_root, ast.expr):
            return False
        nodes = list(tree_nodes(value_root))
        place = home.span(uses[0])[0]
        earlier = [n for n in nodes if isinstance(n, ast.Call) and home.span(n)[1] <= place]
        if uses[0] not in nodes or not all(is_pure(n, pure) for n in earlier):
            return False
        if any(isinstance(n, ast.IfExp | ast.BoolOp) and uses[0] in set(tree_nodes(n)) for n in nodes):
            return False
        others = [v for k, v in given.items() if k != name and not isinstance(v, list | ast.Name | ast.Constant)]
        if not is_pure(value, pure) and not all(is_pure(v, pure) for v in others if isinstance(v, ast.expr)):
            return False
    return True


def name_captured(
    home: Unit,
    node: ast.FunctionDef,
    unit: Unit,
    call: ast.Call,
    statement: ast.stmt,
    given: dict[str, ast.expr | list[ast.expr]],
) -> bool:
    """Whether a name of the body would meet another of that name in its new place."""
    scope = unit.scope_of(call)
    local = home.bound[node] - set(given)
    results = {n.id for t in getattr(statement, "targets", []) for n in tree_nodes(t) if isinstance(n, ast.Name)}
    handed = {n.id for n in tree_nodes(call) if isinstance(n, ast.Name)}
    for name in local & unit.bound.get(scope, set()):
        if name in results and name not in handed:
            continue  # it gets its new value here anyway
        if not (only_in_loops(home, node, name) and only_in_loops(unit, scope, name)) or name in handed:
            return True
        if any(isinstance(n, ast.For) and names_in(n.target, name) for n in unit.up(call)):
            return True
    for name in local - unit.bound.get(scope, set()):
        if unit.binder(call, name) is not None or any(
            isinstance(n, ast.Name) and n.id == name and unit.inside(n, scope) for n in unit.nodes
        ):
            return True
    shared = {
        n.id for s in body_of(node) for n in tree_nodes(s) if isinstance(n, ast.Name) and home.binder(n, n.id) is None
    }
    return any(unit.binder(call, name) is not None for name in shared)


def only_in_loops(unit: Unit, scope: ast.AST, name: str) -> bool:
    """Whether `name` is but the variable of `for` loops, and read within them."""
    for n in tree_nodes(scope):
        if not isinstance(n, ast.Name) or n.id != name:
            continue
        loops = [above for above in unit.up(n) if isinstance(above, ast.For) and names_in(above.target, name)]
        if not loops:
            return False
    return True


def names_in(target: ast.expr, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in tree_nodes(target))


def with_arguments(
    home: Unit, body: list[ast.stmt], given: dict[str, ast.expr | list[ast.expr]], unit: Unit
) -> str | None:
    """The body's text with what was given in the place of the parameters, its first line without indent."""
    start, end = home.span(body[0])[0], home.span(body[-1])[1]
    if any(start < home.starts[line - 1] <= end for line in home.long_strings):
        return None
    text = home.text[start:end]
    uses = [n for s in body for n in tree_nodes(s) if isinstance(n, ast.Name) and n.id in given]
    for use in sorted(uses, key=lambda n: home.span(n)[0], reverse=True):
        if use in home.in_f_strings:
            return None
        value = given[use.id]
        if isinstance(value, list):
            new = f"({', '.join(unit.source(v) for v in value)}{',' if len(value) == 1 else ''})"
        else:
            new = unit.source(value)
            atom = isinstance(value, ast.Name | ast.Constant | ast.Attribute | ast.Call | ast.Subscript | ast.Tuple)
            new = new if atom and not (isinstance(value, ast.Tuple) and not new.startswith("(")) else f"({new})"
        low, high = home.span(use)
        text = text[: low - start] + new + text[high - start :]
    indent = start - line_start(home, start)
    lines = text.split("\n")
    return "\n".join([lines[0], *(line[indent:] if line[:indent].isspace() else line for line in lines[1:])])
