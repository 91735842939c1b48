"""Torch's layers, losses, metrics and optimisers as terms of the NumPy rung: what is called there, and how."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from satsuma.errors import PeelError
from satsuma.functional import label_metrics, losses, metrics
from satsuma.functional.links import opened_partial, part_name
from satsuma.ladder.numpy import activations, convolution, layers, normalisation, optimizers, pooling, weighted_losses
from satsuma.ladder.numpy import losses as numpy_losses
from satsuma.ladder.numpy import metrics as numpy_metrics
from satsuma.ladder.numpy.random import Generator, bernoulli, bernoulli_intel
from satsuma.nn.layers import GaussianNoise


@dataclass(frozen=True, slots=True)
class Local:
    """A variable of the script's main."""

    name: str


@dataclass(frozen=True, slots=True)
class Term:
    """A call: of what, with which values, terms or variables."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


GENERATOR = Local("generator")


def no_twin(what: str, why: str = "it has no twin in NumPy") -> PeelError:
    return PeelError(f"peel to numpy: {what}: {why}. Peel to tensors, or to torch")


def built(term: Any, generator: Generator) -> Any:
    """What a term gives, its variables being `generator`."""
    if isinstance(term, Local):
        return generator
    if not isinstance(term, Term):
        return term
    args, options = [built(a, generator) for a in term.args], {k: built(v, generator) for k, v in term.options.items()}
    return term.function(*args, **options)


def spelled_term(value: Any, names: dict[str, Any]) -> str:
    """A term or a value as code; the functions that it names are put into `names`."""
    if isinstance(value, Local):
        return value.name
    if isinstance(value, Term):
        return spelled_call(value, (), names)
    if inspect.isfunction(value) or inspect.isclass(value):
        names[value.__name__] = value
        return value.__name__
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()}, np.{value.dtype.name})"
    return repr(value)


def spelled_call(term: Term, first: Sequence[str], names: dict[str, Any]) -> str:
    """The call of a term, with the expressions `first` before its own values."""
    args = [*first, *(spelled_term(a, names) for a in term.args)]
    args += [f"{name}={spelled_term(value, names)}" for name, value in term.options.items()]
    return f"{spelled_term(term.function, names)}({', '.join(args)})"


# --- layers -------------------------------------------------------------------------------------------------------

PLAIN: dict[type[nn.Module], Callable[..., Any]] = {
    nn.ReLU: activations.ReLU,
    nn.Sigmoid: activations.Sigmoid,
    nn.Tanh: activations.Tanh,
    nn.Identity: layers.Identity,
}
RANDOM = (nn.Dropout, GaussianNoise)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def layer_term(module: nn.Module, name: str = "the model") -> Term:
    """The twin of a layer, or of a `nn.Sequential` of layers. Raises `PeelError` where there is none."""
    kind = type(module)
    if kind in PLAIN:
        return Term(PLAIN[kind])
    if kind is nn.Sequential:
        return Term(layers.Sequential, tuple(layer_term(part, f"layer {n}") for n, part in module.named_children()))
    if isinstance(module, nn.Linear) and kind is nn.Linear:
        return Term(layers.Linear, (module.in_features, module.out_features, GENERATOR), biased(module))
    if isinstance(module, nn.Conv2d) and kind is nn.Conv2d:
        return convolution_term(module, name)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return pooling_term(module, name)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and kind in NORMS:
        return norm_term(module, name)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return Term(pooling.AdaptiveAvgPool2d, (square(module.output_size, name),))
    if isinstance(module, nn.LeakyReLU):
        return Term(activations.LeakyReLU, (module.negative_slope,))
    if isinstance(module, nn.Dropout) and kind is nn.Dropout:
        return Term(layers.Dropout, (module.p, GENERATOR, torchs_bernoulli()))
    if isinstance(module, GaussianNoise):
        return Term(layers.GaussianNoise, (module.std, GENERATOR))
    if isinstance(module, nn.Softmax | nn.LogSoftmax) and module.dim in (1, -1):
        return Term(activations.Softmax if isinstance(module, nn.Softmax) else activations.LogSoftmax)
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return Term(layers.Flatten)
    shown = " ".join(repr(module).split())
    raise no_twin(f"{name} is {shown if len(shown) < 60 else kind.__name__}")


def biased(module: nn.Linear | nn.Conv2d) -> dict[str, Any]:
    return {} if module.bias is not None else {"bias": False}


def convolution_term(module: nn.Conv2d, name: str) -> Term:
    ordinary = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    if not ordinary or isinstance(module.padding, str):
        raise no_twin(f"{name} is {module}", "only convolutions in one group, without dilation, with zeros around")
    options = {"stride": square(module.stride, name), "padding": square(module.padding, name)}
    kept = {k: v for k, v in options.items() if v != {"stride": 1, "padding": 0}[k]}
    size = square(module.kernel_size, name)
    return Term(convolution.Conv2d, (module.in_channels, module.out_channels, size, GENERATOR), kept | biased(module))


def pooling_term(module: nn.MaxPool2d | nn.AvgPool2d, name: str) -> Term:
    size = square(module.kernel_size, name)
    stride, padding = square(module.stride, name), square(module.padding, name)
    flags = ("ceil_mode", "return_indices", "divisor_override")
    others = any(getattr(module, flag, None) for flag in flags) or getattr(module, "dilation", 1) not in (1, (1, 1))
    if others or not getattr(module, "count_include_pad", True):
        raise no_twin(f"{name} is {module}", "only pooling of whole patches, as its defaults are")
    options = {"stride": stride} if stride != size else {}
    kind = pooling.MaxPool2d if isinstance(module, nn.MaxPool2d) else pooling.AvgPool2d
    return Term(kind, (size,), options | ({"padding": padding} if padding else {}))


def norm_term(module: nn.BatchNorm1d | nn.BatchNorm2d, name: str) -> Term:
    if not (module.affine and module.track_running_stats and module.momentum is not None):
        raise no_twin(f"{name} is {module}", "only normalisation that learns, with running means")
    options = {"eps": module.eps, "momentum": module.momentum}
    kind = normalisation.BatchNorm1d if isinstance(module, nn.BatchNorm1d) else normalisation.BatchNorm2d
    return Term(kind, (module.num_features,), without_defaults(kind, options))


def square(value: Any, name: str) -> int:
    """The one number of a size that is the same both ways."""
    sizes = set(value) if isinstance(value, tuple) else {value}
    if len(sizes) != 1 or None in sizes:
        raise no_twin(f"{name} has the size {value}", "only square ones")
    return int(sizes.pop())


def without_defaults(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `options` that are not the function's defaults."""
    parameters = inspect.signature(function).parameters
    return {k: v for k, v in options.items() if isinstance(v, np.ndarray) or parameters[k].default != v}


