"""Layers in layers: what a model is made of, by torch's names.

A layer is callable and has a flag `training`. The tensors among its attributes are its parameters, but for those whose
names its class lists in `buffers` or `constants`; the layers among its attributes are its parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class Sequential:
    """Layers one after another, each taking what the one before gives. Its parts are called "0", "1", ...

    >>> Sequential(torch.neg, torch.exp)(torch.zeros(2))
    tensor([1., 1.])
    """

    training = True
    numbered = True  # its parts are called by their numbers

    def __init__(self, *layers: Callable[..., Tensor]) -> None:
        self.layers = list(layers)

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        for layer in self.layers:
            x = layer(x)
        return x  # [B ...], of the last layer

    def __getitem__(self, index: Any) -> Any:
        """A layer by its number, also what a `for` goes by; or a slice, as a `Sequential` of the same layers."""
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __setitem__(self, index: int, layer: Callable[..., Tensor]) -> None:
        self.layers[index] = layer

    def __len__(self) -> int:
        return len(self.layers)

    def append(self, layer: Callable[..., Tensor]) -> "Sequential":
        self.layers.append(layer)
        return self


class NamedSequential:
    """Layers one after another, under names of their own.

    >>> list(named_parts(NamedSequential({"first": Sequential(), "second": Sequential()})))
    ['first', 'second']
    """

    training = True

    def __init__(self, layers: Mapping[str, Any] | None = None) -> None:
        for name, layer in (layers or {}).items():
            setattr(self, name, layer)

    def __call__(self, x: Tensor) -> Tensor:  # [B ...]
        for layer in named_parts(self).values():
            x = layer(x)
        return x  # [B ...], of the last layer


class ParameterList:
    """Tensors that are learnt, called "0", "1", ..."""

    training = True

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        for i, tensor in enumerate(tensors):
            setattr(self, str(i), tensor)

    def __call__(self) -> list[Tensor]:
        return list(own_tensors(self, buffers=False).values())


def named_parts(layer: Any) -> dict[str, Any]:
    """The layers directly in `layer`, under their names."""
    parts = {str(i): part for i, part in enumerate(layer.layers)} if hasattr(layer, "numbered") else vars(layer)
    return {name: part for name, part in parts.items() if hasattr(part, "training")}


def named_layers(layer: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`layer` and all layers in it, at any depth, each with how its tensors' names begin: "", "0.", "0.conv1."."""
    yield prefix, layer
    for name, part in named_parts(layer).items():
        yield from named_layers(part, f"{prefix}{name}.")


def own_tensors(layer: Any, *, buffers: bool) -> dict[str, Tensor]:
    """The tensors directly in `layer`: its buffers, or else its parameters."""
    remembered, constants = getattr(layer, "buffers", ()), getattr(layer, "constants", ())
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, Tensor) and name not in constants and (name in remembered) == buffers
    }


def modules(model: Any) -> list[Any]:
    """The model and all layers in it, each once."""
    return list({id(layer): layer for _, layer in named_layers(model)}.values())


def named_modules(model: Any) -> list[tuple[str, Any]]:
    """The model, called "", and all layers in it under their whole names, such as "layer1.0.conv1"."""
    return [(prefix.removesuffix("."), layer) for prefix, layer in named_layers(model)]


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


def set_training(model: Any, training: bool) -> Any:
    """Training mode, or else evaluation mode, for the model and all layers in it; the model.

    A layer with a method `train` sees to itself and its parts.
    """
    if hasattr(model, "train"):
        type(model).train(model, training)
    else:
        set_training_of_parts(model, training)
    return model


def set_training_of_parts(layer: Any, training: bool) -> None:
    """What `set_training` does to a layer without a method of its own for it."""
    layer.training = training
    for part in named_parts(layer).values():
        set_training(part, training)


def zero_grad(model: Any) -> None:
    """Forget all gradients of what the model learns."""
    for parameter in parameters(model):
        parameter.grad = None


def set_requires_grad(model: Any, requires_grad: bool = True) -> Any:
    """Whether all of the model is learnt, or else frozen; the model."""
    for parameter in parameters(model):
        parameter.requires_grad_(requires_grad)
    return model


def apply_to_layers(model: Any, function: Callable[[Any], Any]) -> Any:
    """Call `function` with each layer, the parts before what they are in; the model."""
    for part in named_parts(model).values():
        apply_to_layers(part, function)
    function(model)
    return model


def move_model(model: Any, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Any:
    """Parameters and buffers to another device or kind of float, in place: optimisers keep hold of them; the model."""
    for _, layer in named_layers(model):
        for tensor in vars(layer).values():
            if isinstance(tensor, Tensor):
                tensor.data = tensor.data.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
    return model
