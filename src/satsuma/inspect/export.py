"""Data with their edits, for elsewhere: the corrected labels as a csv file, or a copy of the folder.

The data's own folder is only read.
"""

import csv
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from satsuma.data.blocks import CategoryBlock
from satsuma.data.checks import listing
from satsuma.data.edits import HALVES, EditedLabel, Edits, PlacedLabel, keys_of, original_getter, source_folder
from satsuma.data.getters import ColReader, RegexLabeller, parent_label, using_attr, visible_files
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.samples import Samples, get_value, item_name
from satsuma.data.splitters import GrandparentSplitter
from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

COLUMNS = ("file", "label", "split", "original label")
TABLE = "labels.csv"  # of a copy of images that a table names


@dataclass(frozen=True, slots=True)
class LabelledItem:
    """One item as the edits leave it. `file`: its key; `path`: where it lies; labels as text."""

    file: str
    path: str
    label: str
    half: str
    original: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds: how many `files`, of which so many lie elsewhere than in the data; what was left out."""

    folder: Path
    files: int
    relabelled: int
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.folder}: {self.files:,} files, {self.relabelled:,} of them not where they were"


def edited_loaders(dls: "DataLoaders", edits: Edits) -> "DataLoaders":
    """The loaders of the same data, made anew with `edits`; classes that they bring in are among the vocab.

    Raises `ValueError` for loaders that no `DataBlock` made.
    """
    if dls.block is None:
        raise ValueError("edits are of items that a DataBlock reads, and these loaders were made without one")
    named = CategoryBlock | MultiCategoryBlock
    blocks = tuple(
        replace(block, vocab=()) if isinstance(block, named) and not getattr(block, "encoded", False) else block
        for block in dls.block.blocks
    )
    block = replace(dls.block, blocks=blocks, edits=edits)
    return block.dataloaders(
        dls.source,
        bs=dls.bs,
        seed=dls.train.seed,
        workers=dls.train.workers,
        worker_kind=dls.train.worker_kind,
        drop_last=dls.train.drop_last,
        check=False,
        skipped=dls.report.unreadable,
    )


def labelled_items(dls: "DataLoaders") -> Iterator[LabelledItem]:
    """All items of both halves with their labels, before and after the edits that the loaders were made with."""
    for i, half in enumerate(HALVES[: len(dls.loaders)]):
        dataset = dls.loaders[i].dataset
        if not isinstance(dataset, Samples) or len(dataset.getters) <= dls.n_inp:
            raise ValueError("labels are written of items that a DataBlock reads, with a target; these have none")
        get_y = dataset.getters[dls.n_inp]
        delim = delimiter_of_labels(get_y)
        for key, item in zip(keys_of(dls, i), dataset.items, strict=True):
            label = get_value(get_y, item)
            source = item[1] if isinstance(get_y, PlacedLabel) else item
            original = get_value(original_getter(get_y), source) if is_edited(get_y) else label
            yield LabelledItem(
                file=key,
                path=item_name(item, dataset.getters[0]),
                label=cell(label, delim),
                half=half,
                original=cell(original, delim),
            )


def is_edited(getter: Any) -> bool:
    return isinstance(getter, EditedLabel | PlacedLabel)


def delimiter_of_labels(getter: Any) -> str:
    """What stands between several labels in the data's own table; else ";"."""
    own = original_getter(getter)
    return (own.label_delim if isinstance(own, ColReader) else "") or ";"


def cell(label: Any, delim: str) -> str:
    """A label as a table has it. Raises `ValueError` for one of several that would be read as two."""
    if isinstance(label, list | tuple | set | frozenset):
        torn = next((part for part in label if delim in str(part)), None)
        if torn is not None:
            raise ValueError(
                f"the label {torn!r} holds {delim!r}, which stands between the labels of an item in a table: it would "
                f"be read as several; call it otherwise"
            )
        return delim.join(str(part) for part in label)
    return delim.join(str(v) for v in label.tolist()) if getattr(label, "ndim", 0) else str(label)


def labels_csv(dls: "DataLoaders", file: str | Path) -> int:
    """Write the corrected labels: a row of file, label, split ("train", "valid") and original label for each item.

    Items that are left out have no row. Gives the number of rows. Raises `ValueError` for a file of the data itself.
    """
    refuse_own_file(dls, Path(file))
    rows = [(item.file, item.label, item.half, item.original) for item in labelled_items(dls)]
    write_table(Path(file), COLUMNS, rows)
    return len(rows)