@functools.cache
def torchs_bernoulli() -> Callable[..., np.ndarray]:
    """The one of the two functions that draws what torch draws on this processor."""
    theirs = torch.empty(64).bernoulli_(0.5, generator=torch.Generator().manual_seed(0)).numpy()
    return bernoulli if (bernoulli((64,), Generator(0), p=0.5) == theirs).all() else bernoulli_intel


# --- losses and metrics -------------------------------------------------------------------------------------------

LOSSES: dict[Any, str] = {
    **dict.fromkeys((losses.cross_entropy, F.cross_entropy, nn.CrossEntropyLoss), "cross_entropy"),
    **dict.fromkeys((losses.nll, F.nll_loss, nn.NLLLoss), "nll"),
    **dict.fromkeys(
        (losses.binary_cross_entropy, F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss), "binary_cross_entropy"
    ),
    losses.mnist_loss: "mnist_loss",
    **dict.fromkeys((losses.mse, F.mse_loss, nn.MSELoss), "mse"),
    **dict.fromkeys((losses.mae, F.l1_loss, nn.L1Loss), "mae"),
    **dict.fromkeys((losses.smooth_l1, F.smooth_l1_loss, nn.SmoothL1Loss), "smooth_l1"),
}
METRICS: dict[Any, Callable[..., float]] = {
    metrics.accuracy: numpy_metrics.accuracy,
    metrics.error_rate: numpy_metrics.error_rate,
    metrics.top_k_accuracy: numpy_metrics.top_k_accuracy,
    metrics.binary_accuracy: numpy_metrics.binary_accuracy,
    label_metrics.accuracy_multi: numpy_metrics.binary_accuracy,
    metrics.rmse: numpy_metrics.rmse,
    metrics.r2_score: numpy_metrics.r2_score,
}
OF_MODULES = ("label_smoothing", "weight", "pos_weight", "beta", "reduction", "ignore_index")
NEUTRAL = {"reduction": "mean", "ignore_index": -100, "weight": None, "pos_weight": None}


