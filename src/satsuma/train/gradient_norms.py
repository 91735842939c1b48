"""The gradients of a step layer by layer, for one whose loss is not finite."""

import math

import torch
from torch import nn

LISTED = 3  # layers that a message names


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Each layer's gradient norm over its own parameters, in the model's order; NaN or inf where one is not finite."""
    found = {}
    for name, layer in model.named_modules():
        gradients = [p.grad.detach() for p in layer.parameters(recurse=False) if p.grad is not None]
        if gradients:
            found[name or type(layer).__name__] = float(torch.stack([g.float().norm() for g in gradients]).norm())
    return found


def norms_text(norms: dict[str, float]) -> str:
    """The largest norms in words, and which are not finite.

    >>> norms_text({"0": 3.0, "2": 4e8, "4": 0.25, "6": 7.0})
    'the largest gradients are of layers 2 (norm 4e+08), 6 (7), 0 (3)'
    >>> norms_text({"0": float("nan"), "2": 4e8})
    'gradients are NaN or infinite in layer 0; of the others the largest are of layers 2 (norm 4e+08)'
    >>> norms_text({"0": float("nan"), "2": float("inf")})
    'the gradients of all 2 layers are NaN or infinite'
    """
    broken = [name for name, norm in norms.items() if not math.isfinite(norm)]
    largest = sorted((name for name in norms if name not in broken), key=norms.__getitem__, reverse=True)[:LISTED]
    if not norms:
        return "no layer has gradients"
    if not largest:
        return f"the gradients of all {len(broken)} layers are NaN or infinite"
    listed = ", ".join(f"{n} ({'norm ' if n == largest[0] else ''}{norms[n]:.3g})" for n in largest)
    if not broken:
        return f"the largest gradients are of layers {listed}"
    more = f" and {len(broken) - LISTED} more" if len(broken) > LISTED else ""
    named = f"layer{'s' if len(broken) > 1 else ''} {', '.join(broken[:LISTED])}{more}"
    return f"gradients are NaN or infinite in {named}; of the others the largest are of layers {listed}"
