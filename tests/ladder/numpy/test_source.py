"""The room's source: NumPy and the standard library only, and easy to copy into a script."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import satsuma.ladder.numpy

FILES = sorted(Path(satsuma.ladder.numpy.__file__).parent.glob("*.py"))
ROOM = "satsuma.ladder.numpy"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_nothing_but_numpy_and_the_standard_library(file):
    for node in ast.walk(ast.parse(file.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            root = module.split(".")[0]
            assert root == "numpy" or root in sys.stdlib_module_names or module.startswith(ROOM + "."), module


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_can_be_lifted(file):
    tree = ast.parse(file.read_text())
    assert len(file.read_text().splitlines()) < 250
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Lambda)
        if isinstance(node, ast.ClassDef):
            assert not node.bases
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None
            assert not [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n is not node]


def test_top_level_names_are_unique_in_the_room():
    names = [
        node.name
        for file in FILES
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", [file.stem for file in FILES if file.stem != "__init__"])
def test_docstring_examples(name):
    module = importlib.import_module(f"{ROOM}.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_runs_where_torch_cannot_be_imported(tmp_path):
    """The sources alone, in one folder, under an interpreter for which torch does not exist."""
    for file in FILES:
        (tmp_path / file.name.replace("random.py", "random_numbers.py")).write_text(
            file.read_text().replace(f"{ROOM}.random", "random_numbers").replace(f"{ROOM}.", "")
        )
    script = "import sys\nsys.modules['torch'] = sys.modules['satsuma'] = None\nimport " + ", ".join(
        file.stem.replace("random", "random_numbers") for file in FILES if file.stem != "__init__"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
