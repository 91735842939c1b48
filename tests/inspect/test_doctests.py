"""The examples in the docstrings of inspect/ and plots/ print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import satsuma.inspect
import satsuma.plots

MODULES = [
    f"{room.__name__}.{module.name}"
    for room in (satsuma.inspect, satsuma.plots)
    for module in pkgutil.iter_modules(room.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [e for name in MODULES for t in finder.find(importlib.import_module(name)) for e in t.examples]
    assert len(examples) > 10
