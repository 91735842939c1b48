from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from satsuma.data.getters import (
    ColReader,
    ItemGetter,
    RegexLabeller,
    as_python,
    column_value,
    get_files,
    is_missing,
    parent_label,
    using_attr,
)


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.TXT", "a/1.txt", "a/deep/3.txt", "c d/é.txt", ".hidden/4.txt", "a/.5.txt", "a/6.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def below(root, files):
    return [f.relative_to(root).as_posix() for f in files]


def test_files_are_sorted_and_hidden_ones_left_out(tree):
    assert below(tree, get_files(tree)) == ["a/1.txt", "a/6.csv", "a/deep/3.txt", "b/2.TXT", "c d/é.txt"]


def test_files_by_ending_in_any_case(tree):
    assert below(tree, get_files(tree, extensions=[".TXT"])) == ["a/1.txt", "a/deep/3.txt", "b/2.TXT", "c d/é.txt"]
    assert below(tree, get_files(tree, extensions=".csv")) == ["a/6.csv"]


def test_files_of_some_folders_only(tree):
    assert below(tree, get_files(str(tree), folders=["b", "c d"])) == ["b/2.TXT", "c d/é.txt"]
    assert below(tree / "a", get_files(tree / "a", recurse=False)) == ["1.txt", "6.csv"]


def test_a_folder_that_is_not_there(tree):
    with pytest.raises(FileNotFoundError, match="has no folder 'trian'; folders there: a, b, c d"):
        get_files(tree, folders="trian")
    with pytest.raises(FileNotFoundError, match="nowhere: does not exist"):
        get_files(tree / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"1\.txt: is a file, not a folder"):
        get_files(tree / "a/1.txt")


def test_parent_label():
    assert parent_label(Path("train/c d/1.jpg")) == "c d"


def test_regex_labeller_reads_the_breed():
    label = using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")
    assert label(Path("images_7/great_pyrenees_173.jpg")) == "great_pyrenees"


def test_regex_labeller_refuses_what_cannot_work():
    with pytest.raises(ValueError, match=r"does not match 'cat\.png'"):
        RegexLabeller(r"(.+)_\d+.jpg$")("cat.png")
    with pytest.raises(ValueError, match="has no group"):
        RegexLabeller(r".+_\d+.jpg$")
    with pytest.raises(ValueError, match="is no regular expression"):
        RegexLabeller(r"(.+")


def test_column_reader_reads_rows_of_frames_dicts_and_tuples():
    frame = pd.DataFrame({"name": ["a"], "label": [5]})
    row = frame.iloc[0]
    assert ColReader("label")(row) == ColReader(1)(row) == 5
    assert ColReader("name", pref=Path("dir"), suff=".png")(row) == Path("dir/a.png")
    assert ColReader("name", pref="x-", suff=".png")({"name": "a"}) == "x-a.png"
    assert ColReader("name")(namedtuple("Row", "name label")("a", 5)) == "a"
    assert ColReader("tags", label_delim=" ")({"tags": "cat dog"}) == ["cat", "dog"]
    assert ColReader("tags", label_delim=" ")({"tags": float("nan")}) == []


def test_a_missing_file_name_is_not_the_file_nan():
    assert ColReader("name", pref=Path("dir"))({"name": float("nan")}) is None


def test_column_reader_names_the_nearest_column():
    row = pd.Series({"name": "a", "label": 5})
    with pytest.raises(ValueError, match="no column 'lable': did you mean 'label'"):
        ColReader("lable")(row)
    with pytest.raises(ValueError, match="no column number 7: there are 2, counted from 0"):
        column_value(row, 7)


def test_item_getter():
    assert ItemGetter(1)(("a", "b")) == "b"


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, "", False, "nan", np.array([np.nan, 1]), [], np.str_("a")])
def test_not_missing(value):
    assert not is_missing(value)


def test_numpys_scalars_become_pythons():
    assert type(as_python(np.int64(3))) is int
    assert type(as_python(np.str_("a"))) is str
    assert as_python("a") == "a"


def test_misspelt_arguments_are_refused():
    with pytest.raises(TypeError, match=r"get_files\(\) has no argument 'recursive': did you mean 'recurse'"):
        get_files(".", recursive=True)
    with pytest.raises(TypeError, match="did you mean 'pat'"):
        RegexLabeller(pattern="(a)")
    with pytest.raises(TypeError, match="did you mean 'attr'"):
        using_attr(len, atr="name")
    with pytest.raises(TypeError, match="did you mean 'pref'"):
        ColReader("a", prefix="b")
    with pytest.raises(TypeError, match="did you mean 'index'"):
        ItemGetter(idx=1)


def test_links_to_folders_are_followed_and_loops_end(tmp_path):
    (tmp_path / "data/a/deep").mkdir(parents=True)
    (tmp_path / "data/a/deep/1.txt").touch()
    (tmp_path / "data/a/loop").symlink_to(tmp_path / "data")
    (tmp_path / "data/a/self.txt").symlink_to("self.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/2.txt").touch()
    (tmp_path / "data/b").symlink_to(tmp_path / "other")
    found = [str(f.relative_to(tmp_path / "data")) for f in get_files(tmp_path / "data")]
    assert found == ["a/deep/1.txt", "a/self.txt", "b/2.txt"]  # a link to itself is for the data check to name
