"""The training loop of `satsuma.train.loop`, whole, with the backward pass in view. B batch, N samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from satsuma.ladder.numpy.groups import add_weight_decay, clip_gradients, highest_rate
from satsuma.ladder.numpy.penalties import add_l1_gradients, add_l2_gradients, l1_penalty, l2_penalty, penalised_weights
from satsuma.ladder.numpy.random import normal
from satsuma.ladder.numpy.seeds import MIX, STEP, epoch_order, mix_seed, numpy_generator


@dataclass(frozen=True, slots=True)
class Step:
    """One update: the epoch it belongs to, its number (from 1), the highest rate, the loss and the gradients' norm."""

    epoch: int
    step: int
    lr: float
    loss: float
    grad_norm: float | None


def train(
    model: Any,
    optimizer: Any,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    loss_func: Callable[..., float],
    loss_gradient: Callable[..., np.ndarray],
    batch_size: int,
    epochs: int,
    shuffle: bool = True,
    drop_last: bool = False,
    data_seed: int = 0,
    schedule: Callable[[int], float] | None = None,
    momentum: Callable[[int], float] | None = None,
    max_norm: float | None = None,
    weight_decay: bool = False,
    frozen: bool = False,
    l1: float = 0.0,
    l2: float = 0.0,
    mix: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None,
    input_noise: float = 0.0,
    generator: Any = None,
    seed: int = 0,
    first_epoch: int = 0,
) -> Iterator[Step]:
    """Train in place on inputs [N ...] and targets [N ...], yielding after every update.

    `schedule(step)` is the factor on each group's "base_lr", `momentum(step)` the momentum itself; None leaves them.
    `weight_decay`: whether the groups' decay goes into the gradients; AdamW takes care of its own. `frozen`: whether
    the optimiser has but some of the parameters. `generator`: what dropout and noise draw from. The rest is as in
    `satsuma.train`.
    """
    step = 0
    for epoch in range(epochs):
        order = batch_order(len(inputs), batch_size, shuffle, drop_last, seed=data_seed, epoch=first_epoch + epoch)
        for start in range(0, len(order), batch_size):
            x, y = inputs[order[start : start + batch_size]], targets[order[start : start + batch_size]]  # [B ...]
            if schedule is not None:
                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * schedule(step)
            if momentum is not None:
                optimizer.momentum = momentum(step)
            if generator is not None:  # dropout and noise depend on (seed, epoch offset, step) alone
                generator.manual_seed(mix_seed(seed, STEP, first_epoch, step))
            if mix is not None:
                x, y = mix(x, y, rng=numpy_generator(seed, MIX, first_epoch, step))
            if input_noise:
                x = x + normal(x.shape, generator, dtype=x.dtype.type) * input_noise
            outputs = model.forward(x)
            loss = loss_func(outputs, y)
            model.backward(loss_gradient(outputs, y))
            gradients = model.gradients
            if frozen:
                gradients = {name: gradients[name] for name in optimizer.parameters}
            if l1:
                loss += l1 * l1_penalty(penalised_weights(optimizer.parameters))
                add_l1_gradients(optimizer.parameters, gradients, l1=l1)
            if l2:
                loss += l2 * l2_penalty(penalised_weights(optimizer.parameters))
                add_l2_gradients(optimizer.parameters, gradients, l2=l2)
            norm = None if max_norm is None else clip_gradients(gradients, max_norm=max_norm)
            if weight_decay:
                add_weight_decay(optimizer.parameters, gradients, optimizer.param_groups)
            optimizer.step(gradients)
            step += 1
            yield Step(first_epoch + epoch, step, highest_rate(optimizer.param_groups), loss, norm)


def batch_order(n: int, batch_size: int, shuffle: bool, drop_last: bool, *, seed: int, epoch: int) -> np.ndarray:
    """Which of `n` samples come when in one epoch: int64 [n], or with `drop_last` as many as fill their batches.

    >>> batch_order(5, 2, shuffle=True, drop_last=True, seed=42, epoch=0)
    array([1, 4, 0, 2])
    """
    order = epoch_order(n, seed, epoch) if shuffle else np.arange(n)
    return order[: n // batch_size * batch_size] if drop_last else order


def predict(model: Any, inputs: np.ndarray, *, batch_size: int) -> np.ndarray:
    """The outputs for all inputs [N ...], in their order; dropout and the like have to be switched off before."""
    batches = [model.forward(inputs[i : i + batch_size]) for i in range(0, len(inputs), batch_size)]
    return np.concatenate(batches)


def pixels_to_float(x: np.ndarray) -> np.ndarray:
    """uint8 in 0..255 to float32 in 0..1, any shape.

    >>> pixels_to_float(np.array([0, 255], np.uint8))
    array([0., 1.], dtype=float32)
    """
    return x.astype(np.float32) / 255
