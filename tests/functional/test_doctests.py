"""The examples in the docstrings of functional/, nn/ and optim/ print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import satsuma.functional
import satsuma.nn
import satsuma.optim

MODULES = [
    f"{room.__name__}.{module.name}"
    for room in (satsuma.functional, satsuma.nn, satsuma.optim)
    for module in pkgutil.iter_modules(room.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0
