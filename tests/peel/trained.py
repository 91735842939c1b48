"""Recipes, trained and peeled to every depth: what the tests of the matrix look at."""

import ast
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.peel.recipes import Recipe
from tests.peel.run_script import Result

import satsuma as sm
from satsuma.hooks.progress import epoch_cells, epoch_header
from satsuma.train.fit import Plan

PROJECT = Path(__file__).parents[2]
RUFF = Path(sys.executable).with_name("ruff")
SHORT = 1e-6  # below this, numbers in float32 are compared as they are and not relatively


@dataclass
class Trained:
    """A trained learner. `during`: what it peeled to after its first step."""

    learn: sm.Learner
    folder: Path
    losses_alone: list[float]  # of the same recipe, trained without peeling
    during: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)

    def after(self, depth: str) -> Any:
        """The script at a depth, or the exception that came instead; made once."""
        if depth not in self.found:
            self.found[depth] = peeled(self.learn, depth)
        return self.found[depth]


def peeled(learn: sm.Learner, depth: str) -> Any:
    """The script, or the exception: a test is to say which, at its own depth."""
    try:
        return learn.peel(depth)
    except Exception as error:
        return error


def train_and_peel(recipe: Recipe, folder: Path, during: Sequence[str] = ()) -> Trained:
    """Train a recipe twice, and peel the second learner to the depths `during` after its first step."""
    folder.mkdir(parents=True, exist_ok=True)
    alone, learn = recipe.make(folder), recipe.make(folder)
    recipe.train(alone)
    early: dict[str, Any] = {}
    noted = learn.recorder.on_step

    def on_step(run: Any, row: Any) -> None:
        noted(run, row)
        if not early:
            early.update({depth: peeled(learn, depth) for depth in during})

    learn.recorder.on_step = on_step  # type: ignore[method-assign]
    recipe.train(learn)
    return Trained(learn, folder, alone.recorder.losses, early)


def saved(script: Any, folder: Path, name: str = "script.py") -> Path:
    """The file of a script, alone in a new folder with what it needs beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    script.save(folder / name)
    return folder / name


def without_docstring(text: str) -> str:
    """A script from its imports on."""
    first = ast.parse(text).body[0]
    assert isinstance(first, ast.Expr), "a script begins with its docstring"
    return "\n".join(text.splitlines()[first.end_lineno :])


# --- comparing ----------------------------------------------------------------------------------------------------


def library_rows(learn: sm.Learner) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the epoch table as the library prints them, without the time."""
    recorder = learn.recorder
    plan = Plan(1, 0, 1, 1, recorder.has_valid, recorder.metric_names)
    return epoch_header(plan), [epoch_cells(row, plan)[:-1] for row in recorder.epochs]


def named_weights(learn: sm.Learner) -> dict[str, np.ndarray]:
    return {name: value.detach().float().numpy() if value.dtype == torch.bfloat16 else value.detach().numpy()
            for name, value in learn.model.state_dict().items()}  # fmt: skip


def assert_reproduces(learn: sm.Learner, result: Result, rtol: float, rtol_weights: float | None = None) -> None:
    """Losses, table and weights are those of the learner; bit for bit with rtol 0."""
    losses = learn.recorder.losses
    assert len(result.losses) == len(losses)
    if rtol == 0:
        different = [step for step, pair in enumerate(zip(result.losses, losses, strict=True)) if pair[0] != pair[1]]
        assert not different, f"step {different[0]}: {result.losses[different[0]]!r}, not {losses[different[0]]!r}"
    np.testing.assert_allclose(result.losses, losses, rtol=rtol, atol=rtol * SHORT)
    assert_same_table(learn, result, rtol)
    if rtol and rtol_weights:
        rtol = rtol_weights
    weights = named_weights(learn)
    assert sorted(result.weights) == sorted(weights)
    for name, value in weights.items():
        given = result.weights[name]
        assert given.shape == value.shape, f"{name}: {given.shape}, not {value.shape}"
        assert given.dtype == value.dtype, f"{name}: {given.dtype}, not {value.dtype}"
        if rtol == 0:
            np.testing.assert_array_equal(given, value, err_msg=name)
        else:
            largest = float(np.abs(value).max(initial=0)) if value.size else 0.0
            np.testing.assert_allclose(given, value, rtol=rtol, atol=rtol * max(largest, SHORT), err_msg=name)


def assert_same_table(learn: sm.Learner, result: Result, rtol: float) -> None:
    header, rows = library_rows(learn)
    assert result.header == header
    if rtol == 0:
        assert result.rows == rows
        return
    assert len(result.rows) == len(rows)
    numbers = [[float("nan") if cell == "-" else float(cell) for cell in row] for row in (*result.rows, *rows)]
    half = len(rows)
    np.testing.assert_allclose(numbers[:half], numbers[half:], rtol=10 * rtol, atol=2e-6)


def same_tolerance(recipe: Recipe, depth: str) -> float:
    return 0.0 if depth in ("loop", "torch") else recipe.rtol


# --- what a script looks like ---------------------------------------------------------------------------------------


def ruff(script: Path, *arguments: str) -> str:
    """What `ruff` with the project's rules has to say about a script; nothing where all is well.

    It runs in the script's own folder: where the project's `src` is seen, its imports are sorted apart from all others.
    """
    done = subprocess.run(
        [RUFF, *arguments, "--config", str(PROJECT / "pyproject.toml"), "--no-cache", str(script)],
        cwd=script.parent,
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def imported(text: str) -> set[str]:
    """Every module that a script imports from, and with `from a import b` also "a.b"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def attributes_of_torch(text: str) -> set[str]:
    """ "torch.nn", "torch.optim"... as far as a script names them."""
    return {
        f"torch.{node.attr}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch"
    }


@functools.cache
def scratch() -> Path:
    """A folder for the whole session, beside no project."""
    return Path(tempfile.mkdtemp(prefix="peel-"))
