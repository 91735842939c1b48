"""Test-time augmentation: several augmented views of each item, and the mean of what the model says of them.

N items, K classes, n augmented views.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader
from satsuma.data.transforms import is_random, part_label
from satsuma.functional.links import activation_for
from satsuma.learner.arguments import is_finite
from satsuma.train.early_stopping import is_number
from satsuma.train.evaluate import predict_batches
from satsuma.train.precision import autocast_dtype
from satsuma.vision.path import acts_by
from satsuma.vision.targets import BoxBlock, MaskBlock, PointBlock

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


@dataclass(frozen=True, slots=True)
class TTA:
    """What test-time augmentation found. `preds, targets = learn.tta()` takes it apart.

    `views` [n+1 N ...]: each view's probabilities (or values), the plain one last; `preds` [N ...]: their mix;
    `targets`: as `get_preds` gives them, None if there are none.
    """

    views: Tensor
    preds: Tensor
    targets: Any

    def __iter__(self) -> Iterator[Any]:
        return iter((self.preds, self.targets))


@dataclass(frozen=True, slots=True)
class OneEpoch:
    """The batches of one epoch of a loader, whichever is asked for."""

    loader: DataLoader
    number: int

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        return self.loader.epoch(self.number, start=start)


def augmented(loader: DataLoader) -> DataLoader:
    """The loader's samples in their order and whole, through the random transforms of training."""
    found: DataLoader = loader.new(shuffle=False, drop_last=False, augment=True)
    if not getattr(found.dataset, "random", False) and not (found.batch_steps and found.batch_steps.random):
        raise ValueError(
            "these loaders have no random transforms, so all views of an item would be the same: give item_tfms or "
            "batch_tfms that draw, such as aug_transforms()"
        )
    return found


def refuse_moved_targets(dls: DataLoaders) -> None:
    """`ValueError` where the views of an item show its places elsewhere, and the answers are about places."""
    places = [type(block).__name__ for block in dls.targets if isinstance(block, MaskBlock | PointBlock | BoxBlock)]
    given = () if dls.block is None else (*dls.block.item_tfms, *dls.block.batch_tfms)
    moving = [t for t in given if acts_by(t, "place") and is_random(t)]
    if places and moving:
        raise ValueError(
            f"tta: {part_label(moving[0])} moves each view of a picture differently, and answers for a {places[0]} are "
            f"about places in it, which cannot be averaged then. Use get_preds, or loaders whose geometry does not "
            f'draw: Resize(..., method="squish"), and augmentation of colours alone'
        )


def augmented_answers(learn: "Learner", loader: DataLoader, n: int, beta: float, use_max: bool) -> TTA:
    """`Learner.tta` over the items of `loader`."""
    if not is_number(n, int) or n < 1:
        raise ValueError(f"tta: n is how many augmented views there are, 1 or more, got {n!r}")
    if not (is_finite(beta) and 0 <= beta <= 1):
        raise ValueError(f"tta: beta is the plain view's share of the mix, 0..1, got {beta!r}")
    refuse_moved_targets(learn.dls)
    random, views = augmented(loader), list[Tensor]()
    targets: tuple[Tensor, ...] = ()
    for number in range(n + 1):
        source = OneEpoch(random, number) if number < n else loader
        outputs, targets = predict_batches(
            learn.model, source, n_inp=learn.dls.n_inp, autocast=autocast_dtype(learn.precision)
        )
        if not isinstance(outputs, Tensor):
            raise TypeError(f"tta: the model gives a {type(outputs).__name__}; only a single tensor can be averaged")
        views.append(activation_for(learn.loss_func)(outputs))
    stacked = torch.stack(views)  # [n+1 N ...]
    mixed = stacked.amax(0) if use_max else torch.lerp(stacked[:-1].mean(0), stacked[-1], beta)
    return TTA(stacked, mixed, targets[0] if len(targets) == 1 else (targets or None))
