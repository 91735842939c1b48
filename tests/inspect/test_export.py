"""Corrected labels as a table, and corrected copies of folders; the data themselves stay as they are."""

import csv
import hashlib
import os
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.edits import Edits
from satsuma.data.getters import ColReader, get_files
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.splitters import IndexSplitter
from satsuma.inspect.export import copy_edited, edited_loaders, labels_csv
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.image import get_image_files
from satsuma.vision.loaders import ImageDataLoaders

GIVEN = {"channels": 1, "bs": 2, "workers": 0}


def painted(file, shade):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 9), shade, np.uint8)).save(file)


@pytest.fixture
def pets(tmp_path):
    for i in range(5):
        painted(tmp_path / "pets" / "cat" / f"{i}.png", 10 * i)
        painted(tmp_path / "pets" / "dog" / f"{i}.png", 100 + 10 * i)
    (tmp_path / "pets" / "LICENSE").write_text("free")
    return tmp_path / "pets"


@pytest.fixture(autouse=True)
def silence():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def table(file):
    with file.open(newline="") as opened:
        return list(csv.reader(opened))


def tree(folder):
    """File → digest of its bytes, of all files below a folder."""
    files = (f for f in folder.rglob("*") if f.is_file())
    return {f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(files)}


def test_the_labels_with_the_edits(pets, tmp_path):
    edits = Edits(labels={"cat/1.png": "dog"}, moves={"dog/0.png": "valid"}, excluded=["dog/4.png"])
    dls = ImageDataLoaders.from_folder(pets, edits=edits, **GIVEN)
    assert labels_csv(dls, tmp_path / "out" / "labels.csv") == 9
    head, *rows = table(tmp_path / "out" / "labels.csv")
    assert head == ["file", "label", "split", "original label"]
    found = {row[0]: row[1:] for row in rows}
    assert sorted(found) == [f"cat/{i}.png" for i in range(5)] + [f"dog/{i}.png" for i in range(4)]
    assert found["cat/1.png"][::2] == ["dog", "cat"]
    assert found["dog/0.png"] == ["dog", "valid", "dog"]
    held = [row for row in rows if row[2] == "valid"]
    assert len(held) == len(dls.valid.dataset)
    # the table says the same data
    block = DataBlock(
        blocks=(ImageBlock(channels=1), CategoryBlock),
        get_x=ColReader("file", pref=pets),
        get_y=ColReader("label"),
        splitter=lambda items: ([0, 1, 2], [3]),
    )
    again = block.dataloaders(pd.read_csv(tmp_path / "out" / "labels.csv"), bs=2)
    assert again.vocab == dls.vocab


def test_hostile_names_stay_text_in_the_table(tmp_path):
    name = os.fsdecode(b'=caf\xe9, "x"\n.png')
    painted(tmp_path / "d" / "a" / name, 3)
    painted(tmp_path / "d" / "b" / "2.png", 7)
    edits = Edits(labels={f"a/{name}": '=cmd|"x"\n,'})
    dls = ImageDataLoaders.from_folder(tmp_path / "d", edits=edits, valid_pct=0.0, **GIVEN)
    labels_csv(dls, tmp_path / "o.csv")
    with (tmp_path / "o.csv").open(newline="", errors="surrogateescape") as opened:
        rows = list(csv.reader(opened))
    assert rows[1] == [f"a/{name}", '=cmd|"x"\n,', "train", "a"]


def test_several_labels_and_items_without_files(tmp_path):
    rows = [(np.zeros(2, np.float32), tags) for tags in (["x"], ["x", "y"], [])]
    block = DataBlock(blocks=(ImageBlock, MultiCategoryBlock), edits=Edits(labels={"0": ["y", "z"]}))
    pictures = [(np.full((9, 9), 20 * i, np.uint8), tags) for i, (_, tags) in enumerate(rows)]
    labels_csv(block.dataloaders(pictures, bs=1), tmp_path / "o.csv")
    assert sorted(row[:2] + row[3:] for row in table(tmp_path / "o.csv")[1:]) == [
        ["0", "y;z", "x"],
        ["1", "x;y", "x;y"],
        ["2", "", ""],
    ]
    with pytest.raises(ValueError, match="a folder of files can be copied"):
        copy_edited(block.dataloaders(pictures, bs=1), tmp_path / "copy")
    arrays = DataLoaders.from_arrays(np.zeros((5, 2), np.float32), [0, 1, 0, 1, 0])
    for call in (lambda: labels_csv(arrays, tmp_path / "o.csv"), lambda: edited_loaders(arrays, Edits())):
        with pytest.raises(ValueError, match="DataBlock"):
            call()


def test_loaders_made_anew_with_edits_know_their_classes(pets):
    dls = ImageDataLoaders.from_folder(pets, **GIVEN)
    edited = edited_loaders(dls, Edits(labels={"cat/1.png": "cow"}, excluded=["dog/0.png"]))
    assert edited.vocab == ("cat", "cow", "dog")
    assert (edited.bs, edited.train.seed, edited.source) == (dls.bs, dls.train.seed, dls.source)
    assert len(edited.train.dataset) + len(edited.valid.dataset) == 9
    assert dls.vocab == ("cat", "dog")


