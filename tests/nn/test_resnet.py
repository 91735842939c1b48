"""Residual networks: torchvision's names, shapes and start, so that its weight files load."""

import inspect

import pytest
import torch
from torch import nn

from satsuma.nn.resnet import BasicBlock, Bottleneck, ResNet, resnet18, resnet34, resnet50

BUILDERS = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}
PARAMETERS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}  # torchvision's documentation


def torchvision_shapes(block, layers, classes):
    """The names and shapes of torchvision's state_dict, from the paper's table."""
    shapes = {}

    def conv(name, n_out, n_in, size):
        shapes[f"{name}.weight"] = (n_out, n_in, size, size)

    def norm(name, n):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (n,)
        shapes[f"{name}.num_batches_tracked"] = ()

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    n_in = 64
    for stage, (planes, blocks) in enumerate(zip((64, 128, 256, 512), layers, strict=True), start=1):
        n_out = planes * (4 if block == "bottleneck" else 1)
        for i in range(blocks):
            name = f"layer{stage}.{i}"
            convs = [(planes, n_in, 3), (planes, planes, 3)]
            if block == "bottleneck":
                convs = [(planes, n_in, 1), (planes, planes, 3), (n_out, planes, 1)]
            for j, (a, b, size) in enumerate(convs, start=1):
                conv(f"{name}.conv{j}", a, b, size)
                norm(f"{name}.bn{j}", a)
            if i == 0 and (stage > 1 or n_in != n_out):
                conv(f"{name}.downsample.0", n_out, n_in, 1)
                norm(f"{name}.downsample.1", n_out)
            n_in = n_out
    shapes["fc.weight"], shapes["fc.bias"] = (classes, n_in), (classes,)
    return shapes


@pytest.fixture(scope="module")
def models():
    """Without memory for their numbers: names and shapes only."""
    with torch.device("meta"):
        return {name: build() for name, build in BUILDERS.items()}


@pytest.mark.parametrize("name", BUILDERS)
def test_names_and_shapes_are_torchvisions(name, models):
    model = models[name]
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert ours == torchvision_shapes(model.block, model.layers, model.classes)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def test_a_few_names_by_heart(models):
    shapes = {key: tuple(value.shape) for key, value in models["resnet50"].state_dict().items()}
    assert next(iter(shapes)) == "conv1.weight"
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert shapes["fc.weight"] == (1000, 2048)
    assert "layer1.0.downsample.0.weight" not in models["resnet18"].state_dict()


@pytest.mark.parametrize(("small_images", "deep_size"), [(False, 2), (True, 8)])
def test_forward_shapes(small_images, deep_size):
    model = resnet18(classes=7, in_channels=5, small_images=small_images).eval()
    x = torch.zeros(2, 5, 64, 64)
    seen = {}
    model.layer4.register_forward_hook(lambda module, inputs, output: seen.update(deep=output.shape))
    with torch.no_grad():
        assert model(x).shape == (2, 7)
    assert seen["deep"] == (2, 512, deep_size, deep_size)


def test_bottleneck_forward_and_odd_sizes():
    model = ResNet(block="bottleneck", layers=(1, 1, 1, 1), classes=7).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 37, 53)).shape == (2, 7)


def test_small_images_keep_a_3_by_3_stem_without_pooling():
    with torch.device("meta"):
        model = resnet18(small_images=True)
    assert model.conv1.weight.shape == (64, 3, 3, 3)
    assert model.conv1.stride == (1, 1)
    assert isinstance(model.maxpool, nn.Identity)


@pytest.mark.parametrize("block", [BasicBlock(5, 5), Bottleneck(20, 5)])
def test_a_block_adds_what_it_finds_to_what_it_was_given(block):
    last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
    nn.init.zeros_(last.weight)
    x = torch.randn(2, block.in_planes, 7, 3)
    torch.testing.assert_close(block(x), x.relu(), rtol=0, atol=0)


def test_zero_init_residual_starts_every_block_as_its_shortcut():
    for block, last in (("basic", "bn2"), ("bottleneck", "bn3")):
        model = ResNet(block=block, layers=(1, 1, 1, 1), zero_init_residual=True)
        assert [getattr(model.layer3[0], last).weight.abs().sum().item(), model.bn1.weight.mean().item()] == [0, 1]


def test_convolutions_start_with_he_normal_by_outgoing_connections():
    torch.manual_seed(42)
    weight = ResNet(block="basic", layers=(1, 1, 1, 1)).layer4[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_can_be_built_again_from_its_attributes(name, models):
    model = models[name]
    arguments = {key: getattr(model, key) for key in inspect.signature(ResNet).parameters}
    assert all(isinstance(value, str | int | bool | tuple) for value in arguments.values())
    with torch.device("meta"):
        again = ResNet(**arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_gradients_reach_the_first_layer():
    model = ResNet(block="basic", layers=(1, 1, 1, 1), classes=3, small_images=True)
    model(torch.randn(2, 3, 16, 16)).sum().backward()
    assert model.conv1.weight.grad.abs().sum() > 0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="did you mean 'bottleneck'"):
        ResNet(block="bottelneck", layers=(1, 1, 1, 1))
    with pytest.raises(ValueError, match="expected four numbers of blocks"):
        ResNet(block="basic", layers=(2, 2))
