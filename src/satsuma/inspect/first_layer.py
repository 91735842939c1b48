"""What the first layer looks for: its weights as pictures.

Shapes: O outputs of the layer, C channels, D features in, h w the size of a picture.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The weights of a model's first layer, as pictures. `pictures`: float32 [O h w], or of colours [O h w 3]."""

    name: str  # as in `model.named_modules()`
    kind: str
    pictures: np.ndarray


def first_layer(model: nn.Module) -> FirstLayer:
    """The weights of the model's first convolution or linear layer, of which each output is one picture.

    Three channels become colours; of another number of channels the mean is shown. A linear layer's row of D weights is
    a square picture if D is a square, of colours if it is three squares, else one line.
    Raises `ValueError` for a model that has neither layer.

    >>> first_layer(nn.Sequential(nn.Flatten(), nn.Linear(784, 30))).pictures.shape
    (30, 28, 28)
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weights = module.weight.detach().float().cpu().numpy()
            pictures = filter_pictures(weights) if weights.ndim == 4 else row_pictures(weights)
            return FirstLayer(name, type(module).__name__, pictures)
    raise ValueError(f"first_layer: this {type(model).__name__} has no convolution and no linear layer")


def filter_pictures(weights: np.ndarray) -> np.ndarray:
    """[O C h w] as [O h w 3] of three channels, else their mean, [O h w]."""
    return weights.transpose(0, 2, 3, 1) if weights.shape[1] == 3 else weights.mean(1)


def row_pictures(weights: np.ndarray) -> np.ndarray:
    """[O D] as [O h w] or [O h w 3]."""
    outputs, features = weights.shape
    side = math.isqrt(features)
    if side > 1 and side * side == features:
        return weights.reshape(outputs, side, side)
    side = math.isqrt(features // 3)
    if side > 1 and 3 * side * side == features:
        return weights.reshape(outputs, 3, side, side).transpose(0, 2, 3, 1)
    return weights.reshape(outputs, 1, features)


def plot_first_layer(model: nn.Module) -> "ShownFigure":
    """The pictures of `first_layer` as one figure."""
    from satsuma.plots.filters import plot_filters

    found = first_layer(model)
    named = f" {found.name!r}" if found.name else ""
    return plot_filters(found.pictures, title=f"the weights of the first layer{named}, {found.kind}")
