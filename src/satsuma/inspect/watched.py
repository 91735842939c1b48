"""One forward pass, layer by layer: what each module was given and gave."""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
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
    refuse_scripted(model)
    calls: list[Any] = []
    with ExitStack() as at_end, evaluation_mode(model), as_written(model):
        for name, module in model.named_modules():
            handle = module.register_forward_hook(functools.partial(note_call, calls, name, seen))
            at_end.callback(handle.remove)
        model(*in_precision_of(model, inputs))
    return calls


def refuse_scripted(model: nn.Module) -> None:
    """Raise `ValueError` for a model of `torch.jit`, of which torch lets nobody watch the layers."""
    scripted = next((name for name, m in model.named_modules() if isinstance(m, torch.jit.ScriptModule)), None)
    if scripted is not None:
        which = f"its layer {scripted!r}" if scripted else "the model"
        raise ValueError(f"{which} is made by torch.jit, whose layers cannot be watched; look at the model before that")


def as_written(model: nn.Module) -> AbstractContextManager[Any]:
    """A context in which a compiled model runs uncompiled, as its layers can only be watched so."""
    if any(getattr(m, "_compiled_call_impl", None) or hasattr(m, "_orig_mod") for m in model.modules()):
        stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")  # loads the compiler
        return stance
    return nullcontext()


def in_precision_of(model: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The inputs in the precision of the model, where all of it is of one, as after `model.half()`."""
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if len(kinds) != 1:
        return tuple(inputs)
    kind = kinds.pop()
    return tuple(part.to(kind) if part.is_floating_point() else part for part in inputs)


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
