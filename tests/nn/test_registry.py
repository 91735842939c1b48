"""Image models by name."""

import pytest
import torch

from satsuma.nn.registry import ARCHITECTURES, image_model


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_takes_its_classes_and_channels(arch):
    with torch.device("meta"):
        model = image_model(arch, classes=7, in_channels=5, small_images=True)
        assert model(torch.empty(2, 5, 32, 32)).shape == (2, 7)


def test_small_images_reach_the_stem():
    with torch.device("meta"):
        assert image_model("resnet18", classes=7, small_images=True).conv1.kernel_size == (3, 3)
        assert image_model("resnet18", classes=7).conv1.kernel_size == (7, 7)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="unknown architecture 'resent50': did you mean 'resnet50'"):
        image_model("resent50", classes=7)
