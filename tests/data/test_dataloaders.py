import numpy as np
import pandas as pd
import pytest
import torch

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.getters import ColReader
from satsuma.data.in_memory import InMemory
from satsuma.data.loader import DataLoader
from satsuma.data.splitters import ColSplitter

X = np.arange(30, dtype=np.float64).reshape(10, 3)
LABELS = ["a", "b"] * 5


def test_loaders_from_loaders():
    train, valid, more = (DataLoader(range(n), 2) for n in (7, 5, 3))
    dls = DataLoaders(train, valid, more)
    assert dls.train is dls[0] is train
    assert dls.valid is dls[1] is valid
    assert dls[2] is more
    assert list(dls) == [train, valid, more]
    assert dls.bs == 2
    assert dls.vocab == ()
    assert DataLoaders(train).valid is None
    assert repr(dls) == "DataLoaders(train: 7 samples, valid: 5, batch size 2)"


def test_loaders_refuse_what_is_no_loader():
    with pytest.raises(ValueError, match="give at least a training loader"):
        DataLoaders()
    with pytest.raises(TypeError, match="expected DataLoader objects, got list"):
        DataLoaders([1, 2])


# from arrays


def test_arrays_are_split_at_random_by_the_seed():
    dls, again, other = (DataLoaders.from_arrays(X, LABELS, valid_pct=0.3, bs=4, seed=s) for s in (5, 5, 7))
    assert (len(dls.train.dataset), len(dls.valid.dataset)) == (7, 3)
    rows = torch.cat([torch.cat([x for x, _ in loader]) for loader in (dls.train, dls.valid)])
    assert sorted(rows[:, 0].tolist()) == X[:, 0].tolist()
    assert torch.equal(dls.valid.dataset.tensors[0], again.valid.dataset.tensors[0])
    assert not torch.equal(dls.valid.dataset.tensors[0], other.valid.dataset.tensors[0])
    assert isinstance(dls.train.batches, InMemory)
    assert DataLoaders.from_arrays(X, LABELS, valid_pct=0).valid is None


def test_integers_and_text_become_categories():
    x, y = DataLoaders.from_arrays(X, LABELS, bs=10, valid_pct=0).one_batch()
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert y.tolist() == [int(row[0]) // 3 % 2 for row in x]  # LABELS alternate
    dls = DataLoaders.from_arrays(X, torch.tensor([7, 3] * 5))
    assert dls.vocab == (3, 7)
    assert isinstance(dls.targets[0], CategoryBlock)


@pytest.mark.parametrize(("y", "n"), [(X[:, 0], 1), (X[:, :1], 1), (X[:, :2], 2), (torch.rand(10), 1)])
def test_floats_are_regressed(y, n):
    dls = DataLoaders.from_arrays(X, y, bs=5, valid_pct=0.5)
    assert dls.targets == (RegressionBlock(n),)
    assert dls.one_batch()[1].shape == (5, n)
    assert dls.one_batch()[1].dtype == torch.float32


def test_validation_arrays_may_be_given():
    dls = DataLoaders.from_arrays(X, LABELS, valid=(X[:3], ["b", "a", "b"]), bs=5)
    x, y = next(iter(dls.valid))
    assert torch.equal(x, torch.tensor(X[:3]).float())
    assert y.tolist() == [1, 0, 1]
    assert len(dls.train.dataset) == 10


def test_labels_that_training_has_not_seen_are_warned_of():
    with pytest.warns(UserWarning, match="1 labels in the validation half have no training sample.*: c") as caught:
        dls = DataLoaders.from_arrays(X, LABELS, valid=(X[:1], ["c"]))
    assert caught[0].filename == __file__
    assert dls.vocab == ("a", "b", "c")


def test_bytes_are_pixels():
    images = np.full((10, 1, 2, 3), 51, np.uint8)
    dls = DataLoaders.from_arrays(images, LABELS, bs=5)
    assert dls.one_batch()[0].unique().tolist() == pytest.approx([0.2])
    assert dls.train.dataset.tensors[0].dtype == torch.uint8
    assert next(iter(dls.test_dl(images)))[0].unique().tolist() == pytest.approx([0.2])


def test_the_last_short_batch():
    assert [len(x) for x, _ in DataLoaders.from_arrays(X, LABELS, valid_pct=0, bs=4).train] == [4, 4, 2]
    assert [len(x) for x, _ in DataLoaders.from_arrays(X, LABELS, valid_pct=0, bs=4, drop_last=True).train] == [4, 4]
    assert [len(x) for x, _ in DataLoaders.from_arrays(X, LABELS, valid_pct=0, bs=64, drop_last=True).train] == [10]


def nan_at(*rows):
    x = X.copy()
    x[list(rows), 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (nan_at(2, 5), LABELS, "x has NaN or infinite values in 2 of 10 rows: 2, 5"),
        (X, nan_at(3)[:, 1], "y has NaN or infinite values in 1 of"),
        (X[:7], LABELS, "x has 7 rows and y has 10; row i of each is one sample"),
        (X.astype(object), LABELS, "x has dtype object"),
        (X.astype(str), LABELS, "x has dtype <U"),
        (X.astype(complex), LABELS, "x has dtype complex128"),
        (X, X[:, 0].astype(complex), "y has dtype complex128"),
        (X, np.ones((10, 1), int), r"labels are \[N\], y is \[10, 1\] of int64. Use y.reshape\(-1\)"),
        (X, np.ones((10, 2, 3)), r"y to regress is \[N\] or \[N n\], got \[10, 2, 3\]"),
        (X, np.array([*LABELS[:9], None], object), r"y has no label in 1 of 10 rows: \[9\]"),
        (X, ["a"] * 10, "at least two classes are needed, and the only label is 'a'"),
    ],
)
def test_bad_arrays_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        DataLoaders.from_arrays(x, y)


