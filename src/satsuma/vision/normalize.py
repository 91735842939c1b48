"""Channel normalisation. B batch, C channels."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from satsuma.errors import spelled_class
from satsuma.vision.colour import ColourMap

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@spelled_class
@dataclass(frozen=True, slots=True)
class Normalize:
    """`(x - mean) / std` by channel, x [B C *dims] in 0..1. Without values it is fitted to training samples.

    >>> Normalize(mean=(0.5,), std=(0.5,))(torch.ones(1, 1, 2, 2)).flatten()
    tensor([1., 1., 1., 1.])
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fitted: bool = field(default=False, compare=False, repr=False)  # the values are from `fit`, not given

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, finite_values(name, getattr(self, name)))
        if len(self.mean) != len(self.std):
            raise ValueError(f"Normalize: {len(self.mean)} means but {len(self.std)} deviations")
        if any(s <= 0 for s in self.std):
            raise ValueError(f"Normalize: a deviation must be above 0, got {self.std}")

    def fit(self, x: Tensor) -> "Normalize":
        """This, with mean and deviation of `x` [B C *dims] if it has none yet."""
        if self.mean:
            return self
        columns = x.transpose(0, 1).flatten(1)  # [C B*dims]
        mean, std = columns.mean(1).tolist(), columns.std(1).clamp_min(1e-3).tolist()
        rounded = [tuple(round(v, 4) for v in values) for values in (mean, std)]
        return replace(self, mean=rounded[0], std=rounded[1], fitted=True)

    def values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if len(self.mean) not in (1, x.shape[1]):
            raise ValueError(f"Normalize: {len(self.mean)} channel means for images of {x.shape[1]} channels")
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).reshape(shape)
        return mean, torch.tensor(self.std, dtype=x.dtype, device=x.device).reshape(shape)

    def colour(self, colours: ColourMap, rng: Any = None) -> ColourMap:
        """This added to what happens to a picture's colours; the same in training and validation."""
        self.refuse_unfitted()
        return colours.normalised(self.mean, self.std)

    def refuse_unfitted(self) -> None:
        if not self.mean:
            raise ValueError("Normalize() has no values yet: a DataBlock fits it, or give mean= and std=")

    def __call__(self, x: Tensor) -> Tensor:
        self.refuse_unfitted()
        mean, std = self.values(x)
        return (x - mean) / std

    def decode(self, x: Tensor) -> Tensor:
        """The inverse, for showing."""
        mean, std = self.values(x)
        return x * std + mean


def finite_values(name: str, given: Any) -> tuple[float, ...]:
    """The values as Python's floats; `TypeError` for what is no list of numbers, `ValueError` for NaN or infinity."""
    try:
        values = tuple(float(v) for v in given)
    except (TypeError, ValueError):
        raise TypeError(
            f"Normalize: {name} is a number for each channel, such as {name}=(0.5,), got {given!r}"
        ) from None
    if not all(math.isfinite(v) for v in values):
        raise ValueError(f"Normalize: {name} is finite numbers, one for each channel, got {values}; give others")
    return values
