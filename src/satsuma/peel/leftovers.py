"""What a script of tensors still asks of torch.nn: it names the layer or the function, and refuses."""

import ast
import re

from satsuma.errors import PeelError
from satsuma.peel.edits import dotted

# torch.nn's own: nothing of the kind is in ladder.tensors
FOREIGN = frozenset(
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "get_submodule",
        "get_parameter",
        "get_buffer",
        "named_buffers",
        "register_module",
        "_modules",
        "_parameters",
        "_buffers",
        "reset_parameters",
    ]
)
NO_METHODS = ("parameters", "named_parameters", "modules", "named_modules", "children", "named_children")
OF_TORCH_NN = re.compile(r"(nn|F|optim|torch\.nn|torch\.optim|torch\.utils)\.\w+(\.\w+)*$")


def leftovers(code: str) -> list[str]:
    """What in `code` still needs torch.nn, torch.optim or torch.utils, each once, as it is written there.

    >>> leftovers("model = nn.Sequential(nn.LSTM(3, 5), Linear(5, 2))")
    ['nn.LSTM(3, 5)', 'nn.Sequential(nn.LSTM(3, 5), Linear(5, 2))']
    """
    tree = ast.parse(code)
    calls = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [f"{module}.{a.name}" if module else a.name for a in node.names]
            if any(re.match(r"(torch\.(nn|optim|utils)|torchvision|timm)\b", n) for n in names):
                found.append(ast.unparse(node))
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            walk = node.attr in NO_METHODS and id(node) in calls
            if (
                name == "model.compile"
                or (OF_TORCH_NN.match(name) and id(node) not in inner)
                or node.attr in FOREIGN
                or walk
            ):
                found.append(ast.unparse(calls.get(id(node), node)))
    return sorted(dict.fromkeys(found), key=len)


def refuse_leftovers(code: str) -> None:
    """`PeelError` that names what in a script of tensors has no counterpart without torch.nn."""
    found = [part for part in leftovers(code) if not part.startswith(("import ", "from "))] or leftovers(code)
    if found:
        raise PeelError(
            f'peel to "tensors": {found[0]} is not written out in tensors alone, and a script of tensors does without '
            f'torch.nn; peel to "torch", which keeps it'
        )
