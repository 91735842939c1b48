"""The code of a stage of training: what learns in it, by which optimiser, at which rate, for which loss."""

import functools
import inspect
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.functional.each_loss import smoothed_loss
from satsuma.nn.freezing import freeze_before, keep_norms_learning, rest_frozen
from satsuma.nn.transfer import TransferModel
from satsuma.optim.groups import listed_layer_groups
from satsuma.peel.describe import Beginning, Cycle, FitStage
from satsuma.peel.loop_code import stopping_code
from satsuma.peel.optimizer_code import optimizer_code
from satsuma.peel.style import Style
from satsuma.peel.unroll import indented
from satsuma.peel.words import Words
from satsuma.train.objectives import penalised, supervised, supervised_mixed
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Batches, Run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def needs_freezing(stages: list[FitStage]) -> bool:
    return any(stage.first for stage in stages)


def freeze_code(learn: "Learner", first: int, words: Words) -> str:
    """Which layer groups learn from here on."""
    splitter = words.value(learn.splitter)
    if first == 0 and not words.at_loop and holds_all(learn):
        lines = ["model.requires_grad_(True)"]
    else:
        lines = [f"{words.name(freeze_before)}(groups, {first})"]
    if first and learn.batch_norm == "train":
        lines.append(f"{words.name(keep_norms_learning)}(model, groups, {first})")
    lines.append("model.train()")
    if first and not isinstance(learn.model, TransferModel):
        modules = all(isinstance(group, nn.Module) for group in learn.splitter(learn.model))  # type: ignore[misc]
        parts = f"[*{splitter}(model), model]" if modules else "[model]"
        lines.append(f"{words.name(rest_frozen)}({parts})")
    return "\n".join(lines)


def holds_all(learn: "Learner") -> bool:
    """Whether every parameter of the model is in one of its layer groups."""
    listed = listed_layer_groups(learn.splitter(learn.model))  # type: ignore[misc]
    return {id(p) for group in listed for p in group} == {id(p) for p in learn.model.parameters()}


def layer_groups_code(learn: "Learner", words: Words) -> str:
    """The parameters of each layer group, as `groups`; "" where the model is a single one."""
    if learn.splitter is None:
        return ""
    made = f"{words.value(learn.splitter)}(model)"
    if all(isinstance(group, nn.Module) for group in learn.splitter(learn.model)) and not words.at_loop:
        return f"groups = [list(group.parameters()) for group in {made}]"
    return f"groups = {words.name(listed_layer_groups)}({made})"


def stage_code(
    learn: "Learner", beginning: Beginning, stages: list[FitStage], place: int, words: Words, style: Style
) -> str:
    """One stage of several: what changes before it, and the call of `fit`."""
    stage, before = stages[place], stages[place - 1] if place else None
    epochs = "args.epochs" if place == len(stages) - 1 else str(stage.epochs)
    lines = [f"# stage {place + 1} of {len(stages)}"]
    if before is not None and stage.data != before.data:
        lines.append(style.loaders(beginning.loaders[stage.data], words, learn.seed, f"data_{stage.data}_"))
    if before is not None and stage.first != before.first:
        lines.append(freeze_code(learn, stage.first, words))
    lines.append(settings_code(learn, stage, words, epochs))
    dynamic = any(s.early_stopping is not None for s in stages[:-1])
    done = "epochs_done" if dynamic else str(sum(s.epochs for s in stages[:place]))
    valid = ", valid_data" if learn.dls.valid else ""
    stopping = ""
    if any(s.early_stopping is not None for s in stages):
        stopping = f", early_stopping={stopping_code(learn, stage, words)}"
    lines.append(
        f"losses += fit(model, train_data{valid}, optimizer, schedule, momentum{stopping}, epochs={epochs}, "
        f"first_epoch={done}, seed=args.seed)"
    )
    if dynamic and place < len(stages) - 1:
        lines.append("epochs_done = math.ceil(len(losses) / len(train_data))")
    return "\n".join(lines)


