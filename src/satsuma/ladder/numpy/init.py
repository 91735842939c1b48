"""How a model's numbers start: the same as torch's from the same seed.

Legend: D inputs of a unit (of a convolution: channels times the pixels of the kernel), K its outputs likewise.
"""

import math
from typing import Any

import numpy as np

from satsuma.ladder.numpy.model import named_layers
from satsuma.ladder.numpy.random import Generator, normal, uniform


def reset_parameters(model: Any, generator: Generator) -> None:
    """The numbers that torch's Linear and Conv2d have when new: weights and biases even in -1/√D..1/√D.

    Draws layer by layer, weights then biases, as `torch.nn` does where a model is built after `torch.manual_seed`.

    >>> from satsuma.ladder.numpy.layers import Linear
    >>> layer = Linear(2, 1)
    >>> reset_parameters(layer, Generator(42))
    >>> layer.parameters["weight"], layer.parameters["bias"]
    (array([[0.5406104, 0.5869042]], dtype=float32), array([-0.16565566], dtype=float32))
    """
    for _, layer in named_layers(model):
        weight = getattr(layer, "parameters", {}).get("weight")
        if weight is None or weight.ndim < 2:
            continue
        inputs = weight[0].size  # D
        bound = math.sqrt(3.0) * (math.sqrt(2.0 / 6.0) / math.sqrt(inputs))  # 1/√D, rounded as torch rounds it
        weight[...] = uniform(weight.shape, generator, low=-bound, high=bound, dtype=weight.dtype.type)
        if "bias" in layer.parameters:
            bias, bound = layer.parameters["bias"], 1 / math.sqrt(inputs)
            bias[...] = uniform(bias.shape, generator, low=-bound, high=bound, dtype=bias.dtype.type)


def initialise(model: Any, *, scheme: str = "kaiming_normal", seed: int = 0, std: float = 0.01) -> None:
    """Set a model's parameters in place: matrices by `scheme`, biases 0, normalisation layers as they are when new.

    "kaiming_*": deviation √(2 / D), right before a ReLU (He and others 2015, "Delving Deep into Rectifiers").
    "xavier_*": deviation √(2 / (D + K)) (Glorot and Bengio 2010, "Understanding the Difficulty of Training Deep
    Feedforward Neural Networks"). "normal": deviation `std`. "zeros": all 0.
    """
    generator = Generator(seed)
    for _, layer in named_layers(model):
        parameters: dict[str, np.ndarray] = getattr(layer, "parameters", {})
        if "running_mean" in getattr(layer, "buffers", {}):
            parameters["weight"][...] = 1
            parameters["bias"][...] = 0
            layer.buffers["running_mean"][...] = 0
            layer.buffers["running_var"][...] = 1
            layer.buffers["num_batches_tracked"][...] = 0
            continue
        for name, array in parameters.items():
            array[...] = 0 if name == "bias" else drawn_weight(array, scheme, std, generator)


def drawn_weight(weight: np.ndarray, scheme: str, std: float, generator: Generator) -> np.ndarray:
    """Numbers for `weight`, [K D ...], by `scheme`. An even spread over -a..a has deviation a/√3."""
    pixels = math.prod(weight.shape[2:])
    inputs, outputs = weight.shape[1] * pixels, weight.shape[0] * pixels
    if scheme == "zeros":
        return np.zeros_like(weight)
    if scheme.startswith("kaiming"):
        std = math.sqrt(2.0) / math.sqrt(inputs)
    elif scheme.startswith("xavier"):
        std = math.sqrt(2.0 / float(inputs + outputs))
    if scheme.endswith("_uniform"):
        bound = math.sqrt(3.0) * std
        return uniform(weight.shape, generator, low=-bound, high=bound, dtype=weight.dtype.type)
    return normal(weight.shape, generator, std=std, dtype=weight.dtype.type)