def refuse_own_file(dls: "DataLoaders", file: Path) -> None:
    """Raise for a file to write that is the data's table, or one that their folder holds already."""
    if not isinstance(dls.source, str | Path):
        return
    there, data = Path(os.path.realpath(file)), Path(os.path.realpath(dls.source))
    if there == data or (data in there.parents and there.exists()):
        raise ValueError(f"{file}: is a file of the data, {dls.source}, which stay as they are; give another name")


def write_table(file: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(file, text.getvalue().encode("utf-8", errors="surrogateescape"))


def copy_edited(dls: "DataLoaders", target: str | Path) -> Copied:
    """Copy the data's folder to `target` with the edits that the loaders were made with.

    Class folders: a file goes to the folder of its label, and below the folder of its half where the data have such
    folders. Labels in file names: it gets another name. A table: the files as they are called, and a new `labels.csv`.
    A file that is left out is not copied; other files of the folder are. Where a name is taken, "-2" is put to it.
    Links that lead out of the folder are not followed. Raises `ValueError` where a label cannot be a folder's name, and
    `FileExistsError` for a folder that holds anything already.
    """
    copy = Path(target).absolute()
    dataset = dls.train.dataset
    if not isinstance(dataset, Samples):
        raise ValueError("only data that a DataBlock reads from files can be copied with edits")
    root = source_folder(dataset.getters[0], dls.source)
    if not root or not os.path.isdir(root):
        raise ValueError(f"only a folder of files can be copied with edits, and the data come from {type(dls.source)}")
    refuse_target(Path(root), copy)
    get_y = original_getter(dataset.getters[dls.n_inp]) if len(dataset.getters) > dls.n_inp else None
    items = list(labelled_items(dls))
    is_table = isinstance(get_y, ColReader)
    others = [] if is_table else other_files(Path(root), dls, {item.path for item in items})
    told = [] if is_table else untold_moves(dls)
    plan = CopyPlan(Path(os.path.realpath(root)))
    for file, path in others:
        plan.add(path, file, file, always)
    for item in sorted(items, key=lambda item: item.label != item.original or item.file != place_in_copy(item, dls)):
        name = place_in_copy(item, dls)
        plan.add(item.path, item.file, renamed(item, name, get_y), reader_of(item, get_y))
    copied = plan.carried_out(copy, items if is_table else [])
    return replace(copied, told=(*plan.told(), *told))


def refuse_target(root: Path, copy: Path) -> None:
    """Raise for a folder that is not empty, or lies in the data, or the data in it."""
    if copy.is_symlink() or (copy.exists() and not copy.is_dir()):
        raise FileExistsError(f"{copy}: is no folder; give the name of a new one")
    if copy.exists() and any(copy.iterdir()):
        raise FileExistsError(f"{copy}: is not empty; give the name of a new folder")
    data, there = Path(os.path.realpath(root)), Path(os.path.realpath(copy))
    if data == there or data in there.parents or there in data.parents:
        raise ValueError(f"{copy}: lies within the data, {root}, or they in it; give a folder elsewhere")


def other_files(root: Path, dls: "DataLoaders", known: set[str]) -> list[tuple[str, str]]:
    """The (name below `root`, path) of files that are no items: neither those in `known` nor those left out."""
    left_out = set(dls.block.edits.excluded) if dls.block is not None and dls.block.edits else set()
    found = ((file.relative_to(root).as_posix(), str(file)) for file in visible_files(root, recurse=True))
    return sorted((name, path) for name, path in found if path not in known and name not in left_out)


def untold_moves(dls: "DataLoaders") -> list[str]:
    """That moves from half to half are not in the copy, where no folders stand for the halves."""
    if dls.block is None or not dls.block.edits or not dls.block.edits.moves:
        return []
    if isinstance(dls.block.splitter, GrandparentSplitter):
        return []
    n = len(dls.block.edits.moves)
    moves = "1 item is" if n == 1 else f"{n} items are"
    return [f"{moves} moved to the other half, which no folder of the data stands for: the csv has the split"]


def place_in_copy(item: LabelledItem, dls: "DataLoaders") -> str:
    """Where an item lies in the copy, by its half."""
    splitter = dls.block.splitter if dls.block is not None else None
    parts = list(PurePosixPath(item.file).parts)
    if isinstance(splitter, GrandparentSplitter) and len(parts) >= 3:
        names = dict(zip(HALVES, (splitter.train_name, splitter.valid_name), strict=True))
        if parts[-3] in names.values():
            parts[-3] = names[item.half]
    return "/".join(parts)


def renamed(item: LabelledItem, name: str, get_y: Any) -> str:
    """Where an item lies in the copy, by its label. Raises `ValueError` where no name can say it."""
    if item.label == item.original or isinstance(get_y, ColReader):
        return name
    path = PurePosixPath(name)
    refuse_folder_name(item.label, item.file)
    if get_y is parent_label:
        return (path.parent.with_name(item.label) / path.name).as_posix()
    if isinstance(get_y, using_attr) and isinstance(get_y.func, RegexLabeller) and get_y.attr == "name":
        match = re.search(get_y.func.pat, path.name)
        assert match is not None, "its label was read by this"
        return path.with_name(path.name[: match.start(1)] + item.label + path.name[match.end(1) :]).as_posix()
    raise ValueError(
        f"{item.file}: its label comes neither from a folder, nor from the file's name by a pattern, nor from a table, "
        f"so a copy cannot have another. Write the corrected labels as a csv file instead"
    )


def refuse_folder_name(label: str, file: str) -> None:
    if not label.strip() or label.startswith(".") or re.search(r"[/\\\0]", label) or len(label.encode()) > 200:
        raise ValueError(
            f"{file}: its label {label[:100]!r} cannot be the name of a folder or file. Write the corrected labels as "
            f"a csv file instead"
        )


def always(name: str) -> bool:
    return True


def reader_of(item: LabelledItem, get_y: Any) -> Callable[[str], bool]:
    """Whether a name still says the item's label, where labels are read from names."""

    def says(name: str) -> bool:
        if item.label == item.original or isinstance(get_y, ColReader) or get_y is None:
            return True
        try:
            return cell(get_y(Path(name)), ";") == item.label
        except ValueError:
            return False

    return says


class CopyPlan:
    """What is copied where, before anything is: each place once, and nothing from outside the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places: dict[str, str] = {}  # where in the copy → the file
        self.elsewhere = 0
        self.outside: list[str] = []
        self.no_files: list[str] = []

    def add(self, path: str, key: str, name: str, fits: Callable[[str], bool]) -> None:
        """A file at `path`, called `key` in the data, is to be called `name`. Raises `ValueError` for one upwards."""
        parts = PurePosixPath(name).parts
        if ".." in parts or not parts or PurePosixPath(name).is_absolute():
            raise ValueError(f"{name}: lies outside the data's folder, {self.root}, so it has no place in a copy")
        real = Path(os.path.realpath(path))
        if self.root not in real.parents:
            self.outside.append(key)
            return
        if not os.path.isfile(real):
            self.no_files.append(key)
            return
        if self.places.get(name) == str(real):  # a table may have several rows of one file
            return
        free = next(n for n in alternatives(name) if n not in self.places and fits(n))
        self.places[free] = str(real)
        self.elsewhere += free != key

    def told(self) -> list[str]:
        told = []
        if n := len(self.outside):
            links = "1 link leads" if n == 1 else f"{n} links lead"
            told.append(f"{links} out of the data's folder, and what is there was not copied: {listing(self.outside)}")
        if n := len(self.no_files):
            what = "1 is no file" if n == 1 else f"{n} are no files"
            told.append(f"{what} but a link to nowhere, a pipe or a device, and not copied: {listing(self.no_files)}")
        return told

    def carried_out(self, copy: Path, rows: list[LabelledItem]) -> Copied:
        """Copy everything beside its place, then put it there in one step."""
        part = copy.with_name(f".{copy.name}.part")
        try:
            part.mkdir(parents=True)
        except FileExistsError:
            raise FileExistsError(
                f"{part}: is left of a copy that was cut off, or of one that is being made; remove it if nothing is at "
                f"work there, or give another name"
            ) from None
        try:
            for name, file in self.places.items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, part / name)
            if rows:
                table = [(item.file, item.label, str(item.half == "valid").lower()) for item in rows]
                write_table(part / TABLE, ("file", "label", "is_valid"), table)
            part.replace(copy)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(f"{copy}: the copy could not be made, and nothing of it is left: {error}") from error
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return Copied(copy, len(self.places), self.elsewhere)


def alternatives(name: str) -> Iterator[str]:
    """A name, then names for where it is taken: "7.jpg", "7-2.jpg", "72.jpg", "7-3.jpg", ..."""
    path = PurePosixPath(name)
    yield path.as_posix()
    for number in range(2, 100_000):
        for between in ("-", ""):
            yield path.with_name(f"{path.stem}{between}{number}{path.suffix}").as_posix()
    raise ValueError(f"{name}: there are too many files of this name to copy them into one folder")
