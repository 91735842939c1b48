"""Samples with several inputs: what the data check says of them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.getters import ItemGetter
from satsuma.data.splitters import IndexSplitter
from satsuma.vision.blocks import ImageBlock


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five different pictures [7 5 3]."""
    rng = np.random.default_rng(2)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (7, 5, 3), dtype=np.uint8)).save(path)
    return paths


def pairs_block(second: type = ImageBlock) -> DataBlock:
    return DataBlock(
        blocks=(ImageBlock, second, CategoryBlock),
        get_x=(ItemGetter(0), ItemGetter(1)),
        get_y=ItemGetter(2),
        splitter=IndexSplitter((3,)),
    )


def test_pairs_are_twins_only_if_all_their_pictures_are(files: list[Path]) -> None:
    items = [(files[0], files[1], "a"), (files[0], files[2], "b"), (files[3], files[4], "a")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        different = pairs_block().dataloaders([*items, (files[0], files[3], "b")])
    assert different.report.twins == ()
    with pytest.warns(UserWarning, match="1 file is byte for byte the same"):
        same = pairs_block().dataloaders([*items, (files[0], files[2], "b")])
    assert len(same.report.twins) == 1


def test_a_second_input_that_is_no_file_hides_no_unreadable_picture(files: list[Path]) -> None:
    files[1].write_text("text")
    items = [(file, np.zeros(3), label) for file, label in zip(files, "ababa", strict=True)]
    with pytest.raises(ValueError, match="1 of 5 files cannot be read"):
        pairs_block(TransformBlock).dataloaders(items)


def test_the_repr_of_a_block_names_functions_and_leaves_out_what_is_not_set() -> None:
    text = repr(DataBlock(blocks=(ImageBlock, CategoryBlock), get_y=len))
    assert text == (
        "DataBlock(blocks=(ImageBlock(channels=3), CategoryBlock(vocab=())), "
        "splitter=RandomSplitter(valid_pct=0.2, seed=42), get_y=len)"
    )
