"""MixUp and CutMix: training on mixtures of two samples. They remake a whole batch, which `supervised_mixed` reads.

B batch, C channels, H height, W width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satsuma.errors import spelled_class


@spelled_class
@dataclass(frozen=True, slots=True)
class MixUp:
    """Blends each sample with another of its batch: `share * x + (1 - share) * partner`, share from Beta(alpha, alpha).

    The loss is blended alike, so that class numbers, several labels and values are all welcome as targets. Inputs are
    floating-point tensors of any shape. Source: Zhang and others, *mixup: beyond empirical risk minimization*, 2017.
    """

    alpha: float = 0.4

    def __post_init__(self) -> None:
        check_alpha("MixUp", self.alpha)

    def __call__(self, *batch: Tensor, rng: np.random.Generator, n_inp: int = 1) -> tuple[Tensor, ...]:
        """The inputs blended, the targets, the partners' targets, the shares of the own ones [B]."""
        refuse_integers("MixUp", batch[:n_inp])
        n, device = len(batch[0]), batch[0].device
        partners = torch.from_numpy(rng.permutation(n)).to(device)
        shares = torch.from_numpy(rng.beta(self.alpha, self.alpha, n).astype(np.float32)).to(device)
        inputs = tuple(blended(x, partners, shares) for x in batch[:n_inp])
        return (*inputs, *batch[n_inp:], *(y[partners] for y in batch[n_inp:]), shares)


@spelled_class
@dataclass(frozen=True, slots=True)
class CutMix:
    """Pastes a box of another picture of the batch into each; the loss is shared by area.

    The box covers 1 - Beta(alpha, alpha) of the picture and is centred anywhere; what lies outside is cut off, and
    the share is that of the pixels that are left. Inputs are float [B C H W]; of several, all have one H and W.
    Source: Yun and others, *CutMix: regularization strategy to train strong classifiers with localizable features*,
    2019.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_alpha("CutMix", self.alpha)

    def __call__(self, *batch: Tensor, rng: np.random.Generator, n_inp: int = 1) -> tuple[Tensor, ...]:
        """The inputs with a box of their partners', the targets, the partners' targets, the shares of the own [B]."""
        inputs = batch[:n_inp]
        refuse_integers("CutMix", inputs)
        height, width = picture_size(inputs)
        n, device = len(inputs[0]), inputs[0].device
        partners = torch.from_numpy(rng.permutation(n)).to(device)
        boxes = random_boxes(self.alpha, n, height, width, rng)
        areas = (boxes[1] - boxes[0]) * (boxes[3] - boxes[2])
        shares = torch.from_numpy((1 - areas / (height * width)).astype(np.float32)).to(device)
        inside = box_masks(torch.from_numpy(boxes).to(device), height, width)
        pasted = tuple(torch.where(inside, x[partners], x) for x in inputs)
        return (*pasted, *batch[n_inp:], *(y[partners] for y in batch[n_inp:]), shares)


def blended(x: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    """`share * x + (1 - share) * x[partner]`: x [B ...], partners int64 [B], shares [B]."""
    return torch.lerp(x[partners], x, shares.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1)))


def random_boxes(alpha: float, n: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes cut off at the picture's edges, int64 [4 N]: top, bottom, left, right; the second and fourth exclusive."""
    side = np.sqrt(1 - rng.beta(alpha, alpha, n))  # of the picture's
    tall, wide = np.rint(side * height).astype(np.int64), np.rint(side * width).astype(np.int64)
    top = rng.integers(0, height, n) - tall // 2
    left = rng.integers(0, width, n) - wide // 2
    ends = np.stack((top, top + tall, left, left + wide))
    boxes: np.ndarray = ends.clip(0, np.array([[height], [height], [width], [width]]))
    return boxes


def box_masks(boxes: Tensor, height: int, width: int) -> Tensor:
    """True inside each sample's box: int64 [4 B] to bool [B 1 H W]."""
    rows = torch.arange(height, device=boxes.device)
    columns = torch.arange(width, device=boxes.device)
    top, bottom, left, right = boxes[:, :, None]
    tall, wide = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)  # [B H], [B W]
    inside: Tensor = tall[:, None, :, None] & wide[:, None, None, :]
    return inside


def picture_size(inputs: tuple[Tensor, ...]) -> tuple[int, int]:
    """H and W of the inputs [B C H W]; `ValueError` if they are no pictures, or differ."""
    sizes = {tuple(x.shape[2:]) for x in inputs if x.ndim == 4}
    if len(sizes) != 1 or any(x.ndim != 4 for x in inputs):
        shapes = ", ".join(str(list(x.shape)) for x in inputs)
        raise ValueError(f"CutMix: expected inputs [B C H W] of one height and width, got {shapes}. MixUp takes any")
    height, width = sizes.pop()
    return height, width


def refuse_integers(name: str, inputs: tuple[Tensor, ...]) -> None:
    """`ValueError` for inputs that cannot be mixed, such as the numbers of words or categories."""
    for i, x in enumerate(inputs):
        if not x.is_floating_point():
            raise ValueError(f"{name}: input {i} is {x.dtype}; only floating-point inputs can be mixed")


def check_alpha(name: str, alpha: float) -> None:
    """`ValueError` unless `alpha` makes a Beta distribution."""
    if not isinstance(alpha, int | float) or not 0 < alpha < float("inf"):
        raise ValueError(f"{name}: alpha is a number above 0 (the larger, the more even the shares), got {alpha!r}")
