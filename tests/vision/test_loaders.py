"""From folders, names, lists and tables of images to loaders; most bad input that a user may bring is tried here."""

import shutil
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, RegressionBlock
from satsuma.data.getters import RegexLabeller, parent_label, using_attr
from satsuma.data.splitters import IndexSplitter, RandomSplitter
from satsuma.data.summary import walk
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.geometry import Flip, Resize
from satsuma.vision.image import get_image_files
from satsuma.vision.loaders import ImageDataLoaders
from satsuma.vision.normalize import Normalize

NAMED = [f"{breed}_{i}.jpg" for breed in ("great_pyrenees", "Bengal") for i in range(10)]
FOLDERS = [f"{breed}/{i}.jpg" for breed in ("cats", "dogs") for i in range(10)]
BREED = r"(.+)_\d+.jpg$"


def names(loader):
    return ["/".join(p.parts[-2:]) for p in loader.dataset.items]


@pytest.fixture(autouse=True)
def refuse_warnings():
    """A warning that a test does not ask for is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# by name


def test_breeds_from_file_names(make_folder):
    dls = ImageDataLoaders.from_name_re(make_folder(*NAMED), BREED, bs=5)
    assert dls.vocab == ("Bengal", "great_pyrenees")
    assert (len(dls.train.dataset), len(dls.valid.dataset)) == (16, 4)
    x, y = dls.one_batch()
    assert (x.shape, x.dtype) == ((5, 3, 30, 20), torch.float32)  # of one size already: nothing is resized
    assert abs(x.mean()) < 1  # normalised
    for i, index in zip(y, dls.train.indices(0, 0), strict=True):
        assert dls.train.names([index])[0].rpartition("/")[2].startswith(dls.vocab[i])


def test_the_book_s_data_block(make_folder):
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(BREED), "name"),
        item_tfms=Resize(20),
        batch_tfms=[Flip(), Normalize()],
    )
    dls = pets.dataloaders(make_folder(*NAMED), bs=5)
    assert dls.one_batch()[0].shape == (5, 3, 20, 20)
    assert len(dls.show_batch(nrows=1, ncols=3, unique=True).axes) == 3
    assert "all steps work" in walk(pets, dls.source, 4)


def test_pictures_do_not_depend_on_the_number_of_workers(make_folder):
    root = make_folder(*NAMED)
    none, some = (
        ImageDataLoaders.from_name_re(root, BREED, size=16, batch_tfms=[Normalize(), Flip()], bs=5, workers=w)
        for w in (0, 3)
    )
    for epoch in (0, 1):
        for (x, y), (x3, y3) in zip(none.train.epoch(epoch), some.train.epoch(epoch), strict=True):
            assert torch.equal(x, x3)
            assert torch.equal(y, y3)
    rest = list(none.train.epoch(1, start=2))
    assert torch.equal(rest[0][0], list(some.train.epoch(1))[2][0])


def test_a_name_that_does_not_match(make_folder):
    root = make_folder(*NAMED, "cat.jpg")
    with pytest.raises(
        ValueError, match=r"(?s)1 of 21 items have no label:.*images/cat\.jpg: .* does not match 'cat\.jpg'"
    ):
        ImageDataLoaders.from_name_re(root, BREED)


# by folder


def test_class_folders_are_split_at_random(make_folder):
    dls = ImageDataLoaders.from_folder(make_folder(*FOLDERS), bs=4)
    assert dls.vocab == ("cats", "dogs")
    assert sorted(n.split("/")[-2] for n in names(dls.valid)) == ["cats"] * 2 + ["dogs"] * 2


def test_train_and_valid_folders(make_folder):
    root = make_folder(*(f"train/{f}" for f in FOLDERS), "valid/cats/11.jpg", "valid/dogs/12.jpg", "test/what/13.jpg")
    dls = ImageDataLoaders.from_folder(root)
    assert len(dls.train.dataset) == 20
    assert names(dls.valid) == ["cats/11.jpg", "dogs/12.jpg"]
    assert dls.vocab == ("cats", "dogs")
    shared = ImageDataLoaders.from_folder(root, valid_pct=0.5)
    assert all("/train/" in p.as_posix() for p in shared.train.dataset.items + shared.valid.dataset.items)
    assert len(shared.valid.dataset) == 10


def test_a_train_folder_alone(make_folder):
    dls = ImageDataLoaders.from_folder(make_folder(*(f"train/{f}" for f in FOLDERS)))
    assert dls.vocab == ("cats", "dogs")
    assert len(dls.valid.dataset) == 4


def test_a_validation_folder_of_another_name(make_folder):
    root = make_folder(*(f"train/{f}" for f in FOLDERS), "validation/cats/11.jpg")
    with pytest.raises(ValueError, match="none below 'valid'; folders there: train, validation"):
        ImageDataLoaders.from_folder(root)
    assert len(ImageDataLoaders.from_folder(root, valid="validation").valid.dataset) == 1


def test_unicode_and_spaces_in_names(make_folder):
    root = make_folder(*(f"{kind}/bild {i} größe 猫.jpg" for kind in ("große katze", "犬 dog") for i in range(5)))
    dls = ImageDataLoaders.from_folder(root)
    assert dls.vocab == ("große katze", "犬 dog")
    assert dls.one_batch()[0].shape[0] == len(dls.train.dataset)


# by list and table


def test_lists_of_paths_arrays_and_pictures(make_folder, make_picture):
    files = get_image_files(make_folder(*NAMED))
    labels = [f.name[0] for f in files]
    pictures = [make_picture(i) for i in range(20)]
    arrays = [np.asarray(p) for p in pictures]
    for given in (files, [str(f) for f in files], pictures, arrays, np.stack(arrays)):
        dls = ImageDataLoaders.from_lists(given, labels, bs=5)
        assert dls.one_batch()[0].shape == (5, 3, 30, 20)
        assert dls.report.twins == ()
        assert next(iter(dls.test_dl(given[:1])))[0].shape == (1, 3, 30, 20)
    with pytest.raises(ValueError, match="from_lists: 20 files but 3 labels"):
        ImageDataLoaders.from_lists(files, labels[:3])


def test_numbers_to_regress(make_folder):
    files = get_image_files(make_folder(*NAMED))
    dls = ImageDataLoaders.from_lists(files, [i / 10 for i in range(20)], y_block=RegressionBlock(), bs=5)
    assert dls.one_batch()[1].shape == (5, 1)
    assert len(dls.valid.dataset) == 4


@pytest.fixture
def table(make_folder):
    root = make_folder(*NAMED)
    frame = pd.DataFrame({"file": NAMED, "is_valid": [i % 5 == 0 for i in range(20)]})
    frame["breed"] = frame["file"].str.extract(BREED)
    return root, frame


def test_a_data_frame(table):
    root, frame = table
    dls = ImageDataLoaders.from_frame(frame, path=root, label_col="breed", valid_col="is_valid")
    assert [row["file"] for row in dls.valid.dataset.items] == NAMED[::5]
    assert dls.train.names([0]) == [str(root / NAMED[1])]
    assert len(ImageDataLoaders.from_frame(frame, path=root, label_col=2, valid_pct=0.5).valid.dataset) == 10


def test_a_csv_file_with_a_byte_order_mark(table):
    root, frame = table
    frame.to_csv(root / "breeds.csv", index=False, encoding="utf-8-sig")
    dls = ImageDataLoaders.from_csv(root / "breeds.csv", fn_col="file", label_col="breed")
    assert dls.vocab == ("Bengal", "great_pyrenees")


def test_csv_files_that_cannot_be_used(table):
    root, frame = table
    csv = root / "breeds.csv"
    frame.assign(breed=[*frame["breed"][:19], ""]).to_csv(csv, index=False)
    with pytest.raises(ValueError, match=r"breeds\.csv has no column 'bred': did you mean 'breed'"):
        ImageDataLoaders.from_csv(csv, label_col="bred")
    with pytest.raises(ValueError, match=r"breeds\.csv has no column number 1.*delimiter"):
        ImageDataLoaders.from_csv(csv, delimiter=";")
    with pytest.raises(
        ValueError, match=rf"1 of 20 items have no label:\n  ColReader.* gives no label for .*{NAMED[19]}"
    ):
        ImageDataLoaders.from_csv(csv, label_col="breed")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        ImageDataLoaders.from_csv(root / "nowhere.csv")
    csv.write_text("")
    with pytest.raises(ValueError, match=r"breeds\.csv: cannot be read as a csv file"):
        ImageDataLoaders.from_csv(csv)


def test_the_book_s_name_for_a_data_frame(table):
    root, frame = table
    frame["file"] = frame["file"].str.removesuffix(".jpg")
    ours, book = (
        make(frame, path=root, suff=".jpg", label_col="breed", bs=5)
        for make in (ImageDataLoaders.from_frame, ImageDataLoaders.from_df)
    )
    assert torch.equal(ours.one_batch()[0], book.one_batch()[0])


def test_a_csv_file_is_read_without_pandas(table, monkeypatch):
    root, frame = table
    frame.to_csv(root / "breeds.csv", index=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    dls = ImageDataLoaders.from_csv(root / "breeds.csv", label_col=2, valid_col="is_valid", bs=5)
    assert [row["file"] for row in dls.valid.dataset.items] == NAMED[::5]
    assert dls.one_batch()[0].shape == (5, 3, 30, 20)


def test_several_labels_an_image(table):
    root, frame = table
    frame["tags"] = [" ".join(["even"] * (i % 2 == 0) + ["third"] * (i % 3 == 0)) for i in range(20)]
    frame.to_csv(root / "tags.csv", index=False)
    dls = ImageDataLoaders.from_csv(root / "tags.csv", label_col="tags", label_delim=" ", valid_col="is_valid", bs=5)
    assert dls.vocab == ("even", "third")
    y = torch.cat([y for _, y in dls.valid])
    assert y.tolist() == [[float(i % 2 == 0), float(i % 3 == 0)] for i in range(0, 20, 5)]


class RowsByName:
    """As much of polars' data frame as is used."""

    def __init__(self, frame):
        self.frame, self.columns = frame, list(frame.columns)

    def head(self, n):
        return RowsByName(self.frame.head(n))

    def iter_rows(self, *, named):
        assert named
        return iter(self.frame.to_dict("records"))

    def __iter__(self):
        return iter(self.columns)  # polars gives columns, not rows


