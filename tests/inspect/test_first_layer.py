"""The first layer's weights as pictures."""

import numpy as np
import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.inspect.first_layer import first_layer
from satsuma.plots.filters import mosaic, mosaic_columns, plot_filters


def test_the_thirty_rows_of_a_network_of_digits_are_pictures_of_28_by_28() -> None:
    model = sm.simple_net()
    found = first_layer(model)
    assert (found.name, found.kind, found.pictures.shape) == ("0", "Linear", (30, 28, 28))
    assert np.array_equal(found.pictures[3].reshape(-1), model[0].weight[3].detach().numpy())


def test_colours_are_kept_together() -> None:
    conv = nn.Conv2d(3, 5, 7)
    assert np.array_equal(first_layer(conv).pictures[2, 1, 4], conv.weight[2, :, 1, 4].detach().numpy())
    linear = nn.Linear(3 * 4 * 4, 2)
    row = linear.weight[1].reshape(3, 4, 4)
    assert np.array_equal(first_layer(linear).pictures[1, 2, 3], row[:, 2, 3].detach().numpy())
    assert first_layer(nn.Conv2d(4, 2, 3)).pictures.shape == (2, 3, 3)
    assert first_layer(nn.Linear(13, 2)).pictures.shape == (2, 1, 13)


def test_a_model_without_such_a_layer_says_so() -> None:
    with pytest.raises(ValueError, match="this ReLU has no convolution and no linear layer"):
        first_layer(nn.ReLU())


def test_every_picture_stands_in_the_mosaic() -> None:
    pictures = np.arange(5 * 3 * 2, dtype=np.float32).reshape(5, 3, 2) + 1
    whole = mosaic(pictures, 3)
    assert whole.shape == (3 + 1 + 3, 3 * 2 + 2)
    assert np.array_equal(whole[:3, 3:5], pictures[1])
    assert np.array_equal(whole[4:, :2], pictures[3])
    assert np.nansum(whole) == pictures.sum()
    assert mosaic_columns(30, 28, 28) in (5, 6)
    assert mosaic_columns(64, 7, 7) == 8


def test_the_figure_says_what_it_left_out() -> None:
    data = sm.DataLoaders.from_arrays(torch.zeros(10, 16), torch.arange(10) % 2)
    svg = sm.Learner(data, sm.simple_net(16, 300, 2), progress=False).first_layer().svg()
    assert "256 of 300" in svg
    assert "<image" in plot_filters(np.random.default_rng(0).normal(size=(6, 5, 5, 3)), title="a").svg()
