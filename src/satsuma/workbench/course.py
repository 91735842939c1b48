"""What a run set out to do, by its recipe: how many epochs and steps, and which batch a step is of."""

import inspect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satsuma.learner.beginnings import NO_FITS
from satsuma.learner.learner import Learner

PARTS = ("data", "settings", "hardware", "versions")  # of a recipe, each a mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One fit: from `first_step` and `first_epoch` on, `epochs` of `steps_per_epoch` steps of `batch_size` samples."""

    first_step: int
    first_epoch: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    loaders: int  # which of the run's loaders: 0 the first, 1 those given after it, ...

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run is: in an epoch (from 0), at a batch of it (from 0)."""

    epoch: int
    batch: int
    stretch: Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The stretches of a run in their order. `cause`: how the last one ended; None while there is no word of it."""

    stretches: tuple[Stretch, ...]
    cause: str | None

    @property
    def steps(self) -> int:
        """How many steps the run makes in all, as far as it has set out to."""
        return 0 if not self.stretches else self.stretches[-1].first_step + self.stretches[-1].steps

    @property
    def epochs(self) -> int:
        return 0 if not self.stretches else self.stretches[-1].first_epoch + self.stretches[-1].epochs

    def place(self, steps: int) -> Place | None:
        """Where the run is after so many steps; None before it has set out."""
        begun = [stretch for stretch in self.stretches if stretch.first_step <= steps]
        if not begun:
            return None
        stretch = begun[-1]
        done = min(steps - stretch.first_step, stretch.steps - 1)  # the last step's batch, once all are made
        epoch, batch = divmod(done, stretch.steps_per_epoch)
        return Place(epoch=stretch.first_epoch + epoch, batch=batch, stretch=stretch)


def read_recipe_of(folder: Path) -> dict[str, Any]:
    """A run's recipe; {} where there is none that can be read (it may be written at this moment)."""
    try:
        recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(recipe, dict) and all(isinstance(recipe.get(part, {}), dict) for part in PARTS)
    return recipe if whole else {}


def course_of(recipe: dict[str, Any]) -> Course:
    """What the recipe's calls come to; nothing of a recipe that is not whole."""
    try:
        return course_of_whole(recipe)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Course(stretches=(), cause=None)


def course_of_whole(recipe: dict[str, Any]) -> Course:
    ends, data, loaders = list(recipe.get("ends", ())), recipe["data"], 0
    stretches: list[Stretch] = []
    step = epoch = 0
    for call in recipe["fits"]:
        name, given = call["method"], call["arguments"]
        if name == "dls":
            data, loaders = given["data"], loaders + 1
        if name in NO_FITS:
            continue
        n, size = int(data["items"][0]), int(data["bs"])
        each = n // size if data["drop_last"] else math.ceil(n / size)
        end = ends.pop(0) if ends else None
        stretch = Stretch(
            first_step=step,
            first_epoch=epoch,
            epochs=planned_epochs(name, given) if end is None else int(end["epochs"]),
            steps_per_epoch=max(1, each),
            batch_size=min(size, n),
            loaders=loaders,
        )
        stretches.append(stretch)
        step += stretch.steps if end is None else int(end["steps"])
        epoch += stretch.epochs
    known = recipe.get("ends", ())
    cause = str(known[-1]["cause"]) if known and len(known) == len(stretches) else None
    return Course(stretches=tuple(stretches), cause=cause)


def planned_epochs(method: str, given: dict[str, Any]) -> int:
    """How many epochs a call is to train; arguments that a recipe leaves out are the method's usual ones."""
    if method != "fine_tune":
        return int(given["n_epoch"])
    usual = inspect.signature(Learner.fine_tune).parameters["freeze_epochs"].default
    return int(given["epochs"]) + int(given.get("freeze_epochs", usual))
