"""The stages of a run in NumPy: optimiser, schedule, the two loops and what comes at each epoch's end."""

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from satsuma.data.streamed import count_batches
from satsuma.ladder.numpy import optimizers
from satsuma.ladder.numpy.groups import param_groups
from satsuma.ladder.numpy.losses import cross_entropy
from satsuma.ladder.numpy.mixing import mixup, mixup_values
from satsuma.ladder.numpy.model import load_state, set_training, state
from satsuma.ladder.numpy.train import predict, train
from satsuma.optim.groups import build_optimizer, listed_layer_groups
from satsuma.optim.schedules import constant
from satsuma.peel.describe import Cycle, FitStage
from satsuma.peel.numpy_parts import Parts
from satsuma.peel.numpy_terms import NORMS, no_twin, optimizer_term, spelled_call, spelled_term
from satsuma.peel.stage_code import course_code
from satsuma.peel.table_code import column_names, header_code, row_code
from satsuma.peel.unroll import indented, unroll
from satsuma.peel.words import Words
from satsuma.train.early_stopping import EarlyStopping, improves, resolved
from satsuma.train.evaluate import named_metrics

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN = 8  # parameters whose groups are spelled out name by name
VARYING = ("schedule", "momentum", "weight_decay", "frozen")  # the loop's arguments that differ from stage to stage


def spelled_state(parts: Parts) -> str:
    """All that makes the model, as a dictionary: the parameters, with normalisation its running means too."""
    return f"{parts.words.name(state)}(model)" if parts.has_buffers else "model.parameters"


def numpy_settings_code(learn: "Learner", parts: Parts, stage: FitStage, epochs: str) -> tuple[str, dict[str, str]]:
    """A stage's optimiser, schedule and momentum; and what the loop's arguments for them are."""
    words = parts.words
    optimizer, names = stage_optimizer(learn, stage)
    momentum = None if isinstance(optimizer, torch.optim.Adagrad) else stage.momentum
    term = optimizer_term(optimizer, cycled=momentum is not None)
    parameters = "model.parameters"
    frozen = len(names) < len(list(learn.model.parameters()))
    if frozen:
        listed = sorted(set(names.values()))
        parameters = f"{{name: w for name, w in {parameters}.items() if name in {json.dumps(listed)}}}"
    scheduled = stage.schedule is not constant
    lines = [f"parameters = {parameters}", f"groups = {groups_code(learn, optimizer, names, scheduled, words)}"]
    lines.append(f"optimizer = {spelled_term(term, words.names)}")
    if isinstance(stage.schedule, Cycle) or isinstance(momentum, Cycle):
        lines.append(f"total = {epochs} * batches  # steps")
    arguments = {"schedule": "None", "momentum": "None"}
    for name, course in (("schedule", stage.schedule), ("momentum", momentum)):
        if course is not None and course is not constant:
            lines.append(f"{name} = {course_code(course, words)}")
            arguments[name] = name
    decays = term.function is not optimizers.AdamW and any(g["weight_decay"] for g in optimizer.param_groups)
    return "\n".join(lines), {**arguments, "weight_decay": str(decays), "frozen": str(frozen)}


def stage_optimizer(learn: "Learner", stage: FitStage) -> tuple[Optimizer, dict[int, str]]:
    """The torch optimiser of a stage, over a copy of the model; and its parameters' names by identity."""
    model = copy.deepcopy(learn.model)
    groups = listed_layer_groups(model if learn.splitter is None else learn.splitter(model))
    norms = {id(p) for m in model.modules() if isinstance(m, NORMS) for p in m.parameters()}
    for place, group in enumerate(groups):
        for p in group:
            p.requires_grad_(place >= stage.first or (id(p) in norms and learn.batch_norm == "train"))
    wd = learn.wd if stage.wd is None else stage.wd
    optimizer = build_optimizer(learn.opt_func, groups, lr=stage.lr, weight_decay=wd)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return optimizer, {id(p): name for name, p in model.named_parameters() if id(p) in trained}


