"""Going on with a run that was cut off: when its state is kept, where from it is read, and what is refused."""

import re
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from satsuma.data.checks import warn_user
from satsuma.hooks.progress import say
from satsuma.learner.beginnings import has_begun
from satsuma.learner.memory import restore_slices
from satsuma.learner.recording import FIRST_WEIGHTS, call_recipe, has_history, learner_recipe, slices_recipe
from satsuma.learner.together import share_records
from satsuma.train.checkpoint import assign_weights, read_weights, weights_digest
from satsuma.train.fit import EpochRow, Session, read_losses
from satsuma.train.resume_file import PREFIX, read_state, state_files, write_state
from satsuma.train.sharding import spread_fit, whole_state
from satsuma.train.state import fit_state, restore_fit
from satsuma.version import __version__

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

LEAST_APART = 2.0  # seconds between the checkpoints that epochs' ends make: short epochs do not wait for the disk
FREE = ("source", "workers", "skipped")  # of the data: where they lie, and how many threads read them
SHOWN = 5  # differences that an error lists
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Segment:
    """One `fit`, or a stage of `fine_tune`, that is over: how far the whole run was then."""

    steps: int
    epochs: int
    epochs_done: int
    weights_epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A checkpoint that is going to be gone on from."""

    path: Path
    state: Mapping[str, Any]


@dataclass(slots=True)
class ResumePoints:
    """The `Keeper` of a learner with a run's folder.

    A checkpoint is written as a fit begins, at the ends of epochs, every `save_steps` steps, after `save_minutes`
    without one, and when Ctrl-C or SIGTERM ends the fit.
    """

    learn: "Learner"
    save_steps: int | None
    save_minutes: float | None
    segments: list[Segment] = field(default_factory=list)
    asked: bool = False  # for going on with an earlier run
    found: Found | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    written_at: float = 0.0
    written_step: int = -1
    hopeless: bool = False  # something in the state cannot be kept

    @property
    def folder(self) -> Path:
        assert self.learn.run_dir is not None
        return self.learn.run_dir / "checkpoints"

    def begin(self, session: Session) -> None:
        """At the start of a fit: give it the state that was found for it, or keep that it begins."""
        self.recipe = self.recipe or comparable(self.learn, self.learn.past.first_digest)
        if self.found is not None and self.found.state["segment"] == len(self.segments):
            self.restore(session, self.found)
            self.found = None
            self.written_step, self.written_at = session.run.step, time.monotonic()
        else:
            self.write(session)

    def after_step(self, session: Session) -> None:
        run = session.run
        waited = time.monotonic() - self.written_at
        last = run.step == session.plan.epochs * session.plan.steps_per_epoch
        due = bool(run.stop) or last
        due |= self.save_steps is not None and run.step - self.written_step >= self.save_steps
        timed = self.save_minutes is not None and waited >= 60 * self.save_minutes
        timed |= run.step % session.plan.steps_per_epoch == 0 and waited >= LEAST_APART
        world = self.learn.world
        if world.size > 1:  # by process 0's clock, and when all have read their losses
            timed = not session.waiting and bool(world.largest(timed and world.rank == 0))
        due |= timed
        if due and run.step != self.written_step:
            if session.waiting:
                read_losses(session)  # a loss that is not finite is not kept
            self.write(session)

    def write(self, session: Session) -> None:
        """Keep the run's state. Raises `OSError` that says where, and what is still there."""
        if self.hopeless:
            return
        learn = self.learn
        state = {
            "segment": len(self.segments),
            "segments": [astuple(segment) for segment in self.segments],
            "steps": len(learn.recorder.losses),
            "epochs": len(learn.recorder.epochs),
            "recipe": self.recipe,
            "calls": [call_recipe(*call) for call in learn.calls],
            "versions": learner_recipe(learn)["versions"],
            "hooks": hook_states(learn),
            "auto_micro": slices_recipe(learn).get("auto_micro"),
            "fit": fit_state(session),
        }
        if learn.world.size > 1:
            state["fit"] = whole_state(state["fit"])  # by all processes
        self.written_step, self.written_at = session.run.step, time.monotonic()
        if learn.world.rank:
            return
        try:
            learn.recorder.sync()
            write_state(self.folder, len(learn.recorder.losses), state)
        except TypeError as error:
            self.hopeless = True
            warn_user(f"this run cannot be resumed if it is cut off: {error}")
        except OSError as error:
            raise OSError(error.errno, unwritable(self.folder, error)) from error

    def restore(self, session: Session, found: Found) -> None:
        learn, state = self.learn, found.state
        fit = spread_fit(session.run, state["fit"]) if learn.world.size > 1 else state["fit"]
        restore_fit(session, fit, str(found.path))
        if learn.world.rank == 0:
            learn.recorder.restore(state["steps"], state["epochs"])
        share_records(learn)
        restore_slices(learn, state.get("auto_micro"))
        for hook, kept in zip(stateful_hooks(learn), state["hooks"], strict=True):
            hook.load_state_dict(kept)
        run, plan = session.run, session.plan
        if learn.progress:
            total = plan.epochs * plan.steps_per_epoch
            over = "; it was complete" if run.stop or run.step == total else ""
            say(f"resumed at step {run.step} of {total}, from {found.path}{over}")

    def pass_over(self) -> list[EpochRow] | None:
        """Before a fit: its rows, if the checkpoint is of a later one, so that there is nothing to do; else None."""
        if self.found is None:
            return None
        refuse_other_calls(self.learn, self.found)
        learn, state, number = self.learn, self.found.state, len(self.segments)
        if state["segment"] == number:
            return None
        over = Segment(*state["segments"][number])
        assign_weights(learn.model, state["fit"]["model"], str(self.found.path))
        if learn.world.rank == 0:
            assert learn.recorder.path is not None
            learn.recorder.read(learn.recorder.path, over.steps, over.epochs)
        share_records(learn)
        learn.epochs_done, learn.weights_epoch = over.epochs_done, over.weights_epoch
        before = self.segments[-1].epochs if self.segments else 0
        self.segments.append(over)
        return learn.recorder.epochs[before:]

    def note_end(self) -> None:
        """After a fit, however it ended."""
        recorder = self.learn.recorder
        done = (self.learn.epochs_done, self.learn.weights_epoch)
        self.segments.append(Segment(len(recorder.losses), len(recorder.epochs), *done))


