"""What a script is made of, before it is text: imports, definitions in their order, and `main`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One top-level definition as source text. `room`: where it comes from ("satsuma.optim.schedules").

    `own`: it is the user's, and stands in the script word for word.
    """

    name: str
    text: str
    kind: str  # "constant", "function" or "class"
    room: str
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A script in parts. `imports`: single lines ("from torch import nn"). `pieces`: each after those it needs.

    `main`: the code that is written for this run, at least `def main(...)`.
    """

    imports: tuple[str, ...]
    pieces: tuple[Piece, ...]
    main: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A script as it is thought of, before it is lifted.

    `title`: the docstring. `main`: code whose free names are those of `names` (objects to lift, or modules to import)
    and of `imports` (lines). `facts`: expressions that are constants in this run, as {"torch.cuda.is_initialized()":
    "False"}. `arrays`: what a file beside the script has to hold, by name; empty where it needs none.
    `written`: definitions that are made for this run, by name; their free names are found as those of `main`.
    """

    title: str
    main: str
    names: Mapping[str, Any]
    imports: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, Any] = field(default_factory=dict)  # name → NumPy array
    written: Mapping[str, str] = field(default_factory=dict)  # name → its text
    rewrite: Callable[[str], str] | None = None  # applied to each piece's text before it is looked into
