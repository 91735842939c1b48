"""Transfer: the body keeps the network's weights and numbers, groups are fastai's, frozen parts stand still."""

import pytest
import torch
from torch import nn

from satsuma.errors import MissingExtraError
from satsuma.nn import timm_body
from satsuma.nn.registry import NETWORKS
from satsuma.nn.timm_body import features_as_map, load_timm
from satsuma.nn.transfer import (
    TransferModel,
    adapt_first_layer,
    body_parts,
    frozen_parts,
    load_body,
    transfer_groups,
)

SMALL = ["resnet18", "squeezenet1_1", "mobilenetv3_large_100", "convnext_atto"]


def sizes(groups):
    return [sum(p.numel() for p in group.parameters()) for group in groups]


def trained(arch, **options):
    """A network whose numbers are nowhere those of a fresh one."""
    torch.manual_seed(1)
    network = NETWORKS[arch](**options)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.add_(0.05 * torch.rand(value.shape))
    return network.eval()


def loaded(arch, outputs, network, **settings):
    """A model whose body has the network's weights."""
    model = TransferModel(arch, outputs, **settings)
    load_body(model, network.state_dict())
    return model


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_parameter_is_in_one_group(arch):
    with torch.device("meta"):
        model = TransferModel(arch, 7)
    listed = [p for group in transfer_groups(model) for p in group.parameters()]
    assert len(listed) == len({id(p) for p in listed}) == len(list(model.parameters()))
    assert all(sizes(transfer_groups(model)))


def test_groups_are_fastais():
    with torch.device("meta"):  # fastai 2.8, create_vision_model(arch, 37) and its splitter
        assert sizes(transfer_groups(TransferModel("resnet18", 37))) == [683_072, 10_493_440, 546_304]
        assert sizes(transfer_groups(TransferModel("squeezenet1_1", 37))) == [25_632, 696_864, 546_304]


@pytest.mark.parametrize("arch", SMALL)
def test_the_loaded_body_gives_the_networks_features(arch):
    network = trained(arch)
    model = loaded(arch, 7, network).eval()
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.body(x), network.forward_features(x), rtol=0, atol=0)
        torch.testing.assert_close(model(x), model.head(model.body(x)), rtol=0, atol=0)
        assert model(x).shape == (2, 7)


def test_float16_weights_become_the_models_float32():
    weights = {key: value.half() for key, value in trained("squeezenet1_1").state_dict().items()}
    model = TransferModel("squeezenet1_1", 2)
    load_body(model, weights)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.body.features[0].weight, weights["features.0.weight"].float(), rtol=0, atol=0)


def test_one_channel_sees_in_a_grey_picture_what_three_saw():
    network = trained("resnet18")
    model = loaded("resnet18", 2, network, in_channels=1).eval()
    grey = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            model.body(grey), network.forward_features(grey.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("channels", [2, 4, 5, 7])
def test_other_channels_get_the_colours_in_turn_at_the_same_overall_size(channels):
    weights = torch.randn(5, 3, 2, 2)
    adapted = adapt_first_layer(weights, channels)
    assert adapted.shape == (5, channels, 2, 2)
    for channel in range(channels):
        torch.testing.assert_close(adapted[:, channel], weights[:, channel % 3] * 3 / channels)
    assert adapt_first_layer(weights, 3) is weights


def test_weights_that_do_not_fit_are_named_and_change_nothing():
    model = TransferModel("resnet18", 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = trained("resnet18").state_dict()
    weights["layer1.0.conv1.weight"] = torch.zeros(64, 64, 1, 1)
    del weights["bn1.weight"]
    weights["layer9.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"photos\.safetensors: these weights do not fit the body") as caught:
        load_body(model, weights, "photos.safetensors")
    assert "bn1.weight is missing" in str(caught.value)
    assert "layer9.weight is not in the model" in str(caught.value)
    assert "layer1.0.conv1.weight is [64 64 1 1], the model's is [64 64 3 3]" in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_of_another_network_are_refused_with_a_few_of_many_names():
    with pytest.raises(ValueError, match=r"and [0-9]+ more"):
        load_body(TransferModel("resnet18", 2), trained("squeezenet1_1").state_dict())


def test_weights_without_counters_of_batches_are_taken():
    weights = {k: v for k, v in trained("resnet18").state_dict().items() if not k.endswith("num_batches_tracked")}
    load_body(TransferModel("resnet18", 2), weights)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'resnet81': did you mean 'resnet18'"):
        TransferModel("resnet81", 2)


def test_parameters_that_belong_to_no_layer_are_a_part_too():
    body = nn.Sequential(nn.Linear(2, 3))
    body.position = nn.Parameter(torch.zeros(5))
    assert [sum(p.numel() for p in part.parameters()) for part in body_parts(body)] == [5, 9]


# --- freezing -----------------------------------------------------------------------------------------------------


def train_head(model, steps=3):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(5, 3, 64, 64)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("arch", SMALL)
@pytest.mark.parametrize("again", [False, True])
def test_a_frozen_body_gives_the_same_bits_however_long_the_head_is_trained(arch, again):
    model = TransferModel(arch, 3)
    model.body.requires_grad_(False)
    model.train()
    if again:
        model.eval()
        model.train()  # as the loop does after an evaluation
    x = torch.randn(2, 3, 64, 64)
    body = {key: value.clone() for key, value in model.body.state_dict().items()}
    head = {key: value.clone() for key, value in model.head.state_dict().items()}
    before = model.body(x)
    train_head(model)
    assert torch.equal(model.body(x), before)
    assert all(torch.equal(value, body[key]) for key, value in model.body.state_dict().items())
    assert not any(torch.equal(value, head[key]) for key, value in model.head.state_dict().items())
    assert model.head.training


def test_what_learns_in_a_frozen_body_stays_awake():
    model = TransferModel("mobilenetv3_large_100", 3)
    model.body.requires_grad_(False)
    model.body.blocks[4].requires_grad_(True)
    assert model.train().training
    assert not model.body.bn1.training
    assert model.body.blocks[4].training
    assert not any(layer.training for layer in model.body.blocks[3].modules())
    model.body.requires_grad_(True)
    assert all(module.training for module in model.train().modules())


def test_frozen_parts_are_the_largest():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 3), nn.Dropout()), nn.Dropout(), nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))
    )
    assert list(frozen_parts(model)) == []
    model.requires_grad_(False)
    assert list(frozen_parts(model)) == [model]
    model[2][1].requires_grad_(True)
    assert list(frozen_parts(model)) == [model[0], model[2][0]]


