"""How a model's numbers start: the same as torch's from the same seed.

Legend: D inputs of a unit (of a convolution: channels times the pixels of the kernel), K its outputs likewise.
"""

import math
from typing import Any

import numpy as np

from satsuma.ladder.numpy.model import named_layers
from satsuma.ladder.numpy.random import Generator, normal, uniform, uniform_64


def first_numbers(shape: tuple[int, ...], inputs: int, generator: Generator) -> np.ndarray:
    """The weights or biases that torch's Linear and Conv2d begin with: even in -1/√D..1/√D.

    >>> first_numbers((1, 2), 2, Generator(42))
    array([[0.5406104, 0.5869042]], dtype=float32)
    """
    bound = 1 / math.sqrt(inputs)
    return uniform(shape, generator, low=-bound, high=bound)


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
        draw = uniform if weight.dtype == np.float32 else uniform_64
        return draw(weight.shape, generator, low=-bound, high=bound)
    return normal(weight.shape, generator, std=std, dtype=weight.dtype.type)
