"""Pictures of batches: what training will see."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.collate import collate
from satsuma.data.finished import to_device
from satsuma.data.loader import DataLoader
from satsuma.data.multi_category import label_text
from satsuma.data.streamed import load_sample
from satsuma.plots.theme import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.data.dataloaders import DataLoaders


def show_batch(dls: "DataLoaders", *, nrows: int, ncols: int, unique: bool, epoch: int) -> "Figure":
    """A grid of samples of one training batch; `unique`: the first sample of that batch under as many draws."""
    n = nrows * ncols
    loader = dls.train
    batch = one_sample_many_ways(loader, n, epoch) if unique else loader.one_batch(epoch)
    batch = batch if isinstance(batch, tuple) else (batch,)
    titles = [title(dls, batch, i) for i in range(min(n, len(batch[0])))]
    pictures = [as_picture(undone(dls, batch[0][i])) for i in range(len(titles))]
    return grid(pictures, titles, nrows=nrows, ncols=ncols)


def one_sample_many_ways(loader: DataLoader, n: int, epoch: int) -> Any:
    index = loader.indices(epoch, 0)[0]
    batch = collate([load_sample(loader.dataset, index, loader.seed, epoch + k, loader.augment) for k in range(n)])
    if loader.batch_steps is None:
        return batch
    return loader.batch_steps(to_device(batch, loader.device), loader.finishing().batch_rng(epoch, 0))


def undone(dls: "DataLoaders", x: Tensor) -> Tensor:
    """`x` [C H W] with those batch transforms undone that know how (normalisation), for the eye."""
    if dls.block is not None:
        transforms: tuple[Any, ...] = dls.block.batch_tfms
    else:
        transforms = dls.train.batch_steps.steps[0].transforms if dls.train.batch_steps else ()
    for transform in reversed(transforms):
        undo = getattr(transform, "decode", None)
        x = x if undo is None else undo(x[None])[0]
    return x


def as_picture(x: Tensor) -> np.ndarray:
    """[H W] or [H W 3] float in 0..1 for drawing: from [C H W], [H W], or a vector whose length is a square."""
    x = x.detach().float().cpu()
    if x.ndim == 1:
        side = round(len(x) ** 0.5)
        x = x.reshape(side, side) if side * side == len(x) and side > 3 else x[None]
    if x.ndim == 3:
        x = x[0] if x.shape[0] not in (3, 4) else x[:3].permute(1, 2, 0)
    low, high = float(x.min()), float(x.max())
    if low < -0.01 or high > 1.01:
        x = (x - low) / max(high - low, 1e-12)
    return torch.clamp(x, 0, 1).numpy()


def title(dls: "DataLoaders", batch: tuple[Any, ...], i: int) -> str:
    targets = batch[dls.n_inp :]
    if not dls.targets:
        return " ".join(str(t[i].tolist() if isinstance(t, Tensor) else t[i]) for t in targets)
    return "\n".join(label_text(b.decode(t[i].cpu())) for b, t in zip(dls.targets, targets, strict=False))


def grid(pictures: list[np.ndarray], titles: list[str], *, nrows: int, ncols: int, size: float = 2.2) -> "Figure":
    """Pictures [H W] or [H W 3] in rows, each under its title."""
    from satsuma.plots.figure import ShownFigure

    lines = max((text.count("\n") + 1 for text in titles), default=1)
    tallest = max((picture.shape[0] / picture.shape[1] for picture in pictures), default=1.0)
    row = size * min(max(tallest, 0.3), 2.0) + 0.25 * lines
    figure = ShownFigure(figsize=(ncols * size, nrows * row), title="; ".join(titles).replace("\n", ", "))
    for i, (picture, text) in enumerate(zip(pictures, titles, strict=True)):
        axes = figure.add_subplot(nrows, ncols, i + 1)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest" if len(picture) < 64 else "auto")
        drawable = text.encode("utf-8", "replace").decode()  # names that are no UTF-8 hold surrogates
        axes.set_title(drawable, fontsize=9, color=INK, parse_math=False)
        axes.set_axis_off()
    return figure
