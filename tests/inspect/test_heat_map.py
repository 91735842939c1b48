"""Heat maps lie where the reasons are, for any convolutional model, and leave the model as it was."""

import numpy as np
import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.inspect.heat_map import last_map_layer, overlay

SIDE = 16


def square_model() -> nn.Sequential:
    """Class 1 says how bright the brightest places are, class 0 the opposite: known without any training."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(2, 2))  # fmt: skip
    with torch.no_grad():
        model[0].weight.fill_(1 / 9)
        model[0].weight[1] *= -1
        model[0].bias.copy_(torch.tensor([-0.5, 0.0]))
        model[4].weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        model[4].bias.zero_()
    return model


def pictures() -> torch.Tensor:
    """Two dark pictures with a bright square each, in other corners."""
    x = torch.zeros(2, 1, SIDE, SIDE)
    x[0, 0, 2:6, 9:13] = 1
    x[1, 0, 10:14, 1:5] = 1
    return x


def test_the_heat_lies_on_the_square_that_decides() -> None:
    heat = sm.heat_map(square_model(), pictures(), target=1)
    assert heat.shape == (2, SIDE, SIDE)
    for i, (rows, columns) in enumerate(((slice(2, 6), slice(9, 13)), (slice(10, 14), slice(1, 5)))):
        assert heat[i].max() == 1
        assert heat[i, rows, columns].sum() / heat[i].sum() > 0.95
    assert torch.equal(sm.heat_map(square_model(), pictures(), target=0), torch.zeros(2, SIDE, SIDE))  # speaks against


def test_it_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.Flatten(), nn.Linear(7 * 9, 2)).double()
    x, target = torch.randn(3, 3, 7, 7, dtype=torch.float64), torch.tensor([1, 0, 1])
    maps = model[:3](x).detach().requires_grad_()
    scores = model[3:](maps)
    expected = []
    for i in range(3):
        (gradient,) = torch.autograd.grad(scores[i, target[i]], maps, retain_graph=True)
        alpha = gradient[i].mean((1, 2))  # equation 1
        cam = (alpha[:, None, None] * maps[i]).sum(0).clamp(min=0)  # equation 2
        expected.append(cam / cam.max())
    torch.testing.assert_close(sm.heat_map(model, x, target=target), torch.stack(expected).float().detach())


@pytest.mark.parametrize(
    ("model", "x", "name"),
    [
        (sm.small_cnn(), torch.zeros(1, 1, 28, 28), "12"),
        (sm.resnet18(7), torch.zeros(1, 3, 64, 64), "layer4"),
        (sm.TransferModel("squeezenet1_1", 5), torch.zeros(1, 3, 64, 64), "body"),
        (sm.resnet18(7), torch.zeros(1, 3, 32, 32), "layer3"),  # layer4 has one place only, which says nothing
    ],
)
def test_the_last_layer_that_gives_maps_is_found(model, x, name) -> None:
    assert last_map_layer(model, (x,)) == name
    assert sm.heat_map(model, x).shape[0] == 1


def test_the_model_is_left_as_it_was() -> None:
    model = sm.small_cnn()
    model[1].eval()
    model.requires_grad_(False)  # a frozen model is looked at all the same
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heat = sm.heat_map(model, torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    assert heat.max() == 1
    assert [m.training for m in model] == [i != 1 for i in range(len(model))]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks for m in model)
    assert all(p.grad is None for p in model.parameters())


def test_what_cannot_be_explained_says_why() -> None:
    model, x = square_model(), pictures()
    with pytest.raises(ValueError, match=r"no layer of this Sequential gives maps.*convolutional models"):
        sm.heat_map(sm.simple_net(7, 5, 3), torch.zeros(2, 7))
    with pytest.raises(ValueError, match=r"no layer '00': did you mean '0'|no layer '00': known: 0, 1"):
        sm.heat_map(model, x, layer="00")
    with pytest.raises(ValueError, match=r"layer '4', a Linear, gives no maps"):
        sm.heat_map(model, x, layer="4")
    with pytest.raises(ValueError, match=r"target=2, but the model gives \[2 2\]: outputs 0 to 1"):
        sm.heat_map(model, x, target=2)


def test_the_overlay_is_the_photo_where_nothing_is_hot() -> None:
    picture = np.full((12, 8, 3), 90, np.uint8)
    heat = torch.zeros(3, 2)
    heat[2, 1] = 1
    covered = overlay(picture, heat)
    assert covered.shape == picture.shape
    assert covered.dtype == np.uint8
    assert (covered[0, 0] == 90).all()
    assert np.abs(covered[-1, -1].astype(int) - 90).max() > 60


@pytest.fixture(scope="module")
def learner():
    x = (pictures() * 255).to(torch.uint8).repeat(5, 1, 1, 1)
    data = sm.DataLoaders.from_arrays(x, ["left", "right"] * 5)
    return sm.Learner(data, square_model(), progress=False)


def test_a_learners_heat_map_shows_the_photo_and_says_for_what(learner, tmp_path) -> None:
    found = learner.heat_map(1, target="right")
    assert found.picture.shape == found.covered.shape == (SIDE, SIDE, 3)
    assert found.picture.max() == 255
    assert found.why == "where it sees right"
    assert "said right" in found.said
    assert "<svg" in found._repr_html_()
    found.save(tmp_path / "heat.png")
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    item = learner.dls.valid.dataset[1][0]
    assert torch.equal(learner.heat_map(item, target=1).heat, found.heat)
    with pytest.raises(ValueError, match=r"no class 'rihgt': did you mean 'right'"):
        learner.heat_map(0, target="rihgt")
    with pytest.raises(ValueError, match=r"no sample 2: the loader 1 has 2"):
        learner.heat_map(2)
