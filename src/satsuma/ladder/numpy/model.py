"""A model as a whole: its layers by name, its state, its mode and its precision."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def named_layers(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost layers from first to last, each with its name and a dot; a model of a single layer has no name.

    >>> from satsuma.ladder.numpy.layers import Flatten, Identity, Sequential
    >>> [name for name, _ in named_layers(Sequential(Flatten(), Sequential(Identity(), Flatten())))]
    ['0.', '1.0.', '1.1.']
    """
    if not hasattr(model, "layers"):
        yield prefix, model
        return
    for i, layer in enumerate(model.layers):
        yield from named_layers(layer, f"{prefix}{i}.")


def state(model: Any) -> dict[str, np.ndarray]:
    """All that makes a trained model, as torch's `state_dict()`: parameters, and running means of normalisation."""
    return {**getattr(model, "parameters", {}), **named_buffers(model)}


def named_buffers(model: Any) -> dict[str, np.ndarray]:
    """What is kept and not learnt, by name: the running means of normalisation."""
    layers = named_layers(model)
    return {prefix + name: kept for prefix, layer in layers for name, kept in getattr(layer, "buffers", {}).items()}


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
