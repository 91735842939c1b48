"""csv files read with the standard library, beside pandas as an oracle where both have a say."""

import builtins
import dataclasses
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, RegressionBlock
from satsuma.data.csv_table import Table, first_rows, read_table
from satsuma.data.getters import ColReader


@pytest.fixture
def csv_file(tmp_path):
    """Writes text or bytes to a.csv; gives the path."""

    def write(content):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "a.csv").write_bytes(raw)
        return tmp_path / "a.csv"

    return write


def test_a_byte_order_mark_is_no_part_of_a_name(csv_file):
    table = read_table(csv_file("\ufeffname,label\nü 1.jpg,cat\n"))
    assert table.columns == ("name", "label")
    assert table.rows == ({"name": "ü 1.jpg", "label": "cat"},)


def test_names_stay_text_and_labels_keep_their_words(csv_file):
    file = csv_file("label;name\nNA;007\n;008\nNone;9\n")
    for column in (1, "name"):
        table = read_table(file, ";", column)
        assert table["name"] == ("007", "008", "9")
        assert table["label"] == ("NA", None, "None")
    assert read_table(file, ";")["name"] == ("007", "008", "9")


def test_a_column_of_whole_numbers_may_have_gaps(csv_file):
    assert read_table(csv_file("a,b\n1,x\n,y\n3,z\n"))["a"] == (1, None, 3)
    assert read_table(csv_file("a,b\n1,2\n1,2.5\n,3\n"))["b"] == (2.0, 2.5, 3.0)
    assert read_table(csv_file("a,b\nTrue,2\n,3\n"))["a"] == ("True", None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "cannot be read as a csv file: No columns to parse"),
        (b"\n\n", "cannot be read as a csv file: No columns to parse"),
        (b"name,label\n", "has no rows below its header"),
        (b"a,b\n1,2\n1,2,3,4\n", "cannot be read as a csv file: expected 2 fields in line 3, saw 4"),
        (b'a,b\n"1\n1",2\n1,2,3\n', "cannot be read as a csv file: expected 2 fields in line 4, saw 3"),
        (b"a,b\n\xff\xfe,2\n", "cannot be read as a csv file: line 2 is not UTF-8 .* Save it as UTF-8"),
        (b'a,b\n1,2\n"1,2\n3,4\n', "cannot be read as a csv file: line 4: .*Is a quote mark open"),
        (b"a,b,a\n1,2,3\n", "two columns of its header are called 'a'"),
    ],
)
def test_bad_tables_are_named(csv_file, raw, message):
    with pytest.raises(ValueError, match=rf"a\.csv: {message}"):
        read_table(csv_file(raw))


def test_a_separator_is_one_character(csv_file):
    with pytest.raises(ValueError, match=r"delimiter is one character.*got ', '"):
        read_table(csv_file("a, b\n1, 2\n"), ", ")


def test_a_row_that_ends_early_and_an_empty_line(csv_file):
    table = read_table(csv_file("name,label\n1.png,cat\n\n,\n2.png\n,\n"))
    assert table["label"] == ("cat", None)
    assert len(table) == 2


def test_line_breaks_and_separators_between_quote_marks(csv_file):
    table = read_table(csv_file('name,label\r\n"a, b.png","two\nlines"\r\n"say ""hi"".png",x\r\n'))
    assert table["name"] == ("a, b.png", 'say "hi".png')
    assert table["label"] == ("two\nlines", "x")


def test_an_index_column_without_a_name(csv_file):
    assert read_table(csv_file(",name\n0,a\n1,b\n")).columns == ("Unnamed: 0", "name")


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
def test_a_column_becomes_numbers_only_if_each_value_is_one(csv_file, values, read):
    found = read_table(csv_file("name,label\n" + "".join(f"a.png,{v}\n" for v in values)))["label"]
    assert found == tuple(read)
    assert type(found[0]) is type(read[0])


def test_a_label_has_one_kind_however_long_the_file_is(csv_file):
    file = csv_file("name,label\n" + "a.png,0\n" * 400_000 + "a.png,cat\n")
    assert set(read_table(file)["label"]) == {"0", "cat"}


FIELD = st.text(st.one_of(st.characters(exclude_categories=("Cs", "Cc")), st.sampled_from(',"\n ;')), max_size=8)


@given(rows=st.lists(FIELD, min_size=1, max_size=6))
def test_whatever_pandas_writes_is_read_back(rows, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    pd.DataFrame({"x": "x", "text": rows}).to_csv(file, index=False)
    assert read_table(file, fn_col="text")["text"] == tuple(row or None for row in rows)


def test_a_column_that_is_not_there_and_one_that_is_added():
    table = Table(("name",), ({"name": "a"}, {"name": "b"}))
    with pytest.raises(KeyError, match="no column 'nmae': did you mean 'name'"):
        table["nmae"]
    wider = table.with_column("held", [True, False])
    assert wider["held"] == (True, False)
    assert wider.with_column("held", [1, 2]).columns == ("name", "held")
    assert repr(table) == "Table(2 rows of name)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.rows = ()


def test_rows_of_any_table():
    table = Table(("name",), ({"name": "a"}, {"name": "b"}))
    frame = pd.DataFrame({"name": ["a", "b"]})

    class Polars:
        """As much of polars' data frame as is used."""

        def head(self, n):
            return self

        def iter_rows(self, *, named):
            assert named
            return iter([{"name": "a"}])

    for given_table in (table, frame, Polars()):
        assert [row["name"] for row in first_rows(given_table, 1)] == ["a"]


def test_a_table_is_the_source_of_a_block(csv_file):
    table = read_table(csv_file("x,label\n" + "".join(f"{i}.5,{'ab'[i % 2]}\n" for i in range(20))))
    block = DataBlock(blocks=(RegressionBlock, CategoryBlock), get_x=ColReader("x"), get_y=ColReader(1))
    x, y = block.dataloaders(table, bs=4).one_batch()
    assert ((x[:, 0] - 0.5) % 2 == y).all()


def test_no_pandas_is_needed(csv_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError):
        builtins.__import__("pandas")
    assert len(read_table(csv_file("a,b\n1,2\n"))) == 1
