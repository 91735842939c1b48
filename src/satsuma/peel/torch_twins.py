"""What stands for each piece of torch.nn and torch.optim in a script of tensors, and how its arguments are given."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from satsuma.ladder.tensors import (
    activation_layers,
    activations,
    adam,
    adaptive,
    convolution,
    functional,
    groups,
    init,
    linear,
    losses,
    noise,
    normalisation,
    pooling,
    recurrent,
    sampling,
    sgd,
)
from satsuma.ladder.tensors import model as models

# arguments that change no number, and values that are as good as the default
HARMLESS = {"inplace", "foreach", "fused", "capturable", "differentiable"}
AS_DEFAULT = {"nonlinearity": ("relu", "leaky_relu"), "dilation": (1, (1, 1)), "value": (0, None)}


@dataclass(frozen=True, slots=True)
class Twin:
    """What stands for one of torch's objects. `renamed`: torch's name of an argument → the twin's.

    `order`: torch's arguments in order, where Python cannot tell. `as_function`: a loss that torch writes as a layer.
    """

    value: Any
    original: Any
    renamed: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    as_function: bool = False
    needed: Mapping[str, Any] = field(default_factory=dict)  # what must be given, and as what

    @property
    def name(self) -> str:
        return str(self.value.__name__)

    def asked(self) -> dict[str, Any]:
        """torch's arguments in order, and what they are if they are not given (`inspect._empty` if they must be)."""
        if self.order is not None:
            return {name: self.defaults.get(name, inspect.Parameter.empty) for name in self.order}
        found = {p.name: p.default for p in inspect.signature(self.original).parameters.values()}
        return {name: default for name, default in found.items() if name != "kwargs"}

    def known(self) -> list[inspect.Parameter]:
        """The twin's arguments, without the two that every loss function begins with if it stands for a layer."""
        parameters = list(inspect.signature(self.value).parameters.values())
        return parameters[2:] if self.as_function else parameters


def layers() -> dict[str, Twin]:
    """The layers of torch.nn that are written out, by name."""
    rooms = (activation_layers, convolution, linear, noise, normalisation, pooling, recurrent)
    found = {
        name: Twin(value, getattr(nn, name))
        for room in rooms
        for name, value in vars(room).items()
        if isinstance(value, type) and value.__module__ == room.__name__ and hasattr(nn, name)
    }
    found["Sequential"] = Twin(models.Sequential, nn.Sequential)
    found["ParameterList"] = Twin(models.ParameterList, nn.ParameterList, {"values": "tensors"})
    return found


LOSS_NAMES = {"input": "predictions", "target": "targets"}
CLASS_NAMES = {"input": "logits", "target": "targets"}

LOSSES: Mapping[str, Twin] = {
    "CrossEntropyLoss": Twin(losses.cross_entropy, nn.CrossEntropyLoss, as_function=True),
    "NLLLoss": Twin(losses.nll, nn.NLLLoss, as_function=True),
    "BCEWithLogitsLoss": Twin(losses.binary_cross_entropy, nn.BCEWithLogitsLoss, as_function=True),
    "BCELoss": Twin(losses.cross_entropy_of_probabilities, nn.BCELoss, as_function=True),
    "MSELoss": Twin(losses.mse, nn.MSELoss, as_function=True),
    "L1Loss": Twin(losses.mae, nn.L1Loss, as_function=True),
    "SmoothL1Loss": Twin(losses.smooth_l1, nn.SmoothL1Loss, as_function=True),
}
POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
POOL_DEFAULTS = {"dilation": 1, "ceil_mode": False, "return_indices": False}
MEAN_POOL = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
MEAN_POOL_DEFAULTS = {"ceil_mode": False, "count_include_pad": True, "divisor_override": None}
CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
X = {"input": "x"}
GRID_DEFAULTS = {"mode": "bilinear", "align_corners": False}
SIZES = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
SMOOTH = {"mode": "bilinear", "antialias": True}  # the one kind that is written out
SIZE_DEFAULTS = {"scale_factor": None, "align_corners": False, "recompute_scale_factor": None, **SMOOTH}

