import numpy as np
import pytest
import torch

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock, TransformBlock
from satsuma.vision.blocks import ImageBlock


@pytest.mark.parametrize("block", [CategoryBlock(), RegressionBlock(), TransformBlock(), ImageBlock()])
def test_blocks_keep_the_protocol(block):
    assert isinstance(block, Block)


def test_a_category_is_its_place_in_the_sorted_vocab():
    block = CategoryBlock().setup(["dog", "cat", "dog", "ant"])
    assert block.vocab == ("ant", "cat", "dog")
    label = block.to_tensor(block.load("cat"))
    assert label.dtype == torch.int64
    assert label.shape == ()
    assert block.decode(label) == "cat"


def test_vocabs_of_numbers_and_of_mixtures():
    assert CategoryBlock().setup(np.array([10, 2, 7])).vocab == (2, 7, 10)
    assert CategoryBlock().setup(["b", 2, "a"]).vocab == (2, "a", "b")
    assert all(type(v) is int for v in CategoryBlock().setup(np.array([3, 5])).vocab)


def test_a_given_vocab_is_kept_in_its_order():
    block = CategoryBlock(["dog", "cat"])
    assert block.setup(["cat"]).load("dog") == 0
    with pytest.raises(ValueError, match=r"1 labels are not in the vocab: cta. The first: did you mean 'cat'"):
        block.setup(["cta", "dog"])
    with pytest.raises(ValueError, match="label 'dgo' is not in the vocab: did you mean 'dog'"):
        block.load("dgo")


@pytest.mark.parametrize("labels", [["cat", "cat"], []])
def test_one_class_is_no_classification(labels):
    with pytest.raises(
        ValueError, match=r"at least two classes are needed, and (the only label is 'cat'|there are no)"
    ):
        CategoryBlock().setup(labels)


def test_categories_refuse_what_is_no_label():
    with pytest.raises(ValueError, match=r"an item has one label, text or a number, got \[\['cat', 'dog'\]\]"):
        CategoryBlock().setup([["cat", "dog"]])
    with pytest.raises(ValueError, match="names a class twice"):
        CategoryBlock(("a", "a"))
    with pytest.raises(TypeError, match="got one text: 'abc'"):
        CategoryBlock("abc")


def test_a_number_to_regress_is_a_vector_of_one():
    block = RegressionBlock().setup([1, 2.5, np.float64(3)])
    assert block.to_tensor(block.load(2.5)).tolist() == [2.5]
    assert RegressionBlock(n_out=2).load([1, 2]).dtype == torch.float32


def test_decoding_keeps_small_and_large_numbers():
    assert RegressionBlock().decode(torch.tensor([1.5e-6])) == 1.5e-6
    assert RegressionBlock().decode(torch.tensor([0.1])) == 0.1
    assert RegressionBlock(2).decode(torch.tensor([123456.0, -2.0])) == [123456.0, -2.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cat", "'cat' is no number"),
        ("3.5", "'3.5' is no number"),
        (1j, "is no number"),
        (float("inf"), "the target inf is NaN or infinite"),
        ([1.0, 2.0], r"RegressionBlock\(n_out=1\): got 2 numbers: \[1.0, 2.0\]"),
    ],
)
def test_regression_refuses_what_is_no_number(value, message):
    with pytest.raises(ValueError, match=message):
        RegressionBlock().setup([1.0, value])


def test_regression_needs_an_output():
    with pytest.raises(ValueError, match="n_out must be 1 or more, got 0"):
        RegressionBlock(0)


def double(x):
    return x * 2


def test_transform_block_loads_and_batches_as_told():
    block = TransformBlock(type_tfms=np.asarray, batch_tfms=[double])
    part = block.to_tensor(block.load([1.0, 2.0]))
    assert part.dtype == torch.float32
    assert block.batch_steps()(part, None).tolist() == [2, 4]
    assert block.decode(part) is part


def test_transform_block_refuses_nan():
    with pytest.raises(ValueError, match="a sample has NaN"):
        TransformBlock().to_tensor(np.array([np.nan]))


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        (CategoryBlock, "vocabulary", "vocab"),
        (RegressionBlock, "nout", "n_out"),
        (TransformBlock, "type_tfm", "type_tfms"),
        (ImageBlock, "chanels", "channels"),
    ],
)
def test_misspelt_arguments_are_refused(kind, wrong, right):
    with pytest.raises(TypeError, match=f"has no argument '{wrong}': did you mean '{right}'"):
        kind(**{wrong: 1})
