"""Training and judging one model by several processes: B batch, b a process's part of it, N samples."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from satsuma.data.share import Share, share_bounds, share_taken
from satsuma.train.evaluate import Evaluation, metric_value, named_metrics, predict_batches
from satsuma.train.world import World, copy_first


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObjective:
    """`objective` of a weighed part of a batch, so that the mean of the processes' gradients is the batch's gradient.

    `model`: the model as the processes share it, whose backward pass takes the mean. `summed`: the loss is a sum over
    samples, not a mean. The loss [] that it gives is this process's; the mean of the processes' is the batch's.
    """

    objective: Callable[..., Tensor]
    model: nn.Module
    size: int
    summed: bool = False

    def __call__(self, model: nn.Module, *batch: Tensor) -> Tensor:
        *own, weights = batch  # [b ...], [b 2]
        share, left = weights[0, 0].item(), weights[-1, 1].item()
        # of a batch in slices, only the last one's backward pass exchanges gradients
        later = left > 0 and isinstance(self.model, DistributedDataParallel)
        with self.model.no_sync() if later else nullcontext():  # type: ignore[operator]
            loss = self.objective(self.model, *own)
        return loss * self.size * (float(share > 0) if self.summed else share)


def mixed_share(*batch: Tensor, rng: np.random.Generator, mix: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What `mix` makes of a weighed part of a batch: partners are samples of the same process."""
    return (*mix(*batch[:-1], rng=rng), batch[-1])


def whole_of(parts: Sequence[Tensor], batch_sizes: Sequence[int]) -> Tensor:
    """The processes' rows [n ...] in the order of the samples [N ...]: each had its share of every batch."""
    size = len(parts)
    counts = [[end - begin for begin, end in (share_bounds(n, r, size) for n in batch_sizes)] for r in range(size)]
    split = [torch.split(part, count) for part, count in zip(parts, counts, strict=True)]
    return torch.cat([split[r][i] for i in range(len(batch_sizes)) for r in range(size)])


def gathered_rows(own: Tensor, share: Share, world: World) -> Tensor:
    """All rows [N ...] in order, of those [n ...] that this process computed of its share of each batch."""
    taken = [share_taken(n, share.rank, share.size) for n in share.batch_sizes]
    bounds = [share_bounds(n, share.rank, share.size) for n in share.batch_sizes]
    parts = torch.split(own, [t.stop - t.start for t in taken])
    counted = torch.cat([part[: end - begin] for part, (begin, end) in zip(parts, bounds, strict=True)])
    sizes = [share_bounds(n, r, share.size) for r in range(share.size) for n in share.batch_sizes]
    rows, batches = [end - begin for begin, end in sizes], len(share.batch_sizes)
    counts = [sum(rows[r * batches : (r + 1) * batches]) for r in range(share.size)]
    return whole_of(world.gathered(counted, counts), share.batch_sizes)


def evaluate_together(
    model: nn.Module,
    share: Share,
    world: World,
    *,
    loss_func: Callable[..., Tensor],
    metrics: Sequence[Callable[..., Any]] = (),
    n_inp: int = 1,
    autocast: torch.dtype | None = None,
) -> Evaluation:
    """`evaluate`, of which each process predicts its share: the outputs are brought together, and loss and metrics are
    computed once on all of them, on every process alike. Statistics (buffers) are process 0's from then on."""
    copy_first(list(model.buffers()))
    predicted, own_targets = predict_batches(model, share, n_inp=n_inp, autocast=autocast)
    single = isinstance(predicted, Tensor)
    parts = tuple(gathered_rows(part, share, world) for part in ((predicted,) if single else predicted))
    outputs: Any = parts[0] if single else parts
    targets = tuple(gathered_rows(part, share, world) for part in own_targets)
    with torch.no_grad():
        loss = float(loss_func(outputs, *targets))
        values = {n: metric_value(n, m, outputs, targets, strict=False) for n, m in named_metrics(metrics).items()}
    return Evaluation(loss, values)
