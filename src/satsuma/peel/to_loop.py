"""The script at depth `loop`: Satsuma's parts, with data, model, optimiser, schedule and the loop in the open."""

from typing import TYPE_CHECKING, Any

from satsuma.data.arrays import ArrayDataset
from satsuma.data.block import DataBlock
from satsuma.data.in_memory import InMemory
from satsuma.data.loader import DataLoader
from satsuma.data.samples import Samples
from satsuma.peel.data_code import has_source, tupled
from satsuma.peel.describe import Beginning, FitStage
from satsuma.peel.loop_code import epoch_code, step_code, stopping_code, watchers_code
from satsuma.peel.pieces import Draft
from satsuma.peel.style import Style
from satsuma.peel.table_code import header_code
from satsuma.peel.to_torch import torch_draft
from satsuma.peel.unroll import indented
from satsuma.peel.words import Words
from satsuma.train.evaluate import evaluate
from satsuma.train.loop import train
from satsuma.train.precision import autocast_dtype

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def loop_draft(learn: "Learner", beginning: Beginning, hidden: frozenset[str] = frozenset()) -> Draft:
    """The script of a learner's run, before the user's parts are lifted."""
    return torch_draft(learn, beginning, depth="loop", style=LOOP, hidden=hidden)


def block_code(dls: Any, words: Words, seed: int, prefix: str) -> str:
    """The loaders by their `DataBlock`, or as `DataLoader`s where there is none."""
    train: DataLoader = dls.train
    if not isinstance(train.dataset, Samples):
        pairs = (("train", dls.train), ("valid", dls.valid))
        made = [(name, loader_call(dl, f"{prefix}{name}", words, seed)) for name, dl in pairs if dl is not None]
        return "\n".join(f"{name}_data = {code}" for name, code in made)
    words.name(DataBlock)
    source = "args.data" if has_source(dls) else words.items(dls.block.items(dls.source))
    block = words.value(dls.block)
    options = {"bs": dls.bs, "workers": train.workers, "worker_kind": train.worker_kind, "drop_last": train.drop_last}
    caches = [getattr(path, "cache", None) for path in train.dataset.paths]
    options["cache"] = next((cache.kind for cache in caches if cache is not None), None)
    given = "".join(f", {k}={words.value(v)}" for k, v in options.items() if v is not None)
    if dls.report.unreadable:
        given += ', on_unreadable="skip"'
    drawn = "args.seed" if train.seed == seed else str(train.seed)
    lines = [f"data = {block}.dataloaders({source}, seed={drawn}{given})"]
    lines.append("train_data, valid_data = data.train, data.valid" if dls.valid else "train_data = data.train")
    return "\n".join(lines)


def loader_call(loader: DataLoader, name: str, words: Words, seed: int) -> str:
    """The Python for one `DataLoader`."""
    words.name(DataLoader)
    drawn = "args.seed" if loader.seed == seed else str(loader.seed)
    batches = loader.batches
    if isinstance(batches, InMemory):
        arrays = [words.array(f"{name}_{i}", tensor) for i, tensor in enumerate(batches.tensors)]
        dataset = f"{words.name(ArrayDataset)}({tupled(arrays)})"
    else:
        dataset = words.value(loader.dataset)
    steps = "" if loader.batch_steps is None else f", batch_steps={words.value(loader.batch_steps)}"
    augment = "" if loader.augment == loader.shuffle else f", augment={loader.augment}"
    workers = f", workers={loader.workers}" if loader.workers else ""
    less = ", drop_last=True" if loader.drop_last else ""
    inputs = f", n_inp={loader.n_inp}" if loader.n_inp != 1 else ""
    return (
        f"DataLoader({dataset}, {loader.batch_size}, {loader.shuffle}{less}, seed={drawn}"
        f"{workers}{augment}{steps}{inputs})"
    )


def no_function(learn: "Learner", words: Words) -> str:
    """At this depth `evaluate` is the library's."""
    return ""


def step_loop_code(learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str) -> str:
    """The one loop over the steps that `train` yields."""
    words.name(train)
    if stage.early_stopping is not None and not stopping:
        stopping = stopping_code(learn, stage, words)
    before, after = watchers_code(learn, stage, words, epochs, stopping)
    head = ["losses: list[float] = []", "total_loss, begun = 0.0, time.perf_counter()", header_code(learn, words)]
    per_step = step_code(learn, words, loss="step.loss", rate="step.lr", norm="step.grad_norm", epoch="step.epoch")
    per_epoch = []
    judged = ""
    if learn.dls.valid:
        words.name(evaluate)
        given = f"loss_func={words.value(learn.loss_func)}"
        given += f", metrics={words.value(tuple(learn.metrics))}" if learn.metrics else ""
        given += f", n_inp={learn.dls.n_inp}" if learn.dls.n_inp != 1 else ""
        autocast = autocast_dtype(learn.precision)
        given += f", autocast={words.value(autocast)}" if autocast else ""
        per_epoch.append(f"judged = evaluate(model, valid_data, {given})")
        judged = ", judged.loss, *judged.metrics.values()"
    per_epoch += epoch_code(learn, stage, words, stopping, judged=judged, epoch="step.epoch")
    per_epoch.append("total_loss, begun = 0.0, time.perf_counter()")
    ended = "run.step % len(train_data) == 0" + (" or run.stop" if learn.hooks else "")
    micro = "" if learn.micro is None else f", micro={words.value(learn.micro)}"
    loop = [f"for step in train(run, train_data, epochs={epochs}{micro}):"]
    loop += [indented("\n".join(per_step), 4), f"    if {ended}:", indented("\n".join(per_epoch), 8)]
    return "\n".join([*head, *before, *loop, *after])


LOOP = Style(loaders=block_code, evaluation=no_function, loops=step_loop_code)
