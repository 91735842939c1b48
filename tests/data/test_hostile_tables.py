"""csv files as they come: each is read as it stands, or refused by name, line and reason."""

import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import satsuma
from satsuma.cli.guess import guess_data
from satsuma.data.csv_table import read_table
from satsuma.errors import UserError
from satsuma.vision.loaders import ImageDataLoaders

N = 12
ROWS = [f"{i}.png,{'ab'[i % 2]}" for i in range(N)]
TABLE = "file,label\n" + "\n".join(ROWS) + "\n"
MALFORMED = 150
PIECES = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b";",
    b"\t",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"=1+1",
    b"",
    b" ",
    b"'",
    b"\\",
    b"a" * 70_000,
]
PIECES += [b'"\n"', b"..", b"/dev/zero", b"nan", "\u202e".encode(), b"\x1b[31m", b"\xed\xa0\x80", b"file", b"1e999"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(N):
        noise = np.random.default_rng(i).integers(0, 256, (9, 11, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    return tmp_path


def loaded(folder, content, **options):
    """The loaders of a csv file beside the pictures."""
    (folder / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return ImageDataLoaders.from_csv(folder / "t.csv", bs=2, workers=0, **options)


def labels(data):
    """How many samples each class has, in both halves."""
    items = [item for loader in data.loaders for item in loader.dataset.items]
    return {v: sum(item["label"] == v for item in items) for v in data.vocab}


def malformed(raw, rng):
    """The bytes with pieces put in, written over, taken out, or cut off."""
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(rng.integers(len(raw) + 1, size=2))
        piece = PIECES[rng.integers(len(PIECES))]
        end = min(end, start + 40) if rng.random() < 0.9 else end
        kind = rng.integers(4)
        if kind == 0:
            raw = raw[:start] + piece + raw[start:]
        elif kind == 1:
            raw = raw[:start] + piece + raw[start + 1 :]
        elif kind == 2:
            raw = raw[:start] + raw[end:]
        else:
            raw = raw[:start] + piece
    return raw


def attempted(load, folder, content):
    """The loaders and None, or None and the error, which is one that a person is to read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if load == "python":
                return loaded(folder, content), None
            return guess_data(folder / "t.csv", batch_size=2, workers=0, augment=False).data, None
        except (ValueError, UserError) as error:
            return None, error


# what is refused although no file and no row is at fault: there is too little left to train on
TOO_LITTLE = ("at least two classes are needed", "StratifiedSplitter: ", "left none of the")


@pytest.mark.parametrize("load", ["python", "command"])
def test_malformed_tables_are_read_or_named(folder, load):
    (folder / "t.csv").touch()
    refused = 0
    for number in range(MALFORMED):
        content = malformed(TABLE.encode(), np.random.default_rng([11, number]))
        (folder / "t.csv").write_bytes(content)
        data, error = attempted(load, folder, content)
        if error is not None:
            refused += 1
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            assert Path(satsuma.__file__).parent in Path(last).parents, (content[:300], error)
            named = any(told in str(error) for told in (str(folder), "/dev/zero", "': None", *TOO_LITTLE))
            assert named, (content[:300], error)
            continue
        x, y = data.one_batch()
        assert x.shape == (2, 3, 9, 11)
        assert len(y) == 2
    assert MALFORMED / 3 < refused < MALFORMED


# one by one


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("\n", "\n\n"),
        TABLE[:-1],
    ],
)
def test_marks_and_ends_of_lines_make_no_difference(folder, content):
    assert labels(loaded(folder, content)) == {"a": 6, "b": 6}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_separator_is_told_and_by_the_command_found(folder, delimiter):
    content = TABLE.replace(",", delimiter)
    with pytest.raises(ValueError, match="Is it separated otherwise: delimiter=") as caught:
        loaded(folder, content)
    assert f"delimiter={delimiter!r}?" in str(caught.value)
    assert labels(loaded(folder, content, delimiter=delimiter)) == {"a": 6, "b": 6}
    guessed = guess_data(folder / "t.csv", batch_size=2, workers=0, augment=False)
    assert labels(guessed.data) == {"a": 6, "b": 6}
    assert guessed.said[0] == f"columns: separated by {delimiter!r}"


def test_a_separator_that_is_in_no_header(folder):
    with pytest.raises(ValueError, match=r"has no column number 1 .*its columns: file\. Say another number"):
        loaded(folder, TABLE.replace(",", " ").replace("file label", "file"))


def test_rows_that_are_too_long_are_all_told_by_line(folder):
    content = (
        TABLE.replace("3.png,b", "3.png,b,c").replace("6.png,a", '6.png,a,"d\ne",f').replace("9.png,b", "9.png,b,")
    )
    with pytest.raises(
        ValueError, match=r"t\.csv: .*expected 2 fields in line 5, saw 3; line 9, saw 4; line 12, saw 3\. "
    ):
        loaded(folder, content)
    with pytest.raises(ValueError, match=r"line 6, saw 3; and 7 more\. "):
        loaded(folder, TABLE.replace(",a\n", ",a,\n").replace(",b\n", ",b,\n"))


def test_a_row_that_ends_early_has_no_label_and_is_named(folder):
    with pytest.raises(ValueError, match=r"1 of 12 items have no label:\n.*gives no label for .*/3\.png"):
        loaded(folder, TABLE.replace("3.png,b", "3.png"))


def test_a_row_without_a_file_is_shown(folder):
    with pytest.raises(ValueError, match=r"1 of 12 files cannot be read:\n  .*'label': 'b'.*: no file is named"):
        loaded(folder, TABLE.replace("3.png,b", ",b"))


def test_quoted_line_breaks_stay_in_their_field(folder):
    data = loaded(folder, TABLE.replace(",b\n", ',"b\nc"\n'))
    assert labels(data) == {"a": 6, "b\nc": 6}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TABLE.encode("utf-16"), r"it is UTF-16\. Save it as UTF-8"),
        (TABLE.encode("utf-16-le"), r"line 1 has a null byte: it is no text, or UTF-16"),
        (TABLE.replace("3.png", "3\0.png"), r"line 5 has a null byte"),
        (TABLE.replace(",b", ",\u00e9").encode("latin-1"), r"line 3 is not UTF-8 \(byte 0xe9: .*\)\. Save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "line 1 is not UTF-8"),
        ("", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("file,label\n", "has no rows below its header"),
        (TABLE.replace("3.png,b", '3.png,"b'), r"line 13: unexpected end of data\. Is a quote mark open"),
        (TABLE.replace("3.png,b", "3.png," + "b" * 200_000), r"line 5: field larger than field limit"),
        (TABLE.replace("file,label", "label,label"), "two columns of its header are called 'label'"),
    ],
)
def test_what_is_no_table_is_told_by_line(folder, content, message):
    with pytest.raises(ValueError, match=rf"t\.csv: .*{message}"):
        loaded(folder, content)


def test_formulas_are_text(folder):
    formula = "=cmd|'/c calc'!A0"
    assert labels(loaded(folder, TABLE.replace(",b", f",{formula}"))) == {formula: 6, "a": 6}
    assert read_table(folder / "t.csv")["label"][1] == formula


def test_labels_that_differ_in_spaces_or_capitals_are_told(folder):
    content = TABLE.replace("3.png,b", "3.png,b ").replace("5.png,b", "5.png,B").replace("7.png,b", "7.png,B")
    with pytest.warns(UserWarning, match=r"1 class is spelt in several ways.*: 'B' and 'b' and 'b '"):
        data = loaded(folder, content.replace("9.png,b", "9.png,b "))
    assert labels(data) == {"B": 2, "a": 6, "b": 2, "b ": 2}


def test_names_that_lead_elsewhere_are_files_or_named(folder):
    content = (
        TABLE.replace("3.png", "/dev/zero").replace("4.png", "../../../etc/passwd").replace("5.png", "5\x1b[31m.png")
    )
    with pytest.raises(ValueError, match="3 of 12 files cannot be read") as caught:
        loaded(folder, content)
    lines = str(caught.value).splitlines()
    assert "  /dev/zero: cannot be read: it is a pipe, socket or device" in lines
    assert r"5\x1b[31m.png: there is no such file" in lines[3]
    assert len(lines) == 5


def test_a_number_that_is_none_is_named(folder):
    from satsuma.data.blocks import RegressionBlock

    numbers = "file,label\n" + "".join(f"{i}.png,{'1e999' if i == 3 else i + 0.5}\n" for i in range(N))
    with pytest.raises(ValueError, match=r"/3\.png: RegressionBlock: the target inf is NaN or infinite"):
        loaded(folder, numbers, y_block=RegressionBlock())
