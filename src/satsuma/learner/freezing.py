"""Freezing: which layer groups learn, and what normalisation does in those that do not."""

from typing import TYPE_CHECKING

from torch import nn

from satsuma.learner.arguments import split_groups
from satsuma.nn.freezing import freeze_before, keep_norms_learning, rest_frozen
from satsuma.nn.init import NORM_LAYERS
from satsuma.nn.transfer import TransferModel
from satsuma.optim.groups import listed_layer_groups

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def layer_groups(learn: "Learner") -> list[list[nn.Parameter]]:
    """The parameters of each layer group, first layers first; without a splitter the model is a single one."""
    return listed_layer_groups(split_groups(learn.splitter, learn.model))


def set_frozen(learn: "Learner", n: int) -> None:
    """Freeze all layer groups before number `n` (from the end if negative), unfreeze the others."""
    if learn.features_of:
        raise ValueError(
            f"this learner trains a head on features of {learn.features_of.title} that were computed once; to train "
            f"the whole, unfreeze or fine-tune the learner that precompute() was called on, which shares this head"
        )
    groups = layer_groups(learn)
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"freeze_to: n is the number of a layer group, a whole number, got {n!r}")
    if not -len(groups) <= n < len(groups):
        raise ValueError(
            f"freeze_to: there is no layer group {n}; the model has {len(groups)}, 0..{len(groups) - 1}, and -1 is the "
            f"last. splitter= says which there are"
        )
    first = n % len(groups)
    wake(learn)
    freeze_before(groups, first)
    if learn.batch_norm == "train":
        keep_norms_learning(learn.model, groups, first)
    learn.frozen_to = first
    if isinstance(learn.model, TransferModel):
        learn.model.train()  # which lays its frozen parts to rest
    else:
        rest(learn)


def settle(learn: "Learner") -> None:
    """Before training: a model that was put into evaluation mode goes into training mode, but for what is frozen."""
    if not learn.model.training:
        learn.model.train()
        if not isinstance(learn.model, TransferModel) and learn.frozen_to:
            rest(learn)


def wake(learn: "Learner") -> None:
    """Put the layers that `rest` had laid to rest back into training mode."""
    for layer in learn.resting:
        layer.training = True
    learn.resting = []


def rest(learn: "Learner") -> None:
    """Evaluation mode for what has parameters and trains none of them: the same numbers, however long others train.

    A layer without parameters, as dropout, rests with the layer group (if the splitter gives modules) or the part of
    the model that holds it.
    """
    parts = [] if learn.splitter is None else [g for g in learn.splitter(learn.model) if isinstance(g, nn.Module)]
    learn.resting += rest_frozen([*parts, learn.model])


def frozen_text(learn: "Learner") -> str:
    """What is frozen, for the headline; "" if nothing is."""
    if not learn.frozen_to:
        return ""
    trained = sum(p.numel() for p in learn.model.parameters() if p.requires_grad)
    groups = layer_groups(learn)
    frozen = {id(p) for group in groups[: learn.frozen_to] for p in group}
    norms = [m for m in learn.model.modules() if isinstance(m, NORM_LAYERS)]
    policy = ""
    if any(id(p) in frozen for layer in norms for p in layer.parameters()):
        policy = ", their normalisation learns" if learn.batch_norm == "train" else ", their normalisation too"
    return f"; {learn.frozen_to} of {len(groups)} layer groups frozen{policy}; {trained:,} parameters learn"