def hook_states(learn: "Learner") -> list[Any]:
    return [hook.state_dict() for hook in stateful_hooks(learn)]


def stateful_hooks(learn: "Learner") -> list[Any]:
    """The hooks that remember something from epoch to epoch, and say so by `state_dict` and `load_state_dict`."""
    hooks = [*([] if learn.checkpoint is None else [learn.checkpoint]), *learn.hooks]
    return [hook for hook in hooks if all(callable(getattr(hook, n, None)) for n in ("state_dict", "load_state_dict"))]


def unwritable(folder: Path, error: OSError) -> str:
    files = state_files(folder)
    there = f"{files[0]} is whole, and resume=True goes on from it" if files else "none was written before"
    return (
        f"{folder}: no checkpoint can be written ({error.strerror or error}), so training stops here; {there}. "
        f"Make room, or make the folder writable"
    )


def prepare_resume(learn: "Learner") -> None:
    """`resume=True` before a learner's first fit: look for the checkpoint to go on from. Refuses what does not fit."""
    points = learn.resume_points
    if points is None or learn.run_dir is None:
        raise ValueError("resume=True goes on from the checkpoints of a run's folder: give the learner run_dir=")
    if points.asked:
        refuse_after_break(learn)
        return
    if has_begun(learn):
        raise ValueError(
            "resume=True: this learner has trained already. To go on with the run in its folder, make the learner anew "
            "(in a notebook: run its cell again), and give resume=True to its first fit"
        )
    points.asked = True
    files = state_files(points.folder) if learn.world.rank == 0 else []
    if files:
        points.found = newest_whole(files)
        take_first_weights(learn, points.found)
        refuse_other_run(learn, points.found)
    elif learn.world.rank == 0:
        refuse_without_checkpoint(learn.run_dir)
    points.found = learn.world.first(points.found)


def refuse_after_break(learn: "Learner") -> None:
    """`ValueError` where the learner's last fit broke off: its cell was run again, say, to go on with it."""
    if learn.past.ends and learn.past.ends[-1].cause:
        raise ValueError(
            f"resume=True: this learner's last fit broke off ({learn.past.ends[-1].cause}), and only a learner that "
            f"has not trained goes on with it: make the learner anew (in a notebook: run its cell again), and call the "
            f"run's fits again"
        )


