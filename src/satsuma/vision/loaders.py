"""`ImageDataLoaders`: loaders of images from folders, names, lists and tables, in one call."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.getters import ColReader, ItemGetter, RegexLabeller, parent_label, using_attr
from satsuma.data.splitters import ColSplitter, GrandparentSplitter, StratifiedSplitter
from satsuma.errors import nearest, spelled
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.image import get_image_files
from satsuma.vision.normalize import Normalize
from satsuma.vision.resize import Resize

DEFAULT_SIZE = 224  # pixels, where images differ in size and none is asked for
LOOKED_AT = 50  # how many images decide whether all have one size already


class ImageDataLoaders:
    """Loaders of labelled images. Every function takes, beside its source:

    `valid_pct`: share held out, 0..1. `seed`: of the split and of all randomness in loading. `size`: resize to this
    (pixels, or (height, width)); None: to 224, and only where images differ in size. `channels`: 1, 3 or 4.
    `bs`: batch size. `y_block`: what the label is (`CategoryBlock()` unless given). `item_tfms`, `batch_tfms`: as in
    `DataBlock`; None: `Resize` as `size` says, and `Normalize()` by the training images. `workers`: threads that load
    ahead; None: one a core. `device`: where batches go. `check`: read every file first. `on_unreadable`: "raise", or
    "skip" to go on without the files that cannot be read. All return `DataLoaders`.
    """

    @staticmethod
    @spelled
    def from_folder(
        path: str | Path,
        *,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """Images in class folders: `path/cats/1.jpg`, or `path/train/cats/1.jpg` and `path/valid/...`.

        Where folders named `train` and `valid` exist they are the split (unless `valid_pct` is given); otherwise
        a fifth of each class is held out.
        """
        root = Path(path)
        split_exists = (root / train).is_dir() and (root / valid).is_dir() and valid_pct is None
        random = StratifiedSplitter(0.2 if valid_pct is None else valid_pct, seed)
        block = image_block(
            get_image_files(root),
            get_items=get_image_files,
            splitter=GrandparentSplitter(train, valid) if split_exists else random,
            get_x=None,
            get_y=parent_label,
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return load(block, root, bs, seed, workers, device, check, on_unreadable)

    @staticmethod
    @spelled
    def from_name_re(
        path: str | Path,
        pat: str,
        *,
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """Images labelled by their file name: the first group of the regular expression `pat`, found in the name.

        >>> ImageDataLoaders.from_name_re("pets/images", r"(.+)_\\d+.jpg$", size=224)  # doctest: +SKIP
        """
        block = image_block(
            get_image_files(path),
            get_items=get_image_files,
            splitter=StratifiedSplitter(valid_pct, seed),
            get_x=None,
            get_y=using_attr(RegexLabeller(pat), "name"),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return load(block, path, bs, seed, workers, device, check, on_unreadable)

    @staticmethod
    @spelled
    def from_lists(
        files: Sequence[Any],
        labels: Sequence[Any],
        *,
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """Images (paths, arrays [H W] or [H W C], PIL images) and their labels, in two lists of one length."""
        if len(files) != len(labels):
            raise ValueError(f"from_lists: {len(files)} files but {len(labels)} labels")
        pairs = list(zip(files, labels, strict=True))
        block = image_block(
            files,
            get_items=None,
            splitter=StratifiedSplitter(valid_pct, seed),
            get_x=ItemGetter(0),
            get_y=ItemGetter(1),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return load(block, pairs, bs, seed, workers, device, check, on_unreadable)

    @staticmethod
    @spelled
    def from_frame(
        frame: Any,
        *,
        path: str | Path = ".",
        fn_col: str | int = 0,
        label_col: str | int = 1,
        valid_col: str = "",
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """A pandas data frame with a column of file names (below `path`) and one of labels.

        `fn_col`, `label_col`: name or position. `valid_col`: a column that is true for the rows to hold out.
        """
        for col in (fn_col, label_col, valid_col or fn_col):
            refuse_column(frame, col)
        reader = ColReader(fn_col, pref=Path(path))
        block = image_block(
            [reader(row) for _, row in frame.head(LOOKED_AT).iterrows()],
            get_items=None,
            splitter=ColSplitter(valid_col) if valid_col else StratifiedSplitter(valid_pct, seed),
            get_x=reader,
            get_y=ColReader(label_col),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return load(block, frame, bs, seed, workers, device, check, on_unreadable)

    @staticmethod
    @spelled
    def from_csv(
        csv: str | Path,
        *,
        path: str | Path | None = None,
        fn_col: str | int = 0,
        label_col: str | int = 1,
        valid_col: str = "",
        valid_pct: float = 0.2,
        delimiter: str = ",",
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """A csv file of file names and labels, read as `from_frame` does; names are below `path` (the csv's folder)."""
        return ImageDataLoaders.from_frame(
            read_table(csv, delimiter),
            path=Path(csv).parent if path is None else path,
            fn_col=fn_col,
            label_col=label_col,
            valid_col=valid_col,
            valid_pct=valid_pct,
            seed=seed,
            size=size,
            channels=channels,
            bs=bs,
            y_block=y_block,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            workers=workers,
            device=device,
            check=check,
            on_unreadable=on_unreadable,
        )


def image_block(
    probe: Sequence[Any],
    *,
    get_items: Callable[[Any], Sequence[Any]] | None,
    splitter: Callable[..., tuple[list[int], list[int]]],
    get_x: Callable[[Any], Any] | None,
    get_y: Callable[[Any], Any],
    y_block: Any,
    size: int | tuple[int, int] | None,
    channels: int,
    item_tfms: Any,
    batch_tfms: Any,
) -> DataBlock:
    """The `DataBlock` of labelled images; `probe`: some of the images, to see whether they differ in size."""
    if size is None and item_tfms is None and len(image_sizes(probe)) > 1:
        size = DEFAULT_SIZE
    resize = () if size is None else (Resize(size),)
    own = () if item_tfms is None else (item_tfms,) if callable(item_tfms) else tuple(item_tfms)
    return DataBlock(
        blocks=(ImageBlock(channels=channels), CategoryBlock() if y_block is None else y_block),
        get_items=get_items,
        splitter=splitter,
        get_x=get_x,
        get_y=get_y,
        item_tfms=resize + own,
        batch_tfms=Normalize() if batch_tfms is None else batch_tfms,
    )


def image_sizes(images: Sequence[Any]) -> set[tuple[int, int]]:
    """The (width, height) of an even choice of up to `LOOKED_AT` images; what cannot be read is passed over."""
    sizes = set()
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        try:
            if isinstance(image, str | Path):
                with Image.open(image) as opened:
                    sizes.add(opened.size)
            elif hasattr(image, "mode"):
                sizes.add(image.size)
            else:
                sizes.add((image.shape[1], image.shape[0]))
        except (OSError, Image.DecompressionBombError):
            continue
    return sizes


def load(
    block: DataBlock,
    source: Any,
    bs: int,
    seed: int,
    workers: int | None,
    device: torch.device | str,
    check: bool,
    on_unreadable: str,
) -> DataLoaders:
    return block.dataloaders(
        source, bs=bs, seed=seed, workers=workers, device=device, check=check, on_unreadable=on_unreadable
    )


def read_table(csv: str | Path, delimiter: str = ",") -> Any:
    """A csv file as a pandas data frame; `ValueError` that names the file and line where it cannot be read."""
    import pandas as pd

    try:
        return pd.read_csv(csv, sep=delimiter, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{csv}: cannot be read as a csv file: {' '.join(str(error).split())}") from error


def refuse_column(frame: Any, col: str | int) -> None:
    if isinstance(col, int):
        if not 0 <= col < len(frame.columns):
            raise ValueError(f"the table has {len(frame.columns)} columns, there is no column number {col}")
    elif col not in frame.columns:
        raise ValueError(f"the table has no column {col!r}: {nearest(col, [str(c) for c in frame.columns])}")
