"""`DataLoaders`: the training and validation loaders of one data set, with what their blocks know."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from satsuma.data.arrays import ArrayDataset, pixels_to_float, refuse_masked, to_tensor
from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.cache import shared_cache
from satsuma.data.checks import DataReport, label_warnings, warn_user
from satsuma.data.edits import unplaced
from satsuma.data.fingerprint import data_fingerprint
from satsuma.data.getters import ItemGetter, is_missing
from satsuma.data.in_memory import InMemory, InMemoryViews
from satsuma.data.loader import DataLoader, whole_number
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.prepare import fit_batch_tfms, make_samples
from satsuma.data.samples import Samples, identity, listed, short
from satsuma.data.seeds import as_seed
from satsuma.data.splitters import RandomSplitter
from satsuma.data.transforms import BatchSteps, make_steps
from satsuma.errors import nearest, spelled, spelled_class
from satsuma.functional.losses import shape_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.data.block import DataBlock

BIG_BATCH = 2**20  # numbers in one validation batch of in-memory data: large batches are faster and equally exact


@spelled_class
class DataLoaders:
    """`train`, `valid` (None if nothing is held out) and any more loaders.

    Made by `DataBlock.dataloaders`, by one of the `from_...` functions, or from loaders: `DataLoaders(train, valid)`.
    `block` is the fitted `DataBlock` they came from (None if there is none), `report` what the data check found.
    """

    def __init__(
        self,
        *loaders: DataLoader,
        block: "DataBlock | None" = None,
        blocks: Sequence[Block] = (),
        source: Any = None,
        report: DataReport | None = None,
    ) -> None:
        if not loaders:
            raise ValueError("DataLoaders: give at least a training loader")
        for loader in loaders:
            if not isinstance(loader, DataLoader):
                raise TypeError(f"DataLoaders: expected DataLoader objects, got {type(loader).__name__}")
        self.loaders = loaders
        self.block = block
        self.blocks: tuple[Block, ...] = tuple(blocks) if block is None else block.blocks
        self.source = source
        self.places: tuple[np.ndarray, ...] | None = None  # of each loader's samples among all items of the source
        self.report = report or DataReport()
        for text in self.report.warnings:
            warn_user(text)

    @property
    def train(self) -> DataLoader:
        return self.loaders[0]

    @property
    def valid(self) -> DataLoader | None:
        return self.loaders[1] if len(self.loaders) > 1 else None

    @property
    def bs(self) -> int:
        """The training batch size."""
        return self.train.batch_size

    @property
    def n_inp(self) -> int:
        """How many positions of a sample are inputs."""
        return self.train.n_inp

    @property
    def targets(self) -> tuple[Block, ...]:
        return self.blocks[self.n_inp :]

    @cached_property
    def fingerprints(self) -> list[str]:
        """A digest of each loader's samples: see `data_fingerprint`."""
        return [data_fingerprint(loader.dataset) for loader in self.loaders]

    @property
    def vocab(self) -> tuple[Any, ...]:
        """The classes of the (first) category target in the order of the labels 0, 1, 2, ...; `()` without one."""
        for block in self.targets:
            if isinstance(block, CategoryBlock | MultiCategoryBlock):
                return block.vocab
        return ()

    def __repr__(self) -> str:
        valid = f", valid: {len(self.valid.dataset)}" if self.valid else ""
        classes = f", {len(self.vocab)} classes" if self.vocab else ""
        return f"DataLoaders(train: {len(self.train.dataset)} samples{valid}{classes}, batch size {self.bs})"

    def __getitem__(self, index: int) -> DataLoader:
        return self.loaders[index]

    def one_batch(self) -> Any:
        """The first training batch of epoch 0: (x [B ...], y [B ...])."""
        return self.train.one_batch()

    def to(self, device: torch.device | str) -> "DataLoaders":
        """The same loaders on `device`."""
        there = DataLoaders(*(loader.to(device) for loader in self.loaders), block=self.block, blocks=self.blocks)
        there.source, there.report, there.places = self.source, self.report, self.places
        return there

    def with_batch_tfms(self, batch_tfms: Any) -> "DataLoaders":
        """The same data with other batch transforms (fitted anew where they are not yet).

        Raises `ValueError` for loaders that were not made by a `DataBlock`.
        """
        first = self.train.dataset
        if self.block is None or not isinstance(first, Samples):
            raise ValueError("with_batch_tfms: the loaders were not made by a DataBlock, which knows the transforms")
        given, item_tfms = make_steps(batch_tfms).transforms, self.block.item_tfms
        fitted = fit_batch_tfms(first.items, first.getters, first.blocks, item_tfms, given)
        loaders = []
        for loader in self.loaders:
            old = loader.dataset
            samples, steps = make_samples(old.items, old.getters, old.blocks, item_tfms, fitted)
            loaders.append(loader.new(shared_cache(samples, old), batch_steps=steps))
        there = DataLoaders(*loaders, block=replace(self.block, batch_tfms=fitted), source=self.source)
        there.report, there.places = self.report, self.places
        return there

    @spelled
    def test_dl(self, items: Sequence[Any], *, with_labels: bool = False) -> DataLoader:
        """A loader of new items in their order, through the validation transforms.

        `items`: a list, also of a single one; each is what the input block reads (a path, an array; a tuple of them
        for several inputs). With `with_labels=True` it is what `get_items` lists, from which `get_x` and `get_y` read.
        Where the training data is arrays, `items` is `x` [N *dims], or `(x, y)` with labels.
        """
        if isinstance(items, str | Path):
            raise TypeError(f"test_dl takes a list of items, got one text: use [{str(items)!r}]")
        dataset = self.train.dataset
        n = len(self.blocks) if with_labels else self.n_inp
        steps = self.train.batch_steps and BatchSteps(self.train.batch_steps.steps[:n])
        if isinstance(dataset, Samples):
            getters = tuple(map(unplaced, dataset.getters[:n])) if with_labels else input_getters(n)
            samples: Any = Samples(listed(items), getters, dataset.blocks[:n], dataset.paths[:n])
        elif isinstance(self.train.batches, InMemory | InMemoryViews):
            x, y = items if with_labels else (items, None)
            new = new_rows(x, self.train.batches.tensors[0])
            samples = ArrayDataset((new,) if y is None else (new, encode_with(self.targets[0], y)))
        else:
            samples = items
        batch_size = (self.valid or self.train).batch_size
        return DataLoader(
            samples,
            batch_size,
            workers=self.train.workers if len(samples) > 1 else 0,
            worker_kind=self.train.worker_kind,
            batch_steps=steps,
            device=self.train.device,
            n_inp=min(n, self.n_inp),
        )

    @spelled
    def show_batch(self, *, nrows: int = 3, ncols: int = 3, unique: bool = False, seed_epoch: int = 0) -> "Figure":
        """A picture of what training will see; `unique=True` shows one sample many ways."""
        from satsuma.data.show import show_batch

        return show_batch(self, nrows=nrows, ncols=ncols, unique=unique, epoch=seed_epoch)

    @staticmethod
    @spelled
    def from_arrays(
        x: Any,
        y: Any,
        *,
        valid: tuple[Any, Any] | None = None,
        valid_pct: float = 0.2,
        bs: int = 64,
        seed: int = 42,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
    ) -> "DataLoaders":
        """Loaders of arrays or tensors in memory: `x` [N *dims], `y` [N] or [N n].

        `valid`: the arrays (x, y) to validate on; otherwise a random share `valid_pct` of the rows is held out.
        Labels that are integers or text become categories; floating-point targets are regressed, [N] as [N 1].
        uint8 `x` is taken as pixels: batches are float32 in 0..1. `drop_last` leaves out a last, shorter batch.
        Raises `ValueError` naming the rows of NaN, a length that differs, or a dtype that holds no numbers.
        """
        bs, seed = whole_number("bs", bs, 1), as_seed(seed)
        halves: Any = valid
        if valid is not None and not (isinstance(halves, tuple | list) and len(halves) == 2):
            given = f"{len(halves)} parts" if isinstance(halves, tuple | list) else short(repr(halves))
            raise TypeError(
                f"from_arrays: valid is the arrays to validate on, valid=(x, y), got {given}; "
                f"to hold out a share: valid_pct=0.2"
            )
        x_train, labels = to_tensor(x, name="x"), target_values(y, "y")
        refuse_lengths(x_train, labels, "x", "y")
        if valid is None:
            held = RandomSplitter(valid_pct, seed)(range(len(labels)))
            x_train, x_valid = (x_train[torch.tensor(half, dtype=torch.int64)] for half in held)
            labels, valid_labels = (labels[np.array(half, dtype=np.int64)] for half in held)
        else:
            x_valid, valid_labels = new_rows(valid[0], x_train), target_values(valid[1], "valid y")
            refuse_lengths(x_valid, valid_labels, "valid x", "valid y")
        block = fit_target_block(labels, valid_labels)
        pixels = x_train.dtype == torch.uint8
        first = TransformBlock(batch_tfms=(pixels_to_float,) if pixels else ())
        train = DataLoader(
            ArrayDataset((x_train, encode_with(block, labels))),
            bs,
            True,
            drop_last=drop_last and len(x_train) > bs,
            seed=seed,
            batch_steps=BatchSteps((first.batch_steps(), block.batch_steps())) if pixels else None,
        )
        loaders, found = [train], []
        if len(x_valid):
            large = max(2 * bs, min(len(x_valid), BIG_BATCH // max(1, x_valid[0].numel())))
            held_out = ArrayDataset((x_valid, encode_with(block, valid_labels)))
            loaders.append(train.new(held_out, batch_size=large, shuffle=False, drop_last=False, augment=False))
        if isinstance(block, CategoryBlock):
            n = len(labels)
            both = labels.tolist() + valid_labels.tolist()
            found = label_warnings(both, block.vocab, range(n), range(n, len(both)))
        made = DataLoaders(*loaders, blocks=(first, block), report=DataReport(warnings=tuple(found)))
        return made if torch.device(device).type == "cpu" else made.to(device)


def input_getters(n: int) -> tuple[Callable[[Any], Any], ...]:
    """How to take `n` inputs from an item: the item itself, or its positions."""
    return (identity,) if n == 1 else tuple(ItemGetter(i) for i in range(n))


def target_values(y: Any, name: str) -> np.ndarray:
    """Targets as an array: labels [N] of integers, truth values or text, or floats [N] or [N n]."""
    refuse_unlabelled(y, name)
    values = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if values.dtype.kind == "f":
        if values.ndim not in (1, 2):
            raise ValueError(f"from_arrays: {name} to regress is [N] or [N n], got {list(values.shape)}")
        return values
    if values.dtype.kind == "c":
        raise ValueError(f"from_arrays: {name} has dtype {values.dtype}: give its parts, y.real and y.imag, as [N 2]")
    if values.ndim != 1:
        raise ValueError(
            f"from_arrays: labels are [N], {name} is {list(values.shape)} of {values.dtype}. "
            f"Use {name}.reshape(-1) for [N 1], .argmax(1) for one-hot rows, .float() to regress."
        )
    missing = [i for i, value in enumerate(values) if is_missing(value)] if values.dtype.kind == "O" else []
    if missing:
        raise ValueError(f"from_arrays: {name} has no label in {len(missing)} of {len(values)} rows: {missing[:5]}")
    return values


def refuse_unlabelled(y: Any, name: str) -> None:
    """Raise `ValueError` for masked rows, and where text stands beside what is none: NumPy would make it all text."""
    if isinstance(y, np.ma.MaskedArray):
        refuse_masked(y, name=name)
    if not (isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype.kind == "O")):
        return
    words = [i for i, value in enumerate(y) if isinstance(value, str)]
    others = [i for i, value in enumerate(y) if not isinstance(value, str)]
    if not words or not others:
        return
    missing = [i for i in others if is_missing(y[i])]
    if missing:
        raise ValueError(f"from_arrays: {name} has no label in {len(missing)} of {len(y)} rows: {missing[:5]}")
    raise ValueError(
        f"from_arrays: {name} mixes text and numbers: row {words[0]} is {y[words[0]]!r}, row {others[0]} is "
        f"{y[others[0]]!r}. Give labels of one kind, for example [str(v) for v in {name}]."
    )


def fit_target_block(labels: np.ndarray, valid_labels: np.ndarray) -> CategoryBlock | RegressionBlock:
    """Categories for integers and text (of both halves), a regression for floats."""
    if labels.dtype.kind == "f":
        return RegressionBlock(n_out=1 if labels.ndim == 1 else int(labels.shape[1]))
    return CategoryBlock().setup(labels.tolist() + valid_labels.tolist())


def encode_with(block: Block, y: Any) -> torch.Tensor:
    """Targets as the numbers of `block`: int64 [N] places in its vocab, or float32 [N n]."""
    values = target_values(y, "y")
    if isinstance(block, CategoryBlock):
        place = {label: i for i, label in enumerate(block.vocab)}
        unknown = [v for v in values.tolist() if v not in place]
        if unknown:
            raise ValueError(f"y has the label {unknown[0]!r}: {nearest(str(unknown[0]), map(str, block.vocab))}")
        return torch.tensor([place[v] for v in values.tolist()], dtype=torch.int64)
    return to_tensor(values, name="y").float().reshape(len(values), -1)


def new_rows(x: Any, known: torch.Tensor) -> torch.Tensor:
    """`x` [N *dims] as a tensor whose samples have the shape, and if floating the dtype, of the `known` ones."""
    rows = to_tensor(x, name="x")
    if rows.shape[1:] != known.shape[1:]:
        one = " It is one sample: use x[None]." if rows.shape == known.shape[1:] else ""
        raise ValueError(f"x is {shape_text(rows)}, but the training samples are {shape_text(known[0])} each.{one}")
    pixels = (torch.uint8 in (rows.dtype, known.dtype)) and rows.dtype != known.dtype
    if pixels and (rows.dtype != torch.uint8 or known.is_floating_point()):
        raise ValueError(
            f"x has dtype {rows.dtype}, but the training samples are {known.dtype}: uint8 is taken as pixels in "
            f"0..255 and scaled, other numbers are not. Give both as one dtype, scaled alike."
        )
    return rows.to(known.dtype) if known.is_floating_point() or pixels else rows


def refuse_lengths(x: Any, y: Any, x_name: str, y_name: str) -> None:
    if len(x) != len(y):
        raise ValueError(
            f"from_arrays: {x_name} has {len(x)} rows and {y_name} has {len(y)}; row i of each is one sample"
        )
