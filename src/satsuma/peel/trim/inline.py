"""Small functions stand where they are called: what is left of them is one expression."""

import ast
from collections.abc import Iterator

from satsuma.peel.trim.calls import Site, drop_arguments, drop_parameters, signature_of, sites_of
from satsuma.peel.trim.documents import without_descriptions
from satsuma.peel.trim.expressions import put
from satsuma.peel.trim.parameters import TRANSPARENT
from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.purity import dotted_name, is_pure, pure_functions
from satsuma.peel.trim.statements import body_of, docstring_of, line_end, line_start
from satsuma.peel.trim.unit import SCOPES, Unit, tree_nodes

LONGEST = 100  # columns of an expression that still reads well in its place
TRIVIAL = 45  # so short an expression goes to every place, a longer one only where there is a single one


def inlined(program: Program) -> Iterator[Change]:
    """One change for each function that can stand at its calls."""
    pure = pure_functions(program)
    for name, (unit, node) in program.functions().items():
        if name == "main" or unit.kind == "main" or node.decorator_list:
            continue
        body = body_of(node)
        if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr) or body[0].value is None:
            continue
        expression, as_value = body[0].value, isinstance(body[0], ast.Return)
        if isinstance(expression, ast.Yield | ast.YieldFrom) or any(
            isinstance(n, ast.Name) and n.id == name for n in tree_nodes(expression)
        ):
            continue
        signature = signature_of(node)
        sites, escapes = sites_of(program, name, signature)
        if escapes or not sites or signature.vararg or signature.kwarg or "\n" in unit.source(expression):
            continue
        if not worth(unit, node, expression, len(sites)):
            continue
        texts = [placed(site, unit, node, expression, as_value, pure) for site in sites]
        if all(text is not None for text in texts):
            edits = [edit for text in texts if text for edit in text]
            yield edits


def worth(unit: Unit, node: ast.FunctionDef, expression: ast.expr, count: int) -> bool:
    """Whether the script reads better without a function: not if it is a formula with a name and a source."""
    length = len(unit.source(expression))
    if "Source" in docstring_of(node):
        return False
    if isinstance(expression, ast.Name | ast.Constant | ast.Attribute):
        return True
    return length <= (LONGEST - 20 if count == 1 else TRIVIAL)


def placed(
    site: Site, home: Unit, node: ast.FunctionDef, expression: ast.expr, as_value: bool, pure: frozenset[str]
) -> Change | None:
    """The expression with a call's arguments in the call's place; None where that could change something."""
    unit, call = site.unit, site.call
    signature = signature_of(node)
    if site.partial or site.unseen or unit.own or not unit.editable(call) or call in unit.in_f_strings:
        return None
    if not as_value and not isinstance(unit.parents[call], ast.Expr):
        return None
    if any(isinstance(n, ast.Name) and n.id == node.name for a in (*call.args, *call.keywords) for n in tree_nodes(a)):
        return None  # calls within calls: the inner one first
    given = {}
    for name in signature.names:
        value, where = site.given.get(name), unit
        if value is None:
            value, where = signature.defaults.get(name), home
        if value is None or "\n" in where.source(value):
            return None
        given[name] = (where, value)
    uses = [
        n for n in tree_nodes(expression) if isinstance(n, ast.Name) and n.id in given and home.binder(n, n.id) is node
    ]
    if not safe_order(home, expression, uses, given, pure) or captured(site, home, expression, uses, given):
        return None
    base = home.span(expression)[0]
    text = home.source(expression)
    for use in sorted(uses, key=lambda n: home.span(n)[0], reverse=True):
        if not home.editable(use) or use in home.in_f_strings:
            return None
        where, value = given[use.id]
        new = put(home, use, where.source(value), value)[0].new if use is not expression else where.source(value)
        start, end = home.span(use)
        text = text[: start - base] + new + text[end - base :]
    final = ast.parse(f"({text})", mode="eval").body
    edits = put(unit, call, text, final)
    line = line_end(unit, unit.span(call)[1]) - line_start(unit, unit.span(call)[0])
    longer = line - len(unit.source(call)) + len(text)
    if longer > LONGEST + 15 and len(text) > len(unit.source(call)):
        return None
    return edits


