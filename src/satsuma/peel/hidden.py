"""Names of the user's that a script would hide: `loss`, say, which `main` uses for a step's own."""

import inspect
from collections.abc import Iterable
from typing import Any

from satsuma.peel.homes import is_installed, is_library
from satsuma.peel.names import names_within, top_bindings
from satsuma.peel.pieces import Draft, Piece


def hidden_names(draft: Draft, pieces: Iterable[Piece]) -> frozenset[str]:
    """The user's names in `main` that it, its imports, or a function of the library's there binds to something else.

    Library functions count since trimming may bring what `main` gives them into their bodies.
    """
    own = {name for name, value in draft.names.items() if is_own(value)}
    if not own:
        return frozenset()
    texts = [draft.main, *draft.written.values(), *(piece.text for piece in pieces if not piece.own)]
    bound = set().union(*(names_within(text) for text in texts))
    bound |= top_bindings(draft.main).union(*(top_bindings(line) for line in draft.imports))
    return frozenset(own & bound)


def is_own(value: Any) -> bool:
    """Whether a value is a function or class of the user's."""
    module = getattr(value, "__module__", None)
    named = inspect.isroutine(value) or isinstance(value, type) or hasattr(value, "__wrapped__")
    return named and isinstance(module, str) and not is_library(module) and not is_installed(module)