def test_bad_validation_arrays_are_refused():
    with pytest.raises(ValueError, match="valid x has 10 rows and valid y has 3"):
        DataLoaders.from_arrays(X, LABELS, valid=(X, LABELS[:3]))
    with pytest.raises(ValueError, match=r"x is \[10 2\], but the training samples are \[3\] each"):
        DataLoaders.from_arrays(X, LABELS, valid=(X[:, :2], LABELS))


@pytest.mark.parametrize(("dtype", "kept"), [(np.uint16, torch.int64), (np.int32, torch.int32), (bool, torch.bool)])
def test_other_dtypes(dtype, kept):
    assert DataLoaders.from_arrays(X.astype(dtype), LABELS).one_batch()[0].dtype == kept


def test_loaders_move_to_a_device_and_keep_their_report():
    dls = DataLoaders.from_arrays(X, LABELS, device="meta")
    assert dls.one_batch()[0].device.type == "meta"
    assert dls.vocab == ("a", "b")


# new items


def test_new_arrays_in_their_order():
    dls = DataLoaders.from_arrays(X, LABELS, bs=2)
    rows = torch.cat([x for (x,) in dls.test_dl(X)])
    assert torch.equal(rows, torch.tensor(X).float())
    (one,) = next(iter(dls.test_dl(X[:1])))
    assert one.shape == (1, 3)
    (lists,) = next(iter(dls.test_dl([[1, 2, 3], [4, 5, 6]])))
    assert lists.dtype == torch.float32


def test_new_arrays_with_labels():
    dls = DataLoaders.from_arrays(X, LABELS, bs=2)
    _, y = next(iter(dls.test_dl((X[:3], ["b", "b", "a"]), with_labels=True)))
    assert y.tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match="y has the label 'z': known: a, b"):
        dls.test_dl((X[:1], ["z"]), with_labels=True)


