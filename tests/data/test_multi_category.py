import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import satsuma as sm
from satsuma.data.blocks import Block
from satsuma.data.multi_category import MultiCategoryBlock, label_text


def test_labels_are_ones_at_their_places_in_the_sorted_vocab():
    block = MultiCategoryBlock().setup([["dog", "cat"], [], {"ant"}, ("dog",)])
    assert isinstance(block, Block)
    assert block.vocab == ("ant", "cat", "dog")
    row = block.to_tensor(block.load(["dog", "ant", "dog"]))
    assert (row.dtype, row.tolist()) == (torch.float32, [1.0, 0.0, 1.0])
    assert block.decode(row) == block.decode(row == 1) == ["ant", "dog"]
    assert block.decode(block.to_tensor(block.load([]))) == []


def test_vocabs_of_numbers_mixtures_and_ones_own_order():
    assert MultiCategoryBlock().setup([np.array([10, 2]), [7]]).vocab == (2, 7, 10)
    assert MultiCategoryBlock().setup([["b", 2], ["a"]]).vocab == (2, "a", "b")
    block = MultiCategoryBlock(["dog", "cat"]).setup([["cat"]])
    assert block.load(["cat", "dog"]) == (0, 1)
    with pytest.raises(ValueError, match=r"1 labels are not in the vocab: cta. The first: did you mean 'cat'"):
        block.setup([["cta", "dog"]])
    with pytest.raises(ValueError, match="label 'dgo' is not in the vocab: did you mean 'dog'"):
        block.load(["dog", "dgo"])


def test_encoded_rows_are_taken_as_they_are():
    block = MultiCategoryBlock(["ant", "bee", "cow"], encoded=True)
    assert block.setup([[0, 1, 1], np.array([0.0, 0.0, 0.0])]) is block
    assert block.to_tensor(block.load(torch.tensor([0, 1, 1]))).tolist() == [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"3 labels need 3 numbers, got \[0, 1\]"):
        block.setup([[0, 1]])
    with pytest.raises(ValueError, match=r"expected numbers 0 or 1, got \[0, 1, 2\]"):
        block.setup([[0, 1, 2]])
    with pytest.raises(ValueError, match=r"\['a', 'b', 'c'\] is no row of numbers"):
        block.load(["a", "b", "c"])
    with pytest.raises(ValueError, match="encoded labels are numbers without names: give vocab="):
        MultiCategoryBlock(encoded=True)


def test_what_is_no_list_of_labels_is_refused():
    with pytest.raises(
        ValueError, match=r"labels are a list, got one text 'cat dog'. ColReader\(\"tags\", label_delim"
    ):
        MultiCategoryBlock().setup(["cat dog"])
    for strange in (3, [["cat"]]):
        with pytest.raises(ValueError, match="labels are a list of names, got"):
            MultiCategoryBlock().setup([strange])
    with pytest.raises(ValueError, match="no item has a label"):
        MultiCategoryBlock().setup([[], []])
    with pytest.raises(ValueError, match="names a label twice"):
        MultiCategoryBlock(("a", "a"))
    with pytest.raises(TypeError, match="got one text: 'abc'"):
        MultiCategoryBlock("abc")
    with pytest.raises(ValueError, match="threshold is a probability between 0 and 1, got 1"):
        MultiCategoryBlock(threshold=1)


def test_delimited_columns_lose_spaces_and_empty_names():
    reader = sm.ColReader("tags", label_delim=",")
    assert reader({"tags": "cat, dog"}) == ["cat", "dog"]
    assert reader({"tags": ""}) == []
    assert sm.ColReader("tags", label_delim=" ")({"tags": " cat  dog"}) == ["cat", "dog"]


def make_block(**options):
    return sm.DataBlock(
        blocks=(sm.TransformBlock, MultiCategoryBlock),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        splitter=sm.IndexSplitter([2, 3]),
        **options,
    )


def test_loaders_of_many_labels(capsys):
    items = [(torch.zeros(5), ["cat", "dog"]), (torch.ones(5), []), (torch.ones(5), ["cat"]), (torch.ones(5), ["dog"])]
    data = make_block().dataloaders(items, bs=2)
    assert data.vocab == ("cat", "dog")
    assert next(iter(data.valid))[1].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    titles = sorted(axes.get_title() for axes in data.show_batch(nrows=1, ncols=2).axes)
    assert titles == ["(none)", "cat, dog"]
    make_block().summary(items, bs=2)
    assert "vocab: 2 classes: cat, dog" in capsys.readouterr().out


def test_labels_without_a_training_sample_are_warned_of():
    items = [(torch.zeros(5), ["cat"]), (torch.ones(5), []), (torch.ones(5), ["cat", "emu"]), (torch.ones(5), ["dog"])]
    with pytest.warns(UserWarning, match=r"2 labels in the validation half have no training sample.*: dog, emu"):
        make_block().dataloaders(items, bs=2)


def test_one_label_alone_and_a_delimiter_that_never_occurs_are_warned_of():
    rows = [{"x": torch.zeros(5), "tags": "cat dog"}] * 4
    block = sm.DataBlock(
        blocks=(sm.TransformBlock, sm.MultiCategoryBlock),
        get_x=sm.ColReader("x"),
        get_y=sm.ColReader("tags", label_delim=";"),
        splitter=sm.IndexSplitter([3]),
    )
    with pytest.warns(UserWarning, match="label") as caught:
        data = block.dataloaders(rows, bs=2)
    assert data.report.warnings == tuple(str(warning.message) for warning in caught)
    delimiter, alone = data.report.warnings
    assert delimiter.startswith("label_delim=';' occurs in none of the 4 values of column 'tags', so each is one label")
    assert "the first is 'cat dog'" in delimiter
    assert alone.startswith("all items together have one label, 'cat dog': check where")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace(block, get_y=sm.ColReader("tags", label_delim=" ")).dataloaders(rows, bs=2)


def test_answers_for_people():
    assert [label_text(answer) for answer in (["cat", 2], [], "cat", 3.5, [0.5, 1.0])] == [
        *("cat, 2", "(none)", "cat", "3.5", "[0.5, 1.0]")
    ]
