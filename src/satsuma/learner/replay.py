"""A run trained again from the recipe in its folder: to go on with it, or to see whether it comes out the same."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satsuma.errors import UserError
from satsuma.hooks.recorder import Recorder
from satsuma.learner.beginnings import NO_FITS
from satsuma.learner.learner import Learner
from satsuma.learner.memory import late_change
from satsuma.learner.peeling import read_recipe
from satsuma.learner.rebuilt import made_learner, rebuilt_data, refuse_rebuilding, value_of
from satsuma.learner.recording import FIRST_WEIGHTS
from satsuma.train.checkpoint import load_weights


def replayed(folder: Path, run_dir: Path, *, resume: bool = False, progress: bool = True) -> Learner:
    """Train the run in `folder` again, into `run_dir`: the same data, model, settings and calls.

    `resume`: go on with what lies in `run_dir`. Raises `UserError` where the recipe cannot hold a part of the run.
    """
    recipe = read_recipe(folder)
    refuse_rebuilding(folder, recipe)
    if any(call["method"] == "changed" for call in recipe["fits"]):
        raise UserError(f"{folder}: between its fits the weights were changed by something that no recipe holds")
    if recipe.get("hooks"):
        raise UserError(f"{folder}: its recipe only names its hooks: {', '.join(recipe['hooks'])}; repeat it in Python")
    if resume and "auto_micro" in recipe:
        recipe["settings"]["micro"] = "auto"
    elif late := late_change(recipe.get("auto_micro")):
        raise UserError(
            f"{folder}: memory ran out during the run, and {late}; that cannot be repeated step by step. Train with "
            f"that micro from the start instead"
        )
    learn = made_learner(recipe, rebuilt_data(recipe["data"]), run_dir=run_dir, progress=progress)
    if "first_weights" in recipe:
        load_weights(learn.model, folder / FIRST_WEIGHTS)
    for call in recipe["fits"]:
        repeat_call(learn, call, resume)
    return learn


def repeat_call(learn: Learner, call: dict[str, Any], resume: bool) -> None:
    """One call of a recipe: a fit, a change of what is frozen, other loaders, weights from a file."""
    name = call["method"]
    if name == "dls":
        learn.dls = rebuilt_data(call["arguments"]["data"])
        return
    if name not in (*NO_FITS, "fit", "fit_one_cycle", "fine_tune"):
        raise UserError(f"the run's recipe has a call of no known kind: {name!r}")
    given = {key: value_of(value) for key, value in call["arguments"].items()}
    if name not in NO_FITS and resume:
        given["resume"] = True
    getattr(learn, name)(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs' numbers: how many steps both made, the first that differs (None: none does), and the last weights."""

    steps: int
    first_other: int | None
    losses: tuple[float, float] | None  # of that step
    same_weights: bool | None  # None where a run was cut off
    surroundings: tuple[str, ...]  # what was different around them

    def __str__(self) -> str:
        around = f" Different around them: {'; '.join(self.surroundings)}." if self.surroundings else ""
        if self.first_other is not None and self.losses is not None:
            was, now = self.losses
            return f"not the same: from step {self.first_other} on the losses differ ({was!r}, now {now!r}).{around}"
        if self.same_weights is None:
            return f"the same losses, bit for bit, in the {self.steps} steps that both made; one of them was cut off"
        if not self.same_weights:
            return f"not the same: the losses of all {self.steps} steps are, but the weights are not.{around}"
        return f"bit-equal: {self.steps} losses and all weights are the same"


def repetition(before: Path, after: Path) -> Comparison:
    """How the run in `after` repeats the one in `before`, from their histories and the digests of their weights."""
    losses_a, losses_b = losses_of(before), losses_of(after)
    pairs = enumerate(zip(losses_a, losses_b, strict=False), start=1)
    other = next((n for n, (a, b) in pairs if a != b and not (math.isnan(a) and math.isnan(b))), None)
    recipes = read_recipe(before), read_recipe(after)
    digests = [recipe.get("last_digest", "") for recipe in recipes]
    whole = all(digests) and len(losses_a) == len(losses_b)
    return Comparison(
        steps=min(len(losses_a), len(losses_b)),
        first_other=other,
        losses=None if other is None else (losses_a[other - 1], losses_b[other - 1]),
        same_weights=digests[0] == digests[1] if whole else None,
        surroundings=tuple(other_surroundings(*recipes)),
    )


def losses_of(folder: Path) -> list[float]:
    recorder = Recorder()
    recorder.read(folder / "history.jsonl")
    return recorder.losses


def other_surroundings(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Versions, machine, code and data that are not the same, as "torch 2.12.0, now 2.13.0"."""
    found = []
    for part in ("versions", "hardware", "git"):
        was, now = before.get(part) or {}, after.get(part) or {}
        found += [f"{key} {was.get(key)}, now {now.get(key)}" for key in {**was, **now} if was.get(key) != now.get(key)]
    then, here = before["data"].get("fingerprints"), after["data"].get("fingerprints")
    return found + ([f"the data (fingerprints {json.dumps(then)}, now {json.dumps(here)})"] if then != here else [])
