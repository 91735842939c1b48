"""Where a head's features come from: what `precompute` keeps, to tell when they no longer hold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


@dataclass(frozen=True, slots=True)
class FeaturesOf:
    """The model called `title` whose `body` gave features when its weights were `contents`."""

    title: str
    body: nn.Module
    contents: tuple[int, ...]


def contents_of(body: nn.Module) -> tuple[int, ...]:
    """The sum of the bytes of each weight and statistic: exact, in whatever order a device adds them."""
    kept = [value.detach().contiguous().reshape(-1).view(torch.uint8) for value in body.state_dict().values()]
    return tuple(torch.stack([bytes_.sum(dtype=torch.int64) for bytes_ in kept]).tolist()) if kept else ()


def refuse_stale(learn: "Learner") -> None:
    """`ValueError` if the body has learnt since the learner's features were computed."""
    source = learn.features_of
    if source is not None and contents_of(source.body) != source.contents:
        raise ValueError(
            f"the body of {source.title} has changed since these features were computed: call precompute() again on "
            f"the learner it belongs to"
        )


def refuse_items(learn: "Learner") -> None:
    """`ValueError` for a learner of a head, which reads features and no items."""
    if learn.features_of is not None:
        raise ValueError(
            f"this learner trains a head on features of {learn.features_of.title} and cannot read an item: predict "
            f"and export with the learner that precompute() was called on, which shares this head"
        )
