"""From a csv file to loaders: which column names the files, which is the label, which says what to hold out."""

from pathlib import Path
from typing import Any

from satsuma.data.blocks import CategoryBlock, RegressionBlock
from satsuma.data.csv_table import Table, read_table
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError, nearest
from satsuma.vision.loaders import ImageDataLoaders
from satsuma.vision.sources import LOOKED_AT

LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
VALID_COLUMNS = ("is_valid", "valid")
TRUE_WORDS, FALSE_WORDS = ("yes", "true", "1", "1.0"), ("no", "false", "0", "0.0")


def csv_at(path: Path) -> Path | None:
    """The csv file that `path` is, or the only one directly in it."""
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise UserError(f"{path}: expected a folder of images or a .csv file")
        return path
    found = sorted(path.glob("*.csv"))
    return found[0] if len(found) == 1 else None


def read_guessed(csv_file: Path) -> tuple[Table, str, str]:
    """The table in a csv file, the column that names files, and what separates the columns."""
    delimiter = delimiter_of(csv_file)
    table = read_table(csv_file, delimiter)
    return table, file_column(table, csv_file), delimiter


def delimiter_of(csv_file: Path) -> str:
    """What separates the columns of a csv file: whichever of `,`, `;`, tab and `|` its header has most of."""
    with csv_file.open(encoding="utf-8-sig", errors="replace") as opened:
        header = opened.readline()
    return max((",", ";", "\t", "|"), key=header.count)


def file_column(table: Table, csv_file: Path) -> str:
    """The first column whose values are, for the most part, files beside the table; the data check names the others."""
    for col in table.columns:
        if is_beside(csv_file, col):
            raise UserError(
                f"{csv_file}: has no header: its first row names the file {col}. Put a row of column names above it, "
                f"for example {','.join(('file', 'label', *table.columns[2:]))}"
            )
    for col in table.columns:
        values = table[col][:20]
        if sum(is_beside(csv_file, v) for v in values) * 2 >= len(values):
            return col
    raise UserError(
        f"{csv_file}: no column holds names of files that lie beside it (columns: {', '.join(table.columns)}). Tables "
        f"without images are not something this version trains on from the command line; in Python: "
        f"DataLoaders.from_arrays."
    )


def is_beside(csv_file: Path, name: Any) -> bool:
    """Whether `name` is a file beside the csv file."""
    try:
        return isinstance(name, str) and bool(name) and (csv_file.parent / name).is_file()
    except (OSError, ValueError):  # a text that cannot be a name: too long, or with a null byte
        return False


def some_images(table: Table, fn_col: str, csv_file: Path) -> list[Path]:
    return [csv_file.parent / name for name in table[fn_col][:LOOKED_AT] if isinstance(name, str)]


def held_out(table: Table, csv_file: Path, col: str) -> list[bool]:
    """A column of yes and no, true and false, or 1 and 0 as truth values."""
    words = ["" if value is None else str(value).strip().lower() for value in table[col]]
    for row, word in enumerate(words, 2):  # the header is line 1
        if word not in TRUE_WORDS + FALSE_WORDS:
            raise UserError(
                f"{csv_file}: line {row} has {repr(word) if word else 'nothing'} in column {col}; which rows to hold "
                f"out is said by yes and no, true and false, or 1 and 0. Rename the column if it means something else."
            )
    held = [word in TRUE_WORDS for word in words]
    if all(held) or not any(held):
        raise UserError(
            f"{csv_file}: column {col} is {'true' if held[0] else 'false'} in every row; some rows must be held out "
            f"and some not. Mend it, or rename the column, and {col} is no longer read."
        )
    return held


def label_column(table: Table, csv_file: Path, fn_col: str, label: str | None) -> str:
    """The column that `label` names; else the one that is called so, or the only other one."""
    others = [c for c in table.columns if c != fn_col]
    if label and label not in table.columns:
        raise UserError(f"{csv_file}: no column {label!r}: {nearest(label, table.columns)}")
    found = label or next((c for c in others if c.lower() in LABEL_NAMES), others[0] if len(others) == 1 else None)
    if found is None:
        raise UserError(f"{csv_file}: which column is the label? Say --label COLUMN, one of: {', '.join(others)}")
    return found


def from_table(
    csv_file: Path,
    table: Table,
    fn_col: str,
    *,
    label: str | None,
    label_delim: str,
    valid_pct: float,
    common: dict[str, Any],
) -> tuple[DataLoaders, tuple[str, ...]]:
    """Loaders of the images that a table names, and what to say about it."""
    label_col = label_column(table, csv_file, fn_col, label)
    named_so = (c for c in table.columns if c.lower() in VALID_COLUMNS and c not in (label_col, fn_col))
    valid_col = next(named_so, "")
    if valid_col:
        table = table.with_column(valid_col, held_out(table, csv_file, valid_col))
    regression = not label_delim and any(isinstance(value, float) for value in table[label_col])
    y_block = None if label_delim else RegressionBlock() if regression else CategoryBlock()
    data = ImageDataLoaders.from_frame(
        table,
        path=csv_file.parent,
        fn_col=fn_col,
        label_col=label_col,
        label_delim=label_delim,
        valid_col=valid_col,
        valid_pct=valid_pct,
        y_block=y_block,
        **common,
    )
    several = f" (several an image, {label_delim!r} between them)" if label_delim else ""
    return data, (
        f"files: column {fn_col} of {csv_file}",
        f"labels: column {label_col}{several}, {classes(data)}",
        f"split: column {valid_col}" if valid_col else f"split: {valid_pct:.0%} held out",
    )


def classes(data: DataLoaders) -> str:
    vocab = [str(v) for v in data.vocab]
    if not vocab:
        return "numbers"
    return f"{len(vocab)} classes: " + ", ".join(vocab[:8]) + (", ..." if len(vocab) > 8 else "")
