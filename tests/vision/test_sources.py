from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from satsuma.vision.sources import image_sizes, images_below, refuse_columns, refuse_strays, split_folders

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


def test_train_and_valid_folders_in_any_case(tmp_path):
    for name in ("Train/a", "Train/b", "VALID/a", "VALID/b"):
        (tmp_path / name).mkdir(parents=True)
    assert split_folders(tmp_path, "train", "valid", False) == ("Train", "VALID")
