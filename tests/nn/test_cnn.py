"""The small convolutional network."""

import pytest
import torch
from torch import nn

from satsuma.nn.cnn import small_cnn


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (17, 31)])
def test_any_size_from_8_pixels_on(size):
    assert small_cnn(3, 7)(torch.zeros(2, 3, *size)).shape == (2, 7)


def test_it_is_small_and_made_of_torchs_layers():
    model = small_cnn()
    assert 20_000 <= sum(p.numel() for p in model.parameters()) <= 60_000
    assert {type(part).__module__.split(".")[0] for part in model} == {"torch"}


def test_width_and_dropout():
    wide, narrow = (sum(p.numel() for p in small_cnn(width=w).parameters()) for w in (32, 16))
    assert wide > 3 * narrow
    dropped = [part.p for part in small_cnn(dropout=0.3) if isinstance(part, nn.Dropout)]
    assert dropped == [0.3]


def test_it_learns_where_the_bar_is():
    torch.manual_seed(42)
    model, x, y = small_cnn(1, 2, width=4), torch.zeros(32, 1, 8, 8), torch.arange(32) % 2
    for picture, label in zip(x, y, strict=True):
        picture[0, 3, :] = label  # a row for 1,
        picture[0, :, 3] = 1 - label  # a column for 0
    x += 0.1 * torch.randn(x.shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model(x).argmax(1) == y).all()
