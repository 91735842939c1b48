"""Image models by name."""

from collections.abc import Callable

from torch import nn

from satsuma.errors import nearest
from satsuma.nn.cnn import small_cnn
from satsuma.nn.resnet import ResNet, resnet18, resnet34, resnet50

RESNETS: dict[str, Callable[..., ResNet]] = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"small_cnn": small_cnn, **RESNETS}


def image_model(arch: str, *, classes: int, in_channels: int = 3, small_images: bool = False) -> nn.Module:
    """A new model by its name in ARCHITECTURES: [B in_channels H W] to [B classes] logits.

    small_images: the residual networks' stem for pictures of about 32×32 (`small_cnn` is made for them anyway).
    Raises ValueError for an unknown name.

    >>> image_model("resnet81", classes=37)
    Traceback (most recent call last):
    ValueError: image_model: unknown architecture 'resnet81': did you mean 'resnet18'?
    """
    if arch == "small_cnn":
        return small_cnn(in_channels, classes)
    if arch not in RESNETS:
        raise ValueError(f"image_model: unknown architecture {arch!r}: {nearest(arch, ARCHITECTURES)}")
    return RESNETS[arch](classes, in_channels, small_images=small_images)
