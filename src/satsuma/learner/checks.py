"""One look before the first step: do data, model, loss and metrics fit together? B batch, K classes."""

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from satsuma.data.blocks import CategoryBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.functional.links import LOGITS_OF_CLASSES, LOGS_OF_CLASSES, loss_meaning, part_name
from satsuma.functional.losses import shape_text
from satsuma.train.evaluate import metric_values
from satsuma.train.objectives import forward


class RefuseOuterBroadcast(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, an operation on [B] and [B 1] that would silently give [B B] raises `ValueError`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
        if len(shapes) == 2:
            flat, column = sorted(shapes, key=len)
            if len(flat) == 1 and len(column) == 2 and column[1] == 1 and flat[0] == column[0] > 1:
                raise ValueError(
                    f"the loss combines [{flat[0]}] with [{flat[0]} 1], which would broadcast to "
                    f"[{flat[0]} {flat[0]}]: every prediction against every target"
                )
        return func(*args, **(kwargs or {}))


def check_first_batch(
    model: nn.Module,
    dls: DataLoaders,
    loss_func: Callable[..., Tensor],
    metrics: Sequence[Callable[..., Any]],
    autocast: torch.dtype | None,
) -> None:
    """Run one batch through model, loss and metrics without training. `ValueError` that names what does not fit."""
    batch = dls.one_batch()
    if not isinstance(batch, tuple) or len(batch) <= dls.n_inp:
        raise ValueError("the data set gives inputs without targets; training needs pairs (x, y)")
    inputs, targets = batch[: dls.n_inp], batch[dls.n_inp :]
    for name, part in [*((f"x{i}", x) for i, x in enumerate(inputs)), *((f"y{i}", y) for i, y in enumerate(targets))]:
        if not isinstance(part, Tensor):
            raise ValueError(f"a batch's {name} is a {type(part).__name__}, not a tensor: {str(part)[:80]}")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            outputs = run_model(model, inputs, autocast)
            check_classes(outputs, dls, loss_func)
            check_loss(loss_func, outputs, targets)
            for metric in metrics:
                metric_values(metric, outputs, targets, strict=True)
    finally:
        model.train(was_training)
    check_batch_norm(model, len(inputs[0]))


def run_model(model: nn.Module, inputs: tuple[Tensor, ...], autocast: torch.dtype | None) -> Any:
    try:
        return forward(model, inputs, autocast)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        got = ", ".join(f"{shape_text(x)} {str(x.dtype).removeprefix('torch.')}" for x in inputs)
        hint = ""
        weights = next(model.parameters(), None)
        wrong = [x.dtype for x in inputs if weights is not None and x.is_floating_point() and x.dtype != weights.dtype]
        if wrong and weights is not None:
            hint = f" The model's weights are {weights.dtype}, the inputs {wrong[0]}: convert one of them."
        elif weights is not None and not any(x.is_floating_point() for x in inputs):
            hint = " Most layers expect floating-point inputs: convert them with x.float()."
        raise ValueError(f"the model fails on a batch of inputs {got}: {first_line(error)}.{hint}") from error


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def check_classes(outputs: Any, dls: DataLoaders, loss_func: Callable[..., Tensor]) -> None:
    """The model must have one output for each class of the data."""
    if not (len(dls.targets) == 1 and isinstance(dls.targets[0], CategoryBlock) and isinstance(outputs, Tensor)):
        return
    if loss_meaning(loss_func) not in (LOGITS_OF_CLASSES, LOGS_OF_CLASSES):
        return
    classes = len(dls.vocab)
    if outputs.ndim < 2 or outputs.shape[1] != classes:
        labels = f"labels 0..{outputs.shape[1] - 1}" if outputs.ndim >= 2 else "no classes"
        raise ValueError(
            f"the model gives {shape_text(outputs)} but the data has {classes} classes: {shape_text(outputs)} fits "
            f"{labels}. Build the model with {classes} outputs."
        )


def check_loss(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> None:
    """The loss must be one number, and must not pair every prediction with every target."""
    shapes = f"outputs {shape_text(outputs) if isinstance(outputs, Tensor) else 'of several tensors'}, targets " + (
        ", ".join(shape_text(t) for t in targets)
    )
    name = part_name(loss_func)
    try:
        with RefuseOuterBroadcast():  # type: ignore[no-untyped-call]
            loss = loss_func(outputs, *targets)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"the loss {name} fails on {shapes}: {first_line(error)}") from error
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = shape_text(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"the loss {name} gives {got} for {shapes}; it must be one number: take the mean")


def check_batch_norm(model: nn.Module, batch: int) -> None:
    norm = next((n for n, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)), None)
    if norm is not None and batch == 1:
        raise ValueError(f"the layer {norm} normalises over the batch, which needs 2 samples or more; batches have 1")


def items_losses(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> Tensor:
    """Each item's own loss [N]: by `reduction="none"` where the loss knows it, else one item at a time."""
    if isinstance(loss_func, nn.Module) and hasattr(loss_func, "reduction"):
        each = copy.copy(loss_func)
        each.reduction = "none"  # type: ignore[assignment]
        losses = each(outputs, *targets)
    elif "reduction" in parameters_of(loss_func):
        losses = loss_func(outputs, *targets, reduction="none")
    else:
        n = len(targets[0])
        single = [loss_func(outputs[i : i + 1], *(t[i : i + 1] for t in targets)) for i in range(n)]
        losses = torch.stack([loss.reshape(()) for loss in single])
    each_item: Tensor = losses.flatten(1).mean(1) if losses.ndim > 1 else losses
    return each_item


def parameters_of(func: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return ()
