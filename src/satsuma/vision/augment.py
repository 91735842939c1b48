"""More data by moving, mirroring, turning and recolouring: batch transforms, random for each image.

B batch, C channels, H height, W width. Each takes float [B C H W] and a generator; without one it changes nothing.
`training_only` keeps them out of model files.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from satsuma.errors import spelled_class


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomFlip:
    """Mirror left and right with probability `p`."""

    training_only = True

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"RandomFlip: p is a probability, 0 to 1, got {self.p}")

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if rng is None:
            return x
        flip = torch.rand(len(x), generator=rng).to(x.device) < self.p
        return torch.where(flip[:, None, None, None], x.flip(3), x)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomShift:
    """Move by up to `pixels` each way; what comes in from outside has the value of the nearest edge pixel."""

    training_only = True

    pixels: int = 2

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if rng is None or self.pixels == 0:
            return x
        n, _, height, width = x.shape
        shift = torch.randint(0, 2 * self.pixels + 1, (2, n), generator=rng).to(x.device)
        rows = (torch.arange(height, device=x.device) + shift[0, :, None] - self.pixels).clamp(0, height - 1)  # [B H]
        cols = (torch.arange(width, device=x.device) + shift[1, :, None] - self.pixels).clamp(0, width - 1)  # [B W]
        image = torch.arange(n, device=x.device)[:, None, None]
        return x.movedim(1, 3)[image, rows[:, :, None], cols[:, None, :]].movedim(3, 1)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomRotate:
    """Turn by up to `degrees` either way and zoom by 1/`zoom` to `zoom`, bilinear, edges repeated."""

    training_only = True

    degrees: float = 10.0
    zoom: float = 1.1

    def __post_init__(self) -> None:
        if self.zoom < 1:
            raise ValueError(f"RandomRotate: zoom is the largest factor, 1 or more, got {self.zoom}")

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if rng is None:
            return x
        draw = torch.rand(2, len(x), generator=rng) * 2 - 1  # [2 B] in -1..1
        angle = draw[0] * math.radians(self.degrees)
        scale = torch.exp(draw[1] * math.log(self.zoom))
        cos, sin, none = torch.cos(angle) * scale, torch.sin(angle) * scale, torch.zeros(len(x))
        ratio = x.shape[2] / x.shape[3]
        rows = (torch.stack((cos, -sin * ratio, none), 1), torch.stack((sin / ratio, cos, none), 1))
        place = F.affine_grid(torch.stack(rows, 1).to(x.device), list(x.shape), align_corners=False)
        return F.grid_sample(x, place, mode="bilinear", padding_mode="border", align_corners=False)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomLighting:
    """Scale contrast by up to 1 ± `contrast` about the image's mean, and shift brightness by up to ± `brightness`."""

    training_only = True

    brightness: float = 0.1
    contrast: float = 0.2

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if rng is None:
            return x
        draw = (torch.rand(2, len(x), 1, 1, 1, generator=rng) * 2 - 1).to(x.device)
        mean = x.mean((1, 2, 3), keepdim=True)
        return (x - mean) * (1 + draw[0] * self.contrast) + mean + draw[1] * self.brightness
