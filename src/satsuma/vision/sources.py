"""Where labelled images come from: what lies in a folder, and what stands in a table."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from satsuma.data.checks import file_problem, listing, warn_user, with_closed_named
from satsuma.data.getters import get_files, seen_folders
from satsuma.errors import nearest
from satsuma.vision.image import IMAGE_EXTENSIONS, get_image_files, upright_size

LOOKED_AT = 50  # how many images decide whether all have one size already


def split_folders(root: Path, train: str, valid: str, by_share: bool) -> tuple[str, ...]:
    """The folders below `root` to read: (train, valid), (train,) or, without such folders, () for all.

    Only folders that hold class folders count, so that a class may be called "valid".
    """
    if not root.is_dir():
        return ()  # listing the images says what is wrong
    train, valid = folder_as_spelt(root, train), folder_as_spelt(root, valid)
    found = [name for name in (train, valid) if any(p.is_dir() for p in (root / name).glob("*"))]
    others = [p.name for p in root.iterdir() if p.is_dir() and p.name not in found and not p.name.startswith(".")]
    if train in found and (by_share or not others or valid in found):
        return (train,) if by_share or valid not in found else (train, valid)
    if found:
        missing, name = (valid, "valid") if train in found else (train, "train")
        raise ValueError(
            f"{root}: there are class folders below {found[0]!r} but none below {missing!r}; {seen_folders(root)}. "
            f'Say which it is, as {name}="...", or hold out a share of the training folder by valid_pct=0.2.'
        )
    return ()


def folder_as_spelt(root: Path, name: str) -> str:
    """The folder below `root` that is called `name`, or, as the only one, so but for the case of letters ("Train")."""
    there = [p.name for p in root.iterdir() if p.is_dir()]
    alike = [n for n in there if n.casefold() == name.casefold()]
    return alike[0] if name not in there and len(alike) == 1 else name


def warn_of_empty_classes(root: Path, parts: tuple[str, ...], files: Sequence[Path]) -> None:
    """Warn by name of class folders that hold no image: their class would be missing without a word."""
    filled = {folder for file in files for folder in file.parents}
    tops = [root / part for part in parts] or [root]
    folders = sorted(p for top in tops for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    empty = [str(p) for p in folders if p not in filled]
    if empty:
        count = "1 class folder holds" if len(empty) == 1 else f"{len(empty)} class folders hold"
        warn_user(f"{count} no images, so there is nothing of that class to read: {listing(empty)}")


def images_below(root: Path, folders: tuple[str, ...]) -> list[Path]:
    """The image files below `root`; `ValueError` that says what is there instead if there are none."""
    files: list[Path] = with_closed_named(functools.partial(get_image_files, folders=folders), root)
    if not files:
        others = get_files(root)
        kinds = ", ".join(sorted({f.suffix.lower() or "no ending" for f in others})[:8])
        seen = f"it holds {len(others)} other files ({kinds})" if others else "it is empty"
        raise ValueError(f"{root}: no images found (looked for {', '.join(IMAGE_EXTENSIONS)}); {seen}")
    return files


def refuse_strays(root: Path, parts: tuple[str, ...], files: Sequence[Path]) -> None:
    """Raise `ValueError` for images that lie in no class folder."""
    tops = {root / part for part in parts} or {root}
    strays = [str(f) for f in files if f.parent in tops]
    if strays:
        raise ValueError(
            f"{len(strays)} of {len(files)} images have no label, as they lie in no class folder: {listing(strays)}. "
            f"Move them, or label by file name: from_name_re."
        )


def image_sizes(images: Sequence[Any]) -> set[tuple[int, int]]:
    """The (width, height) of an even choice of up to `LOOKED_AT` images; what cannot be read is passed over."""
    sizes = set()
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        try:
            if isinstance(image, str | Path):
                if file_problem(image):
                    continue
                with Image.open(image) as opened:
                    sizes.add(upright_size(opened))
            elif isinstance(image, Image.Image):
                sizes.add(upright_size(image))
            else:
                sizes.add((image.shape[1], image.shape[0]))
        except Exception:
            continue
    return sizes


def refuse_columns(frame: Any, name: str, cols: Sequence[str | int]) -> None:
    """Raise `ValueError` if one of `cols`, names or positions, is not a column of `frame`."""
    if not hasattr(frame, "columns"):
        raise TypeError(f"from_frame takes a data frame, got {type(frame).__name__}; for a file use from_csv")
    columns = [str(c) for c in frame.columns]
    for col in cols:
        if isinstance(col, int) and not 0 <= col < len(columns):
            separators = [s for s in (",", ";", "\t", "|") if len(columns) == 1 and s in columns[0]]
            hint = f"Is it separated otherwise: delimiter={separators[0]!r}?" if separators else "Say another number."
            raise ValueError(
                f"{name} has no column number {col} (counted from 0); its columns: {', '.join(columns)}. {hint}"
            )
        if isinstance(col, str) and col not in columns:
            raise ValueError(f"{name} has no column {col!r}: {nearest(col, columns)}")