def groups_code(learn: "Learner", optimizer: Optimizer, names: dict[int, str], scheduled: bool, words: Words) -> str:
    """The groups of an optimiser, one by one; by the rule where they follow it and have many parameters."""
    decays = any(group["weight_decay"] for group in optimizer.param_groups)
    listed = []
    for group in optimizer.param_groups:
        rate = float(group["lr"])
        kept = {"params": [names[id(p)] for p in group["params"]], "lr": rate}
        kept |= {"base_lr": rate} if scheduled else {}
        listed.append(kept | ({"weight_decay": float(group["weight_decay"])} if decays else {}))
    if len(listed) == 1 and listed[0]["params"] == list(names.values()):
        return json.dumps([{**listed[0], "params": "PARAMETERS"}]).replace('"PARAMETERS"', "list(parameters)")
    if len(names) <= SHOWN:
        return json.dumps(listed)
    rate, decay = float(optimizer.param_groups[0]["lr"]), float(optimizer.param_groups[0]["weight_decay"])
    parameters = {n: p.detach().cpu().numpy() for n, p in learn.model.named_parameters() if n in names.values()}
    whole = param_groups(parameters, lr=rate, weight_decay=decay)
    if [{k: v for k, v in group.items() if scheduled or k != "base_lr"} for group in whole] == listed:
        return f"{words.name(param_groups)}(parameters, lr={rate!r}, weight_decay={decay!r})"
    return json.dumps(listed)


# --- the loop -----------------------------------------------------------------------------------------------------


def numpy_loop_code(learn: "Learner", parts: Parts, stage: FitStage, given: Mapping[str, str]) -> str:
    """The two loops, with evaluation, the epoch table and early stopping."""
    words = parts.words
    for name in train.__code__.co_names:
        if name in train.__globals__:
            words.named(name, train.__globals__[name])
    seed = given["seed"]
    arguments = {
        "inputs": "train_x",
        "targets": "train_y",
        "batch_size": str(parts.train.batch_size),
        "shuffle": str(bool(parts.train.shuffle)),
        "drop_last": str(bool(parts.train.drop_last)),
        "data_seed": seed if parts.train.seed == learn.seed else str(parts.train.seed),
        "max_norm": repr(learn.max_norm),
        "l1": repr(learn.l1),
        "l2": repr(learn.l2),
        "input_noise": repr(learn.input_noise),
        "generator": "generator" if parts.random else "None",
        "mix": "None" if learn.mixup is None else "mix",
        **given,
    }
    before = ["losses: list[float] = []", "step = 0"]
    if seed == "seed":  # within `fit`
        before.append(batches_code(parts))
    stopping = None
    if stage.early_stopping is not None:
        stopping = resolved(stage.early_stopping, learn.metrics, learn.dls.valid is not None)
        before += ["best: float | None = None", "best_weights: dict[str, np.ndarray] = {}", "waited = 0"]
    if learn.mixup is not None:
        words.imports.add("from functools import partial")
        classes = parts.train_loss.function is cross_entropy
        options = f"alpha={learn.mixup.alpha!r}" + (f", classes={parts.outputs[1]}" if classes else "")
        before.append(f"mix = partial({words.name(mixup if classes else mixup_values)}, {options})")
    looped = unroll(
        train,
        per_step="losses.append(loss)",
        before_epoch="begun = time.perf_counter()",
        per_epoch="\n".join(numpy_epoch_code(learn, parts, stopping, given["first_epoch"])),
        arguments=arguments,
        indent=0,
    )
    for name, term in (("loss_func", parts.train_loss), ("loss_gradient", parts.gradient)):
        looped = looped.replace(f"{name}(outputs, y)", spelled_call(term, ("outputs", "y"), words.names))
    after = ["if best_weights:", f"    {words.name(load_state)}(model, best_weights)"] if stopping else []
    return "\n".join([*before, header_code(learn, words), looped, *after])


def batches_code(parts: Parts) -> str:
    """How many batches an epoch has, as the variable `batches`."""
    count = parts.words.name(count_batches)
    return f"batches = {count}(len(train_x), {parts.train.batch_size}, {bool(parts.train.drop_last)})"


