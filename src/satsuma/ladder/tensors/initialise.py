"""A model's numbers set anew, from a seed of their own."""

from typing import Any

import torch
from torch import Tensor

from satsuma.ladder.tensors.init import kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_
from satsuma.ladder.tensors.model import named_layers, own_tensors
from satsuma.ladder.tensors.normalisation import BatchNorm1d, BatchNorm2d, LayerNorm

INIT_SCHEMES = ("kaiming_normal", "kaiming_uniform", "normal", "xavier_normal", "xavier_uniform", "zeros")
NORM_LAYERS = (BatchNorm1d, BatchNorm2d, LayerNorm)
NORM_STARTS = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}


@torch.no_grad()
def initialise(model: Any, *, scheme: str = "kaiming_normal", seed: int = 0, std: float = 0.01) -> None:
    """Set a model's parameters in place: matrices by `scheme`, biases 0, normalisation layers as they are when new.

    scheme: one of INIT_SCHEMES; std: the deviation for "normal". The numbers depend on `seed` alone: not on torch's
    global generator, nor on the device.

    >>> from satsuma.ladder.tensors.linear import Linear
    >>> model = Linear(3, 2)
    >>> initialise(model, scheme="zeros")
    >>> model.weight.abs().sum().item()
    0.0
    """
    generator = torch.Generator().manual_seed(seed)
    for _, layer in named_layers(model):
        if isinstance(layer, NORM_LAYERS):
            for name, value in NORM_STARTS.items():
                if hasattr(layer, name):
                    getattr(layer, name).fill_(value)
            continue
        for name, parameter in own_tensors(layer, buffers=False).items():
            if parameter.ndim >= 2:
                drawn = torch.zeros(parameter.shape, dtype=parameter.dtype)  # on the CPU, so all devices agree
                fill_by_scheme(drawn, scheme, std, generator)
                parameter.copy_(drawn)
            elif name.startswith("bias"):
                parameter.zero_()


def fill_by_scheme(weight: Tensor, scheme: str, std: float, generator: torch.Generator) -> None:
    """Fill `weight` [out in ...], which holds zeros; ValueError for an unknown scheme."""
    if scheme == "kaiming_normal":
        kaiming_normal_(weight, generator=generator)
    elif scheme == "kaiming_uniform":
        kaiming_uniform_(weight, generator=generator)
    elif scheme == "xavier_normal":
        xavier_normal_(weight, generator=generator)
    elif scheme == "xavier_uniform":
        xavier_uniform_(weight, generator=generator)
    elif scheme == "normal":
        weight.normal_(0, std, generator=generator)
    elif scheme != "zeros":
        raise ValueError(f"initialise: scheme={scheme!r}; expected one of {', '.join(INIT_SCHEMES)}")
