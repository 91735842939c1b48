"""`ImageDataLoaders`: loaders of images from folders, names, lists and tables, in one call."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock
from satsuma.data.broken import MAX_BROKEN
from satsuma.data.csv_table import first_rows, read_table
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.getters import ColReader, ItemGetter, RegexLabeller, parent_label, using_attr
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.splitters import ColSplitter, GrandparentSplitter, RandomSplitter, StratifiedSplitter
from satsuma.data.transforms import make_steps
from satsuma.errors import spelled
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.geometry import Resize
from satsuma.vision.image import get_image_files
from satsuma.vision.normalize import Normalize
from satsuma.vision.sources import (
    LOOKED_AT,
    image_sizes,
    images_below,
    refuse_columns,
    refuse_strays,
    split_folders,
    warn_of_empty_classes,
)

DEFAULT_SIZE = 224  # pixels, where images differ in size and none is asked for


class ImageDataLoaders:
    """Loaders of labelled images. Every function takes, beside its source:

    `valid_pct`: share held out, 0..1. `seed`: of the split and of all randomness in loading. `size`: resize to this
    (pixels, or (height, width)); None: to 224, and only where images differ in size. `channels`: 1, 3 or 4.
    `bs`: batch size. `y_block`: what the label is (`CategoryBlock()` unless given). `item_tfms`, `batch_tfms`: as in
    `DataBlock`; None: `Resize` as `size` says, and `Normalize()` by the training images. `edits`: a file of edits, or
    `Edits`, as in `DataBlock`. `workers`: how many load ahead; None: one a core. `worker_kind`: "threads", "processes"
    (for transforms that hold Python's lock), or "auto". `cache`: keep in memory each picture's "pixels", decoded, or
    the "bytes" of its file. `device`: where batches go. `check`: read every file first. `on_unreadable`: "raise", or
    "skip" to go on without the files that cannot be read. `max_broken`: the share of training files that may break
    after the check before the run stops (others stand in).
    All return `DataLoaders`.
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
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """Images in class folders: `path/cats/1.jpg`, or `path/train/cats/1.jpg` and `path/valid/cats/2.jpg`.

        Where there are class folders below `train` and `valid`, these are the split; with `valid_pct`, or where
        `train` is the only folder, a share of each class below `train` is held out (a fifth unless given). Without
        them all class folders are split so. Other folders beside them (`test`) are not read; `Train` counts too.
        """
        root = Path(path)
        parts = split_folders(root, train, valid, valid_pct is not None)
        get_items = functools.partial(get_image_files, folders=parts) if parts else get_image_files
        files = images_below(root, parts)
        refuse_strays(root, parts, files)
        warn_of_empty_classes(root, parts, files)
        block = image_block(
            files,
            get_items=get_items,
            splitter=GrandparentSplitter(*parts) if len(parts) == 2 else share_splitter(y_block, valid_pct, seed),
            get_x=None,
            get_y=parent_label,
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
        )
        return load(block, root, bs, seed, workers, worker_kind, cache, device, check, on_unreadable, max_broken)

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
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """Images labelled by their file name: the first group of the regular expression `pat`, found in the name.

        >>> ImageDataLoaders.from_name_re("pets/images", r"(.+)_\\d+.jpg$", size=224)  # doctest: +SKIP
        """
        if not isinstance(pat, str):
            raise TypeError(
                f"from_name_re(path, pat): pat is a regular expression, got a {type(pat).__name__}; the files are "
                f"listed from path"
            )
        block = image_block(
            images_below(Path(path), ()),
            get_items=get_image_files,
            splitter=share_splitter(y_block, valid_pct, seed),
            get_x=None,
            get_y=using_attr(RegexLabeller(pat), "name"),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
        )
        return load(block, path, bs, seed, workers, worker_kind, cache, device, check, on_unreadable, max_broken)

    @staticmethod
    @spelled
    def from_path_func(
        path: str | Path,
        fnames: Sequence[str | Path] | None,
        label_func: Callable[[Path], Any],
        *,
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """Images labelled by a function of their path. `fnames`: the files; None: all images below `path`."""
        refuse_one_text("fnames", fnames)
        files = images_below(Path(path), ()) if fnames is None else [Path(name) for name in fnames]
        block = image_block(
            files,
            get_items=get_image_files if fnames is None else None,
            splitter=share_splitter(y_block, valid_pct, seed),
            get_x=None,
            get_y=label_func,
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
        )
        source = path if fnames is None else files
        return load(block, source, bs, seed, workers, worker_kind, cache, device, check, on_unreadable, max_broken)

    @staticmethod
    @spelled
    def from_name_func(
        path: str | Path,
        fnames: Sequence[str | Path] | None,
        label_func: Callable[[str], Any],
        *,
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """Images labelled by a function of their file name: `lambda name: name[0].isupper()` tells cats from dogs."""
        return ImageDataLoaders.from_path_func(
            path,
            fnames,
            using_attr(label_func, "name"),
            valid_pct=valid_pct,
            seed=seed,
            size=size,
            channels=channels,
            bs=bs,
            y_block=y_block,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
            workers=workers,
            worker_kind=worker_kind,
            cache=cache,
            device=device,
            check=check,
            on_unreadable=on_unreadable,
            max_broken=max_broken,
        )

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
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """Images (paths, arrays [H W] or [H W C], PIL images) and their labels, in two lists of one length."""
        refuse_one_text("files", files)
        refuse_one_text("labels", labels)
        if len(files) != len(labels):
            raise ValueError(f"from_lists: {len(files)} files but {len(labels)} labels")
        pairs = list(zip(files, labels, strict=True))
        block = image_block(
            files,
            get_items=None,
            splitter=share_splitter(y_block, valid_pct, seed),
            get_x=ItemGetter(0),
            get_y=ItemGetter(1),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
        )
        return load(block, pairs, bs, seed, workers, worker_kind, cache, device, check, on_unreadable, max_broken)

    @staticmethod
    @spelled
    def from_frame(
        frame: Any,
        *,
        path: str | Path = ".",
        fn_col: str | int = 0,
        label_col: str | int = 1,
        label_delim: str = "",
        suff: str = "",
        valid_col: str = "",
        valid_pct: float = 0.2,
        seed: int = 42,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        bs: int = 64,
        y_block: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """A table with a column of file names (below `path`) and one of labels: a data frame of pandas or polars.

        `fn_col`, `label_col`: name or position. `suff`: put after each file name (".jpg"). `valid_col`: a column that
        is true for the rows to hold out. `label_delim`: what stands between several labels of one image (" " for
        "cat dog"); they are then a `MultiCategoryBlock`, and the split is at random.
        """
        refuse_columns(frame, "the table", (fn_col, label_col, valid_col or fn_col))
        y_block = MultiCategoryBlock() if label_delim and y_block is None else y_block
        reader = ColReader(fn_col, pref=Path(path), suff=suff)
        block = image_block(
            [reader(row) for row in first_rows(frame, LOOKED_AT)],
            get_items=None,
            splitter=ColSplitter(valid_col) if valid_col else share_splitter(y_block, valid_pct, seed),
            get_x=reader,
            get_y=ColReader(label_col, label_delim=label_delim),
            y_block=y_block,
            size=size,
            channels=channels,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
        )
        rows = list(frame.iter_rows(named=True)) if hasattr(frame, "iter_rows") else frame  # polars lists columns
        return load(block, rows, bs, seed, workers, worker_kind, cache, device, check, on_unreadable, max_broken)

    from_df = from_frame  # the book's name for it

    @staticmethod
    @spelled
    def from_csv(
        csv: str | Path,
        *,
        path: str | Path | None = None,
        fn_col: str | int = 0,
        label_col: str | int = 1,
        label_delim: str = "",
        suff: str = "",
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
        edits: Any = None,
        workers: int | None = None,
        worker_kind: str = "auto",
        cache: str | None = None,
        device: torch.device | str = "cpu",
        check: bool = True,
        on_unreadable: str = "raise",
        max_broken: float = MAX_BROKEN,
    ) -> DataLoaders:
        """A csv file of file names and labels, read as `from_frame` does; names are below `path` (the csv's folder).

        The file is UTF-8. Only an empty field is a missing label: "NA" and "None" are labels as any other.
        """
        table = read_table(csv, delimiter, fn_col)
        refuse_columns(table, str(csv), (fn_col, label_col, valid_col or fn_col))
        return ImageDataLoaders.from_frame(
            table,
            path=Path(csv).parent if path is None else path,
            fn_col=fn_col,
            label_col=label_col,
            label_delim=label_delim,
            suff=suff,
            valid_col=valid_col,
            valid_pct=valid_pct,
            seed=seed,
            size=size,
            channels=channels,
            bs=bs,
            y_block=y_block,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            edits=edits,
            workers=workers,
            worker_kind=worker_kind,
            cache=cache,
            device=device,
            check=check,
            on_unreadable=on_unreadable,
            max_broken=max_broken,
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
    edits: Any,
) -> DataBlock:
    """The `DataBlock` of labelled images; `probe`: some of the images, to see whether they differ in size."""
    if size is None and item_tfms is None and len(image_sizes(probe)) > 1:
        size = DEFAULT_SIZE
    resize = () if size is None else (Resize(size),)
    return DataBlock(
        blocks=(ImageBlock(channels=channels), CategoryBlock() if y_block is None else y_block),
        get_items=get_items,
        splitter=splitter,
        get_x=get_x,
        get_y=get_y,
        item_tfms=resize + make_steps(item_tfms).transforms,
        batch_tfms=Normalize() if batch_tfms is None else batch_tfms,
        edits=edits,
    )


def refuse_one_text(name: str, given: Any) -> None:
    """`TypeError` for one text or path where a list is meant: its letters would be taken one by one."""
    if isinstance(given, str | Path):
        raise TypeError(f"{name} is a list, got one {type(given).__name__}: give [{str(given)!r}]")


def load(
    block: DataBlock,
    source: Any,
    bs: int,
    seed: int,
    workers: int | None,
    worker_kind: str,
    cache: str | None,
    device: torch.device | str,
    check: bool,
    on_unreadable: str,
    max_broken: float,
) -> DataLoaders:
    return block.dataloaders(
        source,
        bs=bs,
        seed=seed,
        workers=workers,
        worker_kind=worker_kind,
        cache=cache,
        device=device,
        check=check,
        on_unreadable=on_unreadable,
        max_broken=max_broken,
    )


def share_splitter(y_block: Any, valid_pct: float | None, seed: int) -> StratifiedSplitter | RandomSplitter:
    """Hold out a share (a fifth if None): of each class where the label is a category, else of all."""
    share = 0.2 if valid_pct is None else valid_pct
    categories = y_block is None or y_block is CategoryBlock or isinstance(y_block, CategoryBlock)
    return StratifiedSplitter(share, seed) if categories else RandomSplitter(share, seed)
