"""A run as a script: of a learner, or of the folder that a run left."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.errors import PeelError, UserError, nearest
from satsuma.learner.beginnings import first_weights, loaders_in_turn, other_settings, run_name
from satsuma.learner.memory import late_change
from satsuma.learner.recording import slices_recipe
from satsuma.ship.recipe import opaque_parts
from satsuma.version import __version__

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner
    from satsuma.peel.script import Script

DEPTHS = ("loop", "torch", "tensors", "numpy")
SHOWN = 5  # names that a message lists


def peel_learner(learn: "Learner", depth: str) -> "Script":
    """`Learner.peel`: the learner's run so far as a script; before its first fit, of one epoch."""
    from satsuma.peel.describe import Beginning
    from satsuma.peel.peel import peeled

    refuse_depth(depth)
    refuse_late_slices(slices_recipe(learn))
    if others := other_settings(learn):
        raise PeelError(
            f"learn.{' and learn.'.join(others)} was set after a fit, so that a script would train that fit by it as "
            f"well: set it back to peel the run"
        )
    beginning = Beginning(
        name=run_name(learn),
        loaders=loaders_in_turn(learn),
        weights=first_weights(learn),
        weights_file=learn.past.weights_file,
    )
    return peeled(learn, depth, beginning)


def peel_run(folder: Path, depth: str) -> "Script":
    """The run in a folder as a script, made anew from its recipe.

    With parts that a recipe cannot hold (the user's own, data in memory) it is the script that was written when the
    run ended. Raises `UserError` for a folder without a run, or whose data or weights are gone; `PeelError` for a run
    that cannot be a script.
    """
    from satsuma.learner.rebuilt import rebuilt_learner

    refuse_depth(depth)
    recipe = read_recipe(folder)
    refuse_late_slices(recipe)
    missing = beyond_recipe(recipe)
    other_version = recipe["versions"].get("satsuma") != __version__
    if missing or (other_version and depth == "torch" and script_path(folder, depth).exists()):
        return stored_script(folder, depth, missing)
    return peel_learner(rebuilt_learner(folder), depth)


def refuse_depth(depth: str) -> None:
    """`ValueError` for a depth that there is not."""
    if depth not in DEPTHS:
        raise ValueError(f"peel: {depth!r} is no depth ({', '.join(DEPTHS)}): {nearest(str(depth), DEPTHS)}")


def refuse_late_slices(recipe: Mapping[str, Any]) -> None:
    """`PeelError` for a run that went on in smaller slices after its first step: a script takes one `micro`."""
    if late := late_change(recipe.get("auto_micro")):
        raise PeelError(
            f"memory ran out during the run, and {late}: a script has one micro from the first step on. Train again "
            f"with that micro, and peel that run"
        )


def script_path(folder: Path, depth: str) -> Path:
    """Where a run's folder keeps its script."""
    return folder / "train.py" if depth == "torch" else folder / "peel" / f"{depth}.py"


def read_recipe(folder: Path) -> dict[str, Any]:
    """The recipe of a run's folder; `UserError` says what was found where there is none."""
    file = folder / "recipe.json"
    if not file.is_file():
        raise UserError(
            f"{folder}: no run: {what_is_at(folder)}. A run is a folder with recipe.json and history.jsonl, as satsuma "
            f"train writes it to runs/NAME, and Learner(run_dir=...)"
        )
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: not whole, or not written by Satsuma: {error}") from error
    wanted = ("data", "model", "settings", "fits", "versions")
    missing = [name for name in wanted if not isinstance(recipe, dict) or name not in recipe]
    if missing:
        raise UserError(f"{file}: not a recipe of Satsuma's: it has no {', '.join(missing)}")
    return dict(recipe)


def what_is_at(folder: Path) -> str:
    """What lies at a path that is no run, in words; runs one folder further down are named."""
    if not folder.exists():
        return "there is no such folder"
    if not folder.is_dir():
        return "it is a file"
    runs = sorted(file.parent.name for file in folder.glob("*/recipe.json"))
    names = runs or sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"it holds {'the runs ' if runs else ''}{', '.join(names[:SHOWN]) or 'nothing'}{more}"


def beyond_recipe(recipe: dict[str, Any]) -> list[str]:
    """What of a run its recipe only names: parts of the user's own, data in memory, hooks."""
    return list(dict.fromkeys([*opaque_parts(recipe), *recipe.get("hooks", ())]))


def stored_script(folder: Path, depth: str, missing: list[str]) -> "Script":
    """The script that was written when the run ended, with the arrays beside `train.py`."""
    from satsuma.peel.script import Script

    path = script_path(folder, depth)
    if path.exists():
        arrays = script_path(folder, "torch").with_suffix(".npz")
        held = dict(np.load(arrays, allow_pickle=False)) if arrays.exists() else {}
        return Script(text=path.read_text(encoding="utf-8"), depth=depth, arrays=held, name=folder.absolute().name)
    if path.with_suffix(".txt").exists():
        raise PeelError(path.with_suffix(".txt").read_text(encoding="utf-8").strip())
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise UserError(
        f"{folder}: its recipe can only name {', '.join(missing[:SHOWN])}{more}, and holds no script, which a fit "
        f"writes when it ends. Make the same learner again and peel it: learn.peel({depth!r})"
    )
