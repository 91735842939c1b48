"""The training loop, whole. B batch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.data.seeds import MIX, STEP, mix_seed, numpy_generator
from satsuma.train.run import Batches, Run, Step


def train(run: Run, data: Batches, *, epochs: int, micro: int | None = None) -> Iterator[Step]:
    """Train in place, yielding after every update. `break` stops; a restored `run.step` resumes mid-epoch.

    `micro`: the most samples that go through the model at once; a larger batch is taken in slices whose gradients
    add up to the batch's. A memory knob: for a loss that is the mean over its samples the update is the same, but for
    batch normalisation's statistics.
    """
    for epoch in range(run.step // len(data), epochs):
        for batch in data.epoch(run.first_epoch + epoch, start=run.step % len(data)):  # x [B ...], y [B ...]
            if not run.model.training:
                run.model.train()  # the caller may have evaluated since the last yield
            rate = set_rates(run)
            seed_step(run)
            clear_gradients(run)  # here, so that whoever reads a step can still look at its gradients
            loss = add_gradients(run, mixed_batch(run, batch), micro)
            norm = clip_gradients(run)
            update_weights(run)
            run.step += 1
            yield Step(run.first_epoch + epoch, run.step, rate, loss, norm)  # tensors: .item() is the reader's sync
            if run.stop:
                return


def set_rates(run: Run) -> float:
    """Set each group's rate (and momentum) for the coming step; the highest rate."""
    factor, highest = run.schedule(run.step), 0.0
    for group in run.optimizer.param_groups:
        group["lr"] = group.setdefault("base_lr", group["lr"]) * factor
        highest = max(highest, group["lr"])
        if run.momentum is not None:
            set_momentum(group, run.momentum(run.step))
    return highest


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, group["betas"][1])
    elif "momentum" in group:
        group["momentum"] = momentum


def seed_step(run: Run) -> None:
    """Dropout and other noise depend on (seed, epoch offset, step) alone: nothing to save, nothing to disturb."""
    step_seed = mix_seed(run.seed, STEP, run.first_epoch, run.step)
    torch.default_generator.manual_seed(step_seed)  # a hundredth of the time of torch.manual_seed: it asks each device
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(step_seed)
    elif torch.backends.mps.is_available():
        torch.mps.manual_seed(step_seed)


def mixed_batch(run: Run, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What `run.mix` makes of the batch, a function of (seed, epoch offset, step): whole, so that `micro` is exact."""
    if run.mix is None:
        return batch
    return run.mix(*batch, rng=numpy_generator(run.seed, MIX, run.first_epoch, run.step))


def kept_random_states() -> AbstractContextManager[None]:
    """While it lasts, what `seed_step` does to the global generators; they are then as they were before."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else ())


def add_gradients(run: Run, batch: tuple[Tensor, ...], micro: int | None) -> Tensor:
    """Backward through the batch, in slices if asked; its loss []."""
    n = len(batch[0])
    if micro is None or n <= micro:
        return backward(run, batch)
    losses = []
    for part in zip(*(torch.split(t, micro) for t in batch), strict=True):
        loss = run.objective(run.model, *part) * (len(part[0]) / n)  # exact for a short last slice
        scaled(run, loss).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def backward(run: Run, batch: tuple[Tensor, ...]) -> Tensor:
    """Adds the gradients of the batch's loss to the parameters'; the loss []."""
    loss = run.objective(run.model, *batch)
    scaled(run, loss).backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def scaled(run: Run, loss: Tensor) -> Tensor:
    return loss if run.scaler is None else run.scaler.scale(loss)


def clip_gradients(run: Run) -> Tensor | None:
    """Clip the joint norm of what is trained to `run.max_norm`; the norm [] before clipping, None if it is off."""
    if run.max_norm is None:
        return None
    if run.scaler is not None:
        run.scaler.unscale_(run.optimizer)
    trained = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    return nn.utils.clip_grad_norm_(trained, run.max_norm)


def update_weights(run: Run) -> None:
    if run.scaler is None:
        run.optimizer.step()
    else:
        run.scaler.step(run.optimizer)
        run.scaler.update()


def clear_gradients(run: Run) -> None:
    """As `optimizer.zero_grad()`, whose profiling label costs a tiny network a fiftieth of its step."""
    for group in run.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
