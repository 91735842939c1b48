"""Calls of torch.nn's layers and functions → calls of the ladder's, argument by argument."""

import ast
from inspect import Parameter as Argument
from inspect import _ParameterKind as Kind
from typing import Any

from satsuma.peel.edits import Text, dotted
from satsuma.peel.torch_twins import AS_DEFAULT, HARMLESS, Twin, twin_of

LISTS = ("nn.ModuleList", "torch.nn.ModuleList")
PARAMETERS = ("nn.Parameter", "torch.nn.Parameter", "nn.parameter.Parameter")
SEQUENCES = ("nn.Sequential", "torch.nn.Sequential")


def change_call(text: Text, node: ast.Call) -> str | None:
    """A call of something of torch.nn in the ladder's terms; the name it then uses, None if it stays as it is."""
    name = dotted(node.func)
    if name in PARAMETERS:
        return change_parameter(text, node)
    if name in LISTS:
        return change_list(text, node)
    if name in SEQUENCES and is_named(text, node):
        text.change_node(node.func, "NamedSequential")
        return "NamedSequential"
    if isinstance(node.func, ast.Attribute) and node.func.attr == "add_module" and len(node.args) == 2:
        change_naming(text, node, node.func)
        return None
    handed_on = name.rpartition(".")[2] == "partial" and bool(node.args)
    func = node.args[0] if handed_on else node.func
    twin = twin_of(dotted(func))
    if twin is None:
        return None
    arguments: list[ast.AST] = [*(node.args[1:] if handed_on else node.args), *node.keywords]
    kept = fitted_call(twin, arguments)
    if kept is None:
        return None
    if twin.as_function and not handed_on:
        return change_loss(text, node, twin, arguments, kept)
    text.change_node(func, twin.name)
    change_arguments(text, node, arguments, kept)
    return twin.name


def is_named(text: Text, node: ast.Call) -> bool:
    """Whether the layers of a `Sequential` are given, or will be given, under names."""
    if not node.args:
        return ".add_module(" in text.code
    return len(node.args) == 1 and (
        isinstance(node.args[0], ast.Call) and dotted(node.args[0].func).rpartition(".")[2] in ("OrderedDict", "dict")
    )


def change_parameter(text: Text, node: ast.Call) -> str | None:
    """`nn.Parameter(t)` as a tensor that learns."""
    if len(node.args) + len(node.keywords) not in (1, 2) or not node.args:
        return None
    tensor = node.args[0]
    learns = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "requires_grad")]
    if len(learns) != len(node.args) + len(node.keywords) - 1:
        return None
    made_here = isinstance(tensor, ast.Call) and dotted(tensor.func).startswith("torch.")
    simple = isinstance(tensor, ast.Call | ast.Name | ast.Attribute | ast.Subscript)
    text.change(text.begin(node), text.begin(tensor), "" if simple else "(")
    own = "" if made_here else ".detach()"
    said = "" if not learns else text.source(learns[0])
    ending = own if said == "False" else f"{own}.requires_grad_({'' if said == 'True' else said})"
    text.change(text.end(tensor), text.end(node), ending if simple else f"){ending}")
    return "requires_grad_"


def change_list(text: Text, node: ast.Call) -> str | None:
    """`nn.ModuleList(layers)` as a `Sequential`, which is a list of layers too."""
    if len(node.args) > 1 or node.keywords:
        return None
    text.change_node(node.func, "Sequential")
    if node.args:
        layers = node.args[0]
        bare = text.begin(layers) == text.end(node.func)  # a generator, whose parentheses are the call's
        text.change(text.begin(layers), text.begin(layers), "(*" if bare else "*")
        if bare:
            text.change(text.end(layers), text.end(layers), ")")
    return "Sequential"


def change_naming(text: Text, node: ast.Call, func: ast.Attribute) -> None:
    """`owner.add_module(name, layer)` as an assignment."""
    owner, (name, layer) = func.value, node.args
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isidentifier():
        text.change(text.end(owner), text.begin(layer), f".{name.value} = ")
        text.change(text.end(layer), text.end(node), "")
        return
    text.change(text.begin(owner), text.begin(owner), "setattr(")
    text.change(text.end(owner), text.begin(name), ", ")


def fitted_call(twin: Twin, arguments: list[ast.AST]) -> dict[int, str | None] | None:
    """Which arguments stay, and the keyword each needs (None: by place); None if the twin cannot take them all."""
    asked, known = twin.asked(), twin.known()
    by_place = [p.name for p in known if p.kind is Kind.POSITIONAL_OR_KEYWORD]
    many = any(p.kind is Kind.VAR_POSITIONAL for p in known)
    names = {p.name for p in known}
    order, place = list(asked), 0
    kept: dict[int, str | None] = {}
    given = {a.arg for a in arguments if isinstance(a, ast.keyword)}
    if not given >= set(twin.needed):
        return None
    for i, argument in enumerate(arguments):
        if isinstance(argument, ast.Starred) or (isinstance(argument, ast.keyword) and argument.arg is None):
            kept[i] = None
            place += 1
            continue
        keyword = isinstance(argument, ast.keyword)
        value = argument.value if isinstance(argument, ast.keyword) else argument
        if many and not keyword:
            kept[i] = None
            continue
        if not keyword and i >= len(order):
            return None
        theirs = str(argument.arg) if isinstance(argument, ast.keyword) else order[i]
        ours = twin.renamed.get(theirs, theirs)
        if ours not in names:
            if theirs in HARMLESS or is_default(value, theirs, asked.get(theirs, Argument.empty)):
                continue
            return None
        if not keyword and place < len(by_place) and by_place[place] == ours:
            kept[i] = None
            place += 1
        elif ours == "value" and is_default(value, ours, asked.get(theirs)):
            continue
        else:
            kept[i] = ours
    return kept


def is_default(value: ast.AST, name: str, default: Any) -> bool:
    try:
        said = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return False
    return said in AS_DEFAULT.get(name, ()) or (default is not Argument.empty and said == default)


def change_arguments(text: Text, node: ast.Call, arguments: list[ast.AST], kept: dict[int, str | None]) -> None:
    """Leave out what the twin does not take, and name what it takes by name."""
    for i, name in kept.items():
        argument = arguments[i]
        if name is None:
            continue
        if isinstance(argument, ast.keyword):
            begin = text.begin(argument)
            text.change(begin, begin + len(str(argument.arg).encode()), name)
        else:
            text.change(text.begin(argument), text.begin(argument), f"{name}=")
    if len(kept) == len(arguments):
        return
    first = min(kept, default=None)
    if first is None:
        before = [a for a in node.args if a not in arguments]
        begin = text.end(before[-1]) if before else text.begin(arguments[0])
        text.change(begin, text.end(node) - 1, "")
        return
    for i in range(len(arguments)):
        if i < first:
            text.change(text.begin(arguments[i]), text.begin(arguments[i + 1]), "")
        elif i not in kept:
            text.change(text.end(arguments[i - 1]), text.end(arguments[i]), "")


def change_loss(text: Text, node: ast.Call, twin: Twin, arguments: list[ast.AST], kept: dict[int, str | None]) -> str:
    """`nn.CrossEntropyLoss(...)`, a layer, as the function with its settings."""
    if not kept:
        text.change_node(node, twin.name)
        return twin.name
    text.change(text.begin(node), text.end(node.func) + 1, f"partial({twin.name}, ")
    change_arguments(text, node, arguments, kept)
    return twin.name