def test_a_data_frame_of_polars(table):
    root, frame = table
    options = {"path": root, "label_col": 2, "valid_col": "is_valid", "bs": 5}
    ours, theirs = (ImageDataLoaders.from_frame(given, **options) for given in (frame, RowsByName(frame)))
    assert torch.equal(ours.one_batch()[0], theirs.one_batch()[0])
    assert theirs.vocab == ours.vocab


def test_files_of_a_table_that_are_not_there(table):
    root, frame = table
    with pytest.raises(
        ValueError, match=r"(?s)20 of 20 files cannot be read:.*elsewhere/.*_0\.jpg: there is no such file"
    ):
        ImageDataLoaders.from_frame(frame, path=root / "elsewhere", label_col="breed")


# by a function


def is_cat(name):
    return name[0].isupper()


def test_labels_by_a_function_of_the_name(make_folder):
    root = make_folder(*NAMED)
    listed = ImageDataLoaders.from_name_func(root, get_image_files(root), label_func=is_cat, bs=5)
    found = ImageDataLoaders.from_path_func(root, None, using_attr(is_cat, "name"), bs=5)
    assert listed.vocab == found.vocab == (False, True)
    assert all(torch.equal(a, b) for a, b in zip(listed.one_batch(), found.one_batch(), strict=True))
    assert found.source == root


