"""Reading back how an object was built: its constructor's arguments, and whether they build it again."""

import copy
import functools
import inspect
import math
import operator
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.ship.recipe import UNREADABLE

STATE_OF_MODULES = frozenset(vars(nn.Module()))
GETTERS = (operator.attrgetter, operator.itemgetter, operator.methodcaller)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")


def same_value(a: Any, b: Any) -> bool:
    """Whether two values are equal all through: arrays by their numbers, nan as itself, objects by `==` or identity."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and (a.is_meta or b.is_meta or bool(torch.equal(a, b)))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same_value(a[k], b[k]) for k in a)
    if isinstance(a, functools.partial):
        return same_value((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    if isinstance(a, GETTERS):
        return bool(a.__reduce__() == b.__reduce__())
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, nn.Module):
        return same_modules(a, b)
    try:
        return bool(a == b)
    except (TypeError, ValueError, RuntimeError):
        return False


def arguments_of(value: Any) -> tuple[list[Any], dict[str, Any]] | str:
    """Arguments that build `value` again, as attributes of the same names tell; or the name of one that none tells.

    One with a default that left no attribute is taken to be its default: whoever asks compares what is built.
    """
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, parameter in parameters_of(type(value)).items():
        if name in UNREADABLE or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        required = parameter.default is parameter.empty
        if not hasattr(value, name):
            if required:
                return name
            continue
        mine = getattr(value, name)
        if isinstance(mine, nn.Module) and isinstance(parameter.default, int | float | str):
            if not hasattr(mine, "p"):
                continue
            mine = mine.p  # self.drop = nn.Dropout(drop)
        if isinstance(parameter.default, bool) and not isinstance(mine, bool):
            mine = mine is not None  # bias=True becomes a parameter, bias=False None
        if required and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(mine)
        elif required or not same_value(mine, parameter.default):
            named[name] = mine
    return positional, named


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """The constructor's parameters but `self`."""
    if issubclass(cls, nn.RNNBase) and cls.__module__ == nn.RNNBase.__module__:
        parameters = dict(inspect.signature(nn.RNNBase.__init__).parameters)
        found = {name: parameters[name] for name in RECURRENT}
        if cls is nn.RNN:
            found["nonlinearity"] = inspect.Parameter("nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh")
        return found
    parameters = dict(inspect.signature(cls.__init__).parameters)  # type: ignore[misc]
    return dict(list(parameters.items())[1:])


def rebuilds_module(module: nn.Module, positional: list[Any], named: Mapping[str, Any]) -> bool:
    """Whether these arguments give a module that says and does the same, but for its weights. Leaves `module` be."""
    for device in ("meta", "cpu"):
        positional_copy, named_copy = copy.deepcopy((positional, dict(named)))
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device):
                again = type(module)(*positional_copy, **named_copy)
        except Exception:  # constructors given what they do not expect raise nearly anything
            continue
        if device == "cpu" or not any(m._non_persistent_buffers_set for m in module.modules()):
            return same_modules(module, again)
    return False


def same_modules(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules have the same text, weights of the same names, shapes and ties, and the same settings."""
    if type(a) is not type(b) or repr(a) != repr(b) or ties(a) != ties(b):
        return False
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (a, b)]
    return shapes[0] == shapes[1] and all(map(same_settings, a.modules(), b.modules()))


def same_settings(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules, not looking at their children, agree in what is neither weight nor state of torch's."""
    mine, theirs = ({k: v for k, v in vars(m).items() if k not in STATE_OF_MODULES} for m in (a, b))
    buffers = all(same_value(a._buffers[k], b._buffers.get(k)) for k in a._non_persistent_buffers_set)
    settings = all(holds_weights(v) or same_value(v, theirs.get(k)) for k, v in mine.items())
    return mine.keys() == theirs.keys() and buffers and settings


def holds_weights(value: Any) -> bool:
    """Whether a value is a weight, or a list of them, kept beside the registered ones (as nn.LSTM does)."""
    if isinstance(value, list | tuple):
        return bool(value) and all(map(holds_weights, value))
    return isinstance(value, nn.Parameter | weakref.ReferenceType)


def ties(module: nn.Module) -> list[int]:
    """For each weight by name, the place of the first that is the same tensor."""
    seen: dict[int, int] = {}
    weights = [p for _, p in module.named_parameters(remove_duplicate=False)]
    return [seen.setdefault(id(p), i) for i, p in enumerate(weights)]


def shared_weights(container: nn.Module) -> bool:
    """Whether two children share a weight; what a child ties within itself is its own constructor's doing."""
    seen: set[int] = set()
    for child in dict.fromkeys(container.children()):
        mine = {id(p) for p in child.parameters()}
        if mine & seen:
            return True
        seen |= mine
    children = [child for child in container._modules.values() if child is not None and list(child.parameters())]
    return len(children) != len({id(child) for child in children})


def without_pairs(
    module: nn.Module, positional: list[Any], named: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with 3 for (3, 3), and without those that are then their defaults, as one writes nn.Conv2d."""
    defaults = {name: p.default for name, p in parameters_of(type(module)).items()}
    short = {name: single(value) for name, value in named.items()}
    return [single(v) for v in positional], {k: v for k, v in short.items() if not same_value(v, defaults[k])}


def single(value: Any) -> Any:
    """What a tuple of one number over and over says."""
    alike = isinstance(value, tuple) and len(set(map(repr, value))) == 1 and isinstance(value[0], int)
    return value[0] if alike else value


def hooked(module: nn.Module) -> bool:
    """Whether something is registered to run when the module does, or its methods were replaced on the object."""
    return any(getattr(m, name) for m in module.modules() for name in HOOKS) or any(
        name in vars(m) for m in module.modules() for name in ("forward", "__call__")
    )


def rebuilds_object(value: Any, positional: list[Any], named: Mapping[str, Any]) -> bool:
    """Whether these arguments give an object with the same attributes."""
    try:
        again = type(value)(*positional, **named)
    except Exception:  # as above
        return False
    mine, theirs = attributes(value), attributes(again)
    return mine.keys() == theirs.keys() and all(same_value(v, theirs[k]) for k, v in mine.items())


def attributes(value: Any) -> dict[str, Any]:
    """What an object holds, in its dict and its slots."""
    slots = [s for cls in type(value).__mro__ for s in as_slots(vars(cls).get("__slots__", ()))]
    return {s: getattr(value, s) for s in slots if hasattr(value, s)} | dict(getattr(value, "__dict__", {}))


def as_slots(slots: Any) -> tuple[str, ...]:
    named = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(s for s in named if s not in ("__dict__", "__weakref__"))
