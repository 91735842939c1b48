"""The examples in the docstrings of peel/ and errors.py print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import satsuma.peel
import satsuma.peel.trim

MODULES = ["satsuma.errors"] + [
    f"{room.__name__}.{module.name}"
    for room in (satsuma.peel, satsuma.peel.trim)
    for module in pkgutil.iter_modules(room.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).failed == 0
