"""A learner made anew from a run's folder, as it was before its first step; nothing is trained or written."""

import warnings
from pathlib import Path
from typing import Any

from satsuma.data.block import DataBlock
from satsuma.data.checks import warn_user
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import ModelFileError, UserError
from satsuma.learner.beginnings import NO_FITS, FitEnd, copied_to_cpu
from satsuma.learner.learner import Learner
from satsuma.learner.peeling import beyond_recipe, read_recipe
from satsuma.learner.recording import FIRST_WEIGHTS
from satsuma.learner.vision import vision_learner
from satsuma.ship.recipe import from_recipe
from satsuma.train.checkpoint import load_weights, weights_digest
from satsuma.train.loop import kept_random_states
from satsuma.version import __version__


def rebuilt_learner(folder: Path) -> Learner:
    """The learner of the run in `folder`: its data, model, settings, calls and results, with its first weights.

    Raises `UserError` where the recipe cannot hold a part, was written by another version, or where data or weights
    are gone or not those of the run.
    """
    recipe = read_recipe(folder)
    refuse_rebuilding(folder, recipe)
    with kept_random_states(), warnings.catch_warnings():  # what they warn of was said when the run began
        warnings.simplefilter("ignore", UserWarning)
        dls = rebuilt_data(recipe["data"])
        try:
            learn = made_learner(recipe, dls)
        except ValueError as error:
            raise UserError(f"{folder}: its learner cannot be made again here: {error}") from error
    warn_of_other_data(folder, recipe["data"], learn.dls)
    restore_calls(learn, recipe)
    restore_results(learn, folder, recipe)
    restore_beginning(learn, folder, recipe)
    return learn


def refuse_rebuilding(folder: Path, recipe: dict[str, Any]) -> None:
    written = recipe["versions"].get("satsuma")
    if written != __version__:
        raise UserError(
            f"{folder}: its recipe was written by Satsuma {written}, and this is {__version__}, whose parts need not "
            f"train alike. Use that version, or the script in the run's folder"
        )
    missing = beyond_recipe(recipe)
    if missing:
        raise UserError(f"{folder}: its recipe only names what it cannot hold: {', '.join(missing)}")


def value_of(recipe: Any) -> Any:
    """`from_recipe`, with an error for a user."""
    try:
        return from_recipe(recipe)
    except ModelFileError as error:
        raise UserError(f"the run's recipe cannot be read: {error}") from error


def rebuilt_data(recipe: dict[str, Any]) -> DataLoaders:
    """The loaders of a recipe; files that were left out then are left out again, and none is looked into."""
    block, source = value_of(recipe["block"]), value_of(recipe["source"])
    if not isinstance(block, DataBlock):
        raise UserError("the run's recipe describes no DataBlock")
    try:
        return block.dataloaders(
            source,
            bs=recipe["bs"],
            seed=recipe["seed"],
            workers=recipe["workers"],
            drop_last=recipe["drop_last"],
            check=False,
            skipped=recipe.get("skipped", ()),
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: the run's data are not there as they were: {error}") from error


def warn_of_other_data(folder: Path, recipe: dict[str, Any], dls: DataLoaders) -> None:
    now, then = [len(loader.dataset) for loader in dls.loaders], recipe["items"]
    if now != then:
        warn_user(
            f"{folder}: the run trained on {then[0]:,} items and held out {sum(then[1:]):,}; now {dls.source} gives "
            f"{now[0]:,} and {sum(now[1:]):,}, and losses will differ"
        )


def made_learner(
    recipe: dict[str, Any], dls: DataLoaders, *, run_dir: Path | None = None, progress: bool = False
) -> Learner:
    """The learner of a recipe; unless told otherwise it says nothing and keeps nothing on disk."""
    settings = {name: value_of(value) for name, value in recipe["settings"].items()}
    settings |= {"run_dir": run_dir, "progress": progress}
    if "made" not in recipe:
        return Learner(dls, value_of(recipe["model"]), **settings)
    given = {name: value_of(value) for name, value in recipe["made"]["arguments"].items()}
    arch, weights = given.pop("arch"), {}
    settings.pop("splitter")  # its own is among what it was given
    if "weights_file" in recipe:
        weights["weights"] = value_of(recipe["weights_file"])
        if not weights["weights"].is_file():
            raise UserError(
                f"{weights['weights']}: the trained weights that the run began with are gone from there: put them back"
            )
    learn = vision_learner(dls, arch, **{**given, **weights}, **settings)
    learn.made = ("vision_learner", {"arch": arch, **given})
    return learn


def restore_calls(learn: Learner, recipe: dict[str, Any]) -> None:
    """The fits and what was done between them, as calls; new loaders are made again."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for call in recipe["fits"]:
        if not hasattr(Learner, call["method"]) and call["method"] != "changed":
            raise UserError(f"the run's recipe has a call of no known kind: {call['method']!r}")
        if call["method"] == "dls":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                learn.dls = rebuilt_data(call["arguments"]["data"])
            calls.append(("dls", call["arguments"]))
        else:
            calls.append((call["method"], {k: value_of(v) for k, v in call["arguments"].items()}))
    learn.calls = calls


def restore_results(learn: Learner, folder: Path, recipe: dict[str, Any]) -> None:
    """What the run came to, from its history; a fit without a recorded end was cut off."""
    learn.recorder.read(folder / "history.jsonl")
    learn.recorder.has_valid = learn.dls.valid is not None
    ends = [FitEnd(**end) for end in recipe.get("ends", ())]
    if len(ends) < sum(name not in NO_FITS for name, _ in learn.calls):
        epochs = len(learn.recorder.epochs) - sum(end.epochs for end in ends)
        steps = len(learn.recorder.losses) - sum(end.steps for end in ends)
        ends.append(FitEnd(epochs=epochs, steps=steps, cause="cut off"))
    learn.past.ends = ends
    learn.epochs_done = sum(end.epochs for end in ends)
    learn.weights_epoch = recipe.get("weights_epoch")


def restore_beginning(learn: Learner, folder: Path, recipe: dict[str, Any]) -> None:
    """The weights before the first step, checked to be those of the run."""
    past = learn.past
    past.folder, past.left, past.git = folder, recipe.get("last_digest", ""), recipe.get("git")
    if "first_weights" in recipe:
        file = folder / FIRST_WEIGHTS
        try:
            load_weights(learn.model, file)
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: the weights that the run began with cannot be read: {error}") from error
        past.first = copied_to_cpu(learn.model)
    digest = recipe.get("first_digest", "")
    past.first_digest = weights_digest(learn.model)
    if digest not in ("", past.first_digest):
        torch_then = recipe["versions"].get("torch")
        raise UserError(
            f"{folder}: the weights that the run began with cannot be drawn again: its seed gives others here (it ran "
            f"under torch {torch_then}), or the file of trained weights has changed"
        )