def test_the_book_s_list_of_files_is_not_taken_for_a_pattern(make_folder):
    root = make_folder(*NAMED)
    with pytest.raises(TypeError, match=r"from_name_re\(path, pat\): pat is a regular expression, got a list"):
        ImageDataLoaders.from_name_re(root, get_image_files(root))


# sizes


def test_images_of_different_sizes_are_resized(make_folder, make_picture):
    root = make_folder(*NAMED)
    make_picture(99, height=20, width=30).save(root / NAMED[0])
    assert ImageDataLoaders.from_name_re(root, BREED).one_batch()[0].shape[2:] == (224, 224)
    assert ImageDataLoaders.from_name_re(root, BREED, size=(10, 14)).one_batch()[0].shape[2:] == (10, 14)
    with pytest.raises(ValueError, match=r"image 0 is \[3 \d+ \d+\], image \d+ is .* add item_tfms=Resize"):
        ImageDataLoaders.from_name_re(root, BREED, item_tfms=(), check=False)
    with pytest.raises(ValueError, match=r"1 of 20 images are not 20×30 .*pyrenees_0.jpg \(30×20\)\. Bring .*size=224"):
        ImageDataLoaders.from_name_re(root, BREED, item_tfms=())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(make_folder, channels):
    dls = ImageDataLoaders.from_name_re(make_folder(*NAMED), BREED, channels=channels)
    assert dls.one_batch()[0].shape[1] == channels
    assert len(dls.block.batch_tfms[0].mean) == channels


# what the check finds