def take_first_weights(learn: "Learner", found: Found) -> None:
    """Give a model that was handed over ready-made the weights that the run began with, which the run's folder keeps.

    Nobody can be asked to draw them again; they go into the recipe and the scripts. Another model is left as it is.
    """
    assert learn.run_dir is not None
    file = learn.run_dir / FIRST_WEIGHTS
    was = found.state["recipe"]["first weights"]
    if not isinstance(learn.model_source, nn.Module) or weights_digest(learn.model) == was or not file.is_file():
        return
    own, kept = learn.model.state_dict(), read_weights(file)
    if {k: (v.shape, v.dtype) for k, v in own.items()} == {k: (v.shape, v.dtype) for k, v in kept.items()}:
        assign_weights(learn.model, kept, str(file))


def newest_whole(files: list[Path]) -> Found:
    """The newest checkpoint that can be read; says which cannot."""
    faults = []
    for file in files:
        try:
            found = Found(path=file, state=read_state(file))
        except ValueError as error:
            faults.append(str(error))
            continue
        if faults:
            warn_user(f"{'; '.join(faults)}. Going on from the one before, {file.name}")
        return found
    raise ValueError(f"no checkpoint of this run can be read: {'; '.join(faults)}. Train it anew in another run_dir")


def refuse_without_checkpoint(folder: Path) -> None:
    """`ValueError` for a run that has trained and left nothing to go on from."""
    if has_history(folder):
        raise ValueError(
            f"{folder}: holds a run, but no checkpoint to go on from (checkpoints/{PREFIX}*.safetensors); give a new "
            f"run_dir, or delete it"
        )


def comparable(learn: "Learner", first_digest: str) -> dict[str, Any]:
    """What of a learner must be the same for its numbers to be."""
    recipe = learner_recipe(learn)
    found: dict[str, Any] = without_addresses(
        {
            "data": {k: v for k, v in recipe["data"].items() if k not in FREE},
            "settings": {**recipe["settings"], **({"micro": "auto"} if "auto_micro" in recipe else {})},
            "hooks": recipe.get("hooks", []),
            "model": recipe.get("made", recipe["model"]),
            "layers": {k: f"{v.dtype} {list(v.shape)}" for k, v in learn.model.state_dict().items()},
            "first weights": first_digest,
        }
    )
    return found


def without_addresses(value: Any) -> Any:
    """JSON without the addresses in memory that a repr names, which are others each time."""
    if isinstance(value, str):
        return ADDRESS.sub("", value)
    if isinstance(value, list | tuple):
        return [without_addresses(part) for part in value]
    if isinstance(value, dict):
        return {key: without_addresses(part) for key, part in value.items()}
    return value


def refuse_other_run(learn: "Learner", found: Found) -> None:
    """`ValueError` saying what of the learner is not as it was when the checkpoint was written."""
    versions = found.state["versions"]
    if versions["satsuma"] != __version__:
        raise ValueError(
            f"{found.path}: was written by Satsuma {versions['satsuma']}, and this is {__version__}, whose parts need "
            f"not train alike: go on with that version, or begin anew in another run_dir"
        )
    differing = differences(found.state["recipe"], comparable(learn, weights_digest(learn.model)))
    if differing:
        more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise ValueError(
            f"{found.path}: is of another run: {'; '.join(differing[:SHOWN])}{more}. Make the learner as it was, or "
            f"give a new run_dir"
        )
    if versions["torch"] != torch.__version__:
        warn_user(
            f"the run began under torch {versions['torch']}, and this is {torch.__version__}: it goes on, but not to "
            f"the very same weights"
        )


def refuse_other_calls(learn: "Learner", found: Found) -> None:
    """`ValueError` where another fit was asked for than the run's, which stand in the checkpoint in their order."""
    kept = without_addresses(found.state["calls"])
    for number, call in enumerate(learn.calls):
        asked = without_addresses(call_recipe(*call))
        was = kept[number] if number < len(kept) else None
        if asked != was:
            then = "no more calls" if was is None else call_text(was)
            raise ValueError(
                f"{found.path}: call {number + 1} of the run was {then}, and is {call_text(asked)} now. Repeat the "
                f"run's calls as they were, or give a new run_dir"
            )


def call_text(call: Mapping[str, Any]) -> str:
    """A call as one would write it."""
    return f"{call['method']}({', '.join(f'{k}={v}' for k, v in call['arguments'].items())})"


def differences(was: Any, now: Any, place: str = "") -> list[str]:
    """What differs between two pieces of JSON, as "place was ..., is ..."."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return [] if was == now else [f"{place} was {in_brief(was)}, is {in_brief(now)}"]
    keys = [*was, *(key for key in now if key not in was)]
    return [
        line for key in keys for line in differences(was.get(key), now.get(key), f"{place}.{key}" if place else key)
    ]


def in_brief(value: Any) -> str:
    """A value in at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
