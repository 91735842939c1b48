"""Whether a definition in the user's file is what ran: files are edited and parts replaced while a run goes on."""

import ast
import functools
import inspect
import random
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from satsuma.errors import PeelError
from satsuma.peel.homes import Home, is_installed, is_library, top_statements
from satsuma.peel.names import free_names
from satsuma.peel.pieces import Piece
from satsuma.peel.rebuild import parameters_of, same_value

LITERALS = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, type(None))
CHANGING = {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault", "add", "discard"}
GENERATORS = (random.Random, np.random.RandomState)  # whose methods `random.random` and `np.random.rand` are


def live_definition(home: Home, name: str, live: Any) -> ast.stmt:
    """The statement that made `live`, the user's function or class: of several of one name, the one that ran.

    Raises `PeelError` where the text says something else than the object does.
    """
    last = home.definitions[name]
    base = inspect.unwrap(live) if callable(live) else live
    known = codes_of(home.text)
    if not (inspect.isfunction(base) or inspect.isclass(base)) or not known:
        return last
    kind = ast.ClassDef if inspect.isclass(base) else ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [n for n in top_statements(ast.parse(home.text).body) if isinstance(n, kind) and n.name == name]
    faults = [fault_of(node, base, home) for node in nodes]
    fitting = [node for node, fault in zip(nodes, faults, strict=True) if not fault]
    if not fitting and not isinstance(last, kind):  # `f = g` below
        return last
    if not fitting:
        raise PeelError(
            f"peel: {home.name}.{name} is not as its file has it ({faults[-1]}): a script would not do what the run "
            f"did. Leave files alone while they train, and set nothing on their functions and classes from outside"
        )
    if base is not live and not getattr(fitting[-1], "decorator_list", ()):
        raise wrapped_by_hand(f"{home.name}.{name}")
    if hasattr(live, "registry") and hasattr(live, "dispatch"):
        raise PeelError(f"peel: {home.name}.{name} dispatches to functions that are registered elsewhere; call them")
    return fitting[-1]


def wrapped_by_hand(name: str) -> PeelError:
    return PeelError(
        f"peel: {name} was wrapped by a call, as in f = wrap(f), which no definition shows; write the wrapper as a "
        f"decorator, @wrap above def"
    )


def refuse_counting(cls: type) -> None:
    """Raise `PeelError` if methods of an object of the user's assign what it was built with: it is not known any more.

    What is assigned in `__init__` is read back as the argument of that name.
    """
    if is_installed(cls.__module__) or is_library(cls.__module__):
        return
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return
    given = parameters_of(cls)
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name not in ("__init__", "__new__")]
    for node in (inner for method in methods for inner in ast.walk(method)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in given):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            raise PeelError(
                f"peel: {cls.__module__}.{cls.__qualname__} changes its {node.attr!r} as it runs, so that what it was "
                f"built with is not known any more; let it keep what changes under another name"
            )


