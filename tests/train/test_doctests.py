"""The examples in the docstrings of train/, hooks/, ship/, learner/ and inspect/ print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import satsuma.hooks
import satsuma.inspect
import satsuma.learner
import satsuma.ship
import satsuma.train

MODULES = [
    f"{room.__name__}.{module.name}"
    for room in (satsuma.train, satsuma.hooks, satsuma.ship, satsuma.learner, satsuma.inspect)
    for module in pkgutil.iter_modules(room.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).failed == 0
