"""Pictures with what the model looked at when it gave its answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from satsuma.functional.links import LOGITS_OF_CLASSES, LOGS_OF_CLASSES, loss_meaning
from satsuma.inspect.heat_map import heat_map, overlay
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.samples import sample_batch

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def explained_pictures(
    learn: "Learner", ds_idx: int, places: Sequence[int], pictures: Sequence[np.ndarray], found: Predictions
) -> list[np.ndarray]:
    """The pictures [H W 3] of the samples `places` under heat maps: for the class that was said where the model has a
    column for each, else for its highest output. Raises `ValueError` for a model without convolutions.
    """
    by_column = found.kind == "category" and loss_meaning(learn.loss_func) in (LOGITS_OF_CLASSES, LOGS_OF_CLASSES)
    said = torch.from_numpy(found.decided[list(places)]) if by_column else None
    heat = heat_map(learn.model, sample_batch(learn.dls, ds_idx, places)[: learn.dls.n_inp], target=said)  # [n h w]
    return [overlay(picture, heat_) for picture, heat_ in zip(pictures, heat, strict=True)]
