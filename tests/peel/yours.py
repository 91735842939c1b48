"""What a user wrote: a module, a loss, a metric, transforms, labelling and a hook, as in any project's own file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.vision.frame import Frame, view_of
from satsuma.vision.warp import placed_alone

GAMMA = 2.0  # how much less the easy samples count
SPOTS = 5
SHADES = {"low": 0.9, "high": 1.1}


class Gate(nn.Module):
    """Features times their own weight: [B n] to [B n]."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(n, n)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.weigh(x))  # [B n]


class GatedNet(nn.Module):
    """Linear, gate, linear: [B n_in] to [B n_out]."""

    def __init__(self, n_in: int = 64, n_hidden: int = 20, n_out: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(n_in, n_hidden)
        self.gate = Gate(n_hidden)
        self.last = nn.Linear(n_hidden, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.gate(F.relu(self.first(x))))


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in which what is known already counts less."""
    each = F.cross_entropy(logits, targets, reduction="none")  # [B]
    return (easiness(each) * each).mean()


def easiness(each: Tensor) -> Tensor:
    return (1 - torch.exp(-each)) ** GAMMA


def sure(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of answers of which the model is fairly sure, right or wrong."""
    return (outputs.softmax(1).amax(1) > 0.12).float().mean()


def digit_of(file: Any) -> str:
    """The label of a picture: its folder's last word."""
    return Path(file).parent.name.rsplit("_", maxsplit=1)[-1]


def speckled(picture: Image.Image, rng: np.random.Generator | None = None) -> Image.Image:
    """A few black pixels, in training."""
    if rng is None:
        return picture
    pixels = np.array(picture)
    rows, columns = rng.integers(0, pixels.shape[:2], (SPOTS, 2)).T
    pixels[rows, columns] = 0
    return Image.fromarray(pixels)


def shaded(batch: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """A batch made a little darker or brighter as a whole, in training."""
    if rng is None:
        return batch
    return batch * torch.empty(()).uniform_(SHADES["low"], SHADES["high"], generator=rng)


def double_mlp() -> nn.Module:
    """A perceptron that computes in float64."""
    return sm.mlp((64, 20, 10), activation=nn.Tanh).double()


def double_resnet() -> nn.Module:
    """ResNet-18 for grey pictures, in float64."""
    return sm.resnet18(in_channels=1, classes=10).double()


def small_parts(model: nn.Sequential) -> list[nn.Module]:
    """Layer groups: the first layer, and the rest."""
    return [model[0], model[1:]]


class LossLog(sm.Hook):
    """Prints each epoch's loss in words."""

    def on_epoch(self, run: sm.Run, row: sm.EpochRow) -> None:
        print(f"after epoch {row.epoch}: {row.train_loss:.4f}")


@dataclass(frozen=True)
class Slipped:
    """A transform of one's own that moves the window to the right."""

    pixels_at_most: float = 3.0

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None:
            return frame
        moved = (1.0, 0.0, self.pixels_at_most * rng.random(), 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        return view_of(frame, moved, frame.height, frame.width)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


def number_of(file: Any) -> float:
    """The digit in the name of a picture's folder."""
    return float(digit_of(file))
