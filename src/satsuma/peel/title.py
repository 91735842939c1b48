"""The docstring of a script: what it trains, on what, how the run it comes from ended, how to run it."""

import textwrap
from typing import TYPE_CHECKING, Any

import torch

from satsuma.functional.links import part_name
from satsuma.peel.data_code import has_source
from satsuma.peel.describe import Beginning, FitStage
from satsuma.version import __version__

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

KINDS = {
    "loop": "with Satsuma's parts and its loop in the open",
    "torch": "in plain PyTorch",
    "tensors": "in tensors and automatic differentiation alone",
    "numpy": "in NumPy, every gradient by hand",
}
SAME = {
    "loop": "the very same losses and weights",
    "torch": "the very same losses and weights",
    "tensors": "the same losses, but for rounding",
    "numpy": "the same losses, but for rounding",
}


def title_of(learn: "Learner", beginning: Beginning, stages: list[FitStage], depth: str, *, has_arrays: bool) -> str:
    """The docstring, at most 100 columns wide."""
    dls = beginning.loaders[0]
    name = f"{beginning.name}: " if beginning.name else ""
    parts = [f"{name}{learn.title} {KINDS[depth]}.", ""]
    held_out = f", {len(dls.valid.dataset):,} to validate on" if dls.valid else ""
    classes = f", {len(dls.vocab)} classes" if dls.vocab else ""
    where = f" from {dls.source}" if has_source(dls) else ""
    parts += field("data", f"{len(dls.train.dataset):,} samples to train on{held_out}{classes}{where}")
    parts += field("model", f"{learn.title}, {sum(p.numel() for p in learn.model.parameters()):,} parameters")
    parts += field("loss", f"{part_name(learn.loss_func)}; {part_name(learn.opt_func)}; {learn.precision}")
    parts += field("training", "; ".join(calls_text(learn)) or "nothing yet: one epoch at the learner's rate")
    parts += field("result", result_text(learn))
    parts += [
        "",
        f"Run: python SCRIPT.py [--data ...] [--epochs {stages[-1].epochs}] [--seed {learn.seed}] [--out ...]",
    ]
    if has_arrays:
        parts.append("What it needs beside this text is in the .npz file of the same name.")
    n = torch.get_num_threads()
    origin = f"Peeled from a run of satsuma {__version__} with torch {torch.__version__}: it gives {SAME[depth]}"
    if depth in ("loop", "torch"):  # sums are split among threads, and rounded accordingly
        origin += f", on a machine of the same kind with {n} thread{'' if n == 1 else 's'} (OMP_NUM_THREADS)"
    origin += "."
    if learn.past.ends and learn.past.ends[-1].cause:
        origin += (
            f" The run broke off in its last fit ({learn.past.ends[-1].cause}), which this script trains to its end."
        )
    return "\n".join([*parts, *textwrap.wrap(origin, 100)])


def field(name: str, text: str) -> list[str]:
    """`name: text`, with what does not fit a line indented below."""
    return textwrap.wrap(f"{name}: {text}", 100, subsequent_indent="  ", break_on_hyphens=False) if text else []


def calls_text(learn: "Learner") -> list[str]:
    """The calls that trained, as a reader would type them."""
    return [f"{name}({arguments_text(call)})" for name, call in learn.calls if name != "dls"] + [
        "new loaders" for name, _ in learn.calls if name == "dls"
    ]


def arguments_text(call: dict[str, Any]) -> str:
    shown = {k: part_name(v) if callable(v) else repr(v) for k, v in call.items()}
    return ", ".join(f"{k}={v}" for k, v in shown.items())


def result_text(learn: "Learner") -> str:
    """The numbers of the epoch that the weights are of; "" before any."""
    rows = [row for row in learn.recorder.epochs if row.epoch == learn.weights_epoch] or learn.recorder.epochs[-1:]
    if not rows:
        return ""
    row = rows[-1]
    values = {"train_loss": row.train_loss, "valid_loss": row.valid_loss, **row.metrics}
    shown = ", ".join(f"{k} {v:.6f}" for k, v in values.items() if v is not None)
    return f"epoch {row.epoch}: {shown}"
