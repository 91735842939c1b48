"""Freezing: which layer groups learn, and what normalisation and dropout do in those that do not."""

from collections.abc import Iterator, Sequence

from torch import nn

from satsuma.nn.init import NORM_LAYERS
from satsuma.nn.transfer import frozen_parts


def freeze_before(groups: Sequence[Sequence[nn.Parameter]], first: int) -> None:
    """Freeze the layer groups before number `first`; it and those after it learn.

    >>> first, last = nn.Linear(5, 3), nn.Linear(3, 2)
    >>> freeze_before([list(first.parameters()), list(last.parameters())], 1)
    >>> first.weight.requires_grad, last.weight.requires_grad
    (False, True)
    """
    for number, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(number >= first)


def keep_norms_learning(model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], first: int) -> None:
    """Normalisation in the layer groups before number `first` goes on learning, as in fastai."""
    frozen = {id(p) for group in groups[:first] for p in group}
    for layer in model.modules():
        if isinstance(layer, NORM_LAYERS):
            for parameter in layer.parameters():
                parameter.requires_grad_(parameter.requires_grad or id(parameter) in frozen)


def rest_frozen(wholes: Sequence[nn.Module]) -> list[nn.Module]:
    """Put all in `wholes` that has parameters and trains none of them into evaluation mode; the layers it put there.

    So the same input gives the same numbers in it, however long others train.
    """
    rested = [layer for whole in wholes for layer in frozen_layers(whole) if layer.training]
    for layer in rested:
        layer.training = False
    return rested


def frozen_layers(whole: nn.Module) -> Iterator[nn.Module]:
    """The parts of `whole`, itself included, that have parameters and train none of them, and all layers in those."""
    for part in frozen_parts(whole):
        yield from part.modules()