def safe_order(
    home: Unit,
    expression: ast.expr,
    uses: list[ast.Name],
    given: dict[str, tuple[Unit, ast.expr]],
    pure: frozenset[str],
) -> bool:
    """Whether each argument is still worked out once, and before whatever it was worked out before."""
    impure = [name for name, (_, value) in given.items() if not is_pure(value, pure)]
    if len(impure) > 1:
        return False
    for name, (_, value) in given.items():
        own = [use for use in uses if use.id == name]
        simple = isinstance(value, ast.Name | ast.Constant)
        cheap = simple or (isinstance(value, ast.Attribute) and is_pure(value))
        if len(own) > 1 and not cheap:
            return False
        if not own and name in impure:
            return False
        if simple:
            continue
        for use in own:
            around = [n for n in home.up(use) if n in set(tree_nodes(expression))]
            if any(isinstance(n, SCOPES) for n in around) and not is_pure(expression, pure):
                return False
            if name in impure and any(isinstance(n, (ast.IfExp, ast.BoolOp, *SCOPES)) for n in around):
                return False
            if any(isinstance(n, SCOPES) for n in around) and not cheap:
                return False
            before = [
                n
                for n in tree_nodes(expression)
                if isinstance(n, ast.Call) and n not in around and home.span(n)[0] < home.span(use)[0]
            ]
            if not all(is_pure(n, pure) for n in before):
                return False
    return True


def captured(
    site: Site,
    home: Unit,
    expression: ast.expr,
    uses: list[ast.Name],
    given: dict[str, tuple[Unit, ast.expr]],
) -> bool:
    """Whether a name would mean something else in its new place."""
    inner: set[str] = set()
    for n in tree_nodes(expression):
        if isinstance(n, SCOPES):
            inner |= home.bound[n]
        if isinstance(n, ast.NamedExpr | ast.Await):
            return True
    for n in tree_nodes(expression):
        shared = isinstance(n, ast.Name) and n not in uses and home.binder(n, n.id) is None
        if isinstance(n, ast.Name) and shared and site.unit.binder(site.call, n.id) is not None:
            return True
    for where, value in given.values():
        for n in tree_nodes(value):
            if isinstance(n, ast.Name) and n.id in inner:
                return True
            default = where is home and value not in site.given.values()
            if isinstance(n, ast.Name) and default and site.unit.binder(site.call, n.id) is not None:
                return True
    return False


def unread_parameters(program: Program) -> Iterator[Change]:
    """Parameters that a function no longer reads go, where every caller gives something that only looks."""
    pure = pure_functions(program)
    for name, (unit, node) in program.functions().items():
        if unit.kind == "main" and name == "main":
            continue
        if not all(dotted_name(d) in TRANSPARENT for d in node.decorator_list):
            continue
        signature = signature_of(node)
        sites, escapes = sites_of(program, name, signature)
        if escapes or not sites or any(site.unseen or site.partial for site in sites):
            continue
        read = {n.id for n in tree_nodes(node) if isinstance(n, ast.Name)}
        gone = {p for p in signature.names if p not in read}
        if signature.vararg:
            gone -= set(signature.positional)
        if any(p in site.given and not is_pure(site.given[p], pure) for site in sites for p in gone) or not gone:
            continue
        edits: list[Edit] = [*drop_parameters(unit, node, gone), *without_descriptions(unit, node, gone)]
        for site in sites:
            less = drop_arguments(site, gone)
            if less is None:
                break
            edits += less
        else:
            yield edits


def unread_results(program: Program) -> Iterator[Change]:
    """A function whose result nobody takes gives none."""
    pure = pure_functions(program)
    for name, (unit, node) in program.functions().items():
        if (
            name == "main"
            or node.decorator_list
            or any(isinstance(n, ast.Yield | ast.YieldFrom) for n in tree_nodes(node))
        ):
            continue
        sites, escapes = sites_of(program, name, signature_of(node))
        if escapes or not sites or any(site.partial for site in sites):
            continue
        if not all(isinstance(site.unit.parents[site.call], ast.Expr) for site in sites):
            continue
        inner = {n for f in tree_nodes(node) if isinstance(f, SCOPES) and f is not node for n in tree_nodes(f)}
        returns = [n for n in tree_nodes(node) if isinstance(n, ast.Return) and n.value is not None and n not in inner]
        edits = []
        for n in returns:
            if n.value is not None and is_pure(n.value, pure):
                edits.append(Edit(unit, *unit.span(n), "return"))
        if returns and len(edits) == len(returns):
            yield [*edits, *([Edit(unit, *unit.span(node.returns), "None")] if node.returns else ())]
