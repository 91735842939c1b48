"""The code of an optimiser, read off the one that the run builds: its class, its settings, its groups."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from satsuma.nn.freezing import freeze_before, keep_norms_learning
from satsuma.optim.groups import build_optimizer, listed_layer_groups, spread_rates
from satsuma.peel.describe import FitStage
from satsuma.peel.words import Words

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SPLIT = (
    "decayed = [p for p in model.parameters() if p.ndim >= 2]\n"
    "others = [p for p in model.parameters() if p.ndim < 2]  # biases, normalisation\n"
)
GROUPS = '''def parameter_groups(groups: list[list[Tensor]], rates: tuple[float, ...]) -> list[dict[str, Any]]:
    """What learns of each layer group, at its rate; what has one dimension (biases, normalisation) does not decay."""
    found: list[dict[str, Any]] = []
    for parameters, rate in zip(groups, rates, strict=True):
        learning = [p for p in parameters if p.requires_grad]
        found.append({"params": [p for p in learning if p.ndim >= 2], "lr": rate})
        found.append({"params": [p for p in learning if p.ndim < 2], "lr": rate, "weight_decay": 0.0})
    return [group for group in found if group["params"]]'''


def optimizer_code(learn: "Learner", stage: FitStage, words: Words) -> str:
    """Statements that make `optimizer`; in torch's own terms where these can say it, else by `build_optimizer`."""
    wd = learn.wd if stage.wd is None else stage.wd
    if learn.splitter is None:
        found = plain_code(learn, stage.lr, wd, words)
    else:
        found = None if words.at_loop or learn.hooks else grouped_code(learn, stage, wd, words)
    if found is not None:
        return found
    groups = "model" if learn.splitter is None else f"{words.value(learn.splitter)}(model)"
    words.name(build_optimizer)
    return (
        f"optimizer = build_optimizer({words.value(learn.opt_func)}, {groups}, lr={words.value(stage.lr)}, "
        f"weight_decay={words.value(wd)})"
    )


def plain_code(learn: "Learner", lr: Any, wd: float | None, words: Words) -> str | None:
    """The call of torch's class for a model that is one layer group; None for what is no optimiser of torch's."""
    optimizer = build_optimizer(learn.opt_func, learn.model, lr=lr, weight_decay=wd)
    kind, settings = type(optimizer), settings_of(optimizer)
    if kind.__module__.rpartition(".")[0] != "torch.optim" or settings is None:
        return None
    given = ", ".join(f"{name}={words.value(value)}" for name, value in settings.items())
    called = f"torch.optim.{kind.__name__}"
    groups, parameters = optimizer.param_groups, list(learn.model.parameters())
    if len(groups) == 1 and same_parameters(groups[0]["params"], parameters):
        return f"optimizer = {called}(model.parameters(), {given})"
    decayed, undecayed = ([p for p in parameters if (p.ndim >= 2) == wanted] for wanted in (True, False))
    if len(groups) != 2 or groups[1].get("weight_decay") != 0.0:
        return None
    if not (same_parameters(groups[0]["params"], decayed) and same_parameters(groups[1]["params"], undecayed)):
        return None
    listed = '[{"params": decayed}, {"params": others, "weight_decay": 0.0}]'
    return f"{SPLIT}optimizer = {called}({listed}, {given})"