def settings_code(learn: "Learner", stage: FitStage, words: Words, epochs: str) -> str:
    """A stage's optimiser, schedule and momentum."""
    lines = []
    if isinstance(stage.schedule, Cycle) or isinstance(stage.momentum, Cycle):
        lines.append("total = len(train_data)" if epochs == "1" else f"total = {epochs} * len(train_data)")
    lines += [
        optimizer_code(learn, stage, words),
        f"schedule = {course_code(stage.schedule, words)}",
        f"momentum = {course_code(stage.momentum, words)}",
    ]
    return "\n".join(lines)


def course_code(course: Any, words: Words) -> str:
    """The Python for a schedule."""
    if not isinstance(course, Cycle):
        return words.value(course)
    words.imports.add("from functools import partial")
    defaults = inspect.signature(course.function).parameters
    other = {k: v for k, v in course.settings.items() if v != defaults[k].default}
    settings = "".join(f", {k}={words.value(v)}" for k, v in other.items())
    return f"partial({words.name(course.function)}, total=total{settings})"


def run_code(learn: "Learner", words: Words, *, seed: str, first_epoch: str = "0") -> str:
    """The record that the loop trains."""
    words.name(Run)
    mix = "None"
    if learn.mixup is not None:
        words.imports.add("from functools import partial")
        mix = f"partial({words.value(learn.mixup)}, n_inp={learn.dls.n_inp})"
    scaler = "None"
    if learn.precision == "fp16":
        words.imports.add("from torch.amp.grad_scaler import GradScaler")
        scaler = f'GradScaler("{learn.device.type}")'
    given = {"max_norm": words.value(learn.max_norm), "mix": mix, "scaler": scaler, "first_epoch": first_epoch}
    if words.at_loop:  # elsewhere no call of `Run` is left
        given = {name: value for name, value in given.items() if value not in ("None", "0")}
    settings = "".join(f", {name}={value}" for name, value in given.items())
    return (
        f"run = Run(model=model, optimizer=optimizer, objective={objective_code(learn, words)}, schedule=schedule, "
        f"momentum=momentum, seed={seed}{settings})"
    )


def objective_code(learn: "Learner", words: Words) -> str:
    """The Python for what the loop minimises."""
    plain = functools.partial(
        supervised if learn.mixup is None else supervised_mixed,
        loss_func=smoothed_loss(learn.loss_func, learn.label_smoothing),
        **objective_settings(learn),
    )
    if learn.l1 or learn.l2:
        return words.value(functools.partial(penalised, objective=plain, l1=learn.l1, l2=learn.l2))
    return words.value(plain)


def objective_settings(learn: "Learner") -> dict[str, Any]:
    """The settings of the objective that are not at rest."""
    settings = {"n_inp": learn.dls.n_inp, "autocast": autocast_dtype(learn.precision), "input_noise": learn.input_noise}
    return {name: value for name, value in settings.items() if value not in (None, 0, 1)}


def stage_fit_code(learn: "Learner", stages: list[FitStage], words: Words, style: Style) -> str:
    """`fit`: the loop as a function, for runs of several stages."""
    words.named("Batches", Batches)
    words.imports |= {"from collections.abc import Callable", "from torch import nn"}
    valid = "\n    valid_data: Batches," if learn.dls.valid else ""
    stopping = ""
    if any(stage.early_stopping is not None for stage in stages):
        from satsuma.train.early_stopping import EarlyStopping

        stopping = f"\n    early_stopping: {words.name(EarlyStopping)} | None,"
    stage = next((s for s in stages if s.early_stopping is not None), stages[0])
    body = f"{run_code(learn, words, seed='seed', first_epoch='first_epoch')}\n"
    body += style.loops(learn, stage, words, "epochs", "early_stopping" if stopping else "")
    return f'''def fit(
    model: nn.Module,
    train_data: Batches,{valid}
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    momentum: Callable[[int], float] | None,{stopping}
    *,
    epochs: int,
    first_epoch: int,
    seed: int,
) -> list[float]:
    """One stage of training; the loss of every step."""
{indented(body, 4)}
    return losses'''
