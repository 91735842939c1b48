"""What can be left out without a trace: expressions that only look, and the functions that do no more."""

import ast
from collections.abc import Collection

from satsuma.peel.trim.program import Program
from satsuma.peel.trim.unit import once_a_node, tree_nodes

PURE_BUILTINS = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "bytes",
        "callable",
        "complex",
        "dict",
        "enumerate",
        "float",
        "frozenset",
        "getattr",
        "hasattr",
        "int",
        "isinstance",
        "issubclass",
        "len",
        "list",
        "map",
        "max",
        "min",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
        "partial",
        "replace",
    ]
)
PURE_METHODS = frozenset(
    [
        "join",
        "split",
        "startswith",
        "endswith",
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
        "keys",
        "values",
        "items",
        "get",
        "tolist",
        "is_floating_point",
        "is_complex",
        "dim",
        "size",
        "numel",
        "count",
        "index",
        "format",
    ]
)
PURE_CALLS = frozenset(
    [
        "torch.device",
        "torch.is_tensor",
        "torch.cuda.is_available",
        "torch.cuda.is_initialized",
        "torch.cuda.device_count",
        "torch.backends.mps.is_available",
        "torch.isfinite",
        "torch.zeros",
        "torch.ones",
        "torch.tensor",
        "math.ceil",
        "math.floor",
        "math.sqrt",
        "math.log",
        "math.exp",
        "math.cos",
        "math.isfinite",
        "math.prod",
        "np.asarray",
        "np.array",
        "np.eye",
        "np.zeros",
        "np.ones",
        "operator.index",
        "functools.partial",
        "nn.Identity",
        "nn.ReLU",
        "time.perf_counter",
    ]
)
CONSUMING = frozenset(
    ["next", "pop", "popleft", "popitem", "append", "add", "extend", "random", "integers", "normal", "send", "acquire"]
)


def dotted_name(node: ast.AST) -> str:
    """`a.b.c` of a name or a chain of attributes; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted_name(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def is_pure(node: ast.AST, pure: Collection[str] = ()) -> bool:
    """Whether an expression changes nothing and draws nothing. `pure`: names of functions that are known to be so."""
    needs = pure_if(node)
    return needs is not None and all(name in pure for name in needs)


@once_a_node
def pure_if(node: ast.AST) -> set[str] | None:
    """The names of the functions that have to be pure for an expression to be so; None if it is not in any case."""
    needs: set[str] = set()
    for n in tree_nodes(node):
        if isinstance(n, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return None
        if isinstance(n, ast.Call):
            name = dotted_name(n.func)
            if name in PURE_CALLS or name in PURE_BUILTINS:
                continue
            if isinstance(n.func, ast.Attribute) and n.func.attr in PURE_METHODS:
                continue
            if not name:
                return None
            needs.add(name)
    return needs


@once_a_node
def is_test(node: ast.AST) -> bool:
    """Whether a condition only looks, as conditions do here: it may call, but neither draws, takes nor binds."""
    for n in tree_nodes(node):
        if isinstance(n, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(n, ast.Call):
            name = n.func.attr if isinstance(n.func, ast.Attribute) else dotted_name(n.func)
            if name in CONSUMING or name.endswith("_"):
                return False
    return True


def pure_functions(program: Program) -> frozenset[str]:
    """The library's functions that only compute a value from what they are given."""
    return program.once(find_pure_functions)


def find_pure_functions(program: Program) -> frozenset[str]:
    needs = {name: function_needs(node) for name, (unit, node) in program.functions().items() if unit.kind != "main"}
    found: set[str] = set()
    while True:
        more = {name for name, needed in needs.items() if needed is not None and needed <= found} - found
        if not more:
            return frozenset(found)
        found |= more


@once_a_node
def function_needs(node: ast.AST) -> set[str] | None:
    """The functions that have to be pure for this one only to compute a value; None if it does more in any case."""
    assert isinstance(node, ast.FunctionDef)
    return pure_if(ast.Module(node.body, [])) if only_computes(node) else None


def only_computes(node: ast.FunctionDef) -> bool:
    """Whether the statements of a function only compute, its calls aside."""
    if node.decorator_list:
        return False
    for n in tree_nodes(node):
        if isinstance(n, ast.stmt) and not isinstance(
            n,
            ast.FunctionDef | ast.Return | ast.Assign | ast.AnnAssign | ast.If | ast.For | ast.Expr | ast.Pass
            | ast.Continue | ast.Break | ast.Raise | ast.Assert,
        ):  # fmt: skip
            return False
        if isinstance(n, ast.FunctionDef) and n is not node:
            return False
        if isinstance(n, ast.Attribute | ast.Subscript) and not isinstance(n.ctx, ast.Load):
            return False
        if isinstance(n, ast.Expr) and not isinstance(n.value, ast.Constant):
            return False
    return True