# --- copies -------------------------------------------------------------------------------------------------------


def test_a_copy_of_class_folders(pets, tmp_path):
    before = tree(pets)
    edits = Edits(labels={"cat/1.png": "dog", "cat/2.png": "cow"}, moves={"dog/0.png": "valid"}, excluded=["dog/4.png"])
    copied = copy_edited(ImageDataLoaders.from_folder(pets, edits=edits, **GIVEN), tmp_path / "new" / "copy")
    assert tree(pets) == before
    assert tree(tmp_path / "new" / "copy") == {
        **{name: before[name] for name in before if name not in ("cat/1.png", "cat/2.png", "dog/4.png")},
        "dog/1-2.png": before["cat/1.png"],
        "cow/2.png": before["cat/2.png"],
    }
    assert (copied.files, copied.relabelled) == (10, 2)
    assert copied.told == (
        "1 item is moved to the other half, which no folder of the data stands for: the csv has the split",
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy"]


def test_a_copy_of_folders_for_the_halves(tmp_path):
    for half in ("Train", "valid"):
        for name in "ab":
            painted(tmp_path / "d" / half / name / "0.png", len(half) * 10)
            painted(tmp_path / "d" / half / name / "1.png", len(half) * 20)
    painted(tmp_path / "d" / "test" / "a" / "9.png", 99)
    edits = Edits(labels={"Train/a/1.png": "b"}, moves={"Train/a/1.png": "valid", "valid/b/0.png": "train"})
    dls = ImageDataLoaders.from_folder(tmp_path / "d", edits=edits, **GIVEN)
    copied = copy_edited(dls, tmp_path / "copy")
    assert copied.told == ()
    assert sorted(tree(tmp_path / "copy")) == [
        "Train/a/0.png", "Train/b/0-2.png", "Train/b/0.png", "Train/b/1.png", "test/a/9.png",
        "valid/a/0.png", "valid/a/1.png", "valid/b/1-2.png", "valid/b/1.png",
    ]  # fmt: skip
    again = ImageDataLoaders.from_folder(tmp_path / "copy", **GIVEN)
    assert (len(again.train.dataset), len(again.valid.dataset)) == (4, 4)


def test_a_copy_where_names_tell_the_label(tmp_path):
    for i in range(4):
        painted(tmp_path / "d" / f"cat_{i}.png", 10 * i)
        painted(tmp_path / "d" / f"dog_{i}.png", 100 + 10 * i)
    edits = Edits(labels={"cat_1.png": "dog", "cat_2.png": "cow"}, excluded=["dog_3.png"])
    dls = ImageDataLoaders.from_name_re(tmp_path / "d", r"(.+)_\d+.png$", edits=edits, **GIVEN)
    copy_edited(dls, tmp_path / "copy")
    assert sorted(tree(tmp_path / "copy")) == [
        "cat_0.png", "cat_3.png", "cow_2.png", "dog_0.png", "dog_1.png", "dog_12.png", "dog_2.png",
    ]  # fmt: skip
    again = ImageDataLoaders.from_name_re(tmp_path / "copy", r"(.+)_\d+.png$", valid_pct=0.3, **GIVEN)
    assert again.vocab == ("cat", "cow", "dog")


def test_a_copy_of_a_table_s_images(pets, tmp_path):
    frame = pd.DataFrame({"f": [f"cat/{i}.png" for i in range(5)] + ["dog/0.png", "dog/0.png"], "l": list("xxyyxyy")})
    edits = Edits(labels={"cat/0.png": "y"}, moves={"cat/1.png": "valid"}, excluded=["cat/4.png"])
    dls = ImageDataLoaders.from_frame(frame, path=pets, edits=edits, **GIVEN)
    copy_edited(dls, tmp_path / "copy")
    assert sorted(tree(tmp_path / "copy")) == [*(f"cat/{i}.png" for i in range(4)), "dog/0.png", "labels.csv"]
    head, *rows = table(tmp_path / "copy" / "labels.csv")
    assert head == ["file", "label", "is_valid"]
    found = {row[0]: row[1:] for row in rows}
    assert (len(rows), found["cat/0.png"][0], found["cat/1.png"][1]) == (6, "y", "true")


def label_by_eye(path):
    return path.parent.name


@pytest.mark.parametrize("label", ["..", "a/b", "a\\b", ".hidden", " ", "x" * 201])
def test_a_label_that_is_no_folder_is_refused(pets, tmp_path, label):
    dls = ImageDataLoaders.from_folder(pets, edits=Edits(labels={"cat/1.png": label}), **GIVEN)
    with pytest.raises(ValueError, match=r"cat/1\.png: its label .* cannot be the name of a folder"):
        copy_edited(dls, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_label_that_a_function_reads_cannot_be_copied(pets, tmp_path):
    given = {**GIVEN, "edits": Edits(labels={"cat/1.png": "dog"})}
    dls = ImageDataLoaders.from_path_func(pets, None, label_by_eye, **given)
    with pytest.raises(ValueError, match="neither from a folder, nor from the file's name"):
        copy_edited(dls, tmp_path / "copy")


def test_nothing_is_written_over_or_into_the_data(pets, tmp_path):
    dls = ImageDataLoaders.from_folder(pets, edits=Edits(excluded=["cat/0.png"]), **GIVEN)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "inside").symlink_to(pets)
    before = tree(tmp_path)
    for target, message in [
        ("full", "is not empty"),
        ("full/mine.txt", "is no folder"),
        ("link", "is no folder"),
        ("pets/copy", "lies within the data"),
        ("pets", "is not empty"),
        ("inside/copy", "lies within the data"),
    ]:
        with pytest.raises((ValueError, OSError), match=message):
            copy_edited(dls, tmp_path / target)
    assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert copy_edited(dls, tmp_path / "empty").files == 10


def test_links_out_of_the_data_are_not_followed(pets, tmp_path):
    painted(tmp_path / "secret" / "0.png", 200)
    (tmp_path / "secret" / "key.txt").write_text("key")
    (pets / "cat" / "7.png").symlink_to(tmp_path / "secret" / "0.png")
    (pets / "cat" / "8.png").symlink_to(pets / "dog" / "0.png")
    (pets / "elsewhere").symlink_to(tmp_path / "secret")
    block = DataBlock(
        blocks=(ImageBlock(channels=1), CategoryBlock),
        get_items=only_classes,
        get_y=label_by_eye,
        edits=Edits(excluded=["dog/1.png"]),
    )
    copied = copy_edited(block.dataloaders(pets, bs=2), tmp_path / "copy")
    found = tree(tmp_path / "copy")
    assert "cat/7.png" not in found
    assert found["cat/8.png"] == found["dog/0.png"]
    assert not any(name.startswith("elsewhere") for name in found)
    assert not any(file.is_symlink() for file in (tmp_path / "copy").rglob("*"))
    assert "3 links lead out of the data's folder" in copied.told[0]
    assert "cat/7.png" in copied.told[0]


def only_classes(path):
    return get_image_files(path, folders=("cat", "dog"))


def test_files_above_the_data_have_no_place_in_a_copy(pets, tmp_path):
    painted(tmp_path / "above.png", 3)
    frame = pd.DataFrame({"f": ["cat/0.png", "cat/1.png", "dog/0.png", "../above.png"], "l": list("xxyy")})
    dls = ImageDataLoaders.from_frame(frame, path=pets, edits=Edits(excluded=["cat/0.png"]), valid_pct=0.0, **GIVEN)
    with pytest.raises(ValueError, match=r"\.\./above.png: lies outside the data's folder"):
        copy_edited(dls, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_breaks_off_leaves_nothing(pets, tmp_path, monkeypatch):
    dls = ImageDataLoaders.from_folder(pets, edits=Edits(excluded=["cat/0.png"]), **GIVEN)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("satsuma.inspect.export.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        copy_edited(dls, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_all_files_of_a_folder_are_listed_once(pets):
    assert len(get_files(pets)) == 11


def test_what_is_no_file_is_told_and_the_rest_is_copied(pets, tmp_path):
    dls = ImageDataLoaders.from_folder(pets, edits=Edits(excluded=["cat/0.png"]), **GIVEN)
    (pets / "nowhere.txt").symlink_to("none.txt")
    os.mkfifo(pets / "cat" / "pipe")
    copied = copy_edited(dls, tmp_path / "copy")
    assert any("2 are no files" in told and "cat/pipe, nowhere.txt" in told for told in copied.told)
    assert not (tmp_path / "copy" / "nowhere.txt").exists()
    assert (tmp_path / "copy" / "cat" / "1.png").exists()


def test_what_is_left_of_a_copy_that_was_cut_off_is_told(pets, tmp_path):
    dls = ImageDataLoaders.from_folder(pets, edits=Edits(excluded=["cat/0.png"]), **GIVEN)
    (tmp_path / ".copy.part").mkdir()
    with pytest.raises(FileExistsError, match=r"\.copy\.part: is left of a copy that was cut off"):
        copy_edited(dls, tmp_path / "copy")
    assert (tmp_path / ".copy.part").exists()


def test_a_label_that_would_be_read_as_two_is_refused(tmp_path):
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "tags": ["a b", "b", "a", "a"]})
    block = DataBlock(
        blocks=(TransformBlock, MultiCategoryBlock),
        get_x=ColReader("x"),
        get_y=ColReader("tags", label_delim=" "),
        splitter=IndexSplitter((3,)),
        edits=Edits(labels={"1": ["a", "not b"]}),
    )
    with pytest.raises(ValueError, match="the label 'not b' holds ' ', which stands between the labels"):
        labels_csv(block.dataloaders(frame, bs=1), tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()
