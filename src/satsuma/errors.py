"""The exception tree, and the refusal of misspelt names.

Rooms whose source is meant to be copied into scripts raise built-in exceptions (`ValueError`, `FileNotFoundError`...);
the classes here are for what only the library itself can get wrong: a model file, a missing extra, a bad command.
Every message says what was wrong, where, what was expected and what to do.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)


class SatsumaError(Exception):
    """Base of the errors that Satsuma defines."""


class UserError(SatsumaError):
    """A mistake in what was asked for; the message is all that a user needs to see."""


class ModelFileError(SatsumaError):
    """A model file that is damaged, of another kind, or that needs parts which were not given."""


class WeightsError(UserError):
    """Trained weights that are not to be had, or not those that were expected; the message says what to do instead."""


class PeelError(UserError):
    """A part of a run that no script can hold; the message names it, and says why and what to do."""


class OutOfMemoryError(UserError, MemoryError, RuntimeError):
    """Memory ran out while training or evaluating; the message says what was asked for and what to do."""


class MissingExtraError(SatsumaError, ImportError):
    """An optional dependency is not installed; the message holds the `pip install` line that brings it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name.

    >>> nearest("resnet81", ["resnet18", "small_cnn"])
    "did you mean 'resnet18'?"
    >>> nearest("zzz", ["b", "a"])
    'known: a, b'
    >>> nearest("lr", ["n_epoch", "lr_max"])
    "did you mean 'lr_max'?"
    """
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    close = close or [k for k in known if min(len(k), len(name)) > 1 and (k.startswith(name) or name.startswith(k))]
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(known)


def refuse_unknown(func_name: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `TypeError` naming the nearest known argument if one of `given` is not in `known`."""
    known = list(known)
    for name in given:
        if name not in known:
            raise TypeError(f"{func_name}() has no argument {name!r}: {nearest(name, known)}")


def spelled(func: Callable[P, R]) -> Callable[P, R]:
    """Give a function's `TypeError` for a misspelt keyword the nearest right one. Changes nothing else."""
    names = [n for n in inspect.signature(func).parameters if n != "self"]
    shown = func.__qualname__.removesuffix(".__init__")

    @functools.wraps(func)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        refuse_unknown(shown, kwargs, names)
        return func(*args, **kwargs)

    return checked


def spelled_class(cls: C) -> C:
    """`spelled` for a class's constructor; place it above `@dataclass`."""
    init: Callable[..., Any] = cls.__init__  # type: ignore[misc]
    setattr(cls, "__init__", spelled(init))  # noqa: B010  a plain assignment is what the type checker refuses
    return cls