FUNCTIONS: Mapping[str, Twin] = {
    **{
        name: Twin(getattr(activations, name), getattr(F, name), X)
        for name in ("relu", "leaky_relu", "relu6", "elu", "silu", "hardsigmoid", "hardswish", "softmax", "log_softmax")
    },
    "sigmoid": Twin(activations.sigmoid, F.sigmoid, X),
    "tanh": Twin(activations.tanh, F.tanh, X),
    "gelu": Twin(activations.gelu, F.gelu, X, ("input", "approximate"), {"approximate": "none"}),
    "softplus": Twin(activations.softplus, F.softplus, X, ("input", "beta", "threshold"), {"beta": 1, "threshold": 20}),
    "dropout": Twin(functional.dropout, F.dropout, X),
    "max_pool2d": Twin(functional.max_pool2d, F.max_pool2d, X, POOL, POOL_DEFAULTS),
    "avg_pool2d": Twin(functional.avg_pool2d, F.avg_pool2d, X, MEAN_POOL, MEAN_POOL_DEFAULTS),
    "adaptive_avg_pool2d": Twin(functional.adaptive_avg_pool2d, F.adaptive_avg_pool2d, X),
    "adaptive_max_pool2d": Twin(functional.adaptive_max_pool2d, None, X, ("input", "output_size")),
    "grid_sample": Twin(
        sampling.grid_sample, None, X, ("input", "grid", "mode", "padding_mode", "align_corners"), GRID_DEFAULTS
    ),
    "interpolate": Twin(sampling.interpolate, F.interpolate, X, SIZES, SIZE_DEFAULTS, needed=SMOOTH),
    "one_hot": Twin(functional.one_hot, F.one_hot, {"tensor": "numbers", "input": "numbers"}, ("input", "num_classes")),
    "pad": Twin(functional.pad, F.pad, X, ("input", "pad", "mode", "value"), {"mode": "constant", "value": None}),
    "normalize": Twin(functional.normalize, F.normalize, X),
    "layer_norm": Twin(functional.layer_norm, F.layer_norm, X),
    "linear": Twin(linear.affine, F.linear, X, ("input", "weight", "bias")),
    "conv2d": Twin(convolution.conv2d, F.conv2d, X, CONV, {"dilation": 1}),
    "cross_entropy": Twin(losses.cross_entropy, F.cross_entropy, CLASS_NAMES),
    "nll_loss": Twin(losses.nll, F.nll_loss, {"input": "log_probabilities", "target": "targets"}),
    "binary_cross_entropy_with_logits": Twin(
        losses.binary_cross_entropy, F.binary_cross_entropy_with_logits, CLASS_NAMES
    ),
    "binary_cross_entropy": Twin(losses.cross_entropy_of_probabilities, F.binary_cross_entropy, LOSS_NAMES),
    "mse_loss": Twin(losses.mse, F.mse_loss, LOSS_NAMES),
    "l1_loss": Twin(losses.mae, F.l1_loss, LOSS_NAMES),
    "smooth_l1_loss": Twin(losses.smooth_l1, F.smooth_l1_loss, LOSS_NAMES),
}

FILL = {"tensor": "weight"}
STARTS: Mapping[str, Twin] = {
    **{
        name: Twin(getattr(init, name), getattr(nn.init, name), FILL)
        for name in ("kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_")
    },
    **{
        name: Twin(getattr(init, name), getattr(nn.init, name))
        for name in ("normal_", "uniform_", "trunc_normal_", "constant_", "zeros_", "ones_")
    },
}
OPTIMIZERS: Mapping[str, Twin] = {
    "SGD": Twin(sgd.SGD, torch.optim.SGD),
    "Adam": Twin(adam.Adam, torch.optim.Adam),
    "AdamW": Twin(adam.AdamW, torch.optim.AdamW),
    "Adagrad": Twin(adaptive.AdaGrad, torch.optim.Adagrad),
    "RMSprop": Twin(adaptive.RMSprop, torch.optim.RMSprop, {"alpha": "decay"}),
}
CLIPPING: Mapping[str, Twin] = {"clip_grad_norm_": Twin(groups.clip_grad_norm_, nn.utils.clip_grad_norm_)}

LAYERS: Mapping[str, Twin] = {**layers(), **LOSSES}
ROOMS: Mapping[str, Mapping[str, Twin]] = {
    **dict.fromkeys(("nn", "torch.nn"), LAYERS),
    **dict.fromkeys(("F", "nn.functional", "torch.nn.functional"), FUNCTIONS),
    **dict.fromkeys(("nn.init", "torch.nn.init"), STARTS),
    **dict.fromkeys(("nn.utils", "torch.nn.utils"), CLIPPING),
    **dict.fromkeys(("optim", "torch.optim"), OPTIMIZERS),
}
WALKS: tuple[Callable[..., Any], ...] = (
    *(models.parameters, models.named_parameters, models.modules, models.named_modules, models.named_parts),
    *(models.own_tensors, models.state_dict, models.load_state_dict, models.set_training, models.move_model),
    *(models.set_training_of_parts, models.set_requires_grad, models.apply_to_layers, models.NamedSequential),
    models.zero_grad,
)


def twin_of(dotted: str) -> Twin | None:
    """What stands for `nn.Linear`, `torch.nn.functional.relu` and so on; None for what is not written out."""
    room, _, name = dotted.rpartition(".")
    return ROOMS.get(room, {}).get(name)
