"""SqueezeNet, MobileNetV3 and ConvNeXt: published sizes, the names of the weight files, and (with timm) its numbers."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from satsuma.errors import MissingExtraError
from satsuma.nn.convnext import ConvNeXt, LayerNorm2d
from satsuma.nn.mobilenet import mobilenetv3_large_100
from satsuma.nn.registry import NETWORKS
from satsuma.nn.squeezenet import squeezenet1_1
from satsuma.nn.timm_body import load_timm

PARAMETERS = {  # as torchvision and timm publish them
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "squeezenet1_1": 1_235_496,
    "mobilenetv3_large_100": 5_483_032,
    "convnext_atto": 3_695_520,
    "convnext_femto": 5_217_784,
    "convnext_pico": 9_045_672,
    "convnext_nano": 15_593_560,
    "convnext_tiny": 28_589_128,
}
SHAPES = {  # a few weights by heart
    "squeezenet1_1": {
        "features.0.weight": (64, 3, 3, 3),
        "features.3.squeeze.weight": (16, 64, 1, 1),
        "features.12.expand3x3.weight": (256, 64, 3, 3),
        "classifier.1.bias": (1000,),
    },
    "mobilenetv3_large_100": {
        "conv_stem.weight": (16, 3, 3, 3),
        "blocks.0.0.conv_pw.weight": (16, 16, 1, 1),
        "blocks.2.0.se.conv_reduce.weight": (24, 72, 1, 1),
        "blocks.3.0.conv_dw.weight": (240, 1, 3, 3),
        "blocks.5.2.conv_pwl.weight": (160, 960, 1, 1),
        "blocks.6.0.bn1.running_mean": (960,),
        "conv_head.bias": (1280,),
    },
    "convnext_atto": {
        "stem.0.weight": (40, 3, 4, 4),
        "stages.1.downsample.1.weight": (80, 40, 2, 2),
        "stages.2.blocks.5.mlp.fc1.weight": (640, 160, 1, 1),
        "head.norm.weight": (320,),
    },
    "convnext_tiny": {
        "stages.3.blocks.2.conv_dw.weight": (768, 1, 7, 7),
        "stages.0.blocks.0.mlp.fc2.weight": (96, 384),
        "stages.2.blocks.8.gamma": (384,),
        "head.fc.weight": (1000, 768),
    },
}


@pytest.fixture(scope="module")
def models():
    """Names and shapes only."""
    with torch.device("meta"):
        return {name: build() for name, build in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_are_the_published_ones(name, models):
    assert sum(p.numel() for p in models[name].parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", SHAPES)
def test_weights_have_the_names_and_shapes_of_the_files(name, models):
    shapes = {key: tuple(value.shape) for key, value in models[name].state_dict().items()}
    assert {key: shapes.get(key) for key in SHAPES[name]} == SHAPES[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_features_have_the_number_of_channels_that_the_network_says(name):
    with torch.device("meta"):
        model = NETWORKS[name](classes=7, in_channels=5)
        x = torch.empty(2, 5, 96, 64)
        features = model.forward_features(x)
        assert features.shape == (2, model.n_features, *((5, 3) if name == "squeezenet1_1" else (3, 2)))
        assert model(x).shape == (2, 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_can_be_built_again_from_its_attributes(name, models):
    model = models[name]
    arguments = {key: getattr(model, key) for key in inspect.signature(type(model)).parameters}
    with torch.device("meta"):
        again = type(model)(**arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenetv3_large_100", "convnext_atto", "convnext_tiny"])
def test_gradients_reach_every_weight(name):
    model = NETWORKS[name](classes=3)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    first = next(iter(model.parameters()))
    assert first.grad.abs().sum() > 0


def test_squeezenets_pools_keep_the_border():
    with torch.device("meta"):  # 66 → 32 → 16 → 8 → 4; rounded down: 66 → 32 → 15 → 7 → 3
        assert squeezenet1_1().forward_features(torch.empty(2, 3, 66, 66)).shape == (2, 512, 4, 4)


def test_mobilenets_blocks_add_what_they_find_to_what_they_were_given():
    blocks = [block for stage in mobilenetv3_large_100().blocks for block in stage][:-1]
    shortcuts = [block for block in blocks if getattr(block, "has_shortcut", True)]
    assert len(shortcuts) == 10  # of 15: all but the five that change the size or the width
    for block in shortcuts:
        last = block.bn3 if hasattr(block, "bn3") else block.bn2
        torch.nn.init.zeros_(last.weight)
        x = torch.randn(2, last.num_features, 6, 5)
        torch.testing.assert_close(block(x), x, rtol=0, atol=0)


def test_perceptrons_as_convolutions_are_the_same_mathematics():
    settings = {"layers": (1, 1, 2, 1), "widths": (8, 16, 24, 32), "classes": 3}
    linear, convolved = ConvNeXt(**settings).eval(), ConvNeXt(**settings, conv_mlp=True).eval()
    shapes = {key: value.shape for key, value in convolved.state_dict().items()}
    convolved.load_state_dict({key: value.reshape(shapes[key]) for key, value in linear.state_dict().items()})
    for model in (linear, convolved):
        for key, parameter in model.named_parameters():
            if key.endswith("gamma"):
                torch.nn.init.constant_(parameter, 1)  # at its start of 1e-6 the blocks would hardly count
    x = torch.randn(2, 3, 64, 96)
    torch.testing.assert_close(linear(x), convolved(x), rtol=1e-4, atol=1e-5)


def test_layer_norm_of_a_map_normalises_each_pixels_channels():
    x = 3 + 2 * torch.randn(2, 5, 3, 7)
    y = LayerNorm2d(5)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 7), rtol=0, atol=1e-5)


def test_wrong_numbers_of_stages_are_refused():
    with pytest.raises(ValueError, match="expected four numbers each"):
        ConvNeXt(layers=(1, 1), widths=(8, 16))


def timm_or_skip():
    try:
        return load_timm()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "squeezenet1_1"])
def test_numbers_are_timms(name):
    theirs = timm_or_skip().create_model(name).eval()
    for value in theirs.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value.add_(0.1 * torch.rand(value.shape))
    ours = NETWORKS[name]().eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.forward_features(x), theirs.forward_features(x), rtol=1e-4, atol=1e-5)


def photo(path: Path) -> torch.Tensor:
    """[3 224 224], as ImageNet's networks expect it: the middle of the photo, normalised."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BILINEAR)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32) / 255
    pixels = (pixels - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def test_trained_squeezenet_tells_dogs_from_cats(shared_data, tmp_path):
    import zipfile

    weights = shared_data("weights/squeezenet1_1_imagenet.safetensors")
    with zipfile.ZipFile(shared_data("pets/pets_small.zip")) as archive:
        names = [n for n in archive.namelist() if n.endswith(".jpg")]
        dogs = [n for n in names if Path(n).name[0].islower()][::40]
        cats = [n for n in names if Path(n).name[0].isupper()][::25]
        archive.extractall(tmp_path, dogs + cats)
    model = squeezenet1_1().eval()
    model.load_state_dict(load_file(weights))  # strictly; float16 into float32
    with torch.no_grad():
        found = model(torch.stack([photo(tmp_path / n) for n in dogs + cats])).argmax(1)
    of_dogs, of_cats = found[: len(dogs)], found[len(dogs) :]
    assert ((of_dogs >= 151) & (of_dogs <= 268)).float().mean() > 0.9  # 773 of all 803
    assert ((of_cats >= 281) & (of_cats <= 285)).float().mean() > 0.5  # 290 of all 418
