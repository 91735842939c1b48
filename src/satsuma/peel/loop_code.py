"""The code of the loop: two `for`s, evaluation, the epoch table, early stopping, the user's hooks."""

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from satsuma.data.in_memory import InMemory
from satsuma.data.samples import Samples
from satsuma.nn.transfer import TransferModel
from satsuma.peel.describe import FitStage
from satsuma.peel.known import CLEARING, EVALUATION, is_as_known
from satsuma.peel.table_code import column_names, header_code, row_code
from satsuma.peel.unroll import indented, unroll
from satsuma.peel.words import Words
from satsuma.train.early_stopping import BestWeights, resolved
from satsuma.train.evaluate import metric_result, named_metrics, predict_batches
from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.loop import train
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Batches

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

IN_EPOCH = ", start=run.step % len(train_data)"  # always 0 in a script, whose epochs are whole


def evaluate_code(learn: "Learner", words: Words) -> str:
    """`evaluate`: the loss and the metrics of one pass over held-out data; "" where nothing is held out."""
    if learn.dls.valid is None:
        return ""
    words.imports.add("from torch import nn")
    words.named("Batches", Batches)
    if has_plain_batches(learn):
        targets = "targets"
        lines = ["model.eval()", "parts = [(model(x), y) for x, y in data.epoch(0)]"]
        lines.append("outputs, targets = (torch.cat(column) for column in zip(*parts, strict=True))")
    else:
        targets = "*targets"
        autocast = autocast_dtype(learn.precision)
        given = f", n_inp={learn.dls.n_inp}" if learn.dls.n_inp > 1 else ""
        given += f", autocast={words.value(autocast)}" if autocast else ""
        lines = [f"outputs, targets = {words.name(predict_batches)}(model, data{given})"]
    body = indented("\n".join(lines), 4)
    return f'''@torch.no_grad()
def evaluate(model: nn.Module, data: Batches) -> list[float]:
    """{judged_by(learn)} over all of `data`."""
{body}
    return [{judgement(learn, targets, words)}]'''


def judged_by(learn: "Learner") -> str:
    """What `evaluate` gives, in words."""
    metrics = list(named_metrics(learn.metrics))
    return "Loss and metrics" if len(metrics) > 1 else f"Loss and {metrics[0]}" if metrics else "Loss"


def judgement(learn: "Learner", targets: str, words: Words) -> str:
    """The loss and the metrics of `outputs`, each as a number."""
    loss = called_part(learn.loss_func, f"outputs, {targets}", words)
    metrics = named_metrics(learn.metrics).values()
    values = [f"float({loss})", *(metric_code(metric, words, targets) for metric in metrics)]
    return ",\n        ".join(values)  # a line each, while trimming looks how long they are


def has_plain_batches(learn: "Learner") -> bool:
    """Whether batches are pairs of tensors, the model gives one, and its modes are those of `train()` and `eval()`."""
    train = learn.dls.train
    if isinstance(train.dataset, Samples):
        pairs = len(train.dataset.paths) == 2
    else:
        pairs = isinstance(train.batches, InMemory) and len(train.batches.tensors) == 2
    inner = type(learn.model).__module__.startswith(("torch.nn.", "satsuma.nn."))
    modes = learn.splitter is None or isinstance(learn.model, TransferModel)
    plain = pairs and learn.dls.n_inp == 1 and inner and modes and not learn.hooks
    return plain and autocast_dtype(learn.precision) is None and is_as_known(EVALUATION)


def metric_code(metric: Any, words: Words, targets: str) -> str:
    if hasattr(metric, "update") and hasattr(metric, "compute"):
        words.name(metric_result)
        given = targets.removeprefix("*") if targets.startswith("*") else f"({targets},)"
        return f"float(metric_result({words.value(metric)}, outputs, {given}))"
    return f"float({called_part(metric, f'outputs, {targets}', words)})"


