"""The promise of the rung: tensors and autograd alone; and its examples print what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import satsuma.ladder.tensors

ROOM = Path(satsuma.ladder.tensors.__file__).parent
FILES = sorted(ROOM.glob("*.py"))
ALLOWED = {"copy", "functools", "math", "typing", "collections.abc", "torch"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_only_tensors_and_autograd(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED
        if isinstance(node, ast.ImportFrom):
            assert node.module in ALLOWED or node.module.startswith("satsuma.ladder.tensors.")
            if node.module == "torch":
                assert [alias.name for alias in node.names] == ["Tensor"]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
            assert node.attr not in {"nn", "optim", "utils", "functional", "ops"}
        if isinstance(node, ast.ClassDef):
            assert node.bases == []


@pytest.mark.parametrize("file", [f for f in FILES if f.stem != "__init__"], ids=lambda f: f.stem)
def test_short_and_with_examples_that_print_what_they_say(file):
    assert len(file.read_text().splitlines()) < 250
    module = importlib.import_module(f"satsuma.ladder.tensors.{file.stem}")
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0
