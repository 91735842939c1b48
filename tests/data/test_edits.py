"""Edits of data: the value, the keys, and what a `DataBlock` makes of them."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.edits import Edits, item_key, keys_of
from satsuma.data.fingerprint import data_fingerprint
from satsuma.data.getters import ColReader, get_files, parent_label
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.samples import get_value, identity
from satsuma.data.splitters import (
    GrandparentSplitter,
    IndexSplitter,
    ParentSplitter,
    RandomSplitter,
    StratifiedSplitter,
)
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.loaders import ImageDataLoaders
from satsuma.vision.targets import MaskBlock


def size_of(file):
    return np.full(2, file.stat().st_size, np.float32)


def vector(n):
    return np.full(2, n, np.float32)


def parity(n):
    return "even" if n % 2 == 0 else "odd"


def places_of(item):
    return vector(item[0])


def tags_of(item):
    return list(item[1])


def tens(n):
    return 10.0 * n


NUMBERS = DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=vector, get_y=parity, splitter=IndexSplitter([3, 1]))


@pytest.fixture
def letters(tmp_path):
    """17 files in three class folders."""
    for name in (*(f"a/{i}" for i in range(7)), *(f"b/{i}" for i in range(5)), *(f"c/{i}" for i in range(5))):
        file = tmp_path / "letters" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "letters"


def block_of(**changes):
    given = {"blocks": (TransformBlock(), CategoryBlock()), "get_items": get_files, "get_y": parent_label}
    return DataBlock(**{**given, "splitter": StratifiedSplitter(0.3), **changes})


def labels_of(dls):
    """Key → (label, half) of all samples."""
    found = {}
    for i, half in enumerate(("train", "valid")[: len(dls.loaders)]):
        dataset = dls[i].dataset
        for key, item in zip(keys_of(dls, i), dataset.items, strict=True):
            found[key] = (get_value(dataset.getters[-1], item), half)
    return found


def quiet(block, source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return block.dataloaders(source, bs=3, check=False, **options)


# --- the value ----------------------------------------------------------------------------------------------------


def test_edits_are_a_value():
    one = Edits(labels={"a": ["x", "y"], "b": 2}, moves={"c": "train"}, excluded=["d", "d"])
    assert one == Edits(labels={"b": 2, "a": ("x", "y")}, moves={"c": "train"}, excluded=("d",))
    assert hash(one) == hash(Edits(labels={"b": 2, "a": ("x", "y")}, moves={"c": "train"}, excluded=("d",)))
    assert one.edited() == ["a", "b", "c", "d"]
    assert str(one) == "edits of 2 labels, 1 move, 1 exclusion"
    assert not Edits()
    assert DataBlock(blocks=TransformBlock, edits=Edits()).edits is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"moves": {"a": "test"}}, 'to "train" or "valid", got \'test\' for a'),
        ({"excluded": "a.png"}, r"one text: use \['a.png'\]"),
        ({"labels": {7: "x"}}, "key is text"),
        ({"label": {}}, "did you mean 'labels'"),
        ({"labels": ["a.png"]}, r"labels is a dict, from an item's key to what is new, got \['a.png'\]"),
        ({"moves": "a.png"}, "moves is a dict"),
        ({"labels": {"a.png": None}}, "a.png has no new label, got None"),
    ],
)
def test_edits_that_cannot_be_are_refused(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Edits(**given)


def test_a_block_takes_a_file_or_a_value():
    with pytest.raises(TypeError, match="edits is a file such as"):
        DataBlock(blocks=TransformBlock, edits={"a": "b"})
    with pytest.raises(FileNotFoundError):
        DataBlock(blocks=TransformBlock, edits="nowhere.jsonl")


# --- keys ---------------------------------------------------------------------------------------------------------


def test_a_key_is_the_file_below_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pets" / "cats" / "7.jpg"
    file.parent.mkdir(parents=True)
    file.touch()
    for item in (file, Path("pets/cats/7.jpg")):
        for source in ("pets", Path("pets"), "pets/", tmp_path / "pets"):
            assert item_key(item, 3, identity, source) == "cats/7.jpg"
    assert item_key("pets/cats/7.jpg", 3, identity, "pets") == "cats/7.jpg"
    assert item_key(Path("cats/7.jpg"), 3, identity, ".") == "cats/7.jpg"
    assert item_key(file, 3, identity, None) == file.as_posix()
    assert item_key(file, 3, identity, tmp_path / "pet") == file.as_posix()
    assert item_key({"name": "7"}, 3, ColReader("name", pref=Path("pets/cats"), suff=".jpg"), None) == "7.jpg"


def test_files_are_not_read_for_their_keys(letters):
    def read(file):
        raise AssertionError(f"{file} was read")

    edits = Edits(labels={"a/0.txt": "b"}, moves={"a/1.txt": "valid"}, excluded=["a/2.txt"])
    dls = quiet(block_of(get_x=read, edits=edits), letters)
    assert len(keys_of(dls, 0)) + len(keys_of(dls, 1)) == 16
    assert data_fingerprint(dls.train.dataset)


def test_an_item_without_a_file_is_called_by_its_place():
    assert item_key("no such file", 3, identity, None) == "3"
    assert item_key("two\0lines" * 2000, 3, identity, None) == "3"
    assert item_key(np.zeros(3), 5, identity, None) == "5"
    assert item_key(object(), 7, vector, None) == "7"


def test_keys_stay_when_other_items_are_left_out(letters):
    whole = labels_of(quiet(block_of(), letters))
    less = labels_of(quiet(block_of(edits=Edits(excluded=["a/3.txt", "b/0.txt"])), letters))
    assert less == {key: found for key, found in whole.items() if key not in ("a/3.txt", "b/0.txt")}
    arrays = NUMBERS.dataloaders(range(11), bs=2)
    fewer = quiet(DataBlock(**{**fields_of(NUMBERS), "edits": Edits(excluded=["1", "6"])}), range(11))
    assert keys_of(arrays, 1) == ["1", "3"]
    assert (keys_of(fewer, 1), keys_of(fewer, 0)) == (["3"], ["0", "2", "4", "5", "7", "8", "9", "10"])


def fields_of(block):
    return {name: getattr(block, name) for name in ("blocks", "splitter", "get_x", "get_y")}


# --- what a block makes of them -----------------------------------------------------------------------------------

SPLITTERS = [RandomSplitter(0.4), StratifiedSplitter(0.4), IndexSplitter((2, 3, 5, 7, 11, 13))]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_an_edit_of_one_item_sends_no_other_into_the_other_half(letters, splitter):
    before = labels_of(quiet(block_of(splitter=splitter), letters))
    edits = Edits(labels={"a/0.txt": "c"}, moves={"b/1.txt": "valid", "c/4.txt": "train"}, excluded=["a/6.txt"])
    after = labels_of(quiet(block_of(splitter=splitter, edits=edits), letters))
    expected = dict(before)
    del expected["a/6.txt"]
    expected["a/0.txt"] = ("c", before["a/0.txt"][1])
    expected["b/1.txt"], expected["c/4.txt"] = ("b", "valid"), ("c", "train")
    assert after == expected


def test_the_order_of_the_others_stays(letters):
    moved = quiet(block_of(splitter=IndexSplitter((0, 1)), edits=Edits(moves={"a/0.txt": "train"})), letters)
    whole = quiet(block_of(splitter=IndexSplitter((0, 1))), letters)
    assert keys_of(moved, 0) == [*keys_of(whole, 0), "a/0.txt"]
    there = quiet(block_of(splitter=IndexSplitter((0, 1)), edits=Edits(moves={"a/4.txt": "train"})), letters)
    assert keys_of(there, 0) == keys_of(whole, 0)


def test_a_label_reaches_the_batch_the_vocab_and_the_fingerprint(letters):
    split = IndexSplitter((16,))
    plain = quiet(block_of(get_x=size_of, splitter=split), letters)
    edited = quiet(block_of(get_x=size_of, splitter=split, edits=Edits(labels={"a/0.txt": "b"})), letters)
    assert [edited.train.dataset[i][1].item() for i in range(8)] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert [plain.train.dataset[i][1].item() for i in range(8)] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert data_fingerprint(plain.train.dataset) != data_fingerprint(edited.train.dataset)
    assert data_fingerprint(plain.valid.dataset) == data_fingerprint(edited.valid.dataset)
    (labelled,) = edited.test_dl([letters / "a" / "0.txt", letters / "a" / "1.txt"], with_labels=True)
    assert labelled[1].tolist() == [1, 0]


def test_items_without_files_take_labels_by_their_place():
    edits = Edits(labels={"4": "odd", "3": "even"}, moves={"3": "train"}, excluded=["0"])
    dls = quiet(DataBlock(**fields_of(NUMBERS), edits=edits), range(11))
    x, y = zip(*(dls.train.dataset[i] for i in range(9)), strict=True)
    found = {int(v[0]): dls.vocab[int(k)] for v, k in zip(x, y, strict=True)}
    assert found == {**{n: parity(n) for n in (2, 5, 6, 7, 8, 9, 10)}, 4: "odd", 3: "even"}
    assert keys_of(dls, 0) == ["2", "4", "5", "6", "7", "8", "9", "10", "3"]
    plain = quiet(NUMBERS, range(11))
    assert data_fingerprint(dls.train.dataset) != data_fingerprint(plain.train.dataset)
    # new items come as the source has them, with and without labels
    (batch,) = dls.test_dl([vector(7)])
    (labelled,) = dls.test_dl([4, 5], with_labels=True)
    assert batch[0].tolist() == [[7, 7]]
    assert [dls.vocab[i] for i in labelled[1]] == ["even", "odd"]


def test_several_labels_and_numbers(tmp_path):
    items = [(0, "x"), (1, "xy"), (2, "y"), (3, "xz")]
    tags = DataBlock(
        blocks=(TransformBlock, MultiCategoryBlock),
        get_x=places_of,
        get_y=tags_of,
        splitter=IndexSplitter([3]),
        edits=Edits(labels={"0": ["y", "z"], "1": []}),
    )
    dls = quiet(tags, items)
    assert dls.vocab == ("x", "y", "z")
    assert [s[1].tolist() for s in map(dls.train.dataset.__getitem__, range(3))] == [[0, 1, 1], [0, 0, 0], [0, 1, 0]]
    numbers = DataBlock(
        blocks=(TransformBlock, RegressionBlock),
        get_x=vector,
        get_y=tens,
        splitter=IndexSplitter([3]),
        edits=Edits(labels={"0": 2.5, "2": "7"}),
    )
    dls = quiet(numbers, range(4))
    assert [s[1].tolist() for s in map(dls.train.dataset.__getitem__, range(3))] == [[2.5], [10.0], [7.0]]


def test_a_class_that_is_a_number_may_be_spelled():
    block = DataBlock(
        blocks=(TransformBlock, CategoryBlock), get_x=vector, get_y=identity, edits=Edits(labels={"0": "1", "2": 3})
    )
    dls = quiet(block, [0, 1, 2, 3, 1, 2, 3])
    assert dls.vocab == (1, 2, 3)


def test_rows_of_a_table_are_called_by_their_files(tmp_path):
    for i in range(6):
        Image.fromarray(np.full((9, 9), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(6)], "label": list("ababab")})
    edits = Edits(labels={"2.png": "b"}, moves={"1.png": "valid"}, excluded=["5.png"])
    dls = ImageDataLoaders.from_frame(frame, path=tmp_path, channels=1, bs=2, workers=0, edits=edits)
    found = labels_of(dls)
    labels = {key: label for key, (label, _) in found.items()}
    assert labels == {"0.png": "a", "1.png": "b", "2.png": "b", "3.png": "b", "4.png": "a"}
    assert found["1.png"][1] == "valid"


def test_an_excluded_file_may_be_broken(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.fromarray(np.full((9, 9), 20 * i, np.uint8)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "a" / "2.png").write_bytes(b"no picture")
    given = {"channels": 1, "bs": 2, "workers": 0}
    with pytest.raises(ValueError, match="1 of 8 files cannot be read"):
        ImageDataLoaders.from_folder(tmp_path, **given)
    dls = ImageDataLoaders.from_folder(tmp_path, edits=Edits(excluded=["a/2.png"]), **given)
    assert len(labels_of(dls)) == 7
    assert dls.report.unreadable == ()


def test_skipped_files_take_part_in_nothing(letters):
    name = str(letters / "a" / "0.txt")
    less = quiet(block_of(), letters, skipped=[(name, "torn")])
    files = [file for file in get_files(letters) if str(file) != name]
    assert less.train.dataset.items + less.valid.dataset.items == (
        (listed := quiet(block_of(get_items=None), files)).train.dataset.items + listed.valid.dataset.items
    )
    assert less.report.unreadable == ((name, "torn"),)


# --- what is told -------------------------------------------------------------------------------------------------


def test_an_edit_of_an_item_that_is_not_there_is_told(letters):
    with pytest.warns(UserWarning, match="2 edits change nothing: .* not in the data: a/99.txt, gone.txt.*'a/0.txt'"):
        block_of(edits=Edits(excluded=["gone.txt"], labels={"a/99.txt": "a"})).dataloaders(letters, bs=2)


def test_new_classes_and_those_that_vanish_are_told(letters):
    edits = Edits(labels={"a/0.txt": "new"}, excluded=[f"b/{i}.txt" for i in range(5)])
    dls = quiet(block_of(edits=edits), letters)
    texts = " | ".join(dls.report.warnings)
    assert "bring in 1 class that no item had: new" in texts
    assert "leave no item of 1 class: b" in texts
    assert dls.vocab == ("a", "c", "new")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (Edits(excluded=[str(i) for i in range(11) if i not in (1, 3)]), "nothing to train on: all 9 items"),
        (Edits(moves={str(i): "valid" for i in range(11)}), "nothing to train on: all 9 items"),
        (Edits(moves={"1": "train"}, excluded=["3"]), "nothing to validate on: all 2 items"),
        (Edits(labels={"1": ("odd", "even")}), "the edit of 1 gives it several labels"),
    ],
)
def test_edits_that_leave_nothing_or_do_not_fit_are_refused(edits, message):
    with pytest.raises(ValueError, match=message):
        DataBlock(**fields_of(NUMBERS), edits=edits).dataloaders(range(11), bs=2)


@pytest.mark.parametrize(
    ("target", "get_y", "label", "message"),
    [
        (MultiCategoryBlock, tags_of, "x", "gives it one label, 'x'; here an item has a list"),
        (RegressionBlock, places_of, "much", "the edit of 0: could not convert"),
        (RegressionBlock, places_of, (1.0, 2.0, 3.0), "got 3 numbers"),
        (MaskBlock, places_of, "x", "one target: a class, several labels or numbers. The targets here: MaskBlock"),
        (CategoryBlock(vocab=["xyz"]), identity, "w", "not in the vocab: w"),
    ],
)
def test_labels_of_another_kind_than_the_target_s_are_refused(target, get_y, label, message):
    items = [(0, "x"), (1, "xy"), (2, "y")]
    if isinstance(target, CategoryBlock):
        target, items = CategoryBlock(vocab=("x", "y")), ["x", "y", "y"]
    if target is RegressionBlock:
        target = RegressionBlock(n_out=2)
    block = DataBlock(
        blocks=(TransformBlock, target),
        get_x=np.size,
        get_y=get_y,
        splitter=IndexSplitter([2]),
        edits=Edits({"0": label}),
    )
    with pytest.raises(ValueError, match=message):
        block.dataloaders(items, bs=2, check=False)


def test_folders_that_say_the_split_give_way_to_moves(tmp_path):
    for half in ("train", "valid"):
        for name in "ab":
            (tmp_path / half / name).mkdir(parents=True)
            (tmp_path / half / name / "0.txt").touch()
    block = block_of(splitter=GrandparentSplitter(), edits=Edits(moves={"train/a/0.txt": "valid"}))
    assert labels_of(quiet(block, tmp_path)) == {
        "train/a/0.txt": ("a", "valid"),
        "train/b/0.txt": ("b", "train"),
        "valid/a/0.txt": ("a", "valid"),
        "valid/b/0.txt": ("b", "valid"),
    }


def test_an_item_of_neither_half_can_be_moved_in(letters):
    block = block_of(splitter=ParentSplitter("a", "b"), edits=Edits(moves={"c/0.txt": "train"}))
    found = labels_of(quiet(block, letters))
    assert found["c/0.txt"] == ("c", "train")
    assert "c/1.txt" not in found


def test_the_summary_walks_through_the_edits(letters, capsys):
    block_of(blocks=(TransformBlock(), CategoryBlock()), get_x=size_of, edits=Edits(excluded=["a/0.txt"])).summary(
        letters
    )
    text = capsys.readouterr().out
    assert "by edits of 1 exclusion" in text
    assert "all steps work" in text


def test_edits_reach_every_way_to_load_images(tmp_path):
    for i in range(8):
        file = tmp_path / "xy"[i % 2] / f"{'xy'[i % 2]}_{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((9, 9), 20 * i, np.uint8)).save(file)
    pd.DataFrame(
        {"f": [f"x/x_{i}.png" for i in (0, 2, 4, 6)] + [f"y/y_{i}.png" for i in (1, 3, 5, 7)], "l": list("xxxxyyyy")}
    ).to_csv(tmp_path / "l.csv", index=False)
    files = sorted(tmp_path.glob("*/*.png"))
    given = {"channels": 1, "bs": 2, "workers": 0, "valid_pct": 0.25}
    relative = Edits(excluded=["x/x_2.png"])
    absolute = Edits(excluded=[(tmp_path / "x" / "x_2.png").as_posix()])
    ways = [
        ImageDataLoaders.from_folder(tmp_path, edits=relative, **given),
        ImageDataLoaders.from_name_re(tmp_path, r"(.)_\d+.png$", edits=relative, **given),
        ImageDataLoaders.from_path_func(tmp_path, None, parent_label, edits=relative, **given),
        ImageDataLoaders.from_name_func(tmp_path, files, first_letter, edits=absolute, **given),
        ImageDataLoaders.from_lists(files, list("xxxxyyyy"), edits=absolute, **given),
        ImageDataLoaders.from_csv(tmp_path / "l.csv", edits=relative, **given),
    ]
    for dls in ways:
        assert len(dls.train.dataset) + len(dls.valid.dataset) == 7
        assert torch.is_tensor(dls.one_batch()[0])
        assert isinstance(dls.blocks[0], ImageBlock)


def first_letter(name):
    return name[0]
