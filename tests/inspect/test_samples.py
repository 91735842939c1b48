"""Pictures of samples: as the model sees them, without normalisation and augmentation. H height, W width."""

import numpy as np
import pytest
import torch
from PIL import Image

import satsuma as sm
from satsuma.inspect.samples import has_pictures, looks_like_picture, picture_of, sample_batch, sample_pictures

NORMAL = sm.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.1])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Loaders of 12 colour pictures, 13 high and 17 wide, that are normalised and, in training, thrown about."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(12):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)).save(folder / "ab"[i % 2] / f"{i:02}.png")
    block = sm.DataBlock(
        blocks=(sm.ImageBlock(), sm.CategoryBlock()),
        get_items=sm.get_image_files,
        get_y=sm.parent_label,
        splitter=sm.RandomSplitter(0.4, 1),
        batch_tfms=[
            sm.Flip(p=1.0),
            sm.Brightness(max_lighting=0.9, p=1.0),
            sm.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.1]),
        ],
    )
    return block.dataloaders(folder, bs=5)


@pytest.mark.parametrize("ds_idx", [0, 1])
def test_a_picture_is_the_photo_again(photos, ds_idx):
    for i in (0, 3):
        picture = picture_of(photos, ds_idx, i)
        file = photos[ds_idx].dataset.items[i]
        assert picture.shape == (13, 17, 3)
        assert np.abs(picture.astype(int) - np.asarray(Image.open(file)).astype(int)).max() <= 1


def test_several_pictures_come_in_the_order_asked_for(photos):
    several = sample_pictures(photos, 1, [2, 0])
    assert np.array_equal(several[0], picture_of(photos, 1, 2))
    assert np.array_equal(several[1], picture_of(photos, 1, 0))
    assert sample_pictures(photos, 1, []) == []


def test_a_batch_is_what_validation_gives(photos):
    whole = next(iter(photos.valid.epoch(0)))
    x, y = sample_batch(photos, 1, [1, 3])
    assert torch.equal(x, whole[0][[1, 3]])
    assert torch.equal(y, whole[1][[1, 3]])


def test_what_is_no_picture_or_not_there_is_refused(photos):
    rows = sm.DataLoaders.from_arrays(torch.rand(9, 7), np.arange(9) % 2)
    assert has_pictures(photos)
    assert not has_pictures(rows)
    with pytest.raises(ValueError, match=r"the samples are no pictures: the first input of one is \[7\]"):
        picture_of(rows, 0, 0)
    with pytest.raises(ValueError, match="there is no sample 99; loader 1 has"):
        picture_of(photos, 1, 99)
    with pytest.raises(ValueError, match="there is no loader 2"):
        picture_of(photos, 2, 0)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        *(((1, 5, 7), True), ((3, 5, 7), True), ((5, 7), True), ((64,), True)),
        *(((63,), False), ((9,), False), ((2, 5, 7), False), ((3, 2, 5, 7), False), ((), False)),
    ],
)
def test_what_looks_like_a_picture(shape, wanted):
    assert looks_like_picture(torch.zeros(shape)) is wanted
