"""Classes of torch.nn.Module → the ladder's layers: `training = True`, `__call__`, and tensors as attributes."""

import ast
import re
from collections.abc import Iterator

from satsuma.peel.edits import Text, dotted

MODULE = ("nn.Module", "torch.nn.Module")
SEQUENTIAL = ("nn.Sequential", "torch.nn.Sequential")


def is_module_class(node: ast.ClassDef) -> bool:
    """Whether a class is one of torch.nn's layers, as far as its text tells: by a base, or a method `forward`."""
    bases = [dotted(base) for base in node.bases]
    return any(re.match(r"(torch\.)?nn\.", base) for base in bases) or (bool(bases) and "forward" in methods(node))


def is_layer_class(node: ast.ClassDef) -> bool:
    """Whether a class is a layer, of torch.nn's kind or the ladder's."""
    said = [target for s in node.body if isinstance(s, ast.Assign) for target in s.targets]
    return is_module_class(node) or any(dotted(target) == "training" for target in said)


def methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {s.name: s for s in node.body if isinstance(s, ast.FunctionDef)}


def change_class(text: Text, node: ast.ClassDef) -> None:
    """One class in the ladder's terms, its methods' insides apart."""
    from satsuma.peel.torch_twins import twin_of

    if not is_module_class(node):
        return
    plain = any(dotted(base) in MODULE for base in node.bases)
    change_bases(text, node, plain)
    for base in node.bases:
        name = dotted(base)
        twin = twin_of(name)
        if name in SEQUENTIAL and starts_empty(node):
            text.change_node(base, "NamedSequential")
        elif twin is not None:
            text.change_node(base, twin.name)
    own = methods(node)
    for method in own.values():
        if method.name == "forward":
            change_name(text, method, "__call__")
        elif method.name == "extra_repr":
            text.remove_lines(method)
    buffers, constants = set_up(text, node, own)
    flags = ["training = True"] if plain else []
    flags += [f"buffers = {spelled(buffers)}"] if buffers else []
    flags += [f"constants = {spelled(constants)}"] if constants else []
    if flags:
        add_flags(text, node, flags)
    if plain and len(node.bases) == 1 and "__init__" in own:
        drop_super_init(text, own["__init__"])


def spelled(names: list[str]) -> str:
    return "(" + ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "") + ")"


def change_bases(text: Text, node: ast.ClassDef, plain: bool) -> None:
    """Take `nn.Module` out of the bases, and the parentheses with it if it is the only one."""
    if not plain:
        return
    others = [text.source(base) for base in node.bases if dotted(base) not in MODULE]
    others += [text.source(keyword) for keyword in node.keywords]
    begin = text.raw.rindex(b"(", 0, text.begin(node.bases[0]))
    end = text.raw.index(b")", text.end([*node.bases, *node.keywords][-1])) + 1
    text.change(begin, end, f"({', '.join(others)})" if others else "")


def starts_empty(node: ast.ClassDef) -> bool:
    """Whether a Sequential's class begins without layers, so that they get names of their own."""
    start = methods(node).get("__init__")
    return start is not None and any(is_super_init(s) and not s.value.args for s in start.body)  # type: ignore[attr-defined]


def is_super_init(statement: ast.stmt) -> bool:
    """`super().__init__()`, or the same in older words."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    said = ast.unparse(statement.value.func)
    return bool(re.fullmatch(r"super\([\w, ]*\)\.__init__", said)) or said in {f"{name}.__init__" for name in MODULE}


def change_name(text: Text, method: ast.FunctionDef, name: str) -> None:
    begin = text.begin(method) + len("def ")
    text.change(begin, begin + len(method.name), name)


def drop_super_init(text: Text, start: ast.FunctionDef) -> None:
    """Without a base class there is nothing to set up; a constructor that does no more goes with it."""
    calls = [s for s in start.body if is_super_init(s)]
    rest = [s for s in start.body if s not in calls and not is_doc_line(s)]
    if calls and not rest:
        text.remove_lines(start)
        return
    for call in calls:
        text.remove_lines(call)


def is_doc_line(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def add_flags(text: Text, node: ast.ClassDef, flags: list[str]) -> None:
    """Lines below the class's docstring."""
    first = node.body[0]
    indent = " " * first.col_offset
    lines = "".join(f"{indent}{flag}\n" for flag in flags)
    has_more = len(node.body) > 1
    if is_doc_line(first):
        place = text.line_of(first)[1]
        follows = has_more and isinstance(node.body[1], ast.Assign | ast.AnnAssign)
        if follows:
            place = text.line_of(node.body[1])[0]
            text.change(place, place, lines)
        else:
            newline = "" if text.raw[:place].endswith(b"\n") else "\n"
            text.change(place, place, f"{newline}\n{lines}")
    else:
        place = text.line_of(first)[0]
        text.change(place, place, lines if isinstance(first, ast.Assign | ast.AnnAssign) else f"{lines}\n")


def set_up(text: Text, node: ast.ClassDef, own: dict[str, ast.FunctionDef]) -> tuple[list[str], list[str]]:
    """Change how tensors are registered; the names of the buffers, and of tensors that no file of weights holds."""
    buffers: list[str] = []
    constants: list[str] = []
    learnt: list[str] = []
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        name = dotted(call.func)
        if name not in ("self.register_buffer", "self.register_parameter") or not call.args:
            continue
        place, value = call.args[0], next((a for a in [*call.args[1:], *(k.value for k in call.keywords)]), None)
        if not isinstance(place, ast.Constant) or not isinstance(place.value, str) or value is None:
            continue
        rest = [ast.unparse(a) for a in [*call.args[2:], *call.keywords]]
        passing = any(r in ("persistent=False", "False") for r in rest)
        kinds = learnt if name.endswith("parameter") else constants if passing else buffers
        kinds.append(place.value)
        text.change(text.begin(call), text.begin(value), f"self.{place.value} = ")
        text.change(text.end(value), text.end(call), "")
    for name, value, method in assigned(own):
        if name not in (*buffers, *constants, *learnt) and may_be_tensor(value, own[method]):
            constants.append(name)
    learnt += [n for n, v, _ in assigned(own) if isinstance(v, ast.Call) and "Parameter" in dotted(v.func)]
    return list(dict.fromkeys(buffers)), [n for n in dict.fromkeys(constants) if n not in learnt]


def assigned(own: dict[str, ast.FunctionDef]) -> Iterator[tuple[str, ast.expr, str]]:
    """Each `self.name = value` of a class: name, value, and the method it is in."""
    for method in own.values():
        for node in ast.walk(method):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and dotted(target.value) == "self":
                        yield target.attr, node.value, method.name


def may_be_tensor(value: ast.expr, method: ast.FunctionDef) -> bool:
    """Whether an attribute that was not registered could be a tensor: made by torch, or set as the layer runs."""
    if isinstance(value, ast.Constant):
        return False
    if method.name == "__init__":
        arguments = [*method.args.args, *method.args.kwonlyargs]
        tensors = {a.arg for a in arguments if a.annotation is not None and "Tensor" in ast.unparse(a.annotation)}
        if isinstance(value, ast.Name):
            return value.id in tensors
        if not isinstance(value, ast.Call):
            return False
        name = dotted(value.func)
        return name.startswith("torch.") and not re.match(r"torch\.(nn|optim|device|Generator)\b", name)
    called = dotted(value.func) if isinstance(value, ast.Call) else ""
    return not re.match(r"((torch\.)?nn\.|[A-Z])", called)
