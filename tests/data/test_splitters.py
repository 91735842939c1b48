from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from satsuma.data.splitters import (
    ColSplitter,
    FuncSplitter,
    GrandparentSplitter,
    GroupSplitter,
    IndexSplitter,
    ParentSplitter,
    RandomSplitter,
    StratifiedSplitter,
)


def is_partition(split, n):
    train, valid = split
    return sorted(train + valid) == list(range(n)) and train == sorted(train) and valid == sorted(valid)


def test_random_share():
    split = RandomSplitter(0.3, seed=5)(range(101))
    assert is_partition(split, 101)
    assert len(split[1]) == 30
    assert split == RandomSplitter(0.3, seed=5)(range(101)) != RandomSplitter(0.3, seed=7)(range(101))
    assert RandomSplitter(0)(range(7)) == (list(range(7)), [])


def test_random_splitting_leaves_something_to_train_on():
    assert len(RandomSplitter(0.9)(range(2))[0]) == 1


def test_each_class_gives_its_share():
    labels = ["a"] * 50 + ["b"] * 20 + ["c"]
    train, valid = split = StratifiedSplitter(0.2)(range(71), labels=labels)
    assert is_partition(split, 71)
    assert Counter(labels[i] for i in valid) == {"a": 10, "b": 4}
    assert 70 in train  # a class with one item stays in training


def test_small_classes_together_give_the_share():
    labels = [i // 3 for i in range(60)]  # 20 classes of 3: a fifth of one would round to 1 or to 0
    valid = StratifiedSplitter(0.2)(range(60), labels=labels)[1]
    assert len(valid) == 12
    assert max(Counter(labels[i] for i in valid).values()) == 1


def test_stratified_refuses_labels_that_never_repeat():
    with pytest.raises(ValueError, match=r"each of the 3 items has a label of its own.*RandomSplitter"):
        StratifiedSplitter()(range(3), labels=[0.1, 0.2, 0.3])


@pytest.mark.parametrize("root", ["data", "train/data", "valid/train"])
def test_grandparent_reads_one_folder_name_and_no_other(root):
    items = [Path(root) / p for p in ("train/cats/1.jpg", "valid/dogs/2.jpg", "train/valid/3.jpg", "test/cats/4.jpg")]
    assert GrandparentSplitter()(items) == ([0, 2], [1])


def test_parent_splitter_takes_text_paths_too():
    assert ParentSplitter("a", "b")(["a/1.txt", "b/2.txt", "a/3.txt"]) == ([0, 2], [1])


def test_folder_splitters_say_what_they_saw():
    items = ["x/train/cats/1.jpg", "x/val/cats/2.jpg"]
    with pytest.raises(ValueError, match=r"folder named 'valid'.*folders there: train, val"):
        GrandparentSplitter()(items)


def test_index_splitter():
    assert IndexSplitter([3, 1])(range(5)) == ([0, 2, 4], [1, 3])
    assert IndexSplitter([3, 1]) == IndexSplitter((3, 1))
    with pytest.raises(ValueError, match=r"index 7 is outside the 5 items \(0\.\.4\)"):
        IndexSplitter([7])(range(5))


def rows(**columns):
    return [row for _, row in pd.DataFrame(columns).iterrows()]


def test_column_splitter():
    assert ColSplitter()(rows(is_valid=[False, True, False])) == ([0, 2], [1])
    assert ColSplitter("part", on="val")(rows(part=["train", "val", "train"])) == ([0, 2], [1])


def test_column_splitter_refuses_a_column_that_never_says_so():
    with pytest.raises(ValueError, match=r"no row has True in column 'part'; values there: 'train', 'val'. Give on="):
        ColSplitter("part")(rows(part=["train", "val"]))
    with pytest.raises(ValueError, match="1 rows have nothing in column 'v', first row 1"):
        ColSplitter("v")(rows(v=[True, None]))


def is_even(item):
    return item % 2 == 0


def test_function_splitter():
    assert FuncSplitter(is_even)([5, 2, 7]) == ([0, 2], [1])


def patient(item):
    return item.split("-")[0]


@pytest.mark.parametrize("seed", range(7))
def test_no_patient_in_both_halves(seed):
    items = [f"p{i % 11}-{i}" for i in range(101)]
    train, valid = split = GroupSplitter(patient, valid_pct=0.3, seed=seed)(items)
    assert is_partition(split, 101)
    assert not {patient(items[i]) for i in train} & {patient(items[i]) for i in valid}
    assert 20 < len(valid) < 40


@pytest.mark.parametrize("seed", range(7))
def test_a_group_too_large_to_hold_out_is_trained_on(seed):
    train, valid = GroupSplitter("patient", seed=seed)(rows(patient=["a"] * 19 + ["b"] * 2))
    assert valid == [19, 20]
    assert len(train) == 19


def test_one_group_cannot_be_split():
    with pytest.raises(ValueError, match="all 3 items are of one group"):
        GroupSplitter(patient)(["p-1", "p-2", "p-3"])


@pytest.mark.parametrize("make", [RandomSplitter, StratifiedSplitter, lambda pct: GroupSplitter(patient, pct)])
def test_a_percentage_is_no_share(make):
    with pytest.raises(ValueError, match="valid_pct is a share of the items, 0 or more and below 1, got 20"):
        make(20)


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        (RandomSplitter, "valid_pc", "valid_pct"),
        (StratifiedSplitter, "sed", "seed"),
        (GrandparentSplitter, "trainname", "train_name"),
        (ParentSplitter, "valid_nam", "valid_name"),
        (IndexSplitter, "valid_index", "valid_idx"),
        (ColSplitter, "column", "col"),
        (FuncSplitter, "fun", "func"),
        (GroupSplitter, "groups", "group"),
    ],
)
def test_misspelt_arguments_are_refused(kind, wrong, right):
    with pytest.raises(TypeError, match=f"{kind.__name__}.* has no argument '{wrong}': did you mean '{right}'"):
        kind(**{wrong: 1})
