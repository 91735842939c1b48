import io

import numpy as np
import pytest
import torch

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.show import as_picture, grid
from satsuma.data.splitters import IndexSplitter
from satsuma.vision.geometry import Flip
from satsuma.vision.normalize import Normalize


def shown(figure):
    """(title, pixels) of each picture of a figure."""
    return [(axes.get_title(), np.asarray(axes.images[0].get_array())) for axes in figure.axes]


def grey(n):
    return np.full((1, 2, 3), n / 10, np.float32)


def parity(n):
    return "even" if n % 2 == 0 else "odd"


def noise(x, rng=None):
    return x if rng is None else x * rng.random()


def loaders(**changes):
    block = DataBlock(
        blocks=(TransformBlock, CategoryBlock), get_x=grey, get_y=parity, splitter=IndexSplitter([0]), **changes
    )
    return block.dataloaders(range(8), bs=7)


def test_pictures_are_the_first_training_batch_with_normalisation_undone():
    dls = loaders(batch_tfms=Normalize())
    pictures = shown(dls.show_batch(nrows=2, ncols=3))
    order = dls.train.indices(0, 0)
    assert len(pictures) == 6
    for i, (title, pixels) in zip(order, pictures, strict=False):
        n = dls.train.dataset.items[i]
        assert title == parity(n)
        assert pixels == pytest.approx(n / 10, abs=1e-5)


def test_unique_shows_one_sample_many_ways():
    dls = loaders(item_tfms=noise)
    pictures = shown(dls.show_batch(nrows=1, ncols=3, unique=True))
    first = dls.train.dataset.items[dls.train.indices(0, 0)[0]]
    assert [title for title, _ in pictures] == [parity(first)] * 3
    assert len({float(pixels.max()) for _, pixels in pictures}) == 3
    # the first way is the one that training sees
    assert pictures[0][1] == pytest.approx(shown(dls.show_batch())[0][1])


def test_unique_draws_batch_transforms_too():
    x = torch.rand(5, 1, 2, 3)
    dls = DataBlock(blocks=TransformBlock, batch_tfms=Flip(), splitter=IndexSplitter([])).dataloaders(x, bs=5)
    pictures = shown(dls.show_batch(nrows=3, ncols=5, unique=True))
    assert len({tuple(pixels.ravel()) for _, pixels in pictures}) == 2


def test_showing_does_not_count_as_a_pass():
    dls = loaders()
    dls.show_batch()
    assert dls.train.passes == 0


def test_arrays_are_shown_with_their_labels():
    dls = DataLoaders.from_arrays(np.random.rand(7, 784), list("ababaab"), valid_pct=0)
    pictures = shown(dls.show_batch(nrows=1, ncols=2))
    assert {title for title, _ in pictures} <= {"a", "b"}
    assert pictures[0][1].shape == (28, 28)


@pytest.mark.parametrize(
    ("shape", "picture"),
    [
        ((3, 5, 7), (5, 7, 3)),
        ((4, 5, 7), (5, 7, 3)),
        ((1, 5, 7), (5, 7)),
        ((2, 5, 7), (5, 7)),
        ((5, 7), (5, 7)),
        ((49,), (7, 7)),
        ((13,), (1, 13)),
    ],
)
def test_shapes_of_pictures(shape, picture):
    assert as_picture(torch.rand(shape)).shape == picture


def test_values_beyond_0_to_1_are_scaled():
    assert as_picture(torch.tensor([[-2.0, 0.0, 2.0]])).tolist() == [[0, 0.5, 1]]
    assert as_picture(torch.tensor([[0.25, 0.5]])).tolist() == [[0.25, 0.5]]


def test_a_title_that_is_no_utf8_is_drawn():
    figure = grid([np.zeros((4, 4))], ["caf\udce9 $"], nrows=1, ncols=1)
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_title() == "caf? $"