def grouped_code(learn: "Learner", stage: FitStage, wd: float | None, words: Words) -> str | None:
    """The call of torch's class for several layer groups, each at its own rate; None for what is said otherwise.

    It uses `groups`, the parameters of each layer group.
    """
    layer_groups = listed_layer_groups(learn.splitter(learn.model))  # type: ignore[misc]
    rates = spread_rates(stage.lr, len(layer_groups))
    with as_frozen(learn, stage, layer_groups):
        optimizer = build_optimizer(learn.opt_func, layer_groups, lr=stage.lr, weight_decay=wd)
        chosen = {split: group_parts(layer_groups, rates, split=split) for split in (True, False)}
    kind, settings = type(optimizer), settings_of(optimizer)
    if kind.__module__.rpartition(".")[0] != "torch.optim" or settings is None:
        return None
    given = "".join(f", {name}={words.value(value)}" for name, value in (settings | {"lr": rates[-1]}).items())
    called, spelled = f"torch.optim.{kind.__name__}", words.value(rates)
    groups = optimizer.param_groups
    decay = max(group.get("weight_decay", 0.0) for group in groups)
    if same_groups(groups, chosen[True], decay=decay, other=0.0):
        words.helpers["parameter_groups"] = GROUPS
        words.imports |= {"from torch import Tensor", "from typing import Any"}
        return f"optimizer = {called}(parameter_groups(groups, rates={spelled}){given})"
    if same_groups(groups, chosen[False], decay=decay, other=decay):
        listed = '{"params": part, "lr": rate} for part, rate in zip(learning, rates, strict=True) if part'
        return (
            "learning = [[p for p in group if p.requires_grad] for group in groups]\n"
            f"rates = {spelled}\noptimizer = {called}([{listed}]{given})"
        )
    return None


@contextmanager
def as_frozen(learn: "Learner", stage: FitStage, layer_groups: list[list[nn.Parameter]]) -> Iterator[None]:
    """The model with those parameters trainable that are so in a stage; then as it was."""
    before = [(p, p.requires_grad) for p in learn.model.parameters()]
    try:
        freeze_before(layer_groups, stage.first)
        if stage.first and learn.batch_norm == "train":
            keep_norms_learning(learn.model, layer_groups, stage.first)
        yield
    finally:
        for parameter, trainable in before:
            parameter.requires_grad_(trainable)


def group_parts(
    layer_groups: list[list[nn.Parameter]], rates: Sequence[float], *, split: bool
) -> list[tuple[list[nn.Parameter], float, bool]]:
    """What `GROUPS` gives: the parameters, the rate, and whether they decay."""
    found = []
    for parameters, rate in zip(layer_groups, rates, strict=True):
        for decays in (True, False) if split else (True,):
            chosen = [p for p in parameters if p.requires_grad and (not split or (p.ndim >= 2) == decays)]
            if chosen:
                found.append((chosen, rate, decays))
    return found


def same_groups(
    groups: list[dict[str, Any]], parts: list[tuple[list[nn.Parameter], float, bool]], *, decay: float, other: float
) -> bool:
    """Whether an optimiser's groups are these parts, those that decay by `decay`."""
    return len(groups) == len(parts) and all(
        same_parameters(group["params"], part[0])
        and group["lr"] == part[1]
        and group.get("weight_decay", 0.0) == (decay if part[2] else other)
        for group, part in zip(groups, parts, strict=True)
    )


def optimizer_of(learn: "Learner") -> torch.optim.Optimizer:
    """An optimiser as the run's, over one made-up parameter: its class and the names of its settings."""
    made: torch.optim.Optimizer = learn.opt_func([torch.zeros(1, requires_grad=True)], lr=1.0)
    return made


def settings_of(optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """The settings that are not those of torch's class, and a rate; None if groups differ beyond rate and decay."""
    first = next((group for group in optimizer.param_groups if group.get("weight_decay")), optimizer.param_groups[0])
    known = inspect.signature(type(optimizer).__init__).parameters
    for group in optimizer.param_groups:
        if any(group[name] != first[name] for name in optimizer.defaults if name not in ("weight_decay", "lr")):
            return None
    found = {"lr": first["lr"]}
    for name in optimizer.defaults:
        if name in known and name != "lr" and first[name] != known[name].default:
            found[name] = first[name]
    return found


def same_parameters(some: list[Any], others: list[Any]) -> bool:
    return [id(p) for p in some] == [id(p) for p in others]