# --- small pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", [*SMALL, "resnet50"])
def test_pictures_too_small_for_the_network_are_refused_with_the_least_size(arch):
    least = {"squeezenet1_1": 17, "convnext_atto": 32}.get(arch, 1)
    for network in (NETWORKS[arch](classes=2).eval(), TransferModel(arch, 2).eval()):
        assert network(torch.zeros(2, 3, least, least)).shape == (2, 2)
        if least > 1:
            message = rf"needs pictures of at least {least}×{least} pixels, got 47×{least - 1}: .*Resize\({least}\)"
            with pytest.raises(ValueError, match=message):
                network(torch.zeros(2, 3, 47, least - 1))


# --- timm ---------------------------------------------------------------------------------------------------------


def test_without_timm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "satsuma\[timm\]"'):
        TransferModel("timm:resnet18", 2)


def test_a_torchvision_that_does_not_fit_is_told_from_a_missing_timm(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "timm", raising=False)
    with pytest.raises(MissingExtraError, match="torchvision was built for another torch"):
        timm_body.load_timm()


@pytest.mark.parametrize(("shape", "tokens"), [((2, 5, 3, 7), 0), ((2, 3, 7, 5), 0), ((2, 21, 5), 0), ((2, 22, 5), 1)])
def test_any_layout_of_features_becomes_a_map(shape, tokens):
    found = features_as_map(torch.randn(shape), 5, tokens)
    assert found.shape[:2] == (2, 5)
    assert found[0, 0].numel() == 21


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"])
def test_networks_of_timm_are_bodies(name):
    try:
        timm = load_timm()
    except MissingExtraError as error:
        pytest.skip(str(error))
    network = timm.create_model(name).eval()
    model = loaded(f"timm:{name}", 3, network).eval()
    assert model(torch.randn(2, 3, 224, 224)).shape == (2, 3)
    listed = [p for group in transfer_groups(model) for p in group.parameters()]
    assert {id(p) for p in listed} == {id(p) for p in model.parameters()}
    with pytest.raises(ValueError, match="timm has no model 'hf-hub:timm/resnet18'"):
        TransferModel("timm:hf-hub:timm/resnet18", 2)


def test_weights_behind_a_wrappers_prefix_are_told_so():
    model = TransferModel("squeezenet1_1", 3)
    wrapped = {f"module.{name}": value for name, value in trained("squeezenet1_1").state_dict().items()}
    with pytest.raises(ValueError, match=r"All their names begin with 'module\.', which a wrapper puts there"):
        load_body(model, wrapped)
    with pytest.raises(ValueError, match="do not fit the body") as caught:
        load_body(TransferModel("resnet18", 2), wrapped)  # which would not fit without it either
    assert "begin with" not in str(caught.value)


def test_integer_weights_are_refused():
    model = TransferModel("squeezenet1_1", 3)
    weights = {name: value.to(torch.int64) for name, value in trained("squeezenet1_1").state_dict().items()}
    with pytest.raises(ValueError, match=r"is torch\.int64; expected floating-point numbers"):
        load_body(model, weights)


def test_an_output_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"y_range is two numbers, .*; got 3"):
        TransferModel("squeezenet1_1", 3, y_range=3)
