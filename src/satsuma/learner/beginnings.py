"""What a learner keeps of how its run began and how its fits ended: what training it again from the start needs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from satsuma.data.cache import with_source_cache
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.samples import Samples
from satsuma.learner.choices import build_model, initialise_lazy
from satsuma.learner.surroundings import code_state
from satsuma.ship.recipe import opaque_parts, to_recipe
from satsuma.train.checkpoint import weights_digest

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

DECIDING = (  # attributes of a learner, which a recipe holds once
    *("loss_func", "opt_func", "metrics", "lr", "wd", "max_norm", "l1", "l2", "input_noise", "mixup"),
    *("label_smoothing", "seed", "precision", "splitter", "batch_norm"),
)
NO_FITS = ("freeze", "freeze_to", "unfreeze", "dls", "load", "changed")  # calls that train nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEnd:
    """How a fit ended. `cause`: "", "interrupted", "cut off" (no word of its end), or the error's class."""

    epochs: int  # evaluated, the one that was interrupted too
    steps: int
    cause: str = ""


@dataclass(slots=True, kw_only=True)
class Past:
    """`first`: the weights before the first step, on the CPU; None where nothing was trained or the seed gives them.

    `ends`: one for each fit among `learn.calls`, in their order.
    """

    built: str = ""  # digest of the weights as the seed (and a file) gave them; "" for a module that was given
    first: dict[str, Tensor] | None = None
    first_digest: str = ""
    left: str = ""  # digest of the weights as the last fit left them
    ends: list[FitEnd] = field(default_factory=list)
    loaders: list[DataLoaders] = field(default_factory=list)  # those before the present ones
    weights_file: Path | None = None  # the trained weights that the body began with
    folder: Path | None = None  # of the finished run that this learner was made from
    told: bool = False  # that the run cannot be a script
    git: dict[str, Any] | None = None  # the state of the code around, as the first fit began
    settings: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # what the first fit trained by


def note_built(learn: "Learner") -> None:
    """Remember which weights the learner was made with, unless its model was given ready-made."""
    if not isinstance(learn.model_source, nn.Module):
        learn.past.built = weights_digest(learn.model)


def has_begun(learn: "Learner") -> bool:
    """Whether a fit has trained, or is training."""
    return any(name not in NO_FITS for name, _ in learn.calls)


def note_begin(learn: "Learner") -> None:
    """Before a fit: keep the first weights where nothing else gives them; later, note weights changed by hand.

    Weights that differ from those that the last fit left, without a `load`, become the call "changed".
    """
    past, now = learn.past, weights_digest(learn.model)
    if not has_begun(learn):
        past.first_digest = now
        past.git = code_state(Path.cwd())
        past.settings = settings_now(learn)
        past.first = None if is_drawn(learn, now) else copied_to_cpu(learn.model)
        return
    if others := other_settings(learn):
        learn.calls.append(("changed", {"settings": others}))
    last = max(i for i, (name, _) in enumerate(learn.calls) if name not in NO_FITS)
    if now != past.left and all(name not in ("load", "changed") for name, _ in learn.calls[last + 1 :]):
        learn.calls.append(("changed", {}))


def settings_now(learn: "Learner") -> dict[str, tuple[Any, ...]]:
    """The learner's attributes that decide its numbers; those that are lists part by part."""
    values = {name: getattr(learn, name) for name in DECIDING}
    return {name: tuple(value) if isinstance(value, list) else (value,) for name, value in values.items()}


def other_settings(learn: "Learner") -> list[str]:
    """The attributes that are not as they were when the first fit began; none where none has."""
    if not has_begun(learn) or not learn.past.settings:
        return []
    before, now = learn.past.settings, settings_now(learn)
    return [name for name in DECIDING if not same_parts(before[name], now[name])]


def same_parts(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether two tuples hold the same objects, or equal numbers and texts."""
    plain = (bool, int, float, str)
    return len(some) == len(others) and all(
        a is b or (type(a) is type(b) and isinstance(a, plain) and a == b) for a, b in zip(some, others, strict=True)
    )


def note_end(learn: "Learner", epochs: int, steps: int, cause: str) -> None:
    """After a fit of so many epochs and steps."""
    learn.past.left = weights_digest(learn.model)
    learn.past.ends.append(FitEnd(epochs=epochs, steps=steps, cause=cause))


def first_weights(learn: "Learner") -> dict[str, Tensor] | None:
    """The weights that training began with (before any fit: would begin with); None where the seed gives them.

    With trained weights from a file, as `vision_learner` takes, the seed and the file give them.
    A function of the user's own is called once more, to see whether it gives the same again.
    """
    past = learn.past
    if has_begun(learn):
        kept, digest = past.first, past.first_digest
    else:
        digest = weights_digest(learn.model)
        kept = None if is_drawn(learn, digest) else copied_to_cpu(learn.model)
    changed = isinstance(learn.model_source, nn.Module) or digest != past.built
    return kept if kept is None or changed or not draws_again(learn, digest) else None


def is_drawn(learn: "Learner", digest: str) -> bool:
    """Whether these are the weights as built, by a part of which we know that it draws the same again."""
    return digest == learn.past.built and not opaque_parts(to_recipe(learn.model_source))


def draws_again(learn: "Learner", digest: str) -> bool:
    """Whether the function that built the model gives the same weights once more."""
    again = build_model(learn.maker, learn.seed)
    if again is learn.model:
        return False
    initialise_lazy(again, learn.dls, learn.seed, torch.device("cpu"))
    return weights_digest(again) == digest


def copied_to_cpu(model: nn.Module) -> dict[str, Tensor]:
    """The model's weights and statistics in memory of their own."""
    state: dict[str, Any] = model.state_dict()
    return {k: v.detach().cpu().clone() for k, v in state.items() if isinstance(v, Tensor)}


def loaders_in_turn(learn: "Learner") -> list[DataLoaders]:
    """The learner's first loaders, and those that each call "dls" put in their place."""
    return [*learn.past.loaders, learn.dls]


def without_cache(dls: DataLoaders) -> DataLoaders:
    """The same loaders without the pictures that they keep in memory."""
    if not any(getattr(path, "cache", None) for path in getattr(dls.train.dataset, "paths", ())):
        return dls
    bare = [
        loader.new(with_source_cache(loader.dataset, None)) if isinstance(loader.dataset, Samples) else loader
        for loader in dls.loaders
    ]
    there = DataLoaders(*bare, block=dls.block, blocks=dls.blocks, source=dls.source)
    there.report, there.places = dls.report, dls.places
    return there


def run_name(learn: "Learner") -> str:
    """What the run is called: its folder's name; "" without one."""
    folder = learn.past.folder or learn.run_dir
    return "" if folder is None else folder.absolute().name
