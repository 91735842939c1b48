"""What a learner chooses when it is not told: the loss by the target, the model by its name."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.seeds import WEIGHTS, mix_seed
from satsuma.errors import refuse_unknown
from satsuma.functional.links import part_name
from satsuma.functional.losses import cross_entropy, mse
from satsuma.nn.registry import image_model
from satsuma.train.early_stopping import EarlyStopping
from satsuma.vision.blocks import ImageBlock

HOOK_METHODS = ("on_fit_start", "on_step", "on_epoch", "on_fit_end")
SMALL_SIDE = 64  # pixels up to which an image counts as small, and a network keeps its resolution at the start


def choose_loss(targets: Sequence[Block]) -> tuple[Callable[..., Tensor], str]:
    """The loss for the target blocks and why, in words. `ValueError` where there is no one right choice."""
    if len(targets) == 1 and isinstance(targets[0], CategoryBlock):
        return cross_entropy, "the target is one of several classes"
    if len(targets) == 1 and isinstance(targets[0], RegressionBlock):
        return mse, "the target is a number"
    kinds = ", ".join(type(t).__name__ for t in targets) or "unknown (the loaders were not made from blocks)"
    raise ValueError(f"which loss fits is not clear, the targets are {kinds}: give loss_func=, for example mnist_loss")


def build_model(model: Any, dls: DataLoaders, seed: int) -> nn.Module:
    """A module as it is; or made under `seed` from a function without arguments, or an architecture's name."""
    if isinstance(model, nn.Module):
        return model
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(mix_seed(seed, WEIGHTS))
    try:
        built = named_model(model, dls) if isinstance(model, str) else model()
    finally:
        torch.set_rng_state(before)
    if not isinstance(built, nn.Module):
        raise TypeError(f"Learner: model gave a {type(built).__name__}; expected a torch.nn.Module")
    return built


def named_model(arch: str, dls: DataLoaders) -> nn.Module:
    """The image model called `arch`, for the data's channels, classes and size."""
    if not dls.blocks or not isinstance(dls.blocks[0], ImageBlock):
        raise ValueError(f"Learner: the model {arch!r} is for images, and the data has none; give a torch.nn.Module")
    outputs = len(dls.vocab) or sum(b.n_out for b in dls.targets if isinstance(b, RegressionBlock))
    side = min(dls.one_batch()[0].shape[2:])
    return image_model(arch, classes=outputs, in_channels=dls.blocks[0].channels, small_images=side <= SMALL_SIDE)


def listed_metrics(metrics: Any) -> tuple[Callable[..., Any], ...]:
    """One metric or several as a tuple; `TypeError` for what cannot be called, such as a name."""
    listed = (metrics,) if callable(metrics) or isinstance(metrics, str) else tuple(metrics)
    for metric in listed:
        if not callable(metric):
            raise TypeError(f"Learner: a metric is a function (outputs, targets), such as sm.accuracy; got {metric!r}")
        refuse_part("a metric", metric, "sm.accuracy")
    return listed


def listed_hooks(hooks: Any) -> tuple[Any, ...]:
    """One hook or several as a tuple; `TypeError` for what is no observer."""
    listed = tuple(hooks) if isinstance(hooks, list | tuple) else (hooks,)
    for hook in listed:
        missing = [name for name in HOOK_METHODS if not callable(getattr(hook, name, None))]
        if isinstance(hook, type) or missing:
            what = f"the class {hook.__name__}: give an object, {hook.__name__}()" if isinstance(hook, type) else None
            raise TypeError(f"Learner: a hook inherits from sm.Hook; got {what or f'{hook!r} without {missing[0]}'}")
    return listed


def refuse_part(name: str, part: Any, example: str) -> None:
    """`TypeError` for a part that is no function, or a partial with an argument that its function does not have."""
    if not callable(part):
        raise TypeError(f"Learner: {name} is a function, such as {example}; got {part!r}")
    if isinstance(part, functools.partial):
        known = inspect.signature(part.func).parameters
        if not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            refuse_unknown(part_name(part.func), part.keywords, known)


def refuse_schedule(name: str, schedule: Any) -> None:
    """`TypeError` for a schedule that cannot be asked for step 0, saying how one is made."""
    refuse_part(name, schedule, "partial(sm.cosine, total=1000)")
    try:
        schedule(0)
    except TypeError as error:
        raise TypeError(
            f"{name}: a schedule is called with the step alone, and {part_name(schedule)} is not: {error}. "
            f"Fill in the rest, for example partial(sm.cosine, total=n_epoch * len(dls.train))"
        ) from error


def refuse_stopping(early_stopping: Any) -> None:
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        raise TypeError(f"early_stopping is a value such as sm.EarlyStopping(patience=3), got {early_stopping!r}")


def refuse_epochs(method: str, n_epoch: Any) -> None:
    if not isinstance(n_epoch, int) or isinstance(n_epoch, bool) or n_epoch < 1:
        raise ValueError(f"{method}: n_epoch must be 1 or more, a whole number, got {n_epoch!r}")


def refuse_negative(**settings: float) -> None:
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f"Learner: {name} must be 0 or more, got {value}")


def refuse_not_positive(**settings: float | None) -> None:
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise ValueError(f"Learner: {name} must be above 0, or None, got {value}")