@functools.lru_cache(maxsize=64)
def codes_of(text: str) -> dict[str, list[types.CodeType]]:
    """The functions of a module as Python compiles them, by qualified name; nothing where it does not."""
    try:
        waiting = [compile(text, "peeled", "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, list[types.CodeType]] = {}
    while waiting:
        code = waiting.pop()
        found.setdefault(code.co_qualname, []).append(code)
        waiting += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return found


def same_compiled(a: types.CodeType, b: types.CodeType) -> bool:
    """Whether two functions were compiled from the same statements, wherever they stood."""
    names = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars")
    if any(getattr(a, name) != getattr(b, name) for name in names) or len(a.co_consts) != len(b.co_consts):
        return False
    return all(
        same_compiled(x, y) if isinstance(x, types.CodeType) and isinstance(y, types.CodeType) else repr(x) == repr(y)
        for x, y in zip(a.co_consts, b.co_consts, strict=True)
    )


def fault_of(node: Any, base: Any, home: Home) -> str:
    """What of a function or class is not as a definition says; "" if it is."""
    return class_fault(node, base, home) if isinstance(node, ast.ClassDef) else function_fault(node, base, home)


def function_fault(node: Any, function: Any, home: Home, owner: str = "") -> str:
    """What of a function differs from its `def`. What a decorator gave back under another name is not looked into."""
    qualname = f"{owner}{node.name}"
    if function.__code__.co_qualname != qualname:
        return "" if node.decorator_list else "it was replaced"
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    mine = [c for c in codes_of(home.text).get(qualname, ()) if first <= c.co_firstlineno <= (node.end_lineno or 0)]
    if not any(same_compiled(code, function.__code__) for code in mine):
        return "its code is another: its file was changed after it was imported, or it is defined twice"
    arguments = node.args
    given = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if len(given) != len(values) or not all(is_now(g, v, home) for g, v in zip(given, values, strict=True)):
        return "a default of its arguments is not what its file says now"
    if vars(function) and not node.decorator_list:
        return f"it has the attribute {next(iter(vars(function)))!r}, set from outside"
    return ""


def is_now(node: ast.expr, value: Any, home: Home) -> bool:
    """Whether an expression, as far as it is a literal or a name, gives this value today."""
    if isinstance(node, ast.Name):
        return same_value(home.namespace.get(node.id, value), value)
    try:
        literal = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return True
    made_of_it = type(value) not in LITERALS  # as an enum's member is
    return made_of_it or (type(literal) is type(value) and repr(literal) == repr(value))


def class_fault(node: ast.ClassDef, cls: Any, home: Home) -> str:
    """What of a class differs from its definition: a method, a constant, something added."""
    body = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    for name, method in body.items():
        held = function_within(vars(cls).get(name))
        fault = "" if held is None else function_fault(method, held, home, owner=f"{cls.__qualname__}.")
        if fault:
            return f"of {name}, {fault}"
    for statement in node.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if len(targets) != 1 or not isinstance(targets[0], ast.Name) or getattr(statement, "value", None) is None:
            continue
        held = vars(cls).get(targets[0].id)
        if isinstance(held, LITERALS) and not is_now(statement.value, held, home):  # type: ignore[attr-defined]
            return f"its {targets[0].id} is {held!r} now"
    written = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    written |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    added = [n for n, v in vars(cls).items() if n not in written and n[0] != "_" and isinstance(v, LITERALS)]
    return f"it has the attribute {added[0]!r}, set from outside" if added and not node.decorator_list else ""


def function_within(held: Any) -> Any:
    """The function of a method, property or static method; None where there is none to look at."""
    held = getattr(held, "__func__", getattr(held, "fget", getattr(held, "func", held)))
    held = inspect.unwrap(held) if callable(held) else held
    return held if inspect.isfunction(held) else None


def refuse_state(piece: Piece, home: Home) -> None:
    """Raise `PeelError` if the user's code changes something global as it runs, or draws from a global generator."""
    if not piece.own:
        return
    tree = ast.parse(piece.text)
    wanted = set(free_names(piece.text)) | {piece.name}
    for name in changed_names(tree):
        held = home.namespace.get(name)
        foreign = inspect.ismodule(held) or (inspect.isclass(held) and is_installed(held.__module__))
        if name in wanted and held is not None and not foreign:
            raise PeelError(
                f"peel: {piece.name} changes the global {name!r} as it runs, so that a script that starts afresh could "
                f"give other numbers; keep it in an object"
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and is_hidden_draw(node, home.namespace, wanted):
            raise PeelError(
                f"peel: {piece.name} draws by {ast.unparse(node)}, which no seed of the run decides; draw from "
                f"torch's generator, or from the rng that a transform is given"
            )


def changed_names(tree: ast.AST) -> Iterator[str]:
    """The names `a` of `a[...] = `, `a.b += `, `del a[...]`, `a.append(...)` and `a.zero_()` within functions."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in (inner for function in functions for statement in function.body for inner in ast.walk(statement)):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield root_of(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in CHANGING or (method.endswith("_") and not method.endswith("__")):
                yield root_of(node.func)


def root_of(node: ast.expr) -> str:
    """`a` of `a.b[c].d`; "" where something else stands there."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_hidden_draw(node: ast.expr, namespace: Mapping[str, Any], wanted: set[str]) -> bool:
    """Whether a name or `a.b.c` is a method of Python's or NumPy's hidden generator."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in wanted:
        return False
    value = namespace.get(node.id)
    for name in names:
        value = getattr(value, name, None) if inspect.ismodule(value) else None
    return inspect.isroutine(value) and isinstance(getattr(value, "__self__", None), GENERATORS)