def test_unreadable_files_are_all_listed_or_left_out(make_folder):
    root = make_folder(*NAMED)
    (root / NAMED[0]).write_bytes(b"")
    (root / NAMED[3]).write_text("this is a note")
    whole = (root / NAMED[12]).read_bytes()
    (root / NAMED[12]).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="3 of 20 files cannot be read") as caught:
        ImageDataLoaders.from_name_re(root, BREED)
    for name, reason in [(0, "the file is empty"), (3, "not an image but a text file"), (12, "damaged or cut off")]:
        assert f"{root / NAMED[name]}: {reason}" in str(caught.value)
    with pytest.warns(UserWarning, match="3 of 20 files cannot be read; going on without them"):
        dls = ImageDataLoaders.from_name_re(root, BREED, on_unreadable="skip", bs=4)
    assert len(dls.train.dataset) + len(dls.valid.dataset) == 17
    assert dls.report.unreadable[0][1].startswith("damaged")
    for loader in dls:
        for x, _ in loader:
            assert torch.isfinite(x).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_unchecked_files_are_named_when_they_are_met(make_folder, workers):
    root = make_folder(*NAMED)
    dls = ImageDataLoaders.from_name_re(root, BREED, bs=2, workers=workers, check=False, max_broken=0)
    torn = dls.train.dataset.items[5]
    torn.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{torn}: the file is empty"):
        list(dls.train)


def test_twins_across_the_split_are_named(make_folder):
    root = make_folder(*NAMED)
    shutil.copy(root / NAMED[3], root / NAMED[17])
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=IndexSplitter([0]),
        get_y=using_attr(RegexLabeller(BREED), "name"),
    )
    dls = block.dataloaders(root)
    assert dls.report.twins == ()  # both are in training
    at = get_image_files(root).index(root / NAMED[17])
    with pytest.warns(UserWarning, match="1 file is byte for byte the same in training and validation") as caught:
        dls = DataBlock(
            blocks=block.blocks, get_items=get_image_files, splitter=IndexSplitter([at]), get_y=block.get_y
        ).dataloaders(root)
    assert caught[0].filename == __file__
    assert dls.report.twins == ((str(root / NAMED[3]), str(root / NAMED[17])),)
    assert f"{root / NAMED[3]} = {root / NAMED[17]}" in dls.report.warnings[0]


def test_labels_that_training_has_not_seen(make_folder):
    root = make_folder(*(f"train/{f}" for f in FOLDERS), "valid/cats/11.jpg", "valid/cows/12.jpg")
    with pytest.warns(UserWarning, match="1 labels in the validation half have no training sample.*: cows"):
        dls = ImageDataLoaders.from_folder(root)
    assert dls.vocab == ("cats", "cows", "dogs")


# bad sources


def test_sources_that_hold_no_images(tmp_path):
    for make in (ImageDataLoaders.from_folder, lambda p: ImageDataLoaders.from_name_re(p, BREED)):
        with pytest.raises(ValueError, match=r"no images found .*it is empty"):
            make(tmp_path)
        with pytest.raises(FileNotFoundError, match="nowhere: does not exist"):
            make(tmp_path / "nowhere")


def test_one_class_only(make_folder):
    with pytest.raises(ValueError, match="at least two classes are needed, and the only label is 'cats'"):
        ImageDataLoaders.from_folder(make_folder(*FOLDERS[:10]))


def test_a_class_with_one_image_is_trained_on(make_folder):
    dls = ImageDataLoaders.from_folder(make_folder(*FOLDERS, "cows/1.jpg"))
    assert dls.vocab == ("cats", "cows", "dogs")
    assert "cows/1.jpg" in names(dls.train)


def test_images_outside_class_folders(make_folder):
    with pytest.raises(
        ValueError, match=r"1 of 21 images have no label, as they lie in no class folder: .*images/x\.jpg"
    ):
        ImageDataLoaders.from_folder(make_folder(*FOLDERS, "x.jpg"))


def test_an_item_transform_that_fails(make_folder):
    root = make_folder(*FOLDERS)
    with pytest.raises(ValueError, match=r"images/cats/\d\.jpg: the item transform explode failed: boom"):
        ImageDataLoaders.from_folder(root, size=16, item_tfms=explode)
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label)
    assert walk(block, root, 4).endswith("all steps work")


def explode(image):
    raise RuntimeError("boom")


# new items


