"""What a transform is, as text: alike in every process, and another one for another function or other numbers."""

import functools

import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.inspect.provenance import part_as_text


def scaled(factor):
    def scale(x):
        return x * factor

    return scale


def added(x, much=1):
    return x + much


class Shift:
    """An object without a repr of its own."""

    def __init__(self, much):
        self.much = much

    def __call__(self, x):
        return x + self.much


PAIRS = [
    (scaled(2), scaled(3)),
    (functools.partial(added, much=2), functools.partial(added, much=3)),
    (Shift(2), Shift(3)),
    (Shift(scaled(2)), Shift(scaled(3))),
    (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))),
    (sm.Resize(5), sm.Resize(7)),
    (lambda x: x.sqrt(), lambda x: x.exp()),
    (added, scaled),
]


@pytest.mark.parametrize("pair", PAIRS, ids=range(len(PAIRS)))
def test_other_parts_have_other_texts(pair):
    first, second = map(part_as_text, pair)
    assert first != second
    assert first == part_as_text(pair[0])
    assert "0x" not in first


def test_equal_parts_have_equal_texts():
    assert part_as_text(scaled(2)) == part_as_text(scaled(2))
    assert part_as_text(Shift(2)) == part_as_text(Shift(2))


def test_a_part_that_holds_itself_comes_to_an_end():
    shift = Shift(1)
    shift.much = shift
    assert "Shift" in part_as_text(shift)


def test_the_order_of_a_set_which_changes_from_process_to_process_does_not_count():
    assert part_as_text(frozenset("dbca")) == part_as_text(frozenset("abcd")) == "{'a', 'b', 'c', 'd'}"
