"""What a learner chooses when it is not told: the loss by the target, the model by its name."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.seeds import WEIGHTS, mix_seed
from satsuma.functional.links import better_direction
from satsuma.functional.losses import binary_cross_entropy, cross_entropy, mse
from satsuma.hooks.checkpoint import Checkpoint
from satsuma.learner.arguments import refuse_part
from satsuma.learner.checks import run_model
from satsuma.nn.registry import image_model_maker
from satsuma.train.evaluate import evaluation_mode, named_metrics
from satsuma.train.loop import kept_random_states
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.targets import MaskBlock, PointBlock

HOOK_METHODS = ("on_fit_start", "on_step", "on_epoch", "on_fit_end")
SMALL_SIDE = 64  # pixels up to which an image counts as small, and a network keeps its resolution at the start


def choose_loss(targets: Sequence[Block]) -> tuple[Callable[..., Tensor], str]:
    """The loss for the target blocks and why, in words. `ValueError` where there is no one right choice."""
    if len(targets) == 1 and isinstance(targets[0], CategoryBlock):
        return cross_entropy, "the target is one of several classes"
    if len(targets) == 1 and isinstance(targets[0], RegressionBlock):
        return mse, "the target is a number"
    if len(targets) == 1 and isinstance(targets[0], MultiCategoryBlock):
        return binary_cross_entropy, "the target is any number of labels"
    if len(targets) == 1 and isinstance(targets[0], PointBlock):
        return mse, "the targets are points"
    if len(targets) == 1 and isinstance(targets[0], MaskBlock):
        return cross_entropy, "the target is a class for each pixel"
    kinds = ", ".join(type(t).__name__ for t in targets) or "unknown (the loaders were not made from blocks)"
    raise ValueError(f"which loss fits is not clear, the targets are {kinds}: give loss_func=, for example mnist_loss")


def model_outputs(dls: DataLoaders) -> int:
    """How many numbers the model has to give for the targets. `ValueError` where the blocks do not say it."""
    numbers = sum(b.n_out for b in dls.targets if isinstance(b, RegressionBlock | PointBlock))
    outputs = len(dls.vocab) or numbers
    if not outputs:
        kinds = ", ".join(type(t).__name__ for t in dls.targets) or "unknown (the loaders were not made from blocks)"
        raise ValueError(f"how many outputs the model needs is not clear, the targets are {kinds}: give a model")
    return outputs


def model_maker(model: Any, dls: DataLoaders) -> Any:
    """A module or a function as it is; the function, with its arguments, that an architecture's name stands for."""
    if not (isinstance(model, str) or callable(model)):
        raise TypeError(f"Learner: model is a torch.nn.Module, a function or a name; got a {type(model).__name__}")
    return named_model(model, dls) if isinstance(model, str) else model


def build_model(model: Any, seed: int) -> nn.Module:
    """A module as it is; or made under `seed` by a function without arguments."""
    if isinstance(model, nn.Module):
        return model
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(mix_seed(seed, WEIGHTS))
    try:
        built = model()
    except TypeError as error:
        if not isinstance(model, type):
            raise
        raise TypeError(
            f"Learner: the class {model.__name__} cannot be built without arguments ({error}); give an object of it"
        ) from error
    finally:
        torch.set_rng_state(before)
    if not isinstance(built, nn.Module):
        raise TypeError(f"Learner: model gave a {type(built).__name__}; expected a torch.nn.Module")
    return built


def named_model(arch: str, dls: DataLoaders) -> functools.partial[Any]:
    """What makes the image model called `arch`, for the data's channels, classes and size."""
    if not dls.blocks or not isinstance(dls.blocks[0], ImageBlock):
        raise ValueError(f"Learner: the model {arch!r} is for images, and the data has none; give a torch.nn.Module")
    outputs = model_outputs(dls)
    side = min(dls.one_batch()[0].shape[2:])
    return image_model_maker(arch, outputs, dls.blocks[0].channels, side <= SMALL_SIDE)


def listed_metrics(metrics: Any) -> tuple[Callable[..., Any], ...]:
    """One metric or several as a tuple; `TypeError` for what cannot be called, such as a name."""
    listed = (metrics,) if callable(metrics) or isinstance(metrics, str) else tuple(metrics)
    for metric in listed:
        if not callable(metric):
            raise TypeError(f"Learner: a metric is a function (outputs, targets), such as sm.accuracy; got {metric!r}")
        refuse_part("a metric", metric, "sm.accuracy", is_made=True)
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


def without_watchers(hooks: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The hooks that a run is made of, and those that say by `only_watches` that they never stop it: a recipe and a
    peeled script do without these.
    """
    watchers = tuple(hook for hook in hooks if getattr(hook, "only_watches", False))
    return tuple(hook for hook in hooks if hook not in watchers), watchers


def make_checkpoint(run_dir: Path | None, metrics: Sequence[Callable[..., Any]], has_valid: bool) -> Checkpoint | None:
    """The hook that keeps the best weights by the first metric whose better direction is known, else by loss."""
    if run_dir is None:
        return None
    folder = run_dir / "checkpoints"
    if not has_valid:
        return Checkpoint(folder, monitor="train_loss")
    for name, metric in named_metrics(metrics).items():
        better = better_direction(metric)
        if better is not None:
            return Checkpoint(folder, monitor=name, better=better)
    return Checkpoint(folder)


def initialise_lazy(model: nn.Module, dls: DataLoaders, seed: int, device: torch.device) -> None:
    """Give layers that wait for their first input (`nn.LazyLinear`) their weights, under `seed`."""
    if not any(is_lazy(p) for p in model.parameters()):
        return
    inputs = tuple(x.to(device) for x in dls.one_batch()[: dls.n_inp])
    with kept_random_states(), evaluation_mode(model), torch.no_grad():
        torch.manual_seed(mix_seed(seed, WEIGHTS))
        run_model(model, inputs, None)
