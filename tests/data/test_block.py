import functools

import numpy as np
import pandas as pd
import pytest
import torch

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.getters import ColReader, ItemGetter
from satsuma.data.splitters import (
    ColSplitter,
    FuncSplitter,
    GroupSplitter,
    IndexSplitter,
    RandomSplitter,
    StratifiedSplitter,
)
from satsuma.vision.geometry import Resize
from satsuma.vision.normalize import Normalize


def vector(n):
    return np.full(2, n, np.float32)


def parity(n):
    return "even" if n % 2 == 0 else "odd"


def half(n):
    return n / 2


NUMBERS = DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=vector, get_y=parity, splitter=IndexSplitter([3, 1]))


def test_the_book_s_words_make_loaders():
    dls = NUMBERS.dataloaders(range(11), bs=4)
    assert dls.vocab == ("even", "odd")
    assert (len(dls.train.dataset), len(dls.valid.dataset)) == (9, 2)
    x, y = dls.one_batch()
    assert (x.shape, x.dtype) == ((4, 2), torch.float32)
    assert [dls.vocab[i] for i in y] == [parity(n) for n in x[:, 0].int().tolist()]
    assert [x[:, 0].tolist() for x, _ in dls.valid] == [[1, 3]]
    assert repr(dls) == "DataLoaders(train: 9 samples, valid: 2, 2 classes, batch size 4)"


def test_the_same_seed_gives_the_same_batches():
    one, two, other = (NUMBERS.dataloaders(range(11), bs=4, seed=s, workers=w) for s, w in [(5, 0), (5, 3), (7, 0)])
    assert [x.tolist() for x, _ in one.train] == [x.tolist() for x, _ in two.train]
    assert one.one_batch()[0].tolist() != other.one_batch()[0].tolist()


def test_a_block_is_a_value():
    again = DataBlock(
        blocks=[TransformBlock(), CategoryBlock()], get_x=vector, get_y=parity, splitter=IndexSplitter((3, 1))
    )
    assert again == NUMBERS
    assert hash(again) == hash(NUMBERS)
    assert repr(again) == repr(NUMBERS)


def test_the_fitted_block_makes_the_same_loaders_again():
    dls = NUMBERS.dataloaders(range(11), bs=4)
    assert dls.block.blocks[1].vocab == ("even", "odd")
    again = dls.block.dataloaders(dls.source, bs=4)
    assert torch.equal(dls.one_batch()[0], again.one_batch()[0])


# any number of blocks


def test_one_block():
    dls = DataBlock(blocks=TransformBlock, get_x=vector).dataloaders(range(7), bs=3)
    (x,) = dls.one_batch()
    assert x.shape == (3, 2)
    assert dls.vocab == dls.targets == ()


@pytest.mark.parametrize(("n_inp", "kinds"), [(0, 1), (1, 2), (2, 1)])
def test_three_blocks(n_inp, kinds):
    block = DataBlock(blocks=(TransformBlock, RegressionBlock, CategoryBlock), n_inp=n_inp)
    items = [(vector(i), i / 2, parity(i)) for i in range(11)]
    dls = block.dataloaders(items, bs=5)
    x, y, label = dls.one_batch()
    assert (x.shape, y.shape, label.shape) == ((5, 2), (5, 1), (5,))
    assert len(dls.targets) == kinds
    assert dls.vocab == ("even", "odd")


def test_three_blocks_with_a_getter_each():
    block = DataBlock(
        blocks=(TransformBlock, CategoryBlock, RegressionBlock), get_x=vector, get_y=[parity, half], n_inp=1
    )
    x, label, y = block.dataloaders(range(11), bs=5).one_batch()
    assert torch.equal(y[:, 0], x[:, 0] / 2)
    assert [("even", "odd")[i] for i in label] == [parity(n) for n in x[:, 0].int().tolist()]


def test_wrong_numbers_of_blocks_and_getters():
    with pytest.raises(ValueError, match="blocks is empty"):
        DataBlock(blocks=())
    with pytest.raises(ValueError, match="n_inp=3 does not fit 2 blocks"):
        DataBlock(blocks=(TransformBlock, CategoryBlock), n_inp=3)
    with pytest.raises(TypeError, match="3 is no block; use ImageBlock, CategoryBlock"):
        DataBlock(blocks=(TransformBlock, 3))
    two = DataBlock(blocks=(TransformBlock, CategoryBlock, CategoryBlock), n_inp=1, get_x=vector, get_y=parity)
    with pytest.raises(ValueError, match="2 targets need get_y to be a list of 2 functions, got 1"):
        two.dataloaders(range(7))
    with pytest.raises(ValueError, match="get_y is given, but there are no targets"):
        DataBlock(blocks=TransformBlock, get_x=vector, get_y=parity).dataloaders(range(7))
    with pytest.raises(ValueError, match=r"1 target blocks but no get_y, and items are int"):
        DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=vector).dataloaders(range(7))


