"""What scripts say in fewer words than the library: that the words are still those of the library's code."""

import pytest
import torch
from torch import nn

from satsuma.peel import known
from satsuma.train.loop import clear_gradients
from satsuma.train.run import Run

KNOWN = (*known.EVALUATION, *known.BATCHES, *known.CLEARING)


@pytest.mark.parametrize("part", KNOWN, ids=lambda part: part.__name__)
def test_the_library_is_as_it_was_when_the_shorter_words_were_written(part):
    """Where it is not: see whether loop_code.py and array_code.py still do the same, then renew the print in SEEN."""
    assert known.SEEN[part.__name__] == known.print_of(part)


def test_all_prints_are_of_something():
    assert set(known.SEEN) == {part.__name__ for part in KNOWN}


def longer(x):
    """Another docstring."""
    return x + 1  # and a comment


def test_a_print_sees_code_and_neither_comments_nor_docstrings(monkeypatch):
    before = known.print_of(longer)
    source = "def longer(x):\n    return (x + 1)\n"
    monkeypatch.setattr(known.inspect, "getsource", lambda part: source)
    assert known.print_of(longer) == before
    monkeypatch.setattr(known.inspect, "getsource", lambda part: source.replace("1", "2"))
    assert known.print_of(longer) != before
    monkeypatch.setitem(known.SEEN, "longer", before)
    assert not known.is_as_known((longer,))


def test_clearing_is_zero_grad():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for clear in (
        lambda: clear_gradients(Run(model=model, optimizer=optimizer, objective=None, schedule=None)),
        optimizer.zero_grad,
    ):
        model(torch.ones(1, 3)).sum().backward()
        clear()
        assert [p.grad for p in model.parameters()] == [None, None]
