"""`Table`: the rows of a csv file, read with the standard library; and rows of whatever kind of table is given."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satsuma.data.checks import SHOWN
from satsuma.data.samples import listed
from satsuma.errors import nearest

WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")  # as int64 holds it; a leading zero ("007") makes it a name
DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,17}|(?:0|[1-9]\d*)?\.\d+|(?:0|[1-9]\d*)(?:\.\d*)?[eE][+-]?\d+)")
TRUTHS = ("True", "False", "TRUE", "FALSE", "true", "false")


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns and rows; a row is a dict of column → value, None where the file has nothing.

    As the source of a `DataBlock` its rows are the items. `table["name"]` is a column.
    """

    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> tuple[Any, ...]:
        if column not in self.columns:
            raise KeyError(f"no column {column!r}: {nearest(str(column), self.columns)}")
        return tuple(row[column] for row in self.rows)

    def __repr__(self) -> str:
        return f"Table({len(self.rows)} rows of {', '.join(self.columns)})"

    def with_column(self, name: str, values: Sequence[Any]) -> "Table":
        """The same with a column set to `values`."""
        columns = self.columns if name in self.columns else (*self.columns, name)
        rows = tuple({**row, name: value} for row, value in zip(self.rows, values, strict=True))
        return Table(columns, rows)


def read_table(csv_file: str | Path, delimiter: str = ",", fn_col: str | int | None = None) -> Table:
    """A csv file as a `Table`; `ValueError` naming a file that cannot be read, and the line.

    The file is UTF-8, with or without a byte order mark; its first line names the columns. All is read as text; a
    column other than `fn_col` becomes numbers (or truth values) only if each of its values is one, so that "01" and
    "1", or "0" and "cat", stay labels as they are written. Only an empty field is a missing value.
    """
    if len(delimiter) != 1:
        raise ValueError(f"delimiter is one character, such as ',' or ';' or a tab, got {delimiter!r}")
    columns, records = read_records(csv_file, delimiter)
    if not records:
        raise ValueError(f"{csv_file}: has no rows below its header")
    text = columns[fn_col] if isinstance(fn_col, int) and fn_col < len(columns) else fn_col
    by_column = zip(*records, strict=True)
    values = [column if name == text else as_numbers(column) for name, column in zip(columns, by_column, strict=True)]
    return Table(columns, tuple(dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)))


def read_records(csv_file: str | Path, delimiter: str) -> tuple[tuple[str, ...], list[list[str | None]]]:
    """The names in the header, and each row as text, None for an empty field; a row that ends early is filled up."""
    records: list[list[str | None]] = []
    long_rows: list[str] = []
    reader = csv.reader(io.StringIO(decoded(csv_file), newline=""), delimiter=delimiter, strict=True)
    try:
        columns = header_names(csv_file, next((row for row in reader if row), []))
        for row in reader:
            if len(row) > len(columns):
                long_rows.append(f"line {reader.line_num}, saw {len(row)}")
            if any(row) or len(row) == 1:  # a line that is empty, or of separators alone, is passed over
                records.append([field or None for field in row] + [None] * (len(columns) - len(row)))
    except csv.Error as error:
        raise ValueError(
            f"{csv_file}: cannot be read as a csv file: line {reader.line_num}: {error}. Is a quote mark open?"
        ) from error
    if long_rows:
        more = f"; and {len(long_rows) - SHOWN} more" if len(long_rows) > SHOWN else ""
        raise ValueError(
            f"{csv_file}: cannot be read as a csv file: expected {len(columns)} fields in "
            f"{'; '.join(long_rows[:SHOWN])}{more}. A field that holds {delimiter!r} stands in quote marks."
        )
    return columns, records


def decoded(csv_file: str | Path) -> str:
    """The text of a UTF-8 file without its byte order mark; `ValueError` that names the line that is none."""
    raw = Path(csv_file).read_bytes()
    try:
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError("it is UTF-16")
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        told = f"line {line} is not UTF-8 (byte 0x{raw[error.start]:02x}: {error.reason})"
        raise ValueError(f"{csv_file}: cannot be read as a csv file: {told}. Save it as UTF-8.") from error
    except ValueError as error:
        raise ValueError(f"{csv_file}: cannot be read as a csv file: {error}. Save it as UTF-8.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{csv_file}: cannot be read as a csv file: line {line} has a null byte: it is no text, or UTF-16. Save it "
            f"as UTF-8."
        )
    return text


def header_names(csv_file: str | Path, header: Sequence[str]) -> tuple[str, ...]:
    """The columns' names, each once; one without a name (as an index is written) is called by its number."""
    if not header:
        raise ValueError(f"{csv_file}: cannot be read as a csv file: No columns to parse, the file is empty")
    names = tuple(name or f"Unnamed: {i}" for i, name in enumerate(header))
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ValueError(f"{csv_file}: two columns of its header are called {twice[0]!r}; rename one")
    return names


def as_numbers(column: Sequence[str | None]) -> Sequence[Any]:
    """A column of text as truth values, whole numbers or floats if every value is written as one, else as it is."""
    values = [value for value in column if value is not None]
    if not values:
        return column
    if all(value in TRUTHS for value in values):
        return column if len(values) < len(column) else [value in ("True", "TRUE", "true") for value in values]
    if all(WHOLE.fullmatch(value) for value in values):
        return converted(column, int)
    if all(DECIMAL.fullmatch(value) for value in values):
        return converted(column, float)
    return column


def converted(column: Sequence[str | None], kind: Callable[[str], Any]) -> list[Any]:
    return [None if value is None else kind(value) for value in column]


def first_rows(frame: Any, n: int) -> list[Any]:
    """The first `n` rows of a `Table`, or of a data frame of pandas or polars."""
    if hasattr(frame, "iterrows"):  # pandas
        return listed(frame.head(n))
    return list(frame.head(n).iter_rows(named=True)) if hasattr(frame, "iter_rows") else list(frame.rows[:n])