def test_new_arrays_of_another_shape_are_refused():
    dls = DataLoaders.from_arrays(X, LABELS)
    with pytest.raises(
        ValueError, match=r"x is \[3\], but the training samples are \[3\] each. It is one sample: use x\["
    ):
        dls.test_dl(X[0])
    with pytest.raises(ValueError, match=r"x is \[10 2\]"):
        dls.test_dl(X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        dls.test_dl(nan_at(3))


def vector(n):
    return np.full(2, n, np.float32)


def noise(x, rng=None):
    return x if rng is None else x + rng.random()


FRAME = pd.DataFrame({"n": range(11), "label": list("xyzxyzxyzxy"), "is_valid": [False] * 8 + [True] * 3})
BLOCK = DataBlock(
    blocks=(TransformBlock(type_tfms=(vector,)), CategoryBlock),
    get_x=ColReader("n"),
    get_y=ColReader("label"),
    splitter=ColSplitter(),
    item_tfms=noise,
)


def test_new_items_are_what_the_input_block_reads():
    dls = BLOCK.dataloaders(FRAME, bs=2)
    assert [x[:, 0].tolist() for (x,) in dls.test_dl([7, 3, 5])] == [[7, 3, 5]]
    assert [x[:, 0].tolist() for (x,) in dls.test_dl([7])] == [[7]]


def test_new_rows_with_labels():
    dls = BLOCK.dataloaders(FRAME, bs=2)
    x, y = next(iter(dls.test_dl(FRAME[2:5], with_labels=True)))
    assert x[:, 0].tolist() == [2, 3, 4]
    assert y.tolist() == [2, 0, 1]


def test_new_items_of_loaders_made_by_hand():
    dls = DataLoaders(DataLoader(range(7), 2))
    assert [b.tolist() for b in dls.test_dl([5, 3])] == [[5, 3]]


def test_text_is_no_list_of_items():
    with pytest.raises(TypeError, match=r"test_dl takes a list of items, got one text: use \['a\.jpg'\]"):
        BLOCK.dataloaders(FRAME).test_dl("a.jpg")
    with pytest.raises(ValueError, match="the data set is empty"):
        BLOCK.dataloaders(FRAME).test_dl([])


def test_misspelt_arguments_are_refused():
    with pytest.raises(TypeError, match=r"from_arrays\(\) has no argument 'valid_pc': did you mean 'valid_pct'"):
        DataLoaders.from_arrays(X, LABELS, valid_pc=0.1)
    with pytest.raises(TypeError, match=r"DataLoaders\(\) has no argument 'sources': did you mean 'source'"):
        DataLoaders(DataLoader([1]), sources=1)
    dls = DataLoaders.from_arrays(X, LABELS)
    with pytest.raises(TypeError, match="did you mean 'with_labels'"):
        dls.test_dl(X, with_label=True)
    with pytest.raises(TypeError, match="did you mean 'nrows'"):
        dls.show_batch(rows=1)


ZEROS = np.zeros((4, 2), dtype=np.float32)


@pytest.mark.parametrize("valid", [0.2, (ZEROS,), (ZEROS, [0, 1, 0, 1], [0]), ZEROS])
def test_valid_is_a_pair_of_arrays(valid):
    with pytest.raises(TypeError, match=r"valid=\(x, y\), got .* valid_pct=0.2"):
        DataLoaders.from_arrays(ZEROS, [0, 1, 0, 1], valid=valid)


@pytest.mark.parametrize(("one", "other"), [(np.float32, np.uint8), (np.uint8, np.float32), (np.uint8, np.int64)])
def test_pixels_and_numbers_are_not_mixed(one, other):
    with pytest.raises(ValueError, match="uint8 is taken as pixels"):
        DataLoaders.from_arrays(ZEROS.astype(one), [0, 1, 0, 1], valid=(ZEROS.astype(other), [0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (["a", float("nan"), "b", "a"], r"no label in 1 of 4 rows: \[1\]"),
        (["a", "b", None, None], r"no label in 2 of 4 rows: \[2, 3\]"),
        (np.ma.masked_array([0, 1, 0, 1], mask=[0, 0, 0, 1]), "y is masked in 1 rows: 3"),
        ([1, "a", "b", "a"], "mixes text and numbers: row 1 is 'a', row 0 is 1"),
    ],
)
def test_rows_without_a_label_of_their_kind_are_named(y, match):
    with pytest.raises(ValueError, match=match):
        DataLoaders.from_arrays(ZEROS, y)


def test_masked_inputs_and_strange_batch_sizes_are_refused():
    with pytest.raises(ValueError, match="x is masked in 1 rows: 2"):
        DataLoaders.from_arrays(np.ma.masked_array(ZEROS, mask=[[0, 0], [0, 0], [0, 1], [0, 0]]), [0, 1, 0, 1])
    for bs in ("4", True, 1.5):
        with pytest.raises(TypeError, match="bs is a whole number"):
            DataLoaders.from_arrays(ZEROS, [0, 1, 0, 1], bs=bs)