def numpy_epoch_code(learn: "Learner", parts: Parts, stopping: EarlyStopping | None, first_epoch: str) -> list[str]:
    """What comes at the end of each epoch."""
    words, lines, values = parts.words, [], ["train_loss"]
    if parts.valid is not None:
        forward = f"{words.name(predict)}(model, valid_x, batch_size={parts.valid.batch_size})"
        if len(parts.valid) == 1:
            forward = "model.forward(valid_x)"
        lines.append(f"outputs = {forward}")
        if parts.has_modes:
            switch = words.name(set_training)
            lines = [f"{switch}(model, False)", *lines, f"{switch}(model, True)"]
        terms = [parts.loss, *parts.metrics.values()]
        values += [spelled_call(term, ("outputs", "valid_y"), words.names) for term in terms]
    number = "epoch" if first_epoch == "0" else f"{first_epoch} + epoch"
    lines += [
        "train_loss = sum(losses[-batches:]) / batches",
        "values = [{}]".format(",\n    ".join(values)),  # a line each, while trimming looks how long they are
        "seconds = time.perf_counter() - begun",
        row_code(column_names(learn), number, words),
    ]
    if stopping is None:
        return lines
    place = ["train_loss", "valid_loss", *named_metrics(learn.metrics)].index(stopping.monitor)
    better = f'values[{place}], best, "{stopping.better}", {stopping.min_delta!r}'
    return [
        *lines,
        f"if {words.name(improves)}({better}):",
        f"    best, waited = values[{place}], 0",
        f"    best_weights = {{name: array.copy() for name, array in {spelled_state(parts)}.items()}}",
        "else:",
        "    waited += 1",
        f"    if waited == {stopping.patience}:",
        "        break",
    ]


# --- several stages -----------------------------------------------------------------------------------------------


def stages_code(learn: "Learner", parts: Parts, stages: list[FitStage]) -> tuple[str, str]:
    """For runs of several stages: the function `fit`, and what main does with it."""
    if any(stage.early_stopping != stages[0].early_stopping for stage in stages):
        raise no_twin("early stopping that differs from fit to fit", "a script in NumPy has one for all")
    words, last = parts.words, len(stages) - 1
    found = [
        numpy_settings_code(learn, parts, stage, "args.epochs" if place == last else str(stage.epochs))
        for place, stage in enumerate(stages)
    ]
    varying = [k for k in VARYING if len({given[k] for _, given in found}) > 1 or found[0][1][k] == k]
    lines = ["losses: list[float] = []"]
    stops = stages[0].early_stopping is not None
    if stops or any("batches" in settings for settings, _ in found):
        lines.append(batches_code(parts))
    arrays = ["train_x", "train_y", *(["valid_x", "valid_y"] if parts.valid else [])]
    passed = ["model", *arrays, "optimizer", *(["generator"] if parts.random else [])]
    for place, (stage, (settings, given)) in enumerate(zip(stages, found, strict=True)):
        done = "len(losses) // batches" if stops and place else str(sum(s.epochs for s in stages[:place]))
        epochs = "args.epochs" if place == last else str(stage.epochs)
        options = [f"epochs={epochs}", f"first_epoch={done}", "seed=args.seed", *(f"{k}={given[k]}" for k in varying)]
        lines += [f"\n# stage {place + 1} of {len(stages)}", settings]
        lines.append(f"losses += fit({', '.join([*passed, *options])})")
    fixed = {k: v for k, v in found[0][1].items() if k not in varying}
    loop = {**fixed, **{k: k for k in varying}, "epochs": "epochs", "seed": "seed", "first_epoch": "first_epoch"}
    types = {"schedule": "Callable[[int], float] | None", "momentum": "Callable[[int], float] | None"}
    named = ["epochs: int", "first_epoch: int", "seed: int", *(f"{k}: {types.get(k, 'bool')}" for k in varying)]
    if any(k in types for k in varying):
        words.imports.add("from collections.abc import Callable")
    words.imports.add("from typing import Any")
    parameters = ["model: Any", *(f"{name}: np.ndarray" for name in arrays), "optimizer: Any"]
    parameters += ["generator: Any"] if parts.random else []
    function = f'''def fit({", ".join([*parameters, "*", *named])}) -> list[float]:
    """One stage of training; the loss of every step."""
{indented(numpy_loop_code(learn, parts, stages[0], loop), 4)}
    return losses'''
    return function, "\n".join(lines)
