"""The code of an optimiser, read off the one that the run builds: its class, its settings, its groups."""

import inspect
from typing import TYPE_CHECKING, Any

import torch

from satsuma.optim.groups import build_optimizer
from satsuma.peel.describe import FitStage
from satsuma.peel.words import Words

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SPLIT = (
    "decayed = [p for p in model.parameters() if p.ndim >= 2]\n"
    "undecayed = [p for p in model.parameters() if p.ndim < 2]  # biases, normalisation\n"
)


def optimizer_code(learn: "Learner", stage: FitStage, words: Words) -> str:
    """Statements that make `optimizer`; of one layer group in torch's own terms, else by `build_optimizer`."""
    wd = learn.wd if stage.wd is None else stage.wd
    plain = None if learn.splitter else plain_code(learn, stage.lr, wd, words)
    if plain is not None:
        return plain
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
    if len(groups) != 2 or groups[1]["weight_decay"] != 0.0:
        return None
    if not (same_parameters(groups[0]["params"], decayed) and same_parameters(groups[1]["params"], undecayed)):
        return None
    listed = '[{"params": decayed}, {"params": undecayed, "weight_decay": 0.0}]'
    return f"{SPLIT}optimizer = {called}({listed}, {given})"


def optimizer_of(learn: "Learner") -> torch.optim.Optimizer:
    """An optimiser as the run's, over one made-up parameter: its class and the names of its settings."""
    made: torch.optim.Optimizer = learn.opt_func([torch.zeros(1, requires_grad=True)], lr=1.0)
    return made


def settings_of(optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """The arguments that differ from those of torch's class, and the rate; None if the groups differ beyond decay."""
    first = optimizer.param_groups[0]
    known = inspect.signature(type(optimizer).__init__).parameters
    for group in optimizer.param_groups[1:]:
        if any(group[name] != first[name] for name in optimizer.defaults if name != "weight_decay"):
            return None
    found = {"lr": first["lr"]}
    for name in optimizer.defaults:
        if name in known and name != "lr" and first[name] != known[name].default:
            found[name] = first[name]
    return found


def same_parameters(some: list[Any], others: list[Any]) -> bool:
    return [id(p) for p in some] == [id(p) for p in others]
