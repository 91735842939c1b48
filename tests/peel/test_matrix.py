"""Recipes × depths: each peeled script, run where Satsuma cannot be imported, gives the library's numbers."""

import functools
import shutil
import subprocess
import sys

import pytest
from tests.peel.recipes import DEPTHS, EITHER, RECIPES, REFUSED, SAME
from tests.peel.run_script import run_script
from tests.peel.trained import (
    assert_reproduces,
    attributes_of_torch,
    imported,
    ruff,
    same_tolerance,
    saved,
    scratch,
    train_and_peel,
    without_docstring,
)

from satsuma.errors import PeelError

slow = {name: pytest.mark.slow for name, recipe in RECIPES.items() if recipe.resnet}
CELLS = [
    pytest.param(name, depth, marks=slow.get(name, ()), id=f"{name}-{depth}") for name in RECIPES for depth in DEPTHS
]


DURING = [("mlp_dropout_one_cycle", depth) for depth in DEPTHS]
DURING += [("early_stopping", "torch"), ("simple_net_3_or_7", "torch"), ("own_module", "torch")]


@pytest.fixture(scope="module", autouse=True)
def folders():
    yield
    shutil.rmtree(scratch(), ignore_errors=True)
    scratch.cache_clear()
    trained.cache_clear()


@functools.cache
def trained(name):
    depths = [depth for other, depth in DURING if other == name]
    return train_and_peel(RECIPES[name], scratch() / name, depths)


def script_of(name, depth):
    """The script of a cell; None where it is refused as it should be."""
    recipe, found = RECIPES[name], trained(name).after(depth)
    if isinstance(found, PeelError) and recipe.depths[depth] != SAME:
        assert len(str(found).split()) > 5, f"a refusal says what and why: {found}"
        if recipe.depths[depth] == REFUSED and recipe.reason:
            assert any(word in str(found) for word in recipe.reason.split("|")), f"{recipe.reason} in: {found}"
        return None
    if isinstance(found, Exception):
        raise found
    assert recipe.depths[depth] in (SAME, EITHER), f"{name} at {depth} has to be refused"
    return found


# --- the same numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "depth"), CELLS)
def test_a_script_gives_the_librarys_numbers(name, depth):
    script = script_of(name, depth)
    if script is None:
        return
    file = saved(script, scratch() / f"{name}-{depth}")
    result = run_script(file, depth=depth)
    recipe = RECIPES[name]
    assert_reproduces(trained(name).learn, result, same_tolerance(recipe, depth), recipe.rtol_weights)


@pytest.mark.parametrize("name", [pytest.param(name, marks=slow.get(name, ())) for name in RECIPES])
def test_peeling_changes_nothing_of_the_run(name):
    assert trained(name).learn.recorder.losses == trained(name).losses_alone


@pytest.mark.parametrize(("name", "depth"), DURING)
def test_a_script_peeled_during_the_run_is_that_of_its_end(name, depth):
    early, late = trained(name).during[depth], script_of(name, depth)
    if isinstance(early, Exception):
        raise early
    assert without_docstring(early.text) == without_docstring(late.text)


# --- how it reads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "depth"), CELLS)
def test_a_script_is_clean(name, depth):
    script = script_of(name, depth)
    if script is None:
        return
    file = saved(script, scratch() / f"{name}-{depth}-clean")
    assert ruff(file, "check") == ""
    assert ruff(file, "format", "--check", "--diff") == ""
    assert max(map(len, script.text.splitlines())) <= 120
    modules = imported(script.text)
    tops = {module.partition(".")[0] for module in modules}
    assert "tests" not in tops
    if depth != "loop":
        assert "satsuma" not in tops
    if depth == "tensors":
        banned = ("torch.nn", "torch.optim", "torch.utils.data")
        named = modules | attributes_of_torch(script.text)
        assert not [module for module in named if module.startswith(banned)]
    if depth == "numpy":
        assert "torch" not in tops


# --- its options --------------------------------------------------------------------------------------------------


def script_file(name, depth, label):
    script = script_of(name, depth)
    if script is None:
        pytest.skip(f"{name} is refused at {depth}")
    return saved(script, scratch() / f"{name}-{depth}-{label}")


OPTIONS = [(name, depth) for name in ("mlp_dropout_one_cycle", "simple_net_3_or_7") for depth in DEPTHS]
OPTIONS += [("cnn_of_a_folder", "torch"), ("float64", "numpy")]


@pytest.mark.parametrize(("name", "depth"), OPTIONS)
def test_fewer_epochs_are_fewer_steps(name, depth):
    result = run_script(script_file(name, depth, "epochs"), "--epochs", "1", depth=depth)
    losses, rows = trained(name).learn.recorder.losses, trained(name).learn.recorder.epochs
    assert len(result.losses) == len(losses) // len(rows)
    assert len(result.rows) == 1


@pytest.mark.parametrize(("name", "depth"), OPTIONS)
def test_another_seed_is_another_run(name, depth):
    file, seed = script_file(name, depth, "seed"), trained(name).learn.seed
    same, other = (run_script(file, "--seed", str(given), depth=depth) for given in (seed, seed + 1))
    plain = run_script(file, depth=depth)
    assert same.losses == plain.losses
    drawn = name != "simple_net_3_or_7"  # its first weights are given, and the order of the data has its own seed
    assert (other.losses != plain.losses) == drawn


@pytest.mark.parametrize("depth", DEPTHS)
def test_data_may_lie_elsewhere(depth, tmp_path):
    file = script_file("mlp_dropout_one_cycle", depth, "data")
    (beside,) = file.parent.glob("*.npz")
    plain = run_script(file, depth=depth)
    moved = beside.rename(tmp_path / "moved.npz")
    assert run_script(file, "--data", str(moved), depth=depth).losses == plain.losses


def test_pictures_may_lie_elsewhere(tmp_path):
    file = script_file("cnn_of_a_folder", "torch", "data")
    moved = shutil.copytree(scratch() / "cnn_of_a_folder" / "pictures", tmp_path / "elsewhere")
    assert run_script(file, "--data", str(moved)).losses == trained("cnn_of_a_folder").learn.recorder.losses


@pytest.mark.parametrize("depth", ["torch", "numpy"])
def test_a_script_runs_from_any_folder(depth, tmp_path):
    file = script_file("mlp_dropout_one_cycle", depth, "command")
    done = subprocess.run(
        [sys.executable, str(file), "--epochs", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["epoch", "train_loss"]


def test_help_says_the_options():
    file = script_file("mlp_dropout_one_cycle", "torch", "help")
    done = subprocess.run([sys.executable, str(file), "--help"], capture_output=True, text=True, timeout=60)
    for option in ("--data", "--epochs", "--seed", "--out"):
        assert option in done.stdout


# --- before training ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_untrained_learner_peels_to_one_epoch(depth, tmp_path):
    recipe = RECIPES["mlp_dropout_one_cycle"]
    learn, twin = recipe.make(tmp_path), recipe.make(tmp_path)
    file = saved(learn.peel(depth), tmp_path / "early")
    assert ruff(file, "check") == ""
    twin.fit(1)
    assert_reproduces(twin, run_script(file, depth=depth), same_tolerance(recipe, depth))
    recipe.train(learn)
    assert learn.recorder.losses == trained("mlp_dropout_one_cycle").losses_alone