def test_items_of_different_lengths_are_refused():
    items = [(vector(0), "a"), (vector(1), "b"), (vector(2),)]
    with pytest.raises(ValueError, match="2 blocks need items of as many parts; item 2 is 1 parts"):
        DataBlock(blocks=(TransformBlock, CategoryBlock)).dataloaders(items)


# sources


def test_a_data_frame_s_rows_are_items():
    frame = pd.DataFrame({"a": range(11), "label": list("xyxyxyxyxyx"), "is_valid": [False] * 9 + [True] * 2})
    block = DataBlock(
        blocks=(RegressionBlock, CategoryBlock), get_x=ColReader("a"), get_y=ColReader("label"), splitter=ColSplitter()
    )
    dls = block.dataloaders(frame, bs=9)
    assert len(dls.valid.dataset) == 2
    assert dls.vocab == ("x", "y")


def nothing(source):
    return []


def test_a_source_without_items():
    with pytest.raises(ValueError, match="no items found in somewhere by nothing"):
        DataBlock(blocks=TransformBlock, get_items=nothing).dataloaders("somewhere")
    with pytest.raises(
        ValueError, match=r"no items found in somewhere by partial|no items found in somewhere by nothing"
    ):
        DataBlock(blocks=TransformBlock, get_items=functools.partial(nothing)).dataloaders("somewhere")
    with pytest.raises(ValueError, match=r"no items found in \[\]"):
        NUMBERS.dataloaders([])


def test_a_path_needs_get_items():
    with pytest.raises(ValueError, match=r"the source is a path, pets/images, .* get_items=get_image_files"):
        NUMBERS.dataloaders("pets/images")


# labels


def label_of_some(n):
    return None if n in (2, 5) else parity(n)


def failing(n):
    if n > 3:
        raise KeyError(n)
    return parity(n)


def replaced(**changes):
    given = {"blocks": (TransformBlock, CategoryBlock), "get_x": vector, "get_y": parity}
    return DataBlock(**{**given, **changes})


def test_missing_labels_are_counted_and_named():
    with pytest.raises(ValueError, match=r"2 of 7 items have no label:\n  label_of_some gives no label for 2\n"):
        replaced(get_y=label_of_some).dataloaders(range(7))


def test_a_failing_get_y_is_named():
    with pytest.raises(
        ValueError, match=r"8 of 12 items have no label:\n  failing failed for 4: 4\n(.*\n)+  and 3 more"
    ):
        replaced(get_y=failing).dataloaders(range(12))


def test_missing_values_of_a_column():
    frame = pd.DataFrame({"a": [1.0, 2, 3], "label": ["x", None, "y"]})
    with pytest.raises(ValueError, match="1 of 3 items have no label"):
        replaced(get_x=ColReader("a"), get_y=ColReader("label")).dataloaders(frame)


def test_a_class_with_a_single_item():
    # in training it is learnt; only in validation it is warned of
    items = [(vector(i), label) for i, label in enumerate("aaaabbbbc")]
    dls = DataBlock(blocks=(TransformBlock, CategoryBlock), splitter=StratifiedSplitter()).dataloaders(items, bs=2)
    assert dls.vocab == ("a", "b", "c")
    assert dls.report.warnings == ()
    with pytest.warns(UserWarning, match="1 labels in the validation half have no training sample.*: c"):
        DataBlock(blocks=(TransformBlock, CategoryBlock), splitter=IndexSplitter([8])).dataloaders(items, bs=2)


def test_a_class_of_the_vocab_without_samples_is_warned_of():
    block = DataBlock(blocks=(TransformBlock, CategoryBlock(("even", "odd", "prime"))), get_x=vector, get_y=parity)
    with pytest.warns(UserWarning, match="1 classes of the vocab have no sample at all: prime"):
        dls = block.dataloaders(range(11), bs=2)
    assert dls.report.warnings


# splits


def overlapping(items):
    return [0, 1, 2], [2, 3]


def outside(items):
    return [0, 1], [99]


def empty_train(items):
    return [], [0, 1]


def one_list(items):
    return [0, 1, 2]


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (overlapping, "the splitter overlapping puts 1 items into both halves, the first: 2"),
        (outside, "the splitter outside gave index 99, but there are 11 items"),
        (empty_train, "the splitter empty_train left none of the 11 items to train on"),
        (one_list, r"a splitter gives \(train indices, valid indices\); one_list gave"),
    ],
)
def test_bad_splitters_are_named(splitter, message):
    with pytest.raises(ValueError, match=message):
        replaced(splitter=splitter).dataloaders(range(11))


