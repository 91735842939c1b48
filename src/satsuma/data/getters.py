"""From an item to what a block is given: labels from paths, values from columns."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satsuma.errors import nearest, spelled, spelled_class


@spelled
def get_files(
    path: str | Path, *, extensions: Iterable[str] | None = None, recurse: bool = True, folders: Iterable[str] = ()
) -> list[Path]:
    """Files below `path`, sorted; hidden files and folders are left out, links to folders are followed.

    `extensions`: endings with their dot, in any case; None for all. `folders`: only these folders directly below.
    Raises `FileNotFoundError` if `path` or one of `folders` is no folder.
    """
    root = Path(path)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise FileNotFoundError(f"{root}: {what}")
    only = as_names(folders)
    for name in only:
        if not (root / name).is_dir():
            raise FileNotFoundError(f"{root}: has no folder {name!r}; {seen_folders(root)}")
    found = list(visible_files(root, recurse))
    if only:
        found = [file for file in found if file.relative_to(root).parts[0] in only]
    if extensions is not None:
        wanted = frozenset(e.lower() for e in as_names(extensions))
        found = [file for file in found if file.suffix.lower() in wanted]
    return sorted(found)


def visible_files(root: Path, recurse: bool) -> Iterator[Path]:
    """What lies below `root`, is no folder and not hidden; a link to a folder that is open above it ends there.

    Links to nowhere, pipes and devices are among it, so that the data check names them.
    """
    waiting: list[tuple[Path, tuple[str, ...]]] = [(root, (os.path.realpath(root),))]
    while waiting:
        folder, above = waiting.pop()
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in seen:
            if not (entry.is_dir(follow_symlinks=False) or os.path.isdir(entry.path)):
                yield folder / entry.name
            elif recurse:
                real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
                if real not in above:
                    waiting.append((folder / entry.name, (*above, real)))


def as_names(names: Iterable[str]) -> tuple[str, ...]:
    """Several names as a tuple; a lone one too, which as text would fall apart into its letters."""
    return (names,) if isinstance(names, str) else tuple(names)


def seen_folders(root: Path) -> str:
    """The folders directly below `root`, for messages."""
    found = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return "folders there: " + (", ".join(found[:8]) + (", ..." if len(found) > 8 else "") if found else "none")


def parent_label(path: str | Path) -> str:
    """The name of the folder that a file lies in.

    >>> parent_label("pets/cats/1.jpg")
    'cats'
    """
    return Path(path).parent.name


@spelled_class
@dataclass(frozen=True, slots=True)
class RegexLabeller:
    """The first group of a regular expression found in a name.

    >>> RegexLabeller(r"(.+)_\\d+.jpg$")("great_pyrenees_173.jpg")
    'great_pyrenees'
    """

    pat: str

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pat).groups
        except re.error as error:
            raise ValueError(f"RegexLabeller: {self.pat!r} is no regular expression: {error}") from error
        if groups < 1:
            raise ValueError(f"RegexLabeller: {self.pat!r} has no group; put the label's part in parentheses")

    def __call__(self, name: str | Path) -> str:
        match = re.search(self.pat, name.as_posix() if isinstance(name, Path) else str(name))
        if match is None or match.group(1) is None:
            raise ValueError(f"RegexLabeller: {self.pat!r} does not match {str(name)!r}")
        return match.group(1)


@spelled_class
@dataclass(frozen=True, slots=True)
class using_attr:  # noqa: N801  the book's name for it
    """Apply `func` to an attribute of the item: `using_attr(RegexLabeller(...), "name")` reads a path's file name."""

    func: Callable[[Any], Any]
    attr: str

    def __call__(self, item: Any) -> Any:
        return self.func(getattr(item, self.attr))


@spelled_class
@dataclass(frozen=True, slots=True)
class ColReader:
    """A column of a row; `pref` is a folder or text put before it, `suff` text put after.

    With `label_delim` the text is split into a list of labels, without the spaces around them; an empty one is `[]`.
    """

    col: str | int
    pref: str | Path = ""
    suff: str = ""
    label_delim: str = ""

    def __call__(self, row: Any) -> Any:
        value = column_value(row, self.col)
        if self.label_delim:
            names = [] if is_missing(value) else [part.strip() for part in str(value).split(self.label_delim)]
            return [name for name in names if name]
        if is_missing(value):
            return None
        if isinstance(self.pref, Path):
            return self.pref / f"{value}{self.suff}"
        return f"{self.pref}{value}{self.suff}" if self.pref or self.suff else value


@spelled_class
@dataclass(frozen=True, slots=True)
class ItemGetter:
    """Position `index` of an item that is a tuple."""

    index: int

    def __call__(self, item: Any) -> Any:
        return item[self.index]


def column_value(row: Any, col: str | int) -> Any:
    """One value of a row: a dict, a pandas Series, a tuple or an object with attributes; `col` by name or position."""
    if isinstance(row, dict) and isinstance(col, int) and 0 <= col < len(row) and col not in row:
        return list(row.values())[col]
    if isinstance(col, str) and not hasattr(row, "keys") and hasattr(row, col):
        return getattr(row, col)
    try:
        return row.iloc[col] if isinstance(col, int) and hasattr(row, "iloc") else row[col]
    except (KeyError, TypeError, IndexError):
        if isinstance(col, int) and hasattr(row, "__len__"):
            raise ValueError(f"no column number {col}: there are {len(row)}, counted from 0") from None
        known = row.keys() if hasattr(row, "keys") else [n for n in dir(row) if not n.startswith("_")]
        raise ValueError(f"no column {col!r}: {nearest(str(col), [str(k) for k in known])}") from None


def is_missing(value: Any) -> bool:
    """Whether a value stands for "nothing here": None, NaN, NaT or pandas' NA.

    >>> [is_missing(v) for v in (None, float("nan"), 0, "")]
    [True, True, False, False]
    """
    if value is None or type(value).__name__ == "NAType":
        return True
    return getattr(value, "ndim", 0) == 0 and bool(value != value)


def as_python(value: Any) -> Any:
    """NumPy's scalars as Python's own, so that a vocabulary compares and saves."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
