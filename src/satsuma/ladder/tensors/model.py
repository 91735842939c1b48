"""Layers in layers: what a model is made of, by torch's names.

A layer is callable and has a flag `training`. The tensors among its attributes are its parameters, but for those whose
names its class lists in `buffers`; the layers among its attributes are its parts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class Sequential:
    """Layers one after another, each taking what the one before gives. Its parts are called "0", "1", ...

    >>> Sequential(torch.neg, torch.exp)(torch.zeros(2))
    tensor([1., 1.])
    """

    training = True

    def __init__(self, *layers: Callable[..., Tensor]) -> None:
        self.layers = layers

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        for layer in self.layers:
            x = layer(x)
        return x  # [B ...], of the last layer


def named_parts(layer: Any) -> dict[str, Any]:
    """The layers directly in `layer`, under their names."""
    parts = {str(i): part for i, part in enumerate(layer.layers)} if isinstance(layer, Sequential) else vars(layer)
    return {name: part for name, part in parts.items() if hasattr(part, "training")}


def named_layers(layer: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`layer` and all layers in it, at any depth, each with how its tensors' names begin: "", "0.", "0.conv1."."""
    yield prefix, layer
    for name, part in named_parts(layer).items():
        yield from named_layers(part, f"{prefix}{name}.")


def own_tensors(layer: Any, *, buffers: bool) -> dict[str, Tensor]:
    """The tensors directly in `layer`: its buffers, or else its parameters."""
    remembered = getattr(layer, "buffers", ())
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, Tensor) and (name in remembered) == buffers
    }


def named_parameters(model: Any) -> dict[str, Tensor]:
    """All that a model learns, in torch's order and under torch's names."""
    return {
        prefix + name: tensor
        for prefix, layer in named_layers(model)
        for name, tensor in own_tensors(layer, buffers=False).items()
    }


def parameters(model: Any) -> list[Tensor]:
    """All that a model learns, each tensor once even if two layers share it."""
    return list({id(tensor): tensor for tensor in named_parameters(model).values()}.values())


def state_dict(model: Any) -> dict[str, Tensor]:
    """Parameters and buffers by name, as a weight file holds them; without gradient, sharing the model's memory."""
    return {
        prefix + name: tensor.detach()
        for prefix, layer in named_layers(model)
        for buffers in (False, True)
        for name, tensor in own_tensors(layer, buffers=buffers).items()
    }


@torch.no_grad()
def load_state_dict(model: Any, state: Mapping[str, Tensor]) -> None:
    """Give the model the numbers of `state`, in place. ValueError unless the names are exactly the model's."""
    own = state_dict(model)
    if own.keys() != state.keys():
        raise ValueError(f"load_state_dict: names on one side only: {sorted(own.keys() ^ state.keys())}")
    for name, tensor in own.items():
        tensor.copy_(state[name])


def set_training(model: Any, training: bool) -> None:
    """Training mode, or else evaluation mode, for the model and all layers in it."""
    for _, layer in named_layers(model):
        layer.training = training


def move_model(model: Any, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
    """Parameters and buffers to another device or kind of float, in place: optimisers keep hold of them."""
    for _, layer in named_layers(model):
        for tensor in vars(layer).values():
            if isinstance(tensor, Tensor):
                tensor.data = tensor.data.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
