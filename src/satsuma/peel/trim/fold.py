"""Constants are worked out: tests that are always one way, their dead branches, names that stand for a constant."""

import ast
import functools
import numbers
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from satsuma.peel.trim.expressions import outer, put
from satsuma.peel.trim.program import Change, Edit, Program, changes_of
from satsuma.peel.trim.purity import dotted_name, is_pure, is_test
from satsuma.peel.trim.statements import block_of, decide_if, delete, replace_by_block, terminates
from satsuma.peel.trim.unit import FunctionNode, Unit, tree_nodes

UNKNOWN = object()
COMPARISONS: Mapping[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
BUILTIN_TYPES = {t.__name__: t for t in (int, float, bool, str, bytes, tuple, list, dict, set, slice)}
NUMBER_TYPES = BUILTIN_TYPES | {"numbers.Integral": numbers.Integral, "numbers.Real": numbers.Real}
ARITHMETIC: Mapping[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
SHORT = 8  # digits of a result that says as much as the calculation
NEVER_NONE = (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.JoinedStr, ast.Lambda, ast.ListComp, ast.DictComp)


def fold(program: Program, facts: Mapping[str, str]) -> Iterator[Change]:
    """Edits that work out what is constant."""
    known = tuple(facts.items())
    solid, never = solid_names(program), never_made(program)
    for unit in program.library:
        yield from unit.once(changes_of, folded, known, solid & unit.words, never & unit.words)


def folded(
    unit: Unit, facts: tuple[tuple[str, str], ...], solid: frozenset[str], never: frozenset[str]
) -> Iterator[Change]:
    """Edits that work out what is constant in one unit."""
    known: dict[type, dict[str, str]] = {}
    for given, text in facts:
        kind, code, words = parsed(given)
        if words <= unit.words:
            known.setdefault(kind, {})[code] = text
    for node in unit.nodes:
        if isinstance(node, ast.expr) and unit.editable(node) and not is_stored(node):
            yield folded_expression(unit, node, known, solid, never)
        elif isinstance(node, ast.If):
            value = constant_of(node.test, solid, unit)
            if value is not UNKNOWN:
                yield decide_if(unit, node, bool(value))
        elif isinstance(node, ast.While):
            value = constant_of(node.test, solid, unit)
            if value is not UNKNOWN and not value and not node.orelse:
                yield delete(unit, [node])
        elif isinstance(node, ast.With):
            yield folded_with(unit, node)
        elif isinstance(node, ast.For) and not node.orelse and is_empty_literal(node.iter):
            yield delete(unit, [node])
        if isinstance(node, ast.stmt) and not isinstance(unit.parents[node], ast.Module):
            yield without_unreachable(unit, node)


@functools.lru_cache(maxsize=256)
def parsed(expression: str) -> tuple[type, str, set[str]]:
    """The kind of an expression, its tree in a form to compare, its names and attributes."""
    tree = ast.parse(expression, mode="eval").body
    words = {n.id for n in tree_nodes(tree) if isinstance(n, ast.Name)}
    return type(tree), ast.dump(tree), words | {n.attr for n in tree_nodes(tree) if isinstance(n, ast.Attribute)}


def is_stored(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def is_empty_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple | ast.List) and not node.elts


def solid_names(program: Program) -> frozenset[str]:
    """The script's own functions and classes, and modules' names: they are never None, and always true."""
    return frozenset(program.together(defined_names))


def defined_names(unit: Unit) -> set[str]:
    return {node.name for node in unit.tree.body if isinstance(node, FunctionNode | ast.ClassDef)}


def never_made(program: Program) -> frozenset[str]:
    """Classes of the library of which the script makes no object: they are only asked for, or annotate."""
    found = set()
    for name, (_, node) in program.classes().items():
        used = [(unit, use) for unit, use in program.uses(name) if use not in unit.in_annotations]
        inner = [(u, n) for u, n in used if not any(a is node for a in u.up(n))]
        if all(is_asked_for(unit, use) for unit, use in inner) and len(inner) == len(used):
            found.add(name)
    return frozenset(found)


def is_asked_for(unit: Unit, use: ast.Name) -> bool:
    """Whether a class is only named in the second argument of `isinstance`."""
    child: ast.AST = use
    for above in unit.up(use):
        if isinstance(above, ast.Call):
            return dotted_name(above.func) == "isinstance" and len(above.args) == 2 and child is above.args[1]
        if not isinstance(above, ast.BinOp | ast.Tuple):
            return False
        child = above
    return False


def constant_of(node: ast.expr, solid: frozenset[str], unit: Unit) -> Any:
    """The value of an expression of constants; UNKNOWN for any other."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        value = constant_of(node.operand, solid, unit)
        if value is UNKNOWN or not isinstance(node.op, ast.Not | ast.USub):
            return UNKNOWN
        return (not value) if isinstance(node.op, ast.Not) else -value if isinstance(value, int | float) else UNKNOWN
    if isinstance(node, ast.Tuple):
        values = [constant_of(e, solid, unit) for e in node.elts]
        return UNKNOWN if any(v is UNKNOWN for v in values) else tuple(values)
    return UNKNOWN


def is_solid(node: ast.expr, solid: frozenset[str], unit: Unit) -> bool:
    """Whether an expression is something that is not None, seen from its form alone, and only looks."""
    if isinstance(node, NEVER_NONE):
        return is_pure(node)
    if isinstance(node, ast.Name):
        return node.id in solid and unit.binder(node, node.id) is None
    if isinstance(node, ast.Call):
        return dotted_name(node.func) in ("partial", "float", "int", "len", "str", "tuple", "list") and is_pure(node)
    return isinstance(node, ast.Constant) and node.value is not None


def truth_of(node: ast.expr, solid: frozenset[str], unit: Unit) -> bool | None:
    value = constant_of(node, solid, unit)
    if value is not UNKNOWN:
        return bool(value)
    if isinstance(node, ast.Name) and is_solid(node, solid, unit):
        return True
    return None


def folded_expression(
    unit: Unit, node: ast.expr, known: Mapping[type, Mapping[str, str]], solid: frozenset[str], never: frozenset[str]
) -> Change:
    """One expression in a simpler form, if there is one."""
    if type(node) in known and (code := ast.dump(node)) in known[type(node)]:
        return put(unit, node, known[type(node)][code])
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        value = compared(unit, node, solid)
        if value is not None:
            return put(unit, node, str(value))
    elif isinstance(node, ast.IfExp):
        truth = truth_of(node.test, solid, unit)
        if truth is not None:
            return keep_part(unit, node, node.body if truth else node.orelse)
        if same_code(node.body, node.orelse) and is_test(node.test):
            return keep_part(unit, node, node.body)
    elif isinstance(node, ast.BoolOp):
        return folded_chain(unit, node, solid)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        truth = truth_of(node.operand, solid, unit)
        if truth is not None:
            return put(unit, node, str(not truth))
    elif isinstance(node, ast.Call):
        return folded_call(unit, node, solid, never)
    elif isinstance(node, ast.Starred):
        return spread(unit, node)
    elif isinstance(node, ast.BinOp):
        return calculated(unit, node, solid)
    elif isinstance(node, ast.Dict):
        return without_empty_spread(unit, node)
    return []


def calculated(unit: Unit, node: ast.BinOp, solid: frozenset[str]) -> Change:
    """Sums and products of numbers, and of 0 with what `range` counts."""
    one, two = constant_of(node.left, solid, unit), constant_of(node.right, solid, unit)
    apply = ARITHMETIC.get(type(node.op))
    if is_plain_number(one) and is_plain_number(two) and apply is not None:
        try:
            text = repr(apply(one, two))
        except ArithmeticError:
            return []
        return put(unit, node, text) if len(text) <= SHORT and not text.startswith("-") else []
    if isinstance(node.op, ast.Add) and one == 0 and type(one) is int and counts(unit, node.right):
        return keep_part(unit, node, node.right)
    if isinstance(node.op, ast.Add | ast.Sub) and two == 0 and type(two) is int and counts(unit, node.left):
        return keep_part(unit, node, node.left)
    return []


def is_plain_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def counts(unit: Unit, node: ast.expr) -> bool:
    """Whether an expression is surely a whole number: the variable of a `for` over `range`, or annotated `int`."""
    if not isinstance(node, ast.Name):
        return False
    scope = unit.binder(node, node.id)
    if not isinstance(scope, FunctionNode):
        return False
    stores = [n for n in tree_nodes(scope) if isinstance(n, ast.Name) and n.id == node.id and is_stored(n)]
    given = [a for a in tree_nodes(scope.args) if isinstance(a, ast.arg) and a.arg == node.id]
    if given:
        return not stores and isinstance(given[0].annotation, ast.Name) and given[0].annotation.id == "int"
    loops = [unit.parents[n] for n in stores]
    return bool(loops) and all(isinstance(f, ast.For) and f.target in stores and ranges(f.iter) for f in loops)


def ranges(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and dotted_name(node.func) == "range"


def without_empty_spread(unit: Unit, node: ast.Dict) -> Change:
    """`{"a": 1, **{}}` is `{"a": 1}`."""
    for i, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
        if key is None and isinstance(value, ast.Dict) and not value.keys and i:
            return [Edit(unit, outer(unit, node.values[i - 1])[1], unit.span(value)[1], "")]
    return []


def same_code(one: ast.AST, two: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(two)


def compared(unit: Unit, node: ast.Compare, solid: frozenset[str]) -> bool | None:
    left, op, right = node.left, node.ops[0], node.comparators[0]
    one, two = constant_of(left, solid, unit), constant_of(right, solid, unit)
    if one is not UNKNOWN and two is not UNKNOWN:
        try:
            return bool(COMPARISONS[type(op)](one, two))
        except TypeError:
            return None
    if isinstance(op, ast.Is | ast.IsNot):
        for given, value in ((left, two), (right, one)):
            if value is None and is_solid(given, solid, unit):
                return isinstance(op, ast.IsNot)
        both = isinstance(left, ast.Name) and isinstance(right, ast.Name) and left.id != right.id
        if both and is_solid(left, solid, unit) and is_solid(right, solid, unit):
            return isinstance(op, ast.IsNot)
    return None


def folded_chain(unit: Unit, node: ast.BoolOp, solid: frozenset[str]) -> Change:
    """`and`, `or`: parts that decide nothing go, and what comes after one that decides all."""
    deciding = isinstance(node.op, ast.Or)  # `or` is decided by something true
    as_test = is_condition(unit, node)
    kept: list[ast.expr] = []
    for i, part in enumerate(node.values):
        truth = truth_of(part, solid, unit)
        last = i == len(node.values) - 1
        if truth is None or (last and not as_test):
            kept.append(part)
        elif truth is deciding:
            kept.append(part)
            break
        elif last and not kept:
            kept.append(part)
    if as_test and kept and truth_of(kept[-1], solid, unit) is deciding and all(is_test(k) for k in kept[:-1]):
        kept = kept[-1:]
    if len(kept) == len(node.values):
        return []
    if len(kept) == 1:
        return keep_part(unit, node, kept[0])
    edits, keep = [], {id(k) for k in kept}
    for i, part in enumerate(node.values):
        if id(part) in keep:
            continue
        if i == len(node.values) - 1 or not any(id(p) in keep for p in node.values[i + 1 :]):
            edits.append(Edit(unit, outer(unit, node.values[i - 1])[1], outer(unit, part)[1], ""))
        else:
            edits.append(Edit(unit, outer(unit, part)[0], outer(unit, node.values[i + 1])[0], ""))
    return edits


def is_condition(unit: Unit, node: ast.expr) -> bool:
    """Whether only the truth of an expression counts."""
    parent = unit.parents[node]
    if isinstance(parent, ast.If | ast.IfExp | ast.While):
        return node is parent.test
    if isinstance(parent, ast.comprehension):
        return node in parent.ifs
    if isinstance(parent, ast.BoolOp):
        return is_condition(unit, parent)
    return isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)


def folded_call(unit: Unit, node: ast.Call, solid: frozenset[str], never: frozenset[str]) -> Change:
    if dotted_name(node.func) == "isinstance" and len(node.args) == 2 and is_pure(node.args[0]):
        value = constant_of(node.args[0], solid, unit)
        names = union_names(node.args[1])
        if not names:
            return []
        if value is not UNKNOWN:
            if value is None or isinstance(value, int | float):  # of no other class than these could they be
                return put(
                    unit, node, str(isinstance(value, tuple(NUMBER_TYPES[n] for n in names if n in NUMBER_TYPES)))
                )
            if all(n in BUILTIN_TYPES for n in names):
                return put(unit, node, str(isinstance(value, tuple(BUILTIN_TYPES[n] for n in names))))
            return []
        if all(n in never for n in names):
            return put(unit, node, "False")
        if any(n in never for n in names) and isinstance(node.args[1], ast.BinOp | ast.Tuple):
            left = [n for n in names if n not in never]
            joined = " | ".join(left) if isinstance(node.args[1], ast.BinOp) or len(left) == 1 else ", ".join(left)
            tuple_text = joined if isinstance(node.args[1], ast.BinOp) or len(left) == 1 else f"({joined})"
            return [Edit(unit, *unit.span(node.args[1]), tuple_text)]
    elif dotted_name(node.func) == "callable" and len(node.args) == 1 and is_solid(node.args[0], solid, unit):
        return put(unit, node, "True") if isinstance(node.args[0], ast.Name) else []
    elif dotted_name(node.func) in ("float", "int") and len(node.args) == 1 and not node.keywords:
        value = constant_of(node.args[0], solid, unit)
        if type(value) is (float if dotted_name(node.func) == "float" else int):
            return keep_part(unit, node, node.args[0])
    elif dotted_name(node.func) in ("bool", "len") and len(node.args) == 1 and not node.keywords:
        value = constant_of(node.args[0], solid, unit)
        if value is not UNKNOWN and (dotted_name(node.func) == "bool" or isinstance(value, str | tuple)):
            return put(unit, node, str(bool(value) if dotted_name(node.func) == "bool" else len(value)))
    return []


def union_names(node: ast.expr) -> list[str]:
    """The names in `A | B` or `(A, B)`; none if there is anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = union_names(node.left), union_names(node.right)
        return [*left, *right] if left and right else []
    if isinstance(node, ast.Tuple):
        parts = [union_names(e) for e in node.elts]
        return [n for p in parts for n in p] if all(parts) else []
    return [dotted_name(node)] if dotted_name(node) else []


def spread(unit: Unit, node: ast.Starred) -> Change:
    """`*(a, b)` in a row is `a, b`; `*()` goes."""
    parent = unit.parents[node]
    if not isinstance(node.value, ast.Tuple | ast.List) or not isinstance(parent, ast.Call | ast.Tuple | ast.List):
        return []
    if node.value.elts:
        first, last = unit.span(node.value.elts[0])[0], unit.span(node.value.elts[-1])[1]
        bare = outer(unit, node.value.elts[0])[0], outer(unit, node.value.elts[-1])[1]
        return [Edit(unit, *unit.span(node), unit.text[min(first, bare[0]) : max(last, bare[1])])]
    row = [*parent.args, *parent.keywords] if isinstance(parent, ast.Call) else list(parent.elts)
    place = row.index(node)
    if place + 1 < len(row):
        return [Edit(unit, unit.span(node)[0], unit.span(row[place + 1])[0], "")]
    if place == 0:
        return [Edit(unit, *unit.span(node), "")] if isinstance(parent, ast.Call) else []
    if isinstance(parent, ast.Tuple) and len(row) == 2:
        return [Edit(unit, unit.span(row[0])[1], unit.span(node)[1], ",")]
    return [Edit(unit, unit.span(row[place - 1])[1], unit.span(node)[1], "")]


def keep_part(unit: Unit, node: ast.expr, part: ast.expr) -> Change:
    """Put a part of an expression in its place, in brackets where it may need them."""
    return put(unit, node, unit.source(part), part)


def folded_with(unit: Unit, node: ast.With) -> Change:
    """`with nullcontext():` is its block."""
    if len(node.items) == 1 and node.items[0].optional_vars is None:
        context = node.items[0].context_expr
        if isinstance(context, ast.Call) and dotted_name(context.func) in ("nullcontext", "contextlib.nullcontext"):
            return replace_by_block(unit, node, node.body)
    return []


def without_unreachable(unit: Unit, node: ast.stmt) -> Change:
    """What stands behind a `return` in its block goes; an `else` behind one needs no indent."""
    if not terminates([node]) or isinstance(unit.parents[node], ast.Module):
        return []
    try:
        block = block_of(unit, node)
    except LookupError:
        return []
    rest = block[block.index(node) + 1 :]
    if any(isinstance(n, ast.Yield | ast.YieldFrom) for s in rest for n in tree_nodes(s)):
        return []
    return delete(unit, rest) if rest else []
