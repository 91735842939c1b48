"""How models start, and the numbers layer by layer."""

import pytest
import torch
from torch import nn

from satsuma.nn.init import INIT_SCHEMES, initialise, layer_stats
from satsuma.nn.linear import mlp


@pytest.mark.parametrize("scheme", INIT_SCHEMES)
def test_the_same_seed_gives_the_same_numbers_whatever_torchs_generator(scheme):
    first, second = mlp((5, 7, 3)), mlp((5, 7, 3))
    initialise(first, scheme=scheme, seed=42)
    state = torch.get_rng_state()
    initialise(second, scheme=scheme, seed=42)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.ndim == 2 or a.abs().sum() == 0


def test_another_seed_gives_other_numbers():
    first, second = nn.Linear(5, 3), nn.Linear(5, 3)
    initialise(first, seed=1)
    initialise(second, seed=2)
    assert not torch.equal(first.weight, second.weight)


@pytest.mark.parametrize(
    ("scheme", "deviation"),
    [
        ("kaiming_normal", (2 / 300) ** 0.5),
        ("kaiming_uniform", (2 / 300) ** 0.5),
        ("xavier_normal", (2 / 500) ** 0.5),
        ("xavier_uniform", (2 / 500) ** 0.5),
        ("normal", 0.01),
        ("zeros", 0),
    ],
)
def test_deviations_are_the_papers(scheme, deviation):
    layer = nn.Linear(300, 200)
    initialise(layer, scheme=scheme)
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)


def test_normalisation_layers_are_as_new_and_other_vectors_are_left():
    model = nn.Sequential(nn.Conv2d(2, 3, 5), nn.BatchNorm2d(3), nn.PReLU(3, init=0.2))
    model(torch.randn(7, 2, 11, 11))
    initialise(model)
    assert model[1].running_mean.abs().sum() == 0
    assert model[1].weight.tolist() == [1, 1, 1]
    assert model[2].weight.tolist() == pytest.approx([0.2] * 3)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="did you mean 'kaiming_normal'"):
        initialise(nn.Linear(5, 3), scheme="kaiming_norml")


def test_he_start_keeps_the_scale_and_small_numbers_lose_it():
    x = torch.randn(101, 200, generator=torch.Generator().manual_seed(42))
    deep = mlp((200,) * 11)
    initialise(deep)
    kept = [row.std for row in layer_stats(deep, x) if row.kind == "Linear"]
    assert all(0.5 < std < 3 for std in kept)
    initialise(deep, scheme="normal", std=0.01)
    lost = [row.std for row in layer_stats(deep, x) if row.kind == "Linear"]
    assert lost[-1] < 1e-6


def test_dead_units_are_counted_layer_by_layer():
    model = mlp((5, 8, 4, 3))
    initialise(model)
    with torch.no_grad():
        model[0].bias[:6] = -1e6  # six of eight units never rise above 0
    x = torch.randn(101, 5, generator=torch.Generator().manual_seed(42))
    rows = layer_stats(model, x)
    assert [row.kind for row in rows] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert rows[1].dead == 0.75
    assert [row.dead for row in rows if row.kind == "Linear"] == [None] * 3
    outputs = model(x)
    assert rows[-1].mean == pytest.approx(outputs.mean().item())
    assert rows[-1].std == pytest.approx(outputs.std(correction=0).item())


def test_a_dead_channel_is_zero_in_every_pixel_of_every_item():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True))
    model.load_state_dict({"0.weight": torch.tensor([1.0, -1.0]).view(2, 1, 1, 1), "0.bias": torch.zeros(2)})
    assert layer_stats(model, torch.ones(3, 1, 5, 7))[1].dead == 0.5


def test_measuring_changes_nothing():
    model = nn.Sequential(nn.Conv2d(2, 3, 5), nn.BatchNorm2d(3), nn.Dropout(), nn.ReLU())
    model[1].eval()  # frozen statistics stay frozen
    before = {key: value.clone() for key, value in model.state_dict().items()}
    layer_stats(model, torch.randn(7, 2, 11, 11))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [part.training for part in model] == [True, False, True, True]
    assert not any(part._forward_hooks for part in model)
