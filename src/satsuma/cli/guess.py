"""From a path to loaders: what kind of data lies there, and what to say about it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from satsuma.cli.guess_table import classes, csv_at, from_table, read_guessed, some_images
from satsuma.data.broken import MAX_BROKEN
from satsuma.data.checks import file_problem, with_closed_named
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.edits import Edits
from satsuma.errors import UserError
from satsuma.learner.choices import SMALL_SIDE
from satsuma.vision.aug_transforms import aug_transforms
from satsuma.vision.geometry import Rotate, Shift, Zoom
from satsuma.vision.image import get_image_files
from satsuma.vision.loaders import DEFAULT_SIZE, ImageDataLoaders
from satsuma.vision.normalize import Normalize
from satsuma.vision.sources import LOOKED_AT, folder_as_spelt, image_sizes

NUMBERED = r"(.+)_\d+\.\w+$"  # great_pyrenees_173.jpg
VALID_NAMES = ("valid", "val", "validation", "test")
LEAST_SIDE = 8  # pixels


@dataclass(frozen=True, slots=True)
class Guessed:
    """The loaders, and a line for each thing that was guessed."""

    data: DataLoaders
    said: tuple[str, ...]


def guess_data(
    path: Path,
    *,
    label: str | None = None,
    label_delim: str = "",
    size: int | None = None,
    batch_size: int = 64,
    valid_pct: float = 0.2,
    augment: bool = True,
    skip_unreadable: bool = False,
    max_broken: float = MAX_BROKEN,
    seed: int = 42,
    workers: int | None = None,
    cache: str | None = None,
    edits: Edits | None = None,
) -> Guessed:
    """Loaders for whatever lies at `path`. `UserError` says what was found where nothing fits."""
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    csv_file = csv_at(path)
    images: list[Path] = [] if csv_file else with_closed_named(get_image_files, path)
    if not csv_file and not images:
        raise UserError(f"{path}: no images in it. {what_lies_in(path)}")
    if label_delim and not csv_file:
        raise UserError(f"--label-delim splits the labels of a csv file, and {path} has none")
    table, fn_col, delimiter = read_guessed(csv_file) if csv_file else (None, "", ",")
    probe = some_images(table, fn_col, csv_file) if csv_file and table else images
    channels = 1 if all_grey(probe) else 3
    sizes = image_sizes(probe)
    if size is None and len(sizes) == 1 and min(next(iter(sizes))) < LEAST_SIDE:
        width, height = next(iter(sizes))
        raise UserError(
            f"{path}: the images are {width}×{height}, at least {LEAST_SIDE} pixels a side are needed; enlarge them by "
            f"--size 32"
        )
    resized = size is not None or len(sizes) != 1
    sides = (size or DEFAULT_SIZE,) if resized else next(iter(sizes))
    common: dict[str, Any] = {
        "seed": seed,
        "size": size,
        "channels": channels,
        "bs": batch_size,
        "batch_tfms": augmentations(sides, resized) if augment else Normalize(),
        "workers": workers,
        "cache": cache,
        "on_unreadable": "skip" if skip_unreadable else "raise",
        "max_broken": max_broken,
        "edits": edits,
    }
    if csv_file and table:
        data, said = from_table(
            csv_file, table, fn_col, label=label, label_delim=label_delim, valid_pct=valid_pct, common=common
        )
        if delimiter != ",":
            said = (f"columns: separated by {delimiter!r}", *said)
    else:
        data, said = from_images(path, images, label, valid_pct, common)
    kind = "grey" if channels == 1 else "colour"
    shape = f"{next(iter(sizes))[0]}×{next(iter(sizes))[1]}" if len(sizes) == 1 else "of different sizes"
    resizing = "" if size or len(sizes) == 1 else ", resized to 224"
    return Guessed(data, (*said, *((str(edits),) if edits else ()), f"images: {kind}, {shape}{resizing}"))


def augmentations(sides: Sequence[int], resized: bool) -> tuple[Any, ...]:
    """What is done to training images with these sides in pixels unless told otherwise, and `Normalize`.

    Small ones are not mirrored, since they are of signs or digits as often as of things. `resized`: all are brought to
    that side, so that crops of other sizes may be.
    """
    if max(sides) <= SMALL_SIDE:
        shift = Shift(pixels=max(1, min(sides) // 14))
        turned = Rotate(max_deg=8.0, p=1.0, pad_mode="border")
        return (shift, turned, Zoom(min_zoom=0.95, max_zoom=1.05, p=1.0, pad_mode="border"), Normalize())
    if resized:
        return (*aug_transforms(size=sides[0], min_scale=0.75), Normalize())
    return (*aug_transforms(), Normalize())


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


def all_grey(images: Sequence[Path]) -> bool:
    """Whether an even choice of the images has one channel only."""
    modes = set()
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        try:
            if file_problem(image):
                continue
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
