"""How a model's numbers start, and how large they are layer by layer.

Numbers should keep mean 0 and deviation about 1 from layer to layer: too small and the signal fades, too large and it
explodes, and ReLU units that never rise above 0 learn nothing.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.errors import nearest

INIT_SCHEMES = ("kaiming_normal", "kaiming_uniform", "normal", "xavier_normal", "xavier_uniform", "zeros")
NORM_LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)
RELU_LAYERS = (nn.ReLU, nn.ReLU6)


@torch.no_grad()
def initialise(model: nn.Module, *, scheme: str = "kaiming_normal", seed: int = 0, std: float = 0.01) -> None:
    """Set a model's parameters in place: matrices by `scheme`, biases 0, normalisation layers as they are when new.

    The numbers depend on `seed` alone: not on torch's global generator, nor on the device.
    "kaiming_*": deviation √(2 / inputs), right before a ReLU (He and others 2015, "Delving Deep into Rectifiers").
    "xavier_*": deviation √(2 / (inputs + outputs)) (Glorot and Bengio 2010, "Understanding the Difficulty of Training
    Deep Feedforward Neural Networks"). "normal": deviation `std`. "zeros": all 0, for single-layer models.
    Raises ValueError for another scheme.

    >>> model = nn.Linear(3, 2)
    >>> initialise(model, scheme="zeros")
    >>> model.weight.abs().sum().item()
    0.0
    """
    if scheme not in INIT_SCHEMES:
        raise ValueError(f"initialise: scheme={scheme!r}: {nearest(scheme, INIT_SCHEMES)}")
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, NORM_LAYERS):
            module.reset_parameters()  # scale 1, shift 0, running mean 0 and variance 1
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                drawn = torch.zeros(parameter.shape, dtype=parameter.dtype)  # on the CPU, so all devices agree
                fill_by_scheme(drawn, scheme, std, generator)
                parameter.copy_(drawn)
            elif name.startswith("bias"):
                parameter.zero_()


def fill_by_scheme(weight: Tensor, scheme: str, std: float, generator: torch.Generator) -> None:
    """Fill `weight` [out in ...], which holds zeros, with the numbers of one of INIT_SCHEMES."""
    if scheme == "kaiming_normal":
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    elif scheme == "kaiming_uniform":
        nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
    elif scheme == "xavier_normal":
        nn.init.xavier_normal_(weight, generator=generator)
    elif scheme == "xavier_uniform":
        nn.init.xavier_uniform_(weight, generator=generator)
    elif scheme == "normal":
        nn.init.normal_(weight, std=std, generator=generator)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStats:
    """One layer's outputs on one batch, in numbers. `dead` is None for layers other than ReLU."""

    name: str  # as in `model.named_modules()`
    kind: str  # the layer's class
    mean: float
    std: float
    dead: float | None  # share of units that were 0 for every item of the batch, 0..1


@torch.no_grad()
def layer_stats(model: nn.Module, x: Tensor) -> list[LayerStats]:
    """Mean, deviation and share of dead ReLU units of each innermost layer's outputs, in the order of the forward pass.

    x: one batch of inputs, [B ...]. A unit is a feature of [B D] or a channel of [B C H W].
    The model runs in evaluation mode and is left as it was. A layer that is called twice has two rows.

    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> _ = model[0].load_state_dict({"weight": torch.tensor([[1.0], [-1.0]]), "bias": torch.tensor([0.0, 0.0])})
    >>> [(row.name, row.dead) for row in layer_stats(model, torch.tensor([[1.0], [2.0]]))]
    [('0', None), ('1', 0.5)]
    """
    rows: list[LayerStats] = []
    modes = [(module, module.training) for module in model.modules()]
    watches = [
        module.register_forward_hook(functools.partial(append_layer_stats, rows, name))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    try:
        model.eval()
        model(x)
    finally:
        for watch in watches:
            watch.remove()
        for module, training in modes:
            module.training = training
    return rows


def append_layer_stats(
    rows: list[LayerStats], name: str, module: nn.Module, inputs: Sequence[Any], output: Any
) -> None:
    """Add a row on `output`, [B D] or [B C ...], if it is a tensor."""
    if not isinstance(output, Tensor):
        return
    dead = None
    if isinstance(module, RELU_LAYERS):
        units = output.transpose(0, 1).flatten(1) if output.ndim > 1 else output.unsqueeze(0)  # [units everything-else]
        dead = (units == 0).all(1).float().mean().item()
    values = output.float()
    rows.append(
        LayerStats(
            name=name,
            kind=type(module).__name__,
            mean=values.mean().item(),
            std=values.std(correction=0).item(),
            dead=dead,
        )
    )
