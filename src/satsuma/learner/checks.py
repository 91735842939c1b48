"""One look before the first step: do data, model, loss and metrics fit together? B batch, K classes."""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader
from satsuma.data.seeds import numpy_generator
from satsuma.functional.each_loss import is_reducible, unreduced_losses
from satsuma.functional.links import opened_partial, part_name
from satsuma.functional.losses import shape_text
from satsuma.ship.predictor import names_columns
from satsuma.train.evaluate import evaluation_mode, joined_outputs, metric_value, named_metrics
from satsuma.train.loop import kept_random_states
from satsuma.train.memory import is_out_of_memory
from satsuma.train.objectives import forward

VALIDATION = "in the first validation batch"  # a note on an error of memory


class RefuseOuterBroadcast(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, an operation that makes [B B] of [B] or [B 1] raises `ValueError`: every answer with every target.

    For losses whose outputs are [B] and targets [B 1], or the other way round; others may well compare all pairs.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch = batch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        n = self.batch
        if isinstance(result, Tensor) and result.shape == (n, n):
            shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
            if any(shape in ((n,), (n, 1)) for shape in shapes):
                raise ValueError(
                    f"it combines [{n}] with [{n} 1], which would broadcast to [{n} {n}], every prediction against "
                    f"every target; make the shapes equal: targets.unsqueeze(1) makes [{n} 1] of [{n}]"
                )
        return result


def check_first_batch(
    model: nn.Module,
    dls: DataLoaders,
    loss_func: Callable[..., Tensor],
    metrics: Sequence[Callable[..., Any]],
    autocast: torch.dtype | None,
    micro: int | None = None,
    mixup: Callable[..., Any] | None = None,
) -> None:
    """Run one batch of training and one of validation data through model, loss and metrics, without training.

    `ValueError` that names what does not fit.
    """
    inputs, targets = taken(dls.train, dls.n_inp, "")
    if mixup is not None:
        mixup(*inputs, *targets, n_inp=dls.n_inp, rng=numpy_generator(0))
    if micro is not None:
        inputs, targets = tuple(x[:micro] for x in inputs), tuple(t[:micro] for t in targets)
    with kept_random_states(), evaluation_mode(model), torch.no_grad():
        outputs = unchanged_inputs(model, inputs, autocast)
        check_classes(outputs, dls, loss_func)
        check_loss(loss_func, outputs, targets)
        if dls.valid is not None:
            judged, answers = taken(dls.valid, dls.n_inp, "the validation data: ")
            try:
                results = run_model(model, judged, autocast)
                joined_outputs([results] * min(2, len(dls.valid)))
                check_loss(loss_func, results, answers)
            except (TypeError, ValueError, RuntimeError, MemoryError) as error:
                if is_out_of_memory(error):
                    error.add_note(VALIDATION)
                    raise
                raise ValueError(f"the validation data: {error}") from error
            for name, metric in named_metrics(metrics).items():
                check_metric(name, metric, results, answers)
    if smallest_batch(dls, micro) == 1:
        whole = smallest_batch(dls, None)
        refuse_lonely(model, inputs, autocast, None if whole == 1 else micro)


def taken(loader: DataLoader, n_inp: int, whose: str) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and targets of the first batch: copies, since a batch of arrays may be a view of the caller's."""
    batch = loader.one_batch()
    try:
        check_batch(batch, n_inp)
    except ValueError as error:
        raise ValueError(f"{whose}{error}") from None
    copies = tuple(part.clone() for part in batch)
    return copies[:n_inp], copies[n_inp:]


def unchanged_inputs(model: nn.Module, inputs: tuple[Tensor, ...], autocast: torch.dtype | None) -> Any:
    """The model's outputs; `ValueError` if it changes its inputs in place, which would change the data themselves."""
    versions, found = [x._version for x in inputs], list[str]()
    leaves = {name: m for name, m in model.named_modules() if name and not any(m.children())}
    watches = [
        leaf.register_forward_hook(functools.partial(note_changed, f"the layer {name}", found, inputs, versions))
        for name, leaf in leaves.items()
    ]
    watches += [
        leaf.register_forward_pre_hook(functools.partial(note_changed, "its forward", found, inputs, versions))
        for leaf in leaves.values()
    ]
    try:
        outputs = run_model(model, inputs, autocast)
    finally:
        for watch in watches:
            watch.remove()
    note_changed("its forward", found, inputs, versions)
    if found:
        raise ValueError(
            f"the model changes its input in place (in {found[0]}), and with it the data that batches are views of: "
            f"use x * 2 for x.mul_(2), nn.ReLU() for nn.ReLU(inplace=True), or begin forward with x = x.clone()"
        )
    return outputs


def note_changed(where: str, found: list[str], inputs: tuple[Tensor, ...], versions: list[int], *_: Any) -> None:
    if not found and [x._version for x in inputs] != versions:
        found.append(where)


def check_metric(name: str, metric: Callable[..., Any], outputs: Any, targets: tuple[Tensor, ...]) -> None:
    """`ValueError` for a metric that fails; a warning where one of others objects to the values of a small batch."""
    try:
        metric_value(name, metric, outputs, targets)
    except ValueError as error:
        own = str(getattr(opened_partial(metric)[0], "__module__", "")).startswith("satsuma.")
        if own or not isinstance(error.__cause__, ValueError):
            raise
        warnings.warn(f"{error} (in the first validation batch; training goes on)", UserWarning, stacklevel=2)


def explained(error: RuntimeError, model: nn.Module, dls: DataLoaders) -> Exception:
    """A failure of the first backward pass in words: whether the model or the loss is cut off from the weights."""
    if "does not require grad" not in str(error):
        return error
    inputs, _ = taken(dls.train, dls.n_inp, "")
    with kept_random_states(), evaluation_mode(model), torch.enable_grad():
        outputs = model(*(x[:2] for x in inputs))
    parts = outputs if isinstance(outputs, tuple | list) else (outputs,)
    if any(isinstance(part, Tensor) and part.requires_grad for part in parts):
        what = "the loss does not depend on the model's outputs: it is a constant, or detaches them"
    else:
        what = "the model's outputs are cut off from its weights: by detach(), .data, no_grad, argmax or rounding"
    return ValueError(f"nothing can be learnt, since {what} ({first_line(error)})")


def check_batch(batch: Any, n_inp: int) -> None:
    if not isinstance(batch, tuple) or len(batch) <= n_inp:
        raise ValueError("the data set gives inputs without targets; training needs pairs (x, y)")
    for i, part in enumerate(batch):
        if not isinstance(part, Tensor):
            name = f"x{i}" if i < n_inp else f"y{i - n_inp}"
            raise ValueError(f"a batch's {name} is a {type(part).__name__}, not a tensor: {str(part)[:80]}")


def run_model(model: nn.Module, inputs: tuple[Tensor, ...], autocast: torch.dtype | None) -> Any:
    try:
        return forward(model, inputs, autocast)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        got = ", ".join(f"{shape_text(x)} of {x.dtype}" for x in inputs)
        hint = ""
        weights = next(model.parameters(), None)
        wrong = [x.dtype for x in inputs if weights is not None and x.is_floating_point() and x.dtype != weights.dtype]
        embeddings = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
        if isinstance(error, IndexError) and embeddings:
            reach = max((int(x.max()) for x in inputs if not x.is_floating_point() and x.numel()), default=0)
            hint = f" Indices reach {reach}, embeddings have {', '.join(map(str, embeddings))} rows: 0 up to one less."
        elif wrong and weights is not None:
            hint = f" The model's weights are {weights.dtype}, the inputs {wrong[0]}: convert one of them."
        elif weights is not None and not any(x.is_floating_point() for x in inputs):
            hint = " Most layers expect floating-point inputs: convert them with x.float()."
        raise ValueError(f"the model fails on a batch of inputs {got}: {first_line(error)}.{hint}") from error


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def check_classes(outputs: Any, dls: DataLoaders, loss_func: Callable[..., Tensor]) -> None:
    """The model must have one output for each class of the data."""
    if not (isinstance(outputs, Tensor) and names_columns(loss_func, dls.targets)):
        return
    classes = len(dls.vocab)
    if outputs.ndim < 2 or outputs.shape[1] != classes:
        fits = f"labels 0..{outputs.shape[1] - 1}" if outputs.ndim >= 2 else "no classes"
        raise ValueError(
            f"the model gives {shape_text(outputs)} but the data has {classes} classes: {shape_text(outputs)} fits "
            f"{fits}. Build the model with {classes} outputs."
        )


def check_loss(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> None:
    """The loss must be one number, and must not pair every prediction with every target."""
    kind = "of several tensors" if isinstance(outputs, tuple | list) else f"that are a {type(outputs).__name__}"
    given = shape_text(outputs) if isinstance(outputs, Tensor) else kind
    shapes = f"outputs {given}, targets {', '.join(shape_text(t) for t in targets)}"
    name = part_name(loss_func)
    try:
        with refusing_mode(outputs, targets):
            loss = loss_func(outputs, *targets)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        raise ValueError(f"the loss {name} fails on {shapes}: {first_line(error)}") from error
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = shape_text(loss) if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"the loss {name} gives {got} for {shapes}; it must be one number, a tensor: take the mean")
    if not loss.is_floating_point():
        raise ValueError(f"the loss {name} gives a number of {loss.dtype}; it must be a real, floating-point one")


def refusing_mode(outputs: Any, targets: tuple[Tensor, ...]) -> AbstractContextManager[Any]:
    """`RefuseOuterBroadcast` if one of outputs and targets is [B] and the other [B 1], else nothing."""
    for target in targets:
        if isinstance(outputs, Tensor) and len(outputs) > 1:
            shapes = {tuple(outputs.shape), tuple(target.shape)}
            if shapes == {(len(outputs),), (len(outputs), 1)}:
                return RefuseOuterBroadcast(len(outputs))
    return nullcontext()


def smallest_batch(dls: DataLoaders, micro: int | None) -> int:
    """The fewest samples that will go through the model at once while training."""
    n, size = len(dls.train.dataset), dls.train.batch_size
    batches = [min(n, size)] if dls.train.drop_last else [min(n, size), n % size]
    slices = batches if micro is None else [part for batch in batches for part in (min(batch, micro), batch % micro)]
    return min(part for part in slices if part)


def refuse_lonely(
    model: nn.Module, inputs: tuple[Tensor, ...], autocast: torch.dtype | None, micro: int | None
) -> None:
    """`ValueError` if one sample alone leaves a batch normalisation a single number a channel, which has no spread.

    `micro`: what cut the batches into slices of which one has a single sample; None if a batch has.
    """
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    found: list[str] = []
    watches = [
        layer.register_forward_pre_hook(functools.partial(note_lonely, name, found))
        for name, layer in norms.items()
        if layer.training or not model.training  # one that is kept in evaluation mode works alone
    ]
    try:
        with kept_random_states(), evaluation_mode(model), torch.no_grad():
            forward(model, tuple(x[:1] for x in inputs), autocast)
    finally:
        for watch in watches:
            watch.remove()
    if found:
        alone = "there is a batch of 1: use drop_last=True or another batch size"
        if micro is not None:
            alone = f"micro={micro} leaves a slice of 1 in a batch: use another micro, so that no slice is of 1"
        raise ValueError(f"the layer {found[0]} normalises over the batch, which needs 2 samples or more, and {alone}")


def note_lonely(name: str, found: list[str], layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    x = inputs[0]  # [1 C *dims]
    if x.numel() == x.shape[1]:
        found.append(name)


def items_losses(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...]) -> Tensor:
    """Each item's own loss [N]: by `reduction="none"` where the loss knows it, else one item at a time."""
    if not is_reducible(loss_func):
        return torch.stack([one_loss(loss_func, outputs, targets, i) for i in range(len(targets[0]))])
    losses = unreduced_losses(loss_func, outputs, targets)  # [N ...]
    return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


def one_loss(loss_func: Callable[..., Tensor], outputs: Any, targets: tuple[Tensor, ...], i: int) -> Tensor:
    """The loss [] of item number `i` alone."""
    own = outputs[i : i + 1] if isinstance(outputs, Tensor) else tuple(part[i : i + 1] for part in outputs)
    return loss_func(own, *(t[i : i + 1] for t in targets)).reshape(())


def check_weights(model: nn.Module) -> None:
    """`ValueError` naming the layers whose weights are NaN or infinite, as a diverged fit leaves them."""
    sizes = {name: p.detach().abs().max() for name, p in model.named_parameters() if p.numel()}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.batchnorm._NormBase) and layer.running_mean is not None:
            sizes |= {f"{name}.{k}": b.abs().max() for k, b in layer.named_buffers() if b.is_floating_point()}
    if not sizes or bool(torch.isfinite(torch.stack([size.float() for size in sizes.values()]).max())):
        return
    broken = [name for name, size in sizes.items() if not math.isfinite(float(size))]
    raise ValueError(
        f"the model's weights are NaN or infinite before the first step, in {', '.join(broken[:5])}: load earlier ones "
        f"(learn.load), or build the model anew"
    )
