"""Item transforms that are not ours: torchvision's, albumentations', plain functions. H height, W width."""

import functools
import random
import threading
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from satsuma.data.paths import called
from satsuma.data.transforms import TrainingOnly, is_random, takes_rng

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
GLOBAL_DRAWERS = {"torchvision", "kornia", "albumentations"}  # packages that draw where all threads draw
TORCH_DRAWS = {"random", "rand", "randn", "randint", "randperm", "bernoulli", "normal", "rand_like", "randn_like"}
ONE_AT_A_TIME = threading.Lock()  # an albumentations object holds its own generator, and predictors may share it


def inner_parts(transform: Any) -> list[Any]:
    """A transform without its wrappings (`TrainingOnly`, partials), and the modules it is made of."""
    while isinstance(transform, TrainingOnly | functools.partial):
        transform = transform.transform if isinstance(transform, TrainingOnly) else transform.func
    return list(transform.modules()) if isinstance(transform, nn.Module) else [transform]


def comes_from(transform: Any, packages: Collection[str]) -> bool:
    """Whether a transform, or a part of it, is a function or an object (also by inheritance) of these packages."""
    for part in inner_parts(transform):
        homes = [getattr(part, "__module__", None), *(base.__module__ for base in type(part).__mro__)]
        if any(str(home).partition(".")[0] in packages for home in homes):
            return True
    return False


def draws_globally(transform: Any) -> bool:
    """Whether a transform may draw from a generator that threads share, so that only processes keep it repeatable."""
    return comes_from(transform, GLOBAL_DRAWERS) or any(names_a_global_generator(t) for t in inner_parts(transform))


def names_a_global_generator(function: Any) -> bool:
    """Whether a plain function's code names `random`, `np.random` or one of torch's draws, and it takes no `rng`."""
    code = getattr(function, "__code__", None)
    if code is None or takes_rng(function):
        return False
    for name in code.co_names:
        found = function.__globals__.get(name)
        if found is random or getattr(found, "__self__", None).__class__ in (random.Random, np.random.RandomState):
            return True
        if found in (np, torch) and not TORCH_DRAWS.isdisjoint(code.co_names):
            return True
    return False


def draws(transform: Any) -> bool:
    """Whether a transform is to be given draws of the sample's own."""
    return is_random(transform) or comes_from(transform, ("albumentations",))


def call_foreign(transform: Any, picture: np.ndarray, rng: np.random.Generator | None) -> Any:
    """What `transform` makes of a picture uint8 [H W C]: again such an array, or a tensor [C H W].

    albumentations get `image=` an array, all others a PIL image. Raises `ValueError` for a result that is no picture.
    """
    if isinstance(transform, TrainingOnly):
        return picture if rng is None else call_foreign(transform.transform, picture, rng)
    if comes_from(transform, ("albumentations",)):
        return as_pixels(transform, albumented(transform, picture, rng), picture.shape[2])
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture, MODES[picture.shape[2]])
    made = called(transform, image, rng=rng) if takes_rng(transform) else called(transform, image)
    return as_pixels(transform, made, picture.shape[2])


def albumented(transform: Any, picture: np.ndarray, rng: np.random.Generator | None) -> Any:
    with ONE_AT_A_TIME:
        if hasattr(transform, "set_random_seed"):
            transform.set_random_seed(0 if rng is None else int(rng.integers(2**32)))
        try:
            return transform(image=picture)["image"]
        except Exception as error:
            raise ValueError(f"the item transform {type(transform).__name__} failed: {error}") from error


def as_pixels(transform: Any, made: Any, channels: int) -> Any:
    """A foreign transform's result as uint8 [H W C] of the channels that were there, or as the tensor it is."""
    if isinstance(made, Tensor):
        return made.as_subclass(Tensor)  # torchvision's own kinds of tensor would follow into the model
    name = getattr(transform, "__name__", type(transform).__name__)
    if isinstance(made, np.ndarray | Image.Image) and np.asarray(made).size == 0:
        raise ValueError(
            f"the item transform {name} failed: it gave a picture without a pixel, {list(np.asarray(made).shape)}; "
            f"expected one or more: look at how it crops"
        )
    if isinstance(made, Image.Image):
        mode = MODES[channels]
        pixels = np.array(made if made.mode == mode else made.convert(mode))
        return pixels if pixels.ndim == 3 else pixels[..., None]
    if isinstance(made, np.ndarray) and made.dtype == np.uint8 and made.ndim in (2, 3):
        pixels = np.ascontiguousarray(made if made.ndim == 3 else made[..., None])
        if pixels.shape[2] == channels:
            return pixels
    got = f"{made.dtype} {list(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__
    raise ValueError(
        f"the item transform {name} failed: it gave {got}; expected a PIL image, a tensor [C H W], or a uint8 array "
        f"[H W {channels}]"
    )
