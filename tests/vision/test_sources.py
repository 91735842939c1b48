from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from satsuma.vision.sources import image_sizes, images_below, read_table, refuse_columns, refuse_strays, split_folders

# folders


def split(root, by_share=False):
    return split_folders(root, "train", "valid", by_share)


def test_train_and_valid_are_the_split(make_folder):
    root = make_folder("train/cats/1.jpg", "valid/cats/2.jpg", "test/cats/3.jpg")
    assert split(root) == ("train", "valid")
    assert split(root, by_share=True) == ("train",)


def test_class_folders_alone_are_no_split(make_folder):
    assert split(make_folder("cats/1.jpg", "dogs/2.jpg")) == ()


def test_classes_may_be_called_train_and_valid(make_folder):
    assert split(make_folder("train/1.jpg", "valid/2.jpg", "boat/3.jpg")) == ()


def test_train_alone_is_split_by_share(make_folder):
    root = make_folder("train/cats/1.jpg", "train/dogs/2.jpg", ".cache/x/1.jpg")
    assert split(root) == split(root, by_share=True) == ("train",)


def test_a_folder_of_another_name_is_not_guessed(make_folder):
    root = make_folder("train/cats/1.jpg", "val/cats/2.jpg")
    with pytest.raises(ValueError, match=r"none below 'valid'; folders there: train, val\. Say .* valid=\"...\""):
        split(root)
    assert split_folders(root, "train", "val", False) == ("train", "val")
    assert split(root, by_share=True) == ("train",)
    with pytest.raises(ValueError, match=r"below 'val' but none below 'trian'.* train=\"...\""):
        split_folders(root, "trian", "val", False)


def test_no_images_says_what_is_there(tmp_path):
    with pytest.raises(ValueError, match=r"no images found \(looked for \.jpg, .*it is empty"):
        images_below(tmp_path, ())
    for name in ("a.txt", "b.CSV", "README"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"it holds 3 other files \(\.csv, \.txt, no ending\)"):
        images_below(tmp_path, ())


def test_images_in_no_class_folder_have_no_label():
    root = Path("pets")
    refuse_strays(root, (), [root / "cats/1.jpg"])
    with pytest.raises(ValueError, match=r"1 of 2 images have no label.*: pets/2\.jpg. .*from_name_re"):
        refuse_strays(root, (), [root / "cats/1.jpg", root / "2.jpg"])
    with pytest.raises(ValueError, match=r"1 of 1 images have no label"):
        refuse_strays(root, ("train",), [root / "train/2.jpg"])


def test_sizes_of_images_as_they_will_stand(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (7, 5)).save(tmp_path / "lying.jpg", exif=exif)
    Image.new("RGB", (5, 7)).save(tmp_path / "upright.jpg")
    (tmp_path / "torn.jpg").write_bytes(b"torn")
    assert image_sizes(sorted(tmp_path.iterdir())) == {(5, 7)}
    assert image_sizes([np.zeros((7, 5, 3)), Image.new("L", (3, 2))]) == {(5, 7), (3, 2)}


# tables


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffname,label\nü 1.jpg,cat\n".encode())
    assert list(read_table(tmp_path / "a.csv").columns) == ["name", "label"]


def test_names_stay_text_and_labels_keep_their_words(tmp_path):
    (tmp_path / "a.csv").write_text("label;name\nNA;007\n;008\nNone;9\n")
    for column in (1, "name"):
        frame = read_table(tmp_path / "a.csv", ";", column)
        assert frame["name"].tolist() == ["007", "008", "9"]
        assert frame["label"].isna().tolist() == [False, True, False]
    assert read_table(tmp_path / "a.csv", ";")["name"].tolist() == ["007", "008", "9"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "cannot be read as a csv file: No columns to parse"),
        (b"name,label\n", "has no rows below its header"),
        (b"a,b\n1,2\n1,2,3,4\n", "cannot be read as a csv file: .*line 3"),
        (b"a,b\n\xff\xfe,2\n", "cannot be read as a csv file: .*utf-8"),
    ],
)
def test_bad_tables_are_named(tmp_path, raw, message):
    (tmp_path / "a.csv").write_bytes(raw)
    with pytest.raises(ValueError, match=rf"a\.csv: {message}"):
        read_table(tmp_path / "a.csv")


def test_columns_that_are_not_there():
    frame = pd.DataFrame({"name": ["a"], "label": ["b"]})
    refuse_columns(frame, "pets.csv", ("name", 1))
    with pytest.raises(ValueError, match=r"pets\.csv has no column 'lable': did you mean 'label'"):
        refuse_columns(frame, "pets.csv", ("lable",))
    with pytest.raises(
        ValueError, match=r"pets\.csv has no column number 2 \(counted from 0\); its columns: name, label"
    ):
        refuse_columns(frame, "pets.csv", (2,))
    with pytest.raises(TypeError, match="from_frame takes a data frame, got str; for a file use from_csv"):
        refuse_columns("pets.csv", "the table", (0,))


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["01", "001", "1"], ["01", "001", "1"]),
        (["0", "1", "-2"], [0, 1, -2]),
        (["0.5", "1", ".5", "1e-3"], [0.5, 1.0, 0.5, 0.001]),
        (["True", "False"], [True, False]),
        (["0", "cat"], ["0", "cat"]),
        (["1" * 30, "2"], ["1" * 30, "2"]),
    ],
)
def test_a_column_becomes_numbers_only_if_each_value_is_one(tmp_path, values, read):
    (tmp_path / "a.csv").write_text("name,label\n" + "".join(f"a.png,{v}\n" for v in values))
    found = read_table(tmp_path / "a.csv")["label"].tolist()
    assert found == read
    assert type(found[0]) is type(read[0])


def test_a_label_has_one_kind_however_long_the_file_is(tmp_path):
    (tmp_path / "a.csv").write_text("name,label\n" + "a.png,0\n" * 400_000 + "a.png,cat\n")
    assert set(read_table(tmp_path / "a.csv")["label"]) == {"0", "cat"}


def test_train_and_valid_folders_in_any_case(tmp_path):
    for name in ("Train/a", "Train/b", "VALID/a", "VALID/b"):
        (tmp_path / name).mkdir(parents=True)
    assert split_folders(tmp_path, "train", "valid", False) == ("Train", "VALID")
