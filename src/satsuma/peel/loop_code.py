"""The code of the loop: two `for`s, evaluation, the epoch table, early stopping, the user's hooks."""

import functools
from typing import TYPE_CHECKING, Any

from satsuma.peel.describe import FitStage
from satsuma.peel.unroll import unroll
from satsuma.peel.words import Words
from satsuma.train.early_stopping import BestWeights, resolved
from satsuma.train.evaluate import metric_result, named_metrics, predict_batches
from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.loop import train
from satsuma.train.precision import autocast_dtype

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def columns_code(learn: "Learner") -> str:
    """The columns of the epoch table, as a constant."""
    metrics = list(named_metrics(learn.metrics)) if learn.dls.valid else []
    columns = ["epoch", "train_loss", *(["valid_loss"] if learn.dls.valid else []), *metrics, "time"]
    listed = ", ".join(f'"{name}"' for name in columns)
    return f"COLUMNS = [{listed}]"


def evaluate_code(learn: "Learner", words: Words) -> str:
    """`evaluate`: the loss and the metrics of one pass over held-out data; "" where nothing is held out."""
    if learn.dls.valid is None:
        return ""
    words.name(predict_batches)
    words.imports.add("from torch import nn")
    several = f", n_inp={learn.dls.n_inp}" if learn.dls.n_inp > 1 else ""
    autocast = autocast_dtype(learn.precision)
    given = several + (f", autocast={words.value(autocast)}" if autocast else "")
    loss = called_part(learn.loss_func, "outputs, *targets", words)
    values = [f"float({loss})", *(metric_code(metric, words) for metric in named_metrics(learn.metrics).values())]
    words.names["Batches"] = type_named("Batches")
    return f'''@torch.no_grad()
def evaluate(model: nn.Module, data: Batches) -> list[float]:
    """{"Loss and metrics" if learn.metrics else "Loss"} over all of `data`."""
    outputs, targets = predict_batches(model, data{given})
    return [{", ".join(values)}]'''


def type_named(name: str) -> Any:
    from satsuma.train import run

    return getattr(run, name)


def metric_code(metric: Any, words: Words) -> str:
    if hasattr(metric, "update") and hasattr(metric, "compute"):
        words.name(metric_result)
        return f"float(metric_result({words.value(metric)}, outputs, targets))"
    return f"float({called_part(metric, 'outputs, *targets', words)})"


def called_part(part: Any, arguments: str, words: Words) -> str:
    """The call of a loss or metric; of a `partial`, with its own arguments."""
    if isinstance(part, functools.partial) and not part.args:
        given = "".join(f", {k}={words.value(v)}" for k, v in part.keywords.items())
        return f"{words.value(part.func)}({arguments}{given})"
    return f"{words.value(part)}({arguments})"


def loop_code(learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str = "") -> str:
    """The two loops, with evaluation, the epoch table, early stopping and the user's hooks."""
    for name in names_of(train):
        words.names[name] = train.__globals__[name]
    stops, hooks = stage.early_stopping is not None, bool(learn.hooks)
    if stops and not stopping:
        stopping = stopping_code(learn, stage, words)
    before = ["losses: list[float] = []", "print(table_line(COLUMNS, COLUMNS))"]
    if stops:
        guard = f" if {stopping} else None" if stopping.isidentifier() else ""
        before.append(f"best = {words.name(BestWeights)}({stopping}, model){guard}")
    if hooks:
        before += hooks_before(learn, words, epochs)
    per_step = step_code(learn, words, loss="loss", rate="rate", norm="norm", epoch="run.first_epoch + epoch")
    judged = ", *evaluate(model, valid_data)" if learn.dls.valid else ""
    looped = unroll(
        train,
        per_step="\n".join(per_step),
        before_epoch="total_loss, begun = 0.0, time.perf_counter()",
        per_epoch="\n".join(epoch_code(learn, stage, words, stopping, judged=judged, epoch="run.first_epoch + epoch")),
        arguments={"data": "train_data", "epochs": epochs, "micro": words.value(learn.micro)},
        indent=0,
    )
    after = []
    if hooks:
        after += ["for hook in reversed(hooks):", "    hook.on_fit_end(run)"]
    if stops:
        after += ["if best is not None:", "    best.restore()"] if stopping.isidentifier() else ["best.restore()"]
    return "\n".join([*before, looped, *after])


def step_code(learn: "Learner", words: Words, *, loss: str, rate: str, norm: str, epoch: str) -> list[str]:
    """What comes after each update: its loss is kept, and told to the user's hooks."""
    lines = [f"losses.append({loss}.item())", "total_loss += losses[-1]"]
    if learn.hooks:
        words.name(StepRow)
        size = "None" if learn.max_norm is None else f"float({norm})"
        lines.append(f"row = StepRow({epoch}, run.step, {rate}, losses[-1], {size})")
        lines += ["for hook in hooks:", "    hook.on_step(run, row)"]
    return lines


def epoch_code(learn: "Learner", stage: FitStage, words: Words, stopping: str, *, judged: str, epoch: str) -> list[str]:
    """What comes at the end of each epoch: a line of the table, early stopping, the user's hooks.

    judged: what stands after the training loss in the list of the epoch's values.
    """
    stops, hooks = stage.early_stopping is not None, bool(learn.hooks)
    count = "count" if hooks else "len(train_data)"
    lines = ["count = (run.step - 1) % len(train_data) + 1"] if hooks else []
    lines.append(f"values = [total_loss / {count}{judged}]")
    lines.append("seconds = time.perf_counter() - begun")
    cells = f"[str({epoch}), *map(number, values), duration(seconds)]"
    lines.append(f"print(table_line({cells}, COLUMNS), flush=True)")
    if stops or hooks:
        words.name(EpochRow)
        valid = "values[1], dict(zip(COLUMNS[3:-1], values[2:], strict=True))" if learn.dls.valid else "None, {}"
        lines.append(f"epoch_row = EpochRow({epoch}, values[0], {valid}, seconds, 0.0)")
    if hooks:
        lines += ["for hook in hooks:", "    hook.on_epoch(run, epoch_row)"]
    if stops:
        asked = ' if best is not None else ""' if stopping.isidentifier() else ""
        lines.append(f"reason = best.after(epoch_row){asked}")
        lines += ["if reason:", '    print(f"stopped: {reason}")', "    break"]
    if hooks:
        lines += ["if run.stop:", "    break"]
    return lines


def hooks_before(learn: "Learner", words: Words, epochs: str) -> list[str]:
    """The user's hooks, told that a fit begins."""
    words.name(Plan)
    size = min(learn.dls.bs, len(learn.dls.train.dataset))
    metrics = "tuple(COLUMNS[3:-1])" if learn.dls.valid else "()"
    return [
        f"hooks = {words.value(tuple(learn.hooks))}",
        f"plan = Plan({epochs}, run.first_epoch, len(train_data), {size}, {learn.dls.valid is not None}, {metrics})",
        "for hook in hooks:",
        "    hook.on_fit_start(run, plan)",
    ]


def names_of(function: Any) -> list[str]:
    """The globals that a function's body reads."""
    return [name for name in function.__code__.co_names if name in function.__globals__]


def stopping_code(learn: "Learner", stage: FitStage, words: Words) -> str:
    if stage.early_stopping is None:
        return "None"
    return words.value(resolved(stage.early_stopping, learn.metrics, learn.dls.valid is not None))
