"""From a path to loaders: what kind of data lies there, and what to say about it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from satsuma.data.blocks import CategoryBlock, RegressionBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import UserError, nearest
from satsuma.vision.augment import RandomFlip, RandomLighting, RandomRotate, RandomShift
from satsuma.vision.image import get_image_files
from satsuma.vision.loaders import ImageDataLoaders
from satsuma.vision.normalize import Normalize
from satsuma.vision.sources import LOOKED_AT, folder_as_spelt, image_sizes, read_table

NUMBERED = r"(.+)_\d+\.\w+$"  # great_pyrenees_173.jpg
VALID_NAMES = ("valid", "val", "validation", "test")
LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
VALID_COLUMNS = ("is_valid", "valid")
TRUE_WORDS, FALSE_WORDS = ("yes", "true", "1", "1.0"), ("no", "false", "0", "0.0")
LEAST_SIDE = 8  # pixels
SMALL_SIDE = 64  # pixels: below, pictures are of signs or digits as often as of things, and are not mirrored


@dataclass(frozen=True, slots=True)
class Guessed:
    """The loaders, and a line for each thing that was guessed."""

    data: DataLoaders
    said: tuple[str, ...]


def guess_data(
    path: Path,
    *,
    label: str | None = None,
    size: int | None = None,
    batch_size: int = 64,
    valid_pct: float = 0.2,
    augment: bool = True,
    skip_unreadable: bool = False,
    seed: int = 42,
    workers: int | None = None,
) -> Guessed:
    """Loaders for whatever lies at `path`. `UserError` says what was found where nothing fits."""
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    table = table_at(path)
    images = [] if table else get_image_files(path)
    if not table and not images:
        raise UserError(f"{path}: no images in it. {what_lies_in(path)}")
    delimiter = delimiter_of(table) if table else ","
    frame = read_table(table, delimiter) if table else None
    fn_col = file_column(frame, table) if table and frame is not None else ""
    probe = table_images(frame, fn_col, table) if table else images
    channels = 1 if all_grey(probe) else 3
    sizes = image_sizes(probe)
    if size is None and len(sizes) == 1 and min(next(iter(sizes))) < LEAST_SIDE:
        width, height = next(iter(sizes))
        raise UserError(
            f"{path}: the images are {width}×{height}, at least {LEAST_SIDE} pixels a side are needed; enlarge them by "
            f"--size 32"
        )
    small = size is None and len(sizes) == 1 and max(next(iter(sizes))) <= SMALL_SIDE
    common: dict[str, Any] = {
        "seed": seed,
        "size": size,
        "channels": channels,
        "bs": batch_size,
        "batch_tfms": augmentations(small, min(next(iter(sizes), (0, 0)))) if augment else Normalize(),
        "workers": workers,
        "on_unreadable": "skip" if skip_unreadable else "raise",
    }
    if table:
        data, said = from_table(table, frame, fn_col, label, valid_pct, common)
        if delimiter != ",":
            said = (f"columns: separated by {delimiter!r}", *said)
    else:
        data, said = from_images(path, images, label, valid_pct, common)
    kind = "grey" if channels == 1 else "colour"
    shape = f"{next(iter(sizes))[0]}×{next(iter(sizes))[1]}" if len(sizes) == 1 else "of different sizes"
    return Guessed(data, (*said, f"images: {kind}, {shape}" + ("" if size or len(sizes) == 1 else ", resized to 224")))


def augmentations(small: bool, side: int) -> tuple[Any, ...]:
    """What is done to training images unless told otherwise: no mirror images where a picture may be a sign."""
    if small:
        return (Normalize(), RandomShift(pixels=max(1, side // 14)), RandomRotate(degrees=8.0, zoom=1.05))
    return (Normalize(), RandomFlip(), RandomRotate(), RandomLighting())


def from_images(
    path: Path, images: Sequence[Path], label: str | None, valid_pct: float, common: dict[str, Any]
) -> tuple[DataLoaders, tuple[str, ...]]:
    if label and label.startswith("re:"):
        data = ImageDataLoaders.from_name_re(path, label[3:], valid_pct=valid_pct, **common)
        said = f"labels: by {label[3:]} in the file names, {classes(data)}"
        return data, (said, f"split: {valid_pct:.0%} of each class held out")
    if label and label != "parent":
        raise UserError(f"--label is 'parent' or 're:PATTERN' for a folder of images, got {label!r}")
    train_name = folder_as_spelt(path, "train")
    valid_names = [folder_as_spelt(path, n) for n in VALID_NAMES]
    valid_name = next((n for n in valid_names if (path / train_name).is_dir() and (path / n).is_dir()), None)
    if valid_name:
        data = ImageDataLoaders.from_folder(path, train=train_name, valid=valid_name, **common)
        return data, (
            f"split: folders {train_name} and {valid_name}",
            f"labels: the folders below them, {classes(data)}",
        )
    folders = {image.parent.name for image in images}
    if label == "parent" or (len(folders) > 1 and all(image.parent != path for image in images)):
        data = ImageDataLoaders.from_folder(path, valid_pct=valid_pct, **common)
        return data, (f"labels: the folders' names, {classes(data)}", f"split: {valid_pct:.0%} of each class held out")
    if looks_numbered(images):
        data = ImageDataLoaders.from_name_re(path, NUMBERED, valid_pct=valid_pct, **common)
        said = f"labels: what stands before the last _NUMBER in the names, {classes(data)}"
        return data, (said, f"split: {valid_pct:.0%} of each class held out")
    if len(folders) == 1 and images[0].parent != path:
        raise UserError(
            f"{path}: all {len(images)} images lie in one folder, {images[0].parent.name}: that is one class, and at "
            f"least two are needed to tell apart"
        )
    raise UserError(
        f"{path}: {len(images)} images, but where are their labels? There are no class folders, no csv, and names such "
        f"as {images[0].name} do not tell. Say --label 're:PATTERN' with the label's part in parentheses."
    )


def looks_numbered(images: Sequence[Path]) -> bool:
    """Whether every name is LABEL_NUMBER, with several images for most labels."""
    found = [re.match(NUMBERED, image.name) for image in images]
    labels = Counter(m.group(1) for m in found if m)
    return all(found) and 1 < len(labels) <= len(images) / 2


def classes(data: DataLoaders) -> str:
    vocab = [str(v) for v in data.vocab]
    if not vocab:
        return "numbers"
    return f"{len(vocab)} classes: " + ", ".join(vocab[:8]) + (", ..." if len(vocab) > 8 else "")


def table_at(path: Path) -> Path | None:
    """The csv file that `path` is, or the only one directly in it when there are no class folders."""
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise UserError(f"{path}: expected a folder of images or a .csv file")
        return path
    tables = sorted(path.glob("*.csv"))
    return tables[0] if len(tables) == 1 else None


def file_column(frame: Any, table: Path) -> str:
    """The first column whose values are, for the most part, files beside the table; the data check names the others."""
    if not len(frame):
        raise UserError(f"{table}: has a header but no rows")
    for col in frame.columns:
        if is_beside(table, col):
            raise UserError(
                f"{table}: has no header: its first row names the file {col}. Put a row of column names above it, for "
                f"example {','.join(('file', 'label', *frame.columns[2:]))}"
            )
    for col in frame.columns:
        values = frame[col].head(20)
        if sum(is_beside(table, v) for v in values) * 2 >= len(values):
            return str(col)
    columns = ", ".join(str(c) for c in frame.columns)
    raise UserError(
        f"{table}: no column holds names of files that lie beside it (columns: {columns}). Tables without images are "
        f"not something this version trains on from the command line; in Python: DataLoaders.from_arrays."
    )


def is_beside(table: Path, name: Any) -> bool:
    """Whether `name` is a file beside the table."""
    try:
        return isinstance(name, str) and bool(name) and (table.parent / name).is_file()
    except (OSError, ValueError):  # a text that cannot be a name: too long, or with a null byte
        return False


def delimiter_of(table: Path) -> str:
    """What separates the columns of a csv file: whichever of `,`, `;` and tab its header has most of."""
    with table.open(encoding="utf-8-sig", errors="replace") as opened:
        header = opened.readline()
    return max((",", ";", "\t"), key=header.count)


def held_out(frame: Any, table: Path, col: str) -> list[bool]:
    """A column of yes and no, true and false, or 1 and 0 as truth values."""
    words = [str(v).strip().lower() for v in frame[col]]
    for row, word in enumerate(words, 2):  # the header is line 1
        if word not in TRUE_WORDS + FALSE_WORDS:
            told = "nothing" if word == "nan" else repr(word)
            raise UserError(
                f"{table}: line {row} has {told} in column {col}; which rows to hold out is said by yes and no, true "
                f"and false, or 1 and 0. Rename the column if it means something else."
            )
    held = [word in TRUE_WORDS for word in words]
    if all(held) or not any(held):
        raise UserError(
            f"{table}: column {col} is {'true' if held[0] else 'false'} in every row; some rows must be held out and "
            f"some not. Mend it, or rename the column, and {col} is no longer read."
        )
    return held


def table_images(frame: Any, fn_col: str, table: Path) -> list[Path]:
    return [table.parent / name for name in frame[fn_col].head(LOOKED_AT) if isinstance(name, str)]


def from_table(
    table: Path, frame: Any, fn_col: str, label: str | None, valid_pct: float, common: dict[str, Any]
) -> tuple[DataLoaders, tuple[str, ...]]:
    columns = [str(c) for c in frame.columns]
    others = [c for c in columns if c != fn_col]
    if label and label not in columns:
        raise UserError(f"{table}: no column {label!r}: {nearest(label, columns)}")
    label_col = label or next((c for c in others if c.lower() in LABEL_NAMES), others[0] if len(others) == 1 else None)
    if label_col is None:
        raise UserError(f"{table}: which column is the label? Say --label COLUMN, one of: {', '.join(others)}")
    valid_col = next((c for c in others if c.lower() in VALID_COLUMNS and c != label_col), "")
    if valid_col:
        frame = frame.assign(**{valid_col: held_out(frame, table, valid_col)})
    regression = frame[label_col].dtype.kind == "f"
    data = ImageDataLoaders.from_frame(
        frame,
        path=table.parent,
        fn_col=fn_col,
        label_col=label_col,
        valid_col=valid_col,
        valid_pct=valid_pct,
        y_block=RegressionBlock() if regression else CategoryBlock(),
        **common,
    )
    split = f"column {valid_col}" if valid_col else f"{valid_pct:.0%} held out"
    return data, (
        f"files: column {fn_col} of {table}",
        f"labels: column {label_col}, {classes(data)}",
        f"split: {split}",
    )


def all_grey(images: Sequence[Path]) -> bool:
    """Whether an even choice of the images has one channel only."""
    modes = set()
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        try:
            with Image.open(image) as opened:
                modes.add(opened.mode)
        except (OSError, Image.DecompressionBombError):
            continue
    return bool(modes) and modes <= {"L", "1", "I;16", "I;16B", "I", "F", "LA"}


def what_lies_in(path: Path) -> str:
    """A few words on what a folder without images holds."""
    endings = Counter(f.suffix.lower() or "no ending" for f in path.rglob("*") if f.is_file())
    if not endings:
        return "The folder is empty."
    return "Found instead: " + ", ".join(f"{n} files with {e}" for e, n in endings.most_common(4)) + "."
