"""What stands on a network's features: pooling over the picture and a small classifier.

Shapes: B batch, F features, h w the feature map's size, K outputs.
"""

import math
import numbers
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satsuma.errors import spelled


class AdaptiveConcatPool2d(nn.Module):
    """The largest and the mean of each feature over the picture, in this order: [B F h w] to [B 2*F size size].

    The largest tells whether a feature is there at all, the mean how much of it.
    Source: Howard and Gugger 2020, "fastai: A Layered API for Deep Learning", whose order this is.

    >>> AdaptiveConcatPool2d()(torch.tensor([[[[1.0, 3.0]]]])).flatten()
    tensor([3., 2.])
    """

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_max_pool2d(x, self.size), F.adaptive_avg_pool2d(x, self.size)
        return torch.cat(pooled, 1)  # [B 2*F size size]

    def extra_repr(self) -> str:
        return f"size={self.size}"


class SigmoidRange(nn.Module):
    """Outputs kept between two numbers: `low + (high - low) * sigmoid(x)`, any shape.

    Choose the range a little wider than the targets', since the ends themselves are never reached.

    >>> SigmoidRange(-1, 1)(torch.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"SigmoidRange: low={low}, high={high}; expected two finite numbers, the lower one first")
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * x.sigmoid()  # [B ...]

    def extra_repr(self) -> str:
        return f"low={self.low}, high={self.high}"


@spelled
def create_head(
    features: int,
    outputs: int,
    *,
    hidden: int = 512,
    dropout: float = 0.5,
    concat_pool: bool = True,
    first_bn: bool = True,
    y_range: tuple[float, float] | None = None,
) -> nn.Sequential:
    """Pooling, then two linear layers, each after batch normalisation and dropout: [B features h w] to [B outputs].

    hidden: width between the two. dropout: share of the hidden units dropped in training; half of it for the pooled
    features. concat_pool: the largest and the mean of each feature, else the mean alone. first_bn: normalise the pooled
    features. y_range: keep the outputs between these two (`SigmoidRange`), for regression.
    Linear layers have no bias where a normalisation stands right before them, as in the source, and start with
    He normal (He and others 2015, "Delving Deep into Rectifiers") from torch's global generator.
    Source: Howard and Gugger 2020, "fastai: A Layered API for Deep Learning" (`create_head`).

    >>> create_head(512, 37)(torch.zeros(2, 512, 7, 7)).shape
    torch.Size([2, 37])
    """
    refuse_head(outputs, hidden, dropout)
    pooled = 2 * features if concat_pool else features
    layers: list[nn.Module] = [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.BatchNorm1d(pooled)] if first_bn else []
    layers += [nn.Dropout(dropout / 2)] if dropout else []
    layers += [nn.Linear(pooled, hidden, bias=not first_bn), nn.ReLU(inplace=True)]
    layers += [nn.BatchNorm1d(hidden)]
    layers += [nn.Dropout(dropout)] if dropout else []
    layers += [nn.Linear(hidden, outputs, bias=False)]
    layers += [] if y_range is None else [SigmoidRange(*two_numbers(y_range))]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def refuse_head(outputs: Any, hidden: Any, dropout: Any) -> None:
    """`ValueError` for a head that cannot be built."""
    for name, value in (("outputs", outputs), ("hidden", hidden)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"create_head: {name} is a whole number, 1 or more, got {value!r}")
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ValueError(f"create_head: dropout is a share, 0 to below 1, got {dropout!r}")


def two_numbers(y_range: Any) -> tuple[float, float]:
    """`y_range` as a pair of floats; `ValueError` if it is none."""
    try:
        low, high = (float(end) for end in y_range)
    except (TypeError, ValueError):
        raise ValueError(
            f"y_range is two numbers, the lowest and the highest output, such as (0, 5); got {y_range!r}"
        ) from None
    return low, high