def loss_terms(loss_func: Any) -> tuple[Term, Term]:
    """The twin of a loss, and its gradient's. Raises `PeelError` where there is none."""
    function, options = plain_call(loss_func, "the loss")
    name = LOSSES.get(type(function) if isinstance(function, nn.Module) else function)
    if name is None:
        raise no_twin(f"the loss {part_name(loss_func)}", "its gradient is not known by hand")
    if isinstance(function, nn.Module):
        options = {k: getattr(function, k) for k in OF_MODULES if hasattr(function, k)}
    kept = {k: v for k, v in options.items() if not (k in NEUTRAL and same_setting(v, NEUTRAL[k]))}
    weighted = "weight" in kept or "pos_weight" in kept
    home: Any = weighted_losses if weighted else numpy_losses
    kept = {k: v.detach().cpu().numpy() if isinstance(v, Tensor) else v for k, v in kept.items()}
    twin = getattr(home, f"weighted_{name}" if weighted else name, None)
    if twin is None or not kept.keys() <= inspect.signature(twin).parameters.keys():
        raise no_twin(f"the loss {part_name(loss_func)} with {', '.join(kept)}")
    kept = without_defaults(twin, kept)
    return Term(twin, (), kept), Term(getattr(home, f"{twin.__name__}_gradient"), (), kept)


def same_setting(value: Any, neutral: Any) -> bool:
    """Whether an option is as if it were not given."""
    return value is neutral or (not isinstance(value, Tensor) and value == neutral)


def metric_term(metric: Any) -> Term:
    """The twin of a metric, or of a loss that is one. Raises `PeelError` where there is none."""
    function, options = plain_call(metric, "the metric")
    twin = METRICS.get(function) if getattr(function, "__hash__", None) else None
    if twin is not None:
        return Term(twin, (), without_defaults(twin, options))
    try:
        return loss_terms(metric)[0]
    except PeelError:
        raise no_twin(f"the metric {part_name(metric)}") from None


def plain_call(part: Any, what: str) -> tuple[Any, dict[str, Any]]:
    """The function within partials, and what they give it by name."""
    inner = part
    while isinstance(inner, functools.partial):
        if inner.args:
            raise no_twin(f"{what} {part_name(part)}", "it is a partial with values that have no name")
        inner = inner.func
    return opened_partial(part)


# --- optimisers ---------------------------------------------------------------------------------------------------

ABSENT = ("amsgrad", "maximize", "centered", "dampening", "lr_decay", "initial_accumulator_value", "differentiable")
OF_GROUPS = ("params", "lr", "base_lr", "weight_decay", "layer_group", "fused", "foreach", "capturable")


def optimizer_term(optimizer: Optimizer, *, cycled: bool) -> Term:
    """The twin of a torch optimiser. `cycled`: whether its momentum changes. `PeelError` where there is none."""
    first = optimizer.param_groups[0]
    name = type(optimizer).__name__
    for group in optimizer.param_groups:
        differing = [k for k in group if k not in OF_GROUPS and group[k] != first.get(k)]
        if differing or any(group.get(k) for k in ABSENT):
            wrong = differing or [k for k in ABSENT if group.get(k)]
            raise no_twin(f"the optimiser {name} with {wrong[0]}={group[wrong[0]]!r}")
    kind, options = optimizer_kind(optimizer, first, cycled)
    return Term(kind, (Local("parameters"), Local("groups")), without_defaults(kind, options))


def optimizer_kind(optimizer: Optimizer, group: dict[str, Any], cycled: bool) -> tuple[Any, dict[str, Any]]:
    """The class of the twin, and its settings."""
    kind = type(optimizer)
    moved = bool(cycled or group.get("momentum"))
    momentum = {"momentum": group["momentum"]} if moved and "momentum" in group else {}
    if kind is torch.optim.SGD:
        plain = optimizers.NesterovSGD if group["nesterov"] else optimizers.MomentumSGD
        return (plain if moved else optimizers.SGD), momentum
    if kind is torch.optim.Adagrad:
        return optimizers.AdaGrad, {"eps": group["eps"]}
    if kind is torch.optim.RMSprop:
        rms = optimizers.MomentumRMSprop if moved else optimizers.RMSprop
        return rms, {"decay": group["alpha"], "eps": group["eps"], **momentum}
    if kind in (torch.optim.Adam, torch.optim.AdamW):
        own = kind is torch.optim.AdamW or group.get("decoupled_weight_decay")
        decays = own and any(g["weight_decay"] for g in optimizer.param_groups)
        return optimizers.AdamW if decays else optimizers.Adam, {"betas": group["betas"], "eps": group["eps"]}
    raise no_twin(f"the optimiser {kind.__name__}")
