"""Scripts hold the library's live source: what is changed there changes in them, and the comparison sees it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peel.recipes import RECIPES
from tests.peel.run_script import Result, run_script
from tests.peel.trained import PROJECT, assert_reproduces, saved, train_and_peel

import satsuma

PACKAGE = Path(satsuma.__file__).parent
RECIPE = "mlp_dropout_one_cycle"

# trains a recipe with each of several copies of the package, each in a process of its own, and peels it
DRIVER = """
import json, os, sys, traceback, torch._dynamo, cv2, PIL.Image, sklearn.datasets, safetensors.torch
from pathlib import Path

torch.set_num_threads(1)
recipe, jobs = sys.argv[1], json.loads(sys.argv[2])


def peeled(package, folder, depth):
    sys.path.insert(0, package)
    import satsuma
    from tests.peel.recipes import RECIPES

    assert satsuma.__file__.startswith(package), satsuma.__file__
    learn = RECIPES[recipe].make(folder)
    RECIPES[recipe].train(learn)
    (folder / "run.json").write_text(json.dumps([learn.recorder.losses, learn.recorder.values]))
    learn.peel(depth).save(folder / "script.py")


for package, folder, depth in jobs:
    if (child := os.fork()) == 0:
        try:
            peeled(package, Path(folder), depth)
        except BaseException:
            (Path(folder) / "error.txt").write_text(traceback.format_exc())
        os._exit(0)
    os.waitpid(child, 0)
"""


@dataclass(frozen=True)
class Plant:
    """A difference in one line of the package. `numbers`: whether losses change, or the table alone, or nothing."""

    depth: str
    file: str
    old: str
    new: str
    numbers: str = "losses"


PLANTS = {
    "schedule": Plant("torch", "optim/schedules.py", "start=1.0 / div, middle", "start=2.0 / div, middle"),
    "order": Plant("torch", "train/loop.py", "data.epoch(run.first_epoch + epoch,", "data.epoch(run.first_epoch + 5,"),
    "rates": Plant("torch", "train/loop.py", 'group["lr"]) * factor\n', 'group["lr"]) * factor * 0.5\n'),
    "loss": Plant("torch", "functional/losses.py", "F.cross_entropy(logits, t", "F.cross_entropy(2 * logits, t"),
    "seeds": Plant("torch", "data/seeds.py", "(state >> 30)", "(state >> 29)"),
    "decay": Plant("torch", "optim/groups.py", 'number, "weight_decay": 0.0})', 'number, "weight_decay": 0.3})'),
    "optimiser": Plant("torch", "optim/optimizers.py", "    return torch.optim.AdamW(\n        listed,\n        lr=lr,",
                       "    return torch.optim.AdamW(\n        listed,\n        maximize=True,\n        lr=lr,"),
    "metric": Plant("torch", "functional/metrics.py", "(predictions.argmax(1) == targets)",
                    "(predictions.argmin(1) == targets)", numbers="table"),
    "comment": Plant("torch", "train/loop.py", "# a hundredth of", "# PLANTED", numbers="none"),
    "docstring": Plant("torch", "optim/schedules.py", '"""Up from 1/`div`',
                      '"""PLANTED 1/`div`', numbers="none"),
    "loop": Plant("loop", "train/loop.py", "data.epoch(run.first_epoch + epoch,", "data.epoch(run.first_epoch + 5,"),
    "tensors": Plant("tensors", "ladder/tensors/adam.py", 'w.mul_(1 - lr * group["weight_decay"])',
                     'w.mul_(1 - 50 * lr * group["weight_decay"])'),
    "numpy": Plant("numpy", "ladder/numpy/optimizers.py",
                   "m += (1 - beta1) * (g - m)", "m += (1 - beta1) * (g - 2 * m)"),
}  # fmt: skip
TWINS = ("tensors", "numpy")  # the library itself does not compute by these lines