def test_splitting_by_label_needs_labels():
    with pytest.raises(ValueError, match=r"StratifiedSplitter.* splits by label, and there is no target"):
        DataBlock(blocks=TransformBlock, get_x=vector, splitter=StratifiedSplitter()).dataloaders(range(7))


@pytest.mark.parametrize("splitter", [FuncSplitter(str.isalpha), GroupSplitter(str.lower), RandomSplitter(0)])
def test_any_splitter_will_do(splitter):
    items = list("aAbB123")
    block = DataBlock(blocks=TransformBlock, get_x=ord, splitter=splitter)
    dls = block.dataloaders(items, bs=2)
    assert (dls.valid is None) == (splitter == RandomSplitter(0))


# batches


def test_the_last_short_batch_is_left_out_in_training_only():
    dls = replaced(splitter=IndexSplitter(range(5))).dataloaders(range(16), bs=2)
    assert [len(x) for x, _ in dls.train] == [2] * 5
    assert [len(x) for x, _ in dls.valid] == [4, 1]
    assert [len(x) for x, _ in replaced().dataloaders(range(8), bs=64).train] == [6]


def double(x):
    return x * 2


def noise(x, rng=None):
    return x if rng is None else x + torch.rand(x.shape, generator=rng)


def test_transforms_apply_to_inputs_and_random_ones_to_training():
    block = replaced(item_tfms=double, batch_tfms=[double, noise], splitter=IndexSplitter([3, 1]))
    dls = block.dataloaders(range(11), bs=4)
    assert [x[:, 0].tolist() for x, _ in dls.valid] == [[4, 12]]
    assert not torch.equal(dls.one_batch()[0], dls.one_batch()[0].round())


def test_normalisation_is_fitted_to_training_samples_spread_over_the_data():
    items = [np.full((1, 3, 2), 2.0 * (i % 2) if i < 1000 else 7.0, np.float32) for i in range(1500)]
    block = DataBlock(
        blocks=TransformBlock, splitter=IndexSplitter(range(1000, 1500)), batch_tfms=(double, Normalize())
    )
    fitted = block.dataloaders(items).block.batch_tfms[1]
    assert fitted.mean == pytest.approx((2.0,), abs=0.2)
    assert fitted.std == pytest.approx((2.0,), abs=0.1)


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match=r"DataBlock\(\) has no argument 'item_tfm': did you mean 'item_tfms'"):
        DataBlock(blocks=TransformBlock, item_tfm=Resize(5))
    with pytest.raises(TypeError, match=r"DataBlock\.dataloaders\(\) has no argument 'batch_size': known: bs"):
        NUMBERS.dataloaders(range(7), batch_size=2)
    with pytest.raises(TypeError, match=r"DataBlock\.summary\(\) has no argument 'batch'"):
        NUMBERS.summary(range(7), batch=2)
    with pytest.raises(ValueError, match='on_unreadable is "raise" or "skip", got \'ignore\''):
        NUMBERS.dataloaders(range(7), on_unreadable="ignore")
    with pytest.raises(ValueError, match="bs is a whole number"):
        NUMBERS.dataloaders(range(7), bs=0)
    with pytest.raises(TypeError, match="Resize is a class of transforms"):
        DataBlock(blocks=TransformBlock, item_tfms=Resize)


def test_getters_may_be_given_for_tuples_of_other_lengths():
    block = DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=ItemGetter(2), get_y=ItemGetter(0))
    items = [(parity(i), "note", vector(i)) for i in range(7)]
    assert block.dataloaders(items, bs=3).one_batch()[0].shape == (3, 2)


@pytest.mark.parametrize("splitter", [None, 0.2, RandomSplitter])
def test_a_splitter_is_a_function(splitter):
    with pytest.raises(TypeError, match="splitter is a function of the items, such as"):
        DataBlock(blocks=TransformBlock, splitter=splitter)


def test_get_items_and_getters_are_functions_and_no_item_is_taken_twice():
    with pytest.raises(TypeError, match="get_items is a function of the source, got 'x'"):
        DataBlock(blocks=TransformBlock, get_items="x")
    with pytest.raises(TypeError, match="get_x is a function of an item"):
        DataBlock(blocks=TransformBlock, get_x="x").dataloaders(range(3))
    with pytest.raises(ValueError, match="gives 1 items more than once, the first: 0"):
        DataBlock(blocks=TransformBlock, splitter=twice).dataloaders(range(3))


def twice(items):
    return [0, 0, 1], [2]
