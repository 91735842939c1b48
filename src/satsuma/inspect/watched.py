"""One forward pass, layer by layer: what each module was given and gave."""

import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.train.evaluate import evaluation_mode


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call of a module: its name as in `model.named_modules()` ("" is the model), its inputs and its output."""

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    output: Any


@torch.no_grad()
def watched_calls(
    model: nn.Module, inputs: Sequence[Tensor], *, seen: Callable[[LayerCall], Any] | None = None
) -> list[Any]:
    """The calls of all modules in the order in which they ended, the model's own last.

    `seen`: what to keep of a call instead, looked at at once: layers that work in place change what came before. The
    model runs in evaluation mode and is left as it was.
    """
    calls: list[Any] = []
    with ExitStack() as at_end, evaluation_mode(model):
        for name, module in model.named_modules():
            handle = module.register_forward_hook(functools.partial(note_call, calls, name, seen))
            at_end.callback(handle.remove)
        model(*inputs)
    return calls


def note_call(
    calls: list[Any],
    name: str,
    seen: Callable[[LayerCall], Any] | None,
    module: nn.Module,
    inputs: tuple[Any, ...],
    output: Any,
) -> None:
    call = LayerCall(name, module, inputs, output)
    calls.append(call if seen is None else seen(call))


def is_innermost(module: nn.Module) -> bool:
    """Whether a module holds no others, or is one of torch's that is called as a whole."""
    return not any(module.children()) or isinstance(module, nn.MultiheadAttention)