def called_part(part: Any, arguments: str, words: Words) -> str:
    """The call of a loss or metric; of a `partial`, with its own arguments."""
    if isinstance(part, functools.partial) and not part.args:
        given = "".join(f", {k}={words.value(v)}" for k, v in part.keywords.items())
        return f"{words.value(part.func)}({arguments}{given})"
    return f"{words.value(part)}({arguments})"


def loop_code(learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str = "") -> str:
    """The two loops, with evaluation, the epoch table, early stopping and the user's hooks."""
    judged = ", *evaluate(model, valid_data)" if learn.dls.valid else ""
    looped = looped_code(learn, stage, words, epochs, stopping, judged)
    return looped.replace(IN_EPOCH, "")


def looped_code(learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str, judged: str) -> str:
    """The loops as `train` has them, and what stands before and after them.

    judged: what stands after the training loss in the list of an epoch's values.
    """
    for name in names_of(train):
        words.named(name, train.__globals__[name])
    if stage.early_stopping is not None and not stopping:
        stopping = stopping_code(learn, stage, words)
    before, after = watchers_code(learn, stage, words, epochs, stopping)
    before = ["losses: list[float] = []", header_code(learn, words), *before]
    per_step = step_code(learn, words, loss="loss", rate="rate", norm="norm", epoch="run.first_epoch + epoch")
    number = "epoch" if epochs == "args.epochs" else "first_epoch + epoch"
    plain = has_plain_batches(learn)
    looped = unroll(
        train,
        per_step="\n".join(per_step),
        before_epoch="total_loss, begun = 0.0, time.perf_counter()",
        per_epoch="\n".join(epoch_code(learn, stage, words, stopping, judged=judged, epoch=number)),
        arguments={"data": "train_data", "epochs": epochs, "micro": words.value(learn.micro)}
        | ({"batch": "(x, y)"} if plain else {}),
        indent=0,
    )
    return "\n".join([*before, as_one_says(looped, plain=plain), *after])


def as_one_says(looped: str, *, plain: bool) -> str:
    """The loops without what they need only in a library: to begin in the middle, to be left to a caller."""
    looped = looped.replace("range(run.step // len(train_data), ", "range(")  # `run.step` is 0 where a loop begins
    looped = looped.replace("for (x, y) in ", "for x, y in ")
    if is_as_known(CLEARING):
        looped = re.sub(r"\bclear_gradients\(run\)(  #.*)?", "run.optimizer.zero_grad()", looped)
    if plain:
        modes = re.search(r"\n +if not run\.model\.training:\n +run\.model\.train\(\).*", looped)
        if modes:
            looped = looped[: modes.start()] + looped[modes.end() :]
            looped = re.sub(r"(\n +)(total_loss, begun = )", r"\1model.train()\1\2", looped, count=1)
    return looped


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
    lines.append(row_code(column_names(learn), epoch, words))
    if stops or hooks:
        words.name(EpochRow)
        metrics = json.dumps(list(named_metrics(learn.metrics)))
        valid = f"values[1], dict(zip({metrics}, values[2:], strict=True))" if learn.dls.valid else "None, {}"
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


def watchers_code(
    learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str
) -> tuple[list[str], list[str]]:
    """What early stopping and the user's hooks do before the loops, and after them."""
    before: list[str] = []
    after: list[str] = []
    if stage.early_stopping is not None:
        guard = f" if {stopping} else None" if stopping.isidentifier() else ""
        before.append(f"best = {words.name(BestWeights)}({stopping}, model){guard}")
    if learn.hooks:
        before += hooks_before(learn, words, epochs)
        after += ["for hook in reversed(hooks):", "    hook.on_fit_end(run)"]
    if stage.early_stopping is not None:
        after += ["if best is not None:", "    best.restore()"] if stopping.isidentifier() else ["best.restore()"]
    return before, after


def hooks_before(learn: "Learner", words: Words, epochs: str) -> list[str]:
    """The user's hooks, told that a fit begins."""
    words.name(Plan)
    size = min(learn.dls.bs, len(learn.dls.train.dataset))
    metrics = words.value(tuple(named_metrics(learn.metrics)) if learn.dls.valid else ())
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
