"""Functions of the library that a script says in fewer words; only as long as they are what those words say."""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from satsuma.data.in_memory import InMemory
from satsuma.train.evaluate import evaluation_mode, joined_outputs, predict_batches
from satsuma.train.loop import clear_gradients
from satsuma.train.objectives import forward

EVALUATION = (evaluation_mode, predict_batches, joined_outputs, forward)
BATCHES = (InMemory,)
CLEARING = (clear_gradients,)
SEEN = {  # tests/peel/test_known.py says what to do when one differs
    "evaluation_mode": "6bcdfec11d14",
    "predict_batches": "9eafa28a71ff",
    "joined_outputs": "27adfe1ed179",
    "forward": "3aa6045e1e81",
    "InMemory": "34db32f56945",
    "clear_gradients": "0c714b4fa7ff",
}


def is_as_known(parts: tuple[Callable[..., Any], ...]) -> bool:
    """Whether the code of functions or classes is still that which the shorter words were written for.

    Where a line of them is changed, they are lifted as they stand.
    """
    return all(print_of(part) == SEEN[part.__name__] for part in parts)


def print_of(part: Callable[..., Any]) -> str:
    """A short print of a definition's code, blind to comments, docstrings and layout."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(part))))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]