def test_new_images(make_folder, make_picture):
    root = make_folder(*NAMED)
    dls = ImageDataLoaders.from_name_re(root, BREED, size=16, bs=2)
    path = dls.valid.dataset.items[0]
    expected = next(iter(dls.valid))[0][0]
    for item in (path, str(path), Image.open(path), np.asarray(Image.open(path))):
        (x,) = next(iter(dls.test_dl([item])))
        assert torch.equal(x[0], expected)
    x, y = next(iter(dls.test_dl([path], with_labels=True)))
    assert dls.vocab[y[0]] == RegexLabeller(BREED)(path.name)


def test_misspelt_arguments_are_refused(make_folder):
    for make in (
        ImageDataLoaders.from_folder,
        ImageDataLoaders.from_name_re,
        ImageDataLoaders.from_name_func,
        ImageDataLoaders.from_path_func,
        ImageDataLoaders.from_lists,
        ImageDataLoaders.from_frame,
        ImageDataLoaders.from_csv,
    ):
        with pytest.raises(TypeError, match=r"from_\w+\(\) has no argument 'item_tfm': did you mean 'item_tfms'"):
            make("anywhere", item_tfm=Resize(5))


# real photographs


@pytest.fixture(scope="session")
def pets(tmp_path_factory, shared_data):
    """Forty real photographs of pets, of many sizes."""
    root = tmp_path_factory.mktemp("pets")
    with zipfile.ZipFile(shared_data("pets/pets_small.zip")) as archive:
        members = sorted(m for m in archive.namelist() if m.endswith(".jpg"))[::31]
        archive.extractall(root, members)
    return root


def test_real_photographs(pets):
    dls = ImageDataLoaders.from_name_re(pets, BREED, size=32, bs=8, valid_pct=0.3)
    x, y = dls.one_batch()
    assert x.shape == (8, 3, 32, 32)
    assert len(dls.vocab) > 20
    assert y.max() < len(dls.vocab)


def test_the_split_is_read_from_folders_in_any_case(make_folder):
    names = [f"{half}/{c}/{i}.jpg" for half, n in (("Train", 4), ("Valid", 2)) for c in "ab" for i in range(n)]
    dls = ImageDataLoaders.from_folder(make_folder(*names), bs=2)
    assert (len(dls.train.dataset), len(dls.valid.dataset)) == (8, 4)


def test_a_linked_class_folder_is_read_and_an_empty_one_told(make_folder, tmp_path):
    root = make_folder(*[f"{c}/{i}.jpg" for c in "ab" for i in range(5)])
    (root / "b").rename(tmp_path / "elsewhere")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "hollow").mkdir()
    with pytest.warns(UserWarning, match="1 class folder holds no images.*hollow"):
        dls = ImageDataLoaders.from_folder(root, bs=2)
    assert dls.vocab == ("a", "b")


def test_one_image_of_another_size_among_many_is_named_before_training(make_folder, make_picture):
    root = make_folder(*[f"{c}/{i:02}.jpg" for c in "ab" for i in range(55)])
    make_picture(999, height=31, width=20).save(root / "a/01.jpg")
    with pytest.raises(ValueError, match=r"1 of 110 images are not 20×30.*a/01.jpg \(20×31\)"):
        ImageDataLoaders.from_folder(root, bs=2)
    assert ImageDataLoaders.from_folder(root, bs=2, size=16).one_batch()[0].shape[2:] == (16, 16)


def test_one_file_where_a_list_is_meant_is_refused(make_folder):
    folder = make_folder(*FOLDERS)
    for given in ("one.jpg", folder / "one.jpg"):
        with pytest.raises(TypeError, match="fnames is a list, got one"):
            ImageDataLoaders.from_name_func(folder, given, str.isupper)
    for transforms in (3, "Resize"):
        with pytest.raises(TypeError, match="transforms are one or a list of them"):
            ImageDataLoaders.from_folder(folder, item_tfms=transforms)


def test_a_delimiter_that_occurs_nowhere_is_told(make_folder):
    folder = make_folder(*NAMED)
    rows = [f"{name},{'a b' if i % 2 else 'c'}" for i, name in enumerate(NAMED)]
    (folder / "labels.csv").write_text("\n".join(["name,labels", *rows]))
    with pytest.warns(UserWarning, match="label_delim=';' occurs in none of the 20 values of column"):
        ImageDataLoaders.from_csv(folder / "labels.csv", label_delim=";")
    same = [f"{name},a" for name in NAMED]
    (folder / "labels.csv").write_text("\n".join(["name,labels", *same]))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ImageDataLoaders.from_csv(folder / "labels.csv", label_delim=";")
    assert any("all items together have one label, 'a'" in str(warning.message) for warning in told)
