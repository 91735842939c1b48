"""Misspelt names get the nearest right one."""

import doctest
from dataclasses import dataclass

import pytest

from satsuma import errors
from satsuma.errors import nearest, spelled, spelled_class


@spelled
def train(epochs: int, *, lr_max: float = 0.1) -> tuple[int, float]:
    return epochs, lr_max


@spelled_class
@dataclass(frozen=True)
class Crop:
    size: int = 7


def test_a_misspelt_keyword_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"train\(\) has no argument 'lr_mx': did you mean 'lr_max'\?"):
        train(3, lr_mx=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Crop\(\) has no argument 'sise': did you mean 'size'\?"):
        Crop(sise=3)  # type: ignore[call-arg]


def test_the_beginning_of_a_name_is_near_enough() -> None:
    assert nearest("lr", ["n_epoch", "lr_max"]) == "did you mean 'lr_max'?"
    assert nearest("lrate", ["n_epoch", "lr"]) == "did you mean 'lr'?"
    assert nearest("zzz", ["n_epoch", "lr"]) == "known: lr, n_epoch"


def test_right_calls_pass_through_with_their_signature() -> None:
    assert train(3, lr_max=0.2) == (3, 0.2)
    assert train.__name__ == "train"
    assert Crop(size=5) == Crop(5)


def test_doctests() -> None:
    assert doctest.testmod(errors).failed == 0
