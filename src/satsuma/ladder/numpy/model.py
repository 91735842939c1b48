"""A model's layers, parameters and gradients by the names that torch gives them: "0.weight", "0.bias", "2.weight"."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def named_layers(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost layers from first to last, each with its name and a dot; a model of a single layer has no name.

    >>> from satsuma.ladder.numpy.layers import Flatten, Linear, Sequential
    >>> [name for name, _ in named_layers(Sequential(Flatten(), Sequential(Linear(5, 3), Linear(3, 2))))]
    ['0.', '1.0.', '1.1.']
    """
    if not hasattr(model, "layers"):
        yield prefix, model
        return
    for i, layer in enumerate(model.layers):
        yield from named_layers(layer, f"{prefix}{i}.")


def named_arrays(model: Any, kind: str) -> dict[str, np.ndarray]:
    """The layers' arrays of one kind, "parameters", "gradients" or "buffers", by name: the arrays, no copies."""
    layers = named_layers(model)
    return {prefix + name: array for prefix, layer in layers for name, array in getattr(layer, kind, {}).items()}


def named_parameters(model: Any) -> dict[str, np.ndarray]:
    """What is learnt."""
    return named_arrays(model, "parameters")


def named_gradients(model: Any) -> dict[str, np.ndarray]:
    """What the last `backward` found."""
    return named_arrays(model, "gradients")


def state(model: Any) -> dict[str, np.ndarray]:
    """All that makes a trained model, as torch's `state_dict()`: parameters, and running means of normalisation."""
    return named_arrays(model, "parameters") | named_arrays(model, "buffers")


def load_state(model: Any, saved: dict[str, np.ndarray]) -> None:
    """Write `saved` into the model's arrays. Raises ValueError if names or shapes differ."""
    own = state(model)
    if own.keys() != saved.keys():
        raise ValueError(f"load_state: names differ: {sorted(own.keys() ^ saved.keys())}")
    for name, array in own.items():
        if array.shape != saved[name].shape:
            raise ValueError(f"load_state: {name} has shape {array.shape}, the saved one {saved[name].shape}")
        array[...] = saved[name]


def set_training(model: Any, training: bool) -> None:
    """Training or evaluation, for the layers that know the difference (dropout, noise, batch normalisation)."""
    for _, layer in named_layers(model):
        if hasattr(layer, "training"):
            layer.training = training


def set_dtype(model: Any, dtype: type) -> None:
    """Give the model numbers of another kind, such as np.float64. They are new arrays: make the optimiser after it."""
    for _, layer in named_layers(model):
        for arrays in (getattr(layer, "parameters", {}), getattr(layer, "buffers", {})):
            for name, array in arrays.items():
                if np.issubdtype(array.dtype, np.floating):
                    arrays[name] = array.astype(dtype)
