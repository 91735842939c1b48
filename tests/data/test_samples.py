from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from satsuma.data.blocks import CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.getters import ColReader, ItemGetter
from satsuma.data.prepare import make_samples
from satsuma.data.samples import get_value, identity, item_name, listed, short


def noise(x, rng=None):
    return x if rng is None else x + rng.random()


def explode(x):
    raise RuntimeError("boom")


def samples(blocks, *transforms):
    items = [(Path(f"{i}.npy"), np.full(3, i, np.float32), i) for i in range(5)]
    getters = tuple(ItemGetter(1) for _ in blocks)
    return make_samples(items, getters, tuple(blocks), transforms)[0]


def test_a_sample_is_a_tuple_of_tensors():
    x, y = samples([TransformBlock(), RegressionBlock(3)])[2]
    assert x.tolist() == y.tolist() == [2, 2, 2]


def test_item_transforms_leave_targets_alone():
    dataset = samples([TransformBlock(), RegressionBlock(3)], noise)
    x, y = dataset.sample(2, np.random.default_rng(3))
    assert x.tolist() == pytest.approx([2 + np.random.default_rng(3).random()] * 3)
    assert y.tolist() == [2, 2, 2]
    assert dataset.random
    assert dataset[2][0].tolist() == [2, 2, 2]


def test_an_image_and_its_mask_get_the_same_draws():
    x, mask = samples([TransformBlock(), TransformBlock()], noise).sample(2, np.random.default_rng(3))
    assert x.tolist() == mask.tolist() != [2, 2, 2]


def test_a_failing_transform_is_named_with_the_file():
    with pytest.raises(ValueError, match=r"2\.npy: the item transform explode failed: boom") as caught:
        make_samples([Path("2.npy")], (len_of_name,), (TransformBlock(),), [noise, explode])[0][0]
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_batch_is_the_samples_stacked_in_the_order_asked_for():
    dataset = samples([TransformBlock(), RegressionBlock(3)], noise)
    x, y = dataset.batch([4, 2], [np.random.default_rng(3), None])
    assert x.tolist() == [dataset.sample(4, np.random.default_rng(3))[0].tolist(), [2, 2, 2]]
    assert y.tolist() == [[4, 4, 4], [2, 2, 2]]


def len_of_name(path):
    return len(path.name)


def test_a_failing_block_is_named_with_the_file():
    dataset = make_samples(["cow.jpg"], (identity,), (CategoryBlock(("ant", "cat")),))[0]
    with pytest.raises(ValueError, match=r"label 'cow\.jpg' is not in the vocab"):
        dataset[0]


def test_a_failing_getter_is_named_with_the_item():
    with pytest.raises(ValueError, match=r"explode failed for 7\.jpg: boom"):
        get_value(explode, Path("7.jpg"))


def test_what_items_are_called():
    assert item_name(Path("a b/1.jpg"), identity) == "a b/1.jpg"
    assert item_name((Path("1.jpg"), "cat"), ItemGetter(0)) == "1.jpg"
    assert item_name(pd.Series({"name": "1.jpg"}), ColReader("name", pref=Path("d"))) == "d/1.jpg"
    assert item_name((3, 5), ItemGetter(0)) == "(3, 5)"
    assert item_name("x", ItemGetter(7)) == "x"
    assert len(short("ab\n" * 100)) == 120


def test_rows_of_a_frame_keep_the_types_of_their_columns():
    row = listed(pd.DataFrame({"label": [3], "target": [2.5]}))[0]
    assert type(row["label"]) is int
    assert listed(iter("ab")) == ["a", "b"]


def test_rows_of_a_polars_frame_are_asked_for_by_its_own_manners():
    class Frame:
        def iter_rows(self, *, named):
            return iter([{"label": 3}] if named else [(3,)])

    assert listed(Frame()) == [{"label": 3}]
