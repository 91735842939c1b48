"""Parameter groups: which parameters decay, and how fast each layer group learns.

A *layer group* is a list of parameters that share a learning rate, from the first layers to the last.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

LayerGroups = nn.Module | Sequence[Sequence[nn.Parameter] | nn.Module]


def param_groups(
    model_or_groups: LayerGroups, *, weight_decay: float | None, no_decay_bias_norm: bool = True
) -> list[dict[str, Any]]:
    """Groups for an optimiser: each layer group split into what decays (matrices, kernels) and what does not.

    model_or_groups: a model is one layer group; or lists of parameters, or modules, one a layer group. Frozen
    parameters are left out, and so are groups that they leave empty. weight_decay: None leaves the optimiser's own.
    no_decay_bias_norm: parameters with fewer than two dimensions (biases, normalisation) get weight decay 0; False:
    they are as all others.
    Each group has "params", "layer_group" (its number) and, where set here, "weight_decay".

    >>> model = nn.Linear(5, 3)
    >>> [(len(g["params"]), g["layer_group"], g["weight_decay"]) for g in param_groups(model, weight_decay=0.1)]
    [(1, 0, 0.1), (1, 0, 0.0)]
    """
    groups: list[dict[str, Any]] = []
    for number, parameters in enumerate(listed_layer_groups(model_or_groups)):
        trainable = [p for p in parameters if p.requires_grad]
        decayed = [p for p in trainable if p.ndim >= 2 or not no_decay_bias_norm]
        undecayed = [p for p in trainable if p.ndim < 2 and no_decay_bias_norm]
        if decayed:
            chosen = {} if weight_decay is None else {"weight_decay": weight_decay}
            groups.append({"params": decayed, "layer_group": number, **chosen})
        if undecayed:
            groups.append({"params": undecayed, "layer_group": number, "weight_decay": 0.0})
    return groups


def spread_rates(lr: float | slice | Sequence[float], n: int) -> tuple[float, ...]:
    """A learning rate for each of `n` layer groups, first layers first.

    A number: the same for all. `slice(a, b)`: from a to b in equal ratios. `slice(b)`: b for the last, b/10 for all
    others (Howard and Gugger 2020, "Deep Learning for Coders with fastai and PyTorch", chapter 5). `n` numbers: those.
    Raises ValueError for another number of rates, or a rate that is not positive.

    >>> spread_rates(0.1, 2), spread_rates(slice(0.1), 2)
    ((0.1, 0.1), (0.01, 0.1))
    >>> [round(rate, 6) for rate in spread_rates(slice(1e-4, 1e-2), 3)]
    [0.0001, 0.001, 0.01]
    """
    if isinstance(lr, slice):
        rates = sliced_rates(lr, n)
    elif isinstance(lr, Sequence):
        if len(lr) != n:
            raise ValueError(f"spread_rates: {len(lr)} rates for {n} layer groups; give one each, or slice(low, high)")
        rates = tuple(float(rate) for rate in lr)
    else:
        rates = (float(lr),) * n
    if any(rate < 0 for rate in rates):
        raise ValueError(f"spread_rates: lr={lr}; expected rates of 0 or more")
    return rates


def sliced_rates(lr: slice, n: int) -> tuple[float, ...]:
    """`slice(b)` or `slice(a, b)` spread over `n` layer groups; see `spread_rates`."""
    low, high = lr.start, lr.stop
    if high is None or high <= 0 or (low is not None and low <= 0) or lr.step is not None:
        raise ValueError(f"spread_rates: lr={lr}; expected slice(high) or slice(low, high) with positive rates")
    if low is None:
        return (*[high / 10] * (n - 1), float(high))
    return (*[low * (high / low) ** (i / (n - 1)) for i in range(n - 1)], float(high))


def build_optimizer(
    opt_func: Callable[..., Optimizer],
    model_or_groups: LayerGroups,
    *,
    lr: float | slice | Sequence[float],
    weight_decay: float | None = None,
) -> Optimizer:
    """An optimiser over what is trainable, with each layer group's rate in its groups' "lr" and "base_lr".

    opt_func: one of `optimizers.py`, a class of torch.optim, or a partial of either, called `opt_func(groups, lr=...)`.
    A schedule multiplies "base_lr". Where nothing decays, a layer group is not split in two.
    Raises ValueError if nothing is trainable.

    >>> import torch
    >>> optimizer = build_optimizer(torch.optim.SGD, nn.Linear(5, 3), lr=0.1)
    >>> [group["base_lr"] for group in optimizer.param_groups]
    [0.1]
    """
    rates = spread_rates(lr, len(listed_layer_groups(model_or_groups)))
    groups = param_groups(model_or_groups, weight_decay=weight_decay)
    if not groups:
        raise ValueError("build_optimizer: no trainable parameters. Is all of the model frozen? Unfreeze some of it")
    optimizer = opt_func(groups, lr=rates[-1])
    if not any(group.get("weight_decay") for group in optimizer.param_groups):
        # nothing decays, so there is nothing to spare biases from: half as many groups make steps a quarter faster
        groups = param_groups(model_or_groups, weight_decay=weight_decay, no_decay_bias_norm=False)
        optimizer = opt_func(groups, lr=rates[-1])
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] = rates[group["layer_group"]]
    return optimizer


def listed_layer_groups(model_or_groups: LayerGroups) -> list[list[nn.Parameter]]:
    """Layer groups, given as modules or parameters, as lists of parameters; a model is a single one."""
    groups = [model_or_groups] if isinstance(model_or_groups, nn.Module) else model_or_groups
    return [list(group.parameters() if isinstance(group, nn.Module) else group) for group in groups]
