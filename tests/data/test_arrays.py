import numpy as np
import pytest
import torch

from satsuma.data.arrays import ArrayDataset, ArrayViews, pixels_to_float, to_tensor
from satsuma.data.loader import DataLoader


def test_row_i_of_each_array_is_sample_i():
    dataset = ArrayDataset([torch.arange(10).view(5, 2), torch.arange(5)])
    assert len(dataset) == 5
    assert [t.tolist() for t in dataset[3]] == [[6, 7], 3]


def test_each_epoch_sees_the_next_view():
    views = tuple((torch.arange(7) + 10 * v, torch.arange(7)) for v in range(3))
    dataset = ArrayViews(views, first_epoch=2)
    assert len(dataset) == 7
    assert dataset[4] == (4, 4)
    loader = DataLoader(dataset, 3, True)
    for like in (loader, loader.new(drop_last=True), loader.to("cpu"), loader.new(shuffle=False)):
        for epoch, view in ((2, 0), (3, 1), (4, 2), (5, 0)):
            for batch in (0, 1):
                x, y = like.one_batch(epoch, batch)
                assert y.tolist() == like.indices(epoch, batch)
                assert torch.equal(x, y + 10 * view)
    for uneven in ((), (*views, (torch.arange(8), torch.arange(8)))):
        with pytest.raises(ValueError, match=r"expected views of one shape, one or more; got [02] shapes"):
            ArrayViews(uneven)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"differ in length: \[5, 3\]"):
        ArrayDataset((torch.zeros(5), torch.zeros(3)))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float64, torch.float32),
        (np.float32, torch.float32),
        (np.float16, torch.float16),
        (np.longdouble, torch.float32),
        (np.uint8, torch.uint8),
        (np.uint16, torch.int64),
        (np.int32, torch.int32),
        (np.int64, torch.int64),
        (np.bool_, torch.bool),
        (">f4", torch.float32),
        (">i4", torch.int32),
    ],
)
def test_dtypes_that_torch_computes_with(given, kept):
    tensor = to_tensor(np.array([[1, 0, 1]], dtype=given), name="x")
    assert tensor.dtype == kept
    assert tensor.tolist() == [[1, 0, 1]]


def test_a_tensor_keeps_its_float64():
    assert to_tensor(torch.zeros(2, dtype=torch.float64), name="x").dtype == torch.float64


def test_memory_is_shared_where_it_can_be():
    values = np.zeros((2, 3), np.float32)
    to_tensor(values, name="x")[1, 2] = 7
    assert values[1, 2] == 7


def test_reversed_and_read_only_arrays_are_copied():
    values = np.arange(3, dtype=np.float32)
    assert to_tensor(values[::-1], name="x").tolist() == [2, 1, 0]
    values.flags.writeable = False
    to_tensor(values, name="x")[0] = 5
    assert values[0] == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "x has dtype <U1: real numbers are expected; turn text into numbers"),
        (np.array([1, None], dtype=object), "x has dtype object"),
        (np.array([1j]), "x has dtype complex128.*x.real, x.imag"),
        (torch.tensor([1j]), "x has dtype torch.complex64.*x.real, x.imag"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
        ([[1.0], [2.0, 3.0]], "x is no array of one shape"),
    ],
)
def test_what_is_no_numbers_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        to_tensor(values, name="x")


def test_nan_is_refused_with_its_rows():
    x = np.zeros((11, 3))
    x[[2, 7], 1] = np.nan
    x[5, 0] = np.inf
    with pytest.raises(ValueError, match=r"x has NaN or infinite values in 3 of 11 rows: 2, 5, 7. A loss"):
        to_tensor(x, name="x")
    with pytest.raises(ValueError, match="in 1 of 1 rows"):
        to_tensor(np.array(np.nan), name="x")


def test_large_numbers_whose_sum_overflows_are_no_nan():
    large = torch.full((3,), 3e38)
    assert torch.isinf(large.sum())
    assert to_tensor(large, name="x") is large


def test_pixels():
    assert pixels_to_float(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    x = torch.tensor([3.0])
    assert pixels_to_float(x) is x
