"""`DataLoaders`: the training and validation loaders of one data set, with what their blocks know."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from satsuma.data.arrays import ArrayDataset, pixels_to_float, to_tensor
from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock, TransformBlock
from satsuma.data.checks import DataReport
from satsuma.data.loader import DataLoader
from satsuma.data.samples import Samples
from satsuma.data.splitters import RandomSplitter
from satsuma.data.transforms import BatchSteps, Steps, make_steps
from satsuma.errors import spelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.data.block import DataBlock

BIG_BATCH = 2**20  # numbers in one validation batch of in-memory data: large batches are faster and equally exact


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
        self.report = report or DataReport()
        for text in self.report.warnings:
            warnings.warn(text, UserWarning, stacklevel=4)

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

    @property
    def vocab(self) -> tuple[Any, ...]:
        """The classes of the (first) category target, in the order of the labels 0, 1, 2, ...; `()` without one."""
        for block in self.targets:
            if isinstance(block, CategoryBlock):
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
        there.source, there.report = self.source, self.report
        return there

    def test_dl(self, items: Sequence[Any], *, with_labels: bool = False) -> DataLoader:
        """A loader of new items in their order, through the validation transforms; without labels unless asked."""
        dataset = self.train.dataset
        n = len(self.blocks) if with_labels else self.n_inp
        steps = self.train.batch_steps and BatchSteps(self.train.batch_steps.steps[:n])
        if isinstance(dataset, Samples):
            getters = dataset.getters[:n]
            samples: Any = Samples(list(items), getters, dataset.blocks[:n], dataset.item_steps)
        else:
            samples = ArrayDataset((to_tensor(np.asarray(items), name="items"),))
        batch_size = (self.valid or self.train).batch_size
        return DataLoader(
            samples,
            batch_size,
            workers=self.train.workers if len(samples) > 1 else 0,
            batch_steps=steps,
            device=self.train.device,
            n_inp=min(n, self.n_inp),
        )

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
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> "DataLoaders":
        """Loaders of arrays or tensors in memory: `x` [N *dims], `y` [N] or [N n].

        `valid`: the arrays (x, y) to validate on; otherwise a random share `valid_pct` of the rows is held out.
        Labels that are integers or text become categories; floating-point targets are regressed, [N] as [N 1].
        uint8 `x` is taken as pixels: batches are float32 in 0..1.
        Raises `ValueError` naming the rows of NaN, a length that differs, or a dtype that holds no numbers.
        """
        x_all = to_tensor(x, name="x")
        block, y_all = encode_targets(y, () if valid is None else np.asarray(valid[1]))
        if len(x_all) != len(y_all):
            raise ValueError(
                f"from_arrays: x has {len(x_all)} rows and y has {len(y_all)}; row i of each is one sample"
            )
        if valid is None:
            held = RandomSplitter(valid_pct, seed)(range(len(x_all)))
            (x_train, y_train), (x_valid, y_valid) = ((x_all[idx], y_all[idx]) for idx in held)
        else:
            x_train, y_train = x_all, y_all
            x_valid = to_tensor(valid[0], name="valid x")
            y_valid = y_all.new_tensor([]) if len(valid[1]) == 0 else encode_with(block, valid[1])
        pixels = x_all.dtype == torch.uint8
        first = TransformBlock(batch_tfms=pixels_to_float) if pixels else TransformBlock()  # type: ignore[arg-type]
        steps = BatchSteps((make_steps(pixels_to_float), Steps((), ()))) if pixels else None
        train = DataLoader(ArrayDataset((x_train, y_train)), bs, True, seed=seed, batch_steps=steps, device="cpu")
        loaders = [train]
        if len(x_valid):
            large = max(2 * bs, min(len(x_valid), BIG_BATCH // max(1, x_valid[0].numel())))
            loaders.append(train.new(ArrayDataset((x_valid, y_valid)), batch_size=large, shuffle=False, augment=False))
        made = DataLoaders(*loaders, blocks=(first, block))
        return made if torch.device(device).type == "cpu" else made.to(device)


def encode_targets(y: Any, valid_y: Any) -> tuple[Block, torch.Tensor]:
    """The block that fits targets `y`, and `y` encoded by it."""
    values = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if values.dtype.kind == "f":
        refused = to_tensor(values, name="y")
        block = RegressionBlock(n_out=1 if refused.ndim == 1 else int(refused.shape[1]))
        return block, refused.float().reshape(len(refused), -1)
    if values.ndim != 1:
        raise ValueError(f"from_arrays: labels must be [N], got {list(values.shape)} of {values.dtype}")
    category = CategoryBlock().setup(list(values) + list(np.asarray(valid_y)))
    return category, encode_with(category, values)


def encode_with(block: Block, y: Any) -> torch.Tensor:
    values = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if isinstance(block, CategoryBlock):
        place = {label: i for i, label in enumerate(block.vocab)}
        return torch.tensor([place[v] for v in values.tolist()])
    return to_tensor(values, name="y").float().reshape(len(values), -1)
