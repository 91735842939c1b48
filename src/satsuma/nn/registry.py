"""Image models by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from satsuma.errors import nearest
from satsuma.nn.cnn import small_cnn
from satsuma.nn.convnext import convnext_atto, convnext_femto, convnext_nano, convnext_pico, convnext_tiny
from satsuma.nn.mobilenet import mobilenetv3_large_100
from satsuma.nn.resnet import ResNet, resnet18, resnet34, resnet50
from satsuma.nn.squeezenet import squeezenet1_1

RESNETS: dict[str, Callable[..., ResNet]] = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}
# called with `classes` and `in_channels`; each has `forward_features` [B n_features h w], and can be a transfer's body
NETWORKS: Mapping[str, Callable[..., Any]] = {
    **RESNETS,
    "squeezenet1_1": squeezenet1_1,
    "mobilenetv3_large_100": mobilenetv3_large_100,
    "convnext_atto": convnext_atto,
    "convnext_femto": convnext_femto,
    "convnext_pico": convnext_pico,
    "convnext_nano": convnext_nano,
    "convnext_tiny": convnext_tiny,
}
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"small_cnn": small_cnn, **NETWORKS}


def image_model(arch: str, *, classes: int, in_channels: int = 3, small_images: bool = False) -> nn.Module:
    """A new model by its name in ARCHITECTURES: [B in_channels H W] to [B classes] logits.

    small_images: the residual networks' stem for pictures of about 32×32 (`small_cnn` is made for them anyway).
    Raises ValueError for an unknown name.

    >>> image_model("resnet81", classes=37)
    Traceback (most recent call last):
    ValueError: image_model: unknown architecture 'resnet81': did you mean 'resnet18'?
    """
    built: nn.Module = image_model_maker(arch, classes, in_channels, small_images)()
    return built


def image_model_maker(arch: str, classes: int, in_channels: int, small_images: bool) -> functools.partial[Any]:
    """The architecture's function with its arguments, as `image_model` calls it."""
    if arch not in ARCHITECTURES:
        raise ValueError(f"image_model: unknown architecture {arch!r}: {nearest(arch, ARCHITECTURES)}")
    if arch in RESNETS:
        return functools.partial(RESNETS[arch], classes, in_channels, small_images=small_images)
    return functools.partial(ARCHITECTURES[arch], classes=classes, in_channels=in_channels)