def planted_copy(plant: Plant, folder: Path) -> Path:
    """The package with the plant's line changed; the folder to import it from."""
    shutil.copytree(PACKAGE, folder / "satsuma")  # with the compiled files, that stay right but for one
    file = folder / "satsuma" / plant.file
    text = file.read_text()
    assert plant.old in text, f"{plant.file} has no line {plant.old!r} any more: plant another difference"
    file.write_text(text.replace(plant.old, plant.new))
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Plant → folder of its script and losses."""
    root = tmp_path_factory.mktemp("planted")
    jobs = []
    for name, plant in PLANTS.items():
        folder = root / name
        (folder / "run").mkdir(parents=True)
        jobs.append([str(planted_copy(plant, folder)), str(folder / "run"), plant.depth])
    path = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", DRIVER, RECIPE, json.dumps(jobs)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        timeout=200,
        check=True,
    )
    return {name: root / name / "run" for name in PLANTS}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The recipe with the package as it is."""
    return train_and_peel(RECIPES[RECIPE], tmp_path_factory.mktemp("plain"))


def without_result(text):
    """A script but for the line that tells how its run ended."""
    return [line for line in text.splitlines() if not line.startswith("result: ")]


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_changed_line_changes_the_script_and_its_numbers(name, planted, plain):
    plant, folder = PLANTS[name], planted[name]
    error, file = folder / "error.txt", folder / "script.py"
    assert not error.exists(), error.read_text()
    script = plain.after(plant.depth)
    if isinstance(script, Exception):
        raise script
    same = without_result(file.read_text()) == without_result(script.text)
    assert same == (plant.depth == "loop"), "at loop the line stays in the library"
    result = run_script(file, depth=plant.depth)
    losses, values = json.loads((folder / "run.json").read_text())
    if plant.depth == "loop":  # the script of today's package is run: it does what that does
        assert_reproduces(plain.learn, result, 0)
        return
    if plant.depth not in TWINS:
        assert result.losses == losses, "the script does what the changed library does"
    if plant.numbers == "none":
        assert "PLANTED" in file.read_text()
        assert_reproduces(plain.learn, result, 0)
    if plant.numbers == "table":
        assert values != plain.learn.recorder.values
        assert [row[3] for row in result.rows] == [f"{row[2]:.6f}" for row in values]
    if plant.numbers in ("losses", "table"):
        with pytest.raises(AssertionError):
            assert_reproduces(plain.learn, result, 1e-4 if plant.depth in TWINS else 0)


# --- the comparison itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", ["loop", "torch", "tensors", "numpy"])
def test_a_script_edited_by_hand_is_noticed(depth, plain, tmp_path):
    script = plain.after(depth)
    if isinstance(script, Exception):
        raise script
    file = saved(script, tmp_path / "edited")
    assert script.text.count("0.01") >= 1
    lines = script.text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("def main("))
    changed = "\n".join([*lines[:start], *(line.replace("0.01", "0.02") for line in lines[start:])])
    assert changed != script.text, "main spells the rate out"
    file.write_text(changed)
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, run_script(file, depth=depth), 0 if depth in ("loop", "torch") else 1e-4)


def own_result(learn):
    """What a script that reproduces the learner would give back."""
    from tests.peel.trained import library_rows, named_weights

    header, rows = library_rows(learn)
    lines = [" ".join(header), *(" ".join([*row, "0.01s"]) for row in rows)]
    return Result(list(learn.recorder.losses), "\n".join(lines), named_weights(learn))


def test_the_comparison_lets_the_same_numbers_through(plain):
    for rtol in (0, 1e-9, 1e-4):
        assert_reproduces(plain.learn, own_result(plain.learn), rtol)


@pytest.mark.parametrize(("rtol", "change"), [(0, 1e-7), (1e-9, 1e-7), (1e-4, 3e-4)])
def test_the_comparison_sees_a_loss_a_weight_and_a_cell(rtol, change, plain):
    given = own_result(plain.learn)
    given.losses[5] *= 1 + change
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, given, rtol)
    given = own_result(plain.learn)
    given.weights["0.weight"] = given.weights["0.weight"] * (1 + change)
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, given, rtol)
    given = own_result(plain.learn)
    rows = given.stdout.split("\n")
    rows[-1] = " ".join([*rows[-1].split()[:-2], "0.4", "0.01s"])
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, Result(given.losses, "\n".join(rows), given.weights), rtol)


def test_the_comparison_sees_a_missing_step_and_a_missing_weight(plain):
    given = own_result(plain.learn)
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, Result(given.losses[:-1], given.stdout, given.weights), 1e-4)
    del given.weights["0.bias"]
    with pytest.raises(AssertionError):
        assert_reproduces(plain.learn, given, 1e-4)
