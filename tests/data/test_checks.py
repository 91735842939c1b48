import warnings

import pytest

from satsuma.data.checks import (
    FileFacts,
    examine_all,
    find_twins,
    label_warnings,
    listing,
    refuse_unreadable,
    twin_warning,
    warn_user,
)


def look(value):
    return FileFacts("odd" if value % 2 else "", bytes([value]))


def test_facts_come_in_the_order_of_the_files():
    assert examine_all(range(100), look) == [look(i) for i in range(100)]


UNREADABLE = [(f"{i}.jpg", "the file is empty") for i in range(7)]


def test_every_unreadable_file_is_listed():
    with pytest.raises(ValueError, match=r"7 of 11 files cannot be read") as caught:
        refuse_unreadable(UNREADABLE, 11, skip=False)
    assert all(f"  {i}.jpg: the file is empty\n" in str(caught.value) for i in range(7))
    assert 'on_unreadable="skip"' in str(caught.value)


def test_going_on_without_them_warns():
    with pytest.warns(UserWarning, match=r"7 of 11 files cannot be read; going on without them"):
        refuse_unreadable(UNREADABLE, 11, skip=True)
    with pytest.raises(ValueError, match="7 of 7 files cannot be read; there is nothing left"):
        refuse_unreadable(UNREADABLE, 7, skip=True)
    refuse_unreadable([], 11, skip=False)


def test_twins_are_files_of_equal_bytes_on_both_sides():
    digests = [b"a", b"b", b"a", b"b", b"c", b"", b""]
    names = list("0123456")
    assert find_twins(names, digests, train=[0, 2, 4, 5], valid=[1, 3, 6]) == []
    assert find_twins(names, digests, train=[0, 1, 5], valid=[2, 3, 4, 6]) == [("0", "2"), ("1", "3")]
    assert "1 file is byte for byte the same in training and validation" in twin_warning([("0", "2")])


def test_classes_that_cannot_be_learnt():
    labels = ["cat", "dog", "dog", "ant"]
    assert label_warnings(labels, ["ant", "cat", "dog"], [0, 1, 3], [2]) == []
    unseen, absent = label_warnings(labels, ["ant", "bee", "cat", "dog"], [1, 2], [0])
    assert unseen.startswith("1 labels in the validation half have no training sample")
    assert unseen.endswith(": cat")
    assert absent.endswith("no sample at all: ant, bee")


def test_long_lists_are_cut():
    assert listing(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_a_warning_points_at_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_user("look here")
    assert caught[0].filename == __file__
