"""The whole state of a fit between two steps, as tensors and JSON: what it takes to go on to the very same weights."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from satsuma.train.checkpoint import assign_weights
from satsuma.train.fit import INTERRUPTED, TERMINATED, EpochRow, Session

THE_MODELS = "the model's"  # in the place of weights that are those the model has, so that they are kept once


def packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON that tells its types; its tensors go into `tensors`, copied to the CPU, under `name` and below.

    Numbers, text, None, tensors, and lists, tuples and dicts of them. Raises `TypeError` naming anything else.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}  # JSON has no NaN and no infinity
    if isinstance(value, Tensor):
        while name in tensors:  # {"a.b": x} beside {"a": {"b": y}}
            name += "'"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [packed(part, f"{name}.{i}", tensors) for i, part in enumerate(value)]}
    if isinstance(value, Mapping):
        pairs = [(packed(key, name, tensors), packed(part, f"{name}.{key}", tensors)) for key, part in value.items()]
        return {"dict": [list(pair) for pair in pairs]}
    raise TypeError(
        f"{name} is a {type(value).__name__}, which a checkpoint cannot hold: numbers, text and tensors can"
    )


def unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `packed` made JSON of. Raises `ValueError` for JSON that it does not make."""
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, dict) and len(value) == 1:
        kind, held = next(iter(value.items()))
        if kind == "float" and held in ("nan", "inf", "-inf"):
            return float(held)
        if kind == "tensor" and held in tensors:
            return tensors[held].clone()  # in memory of its own: the file may be gone before the tensor is
        if kind in ("list", "tuple") and isinstance(held, list):
            parts = [unpacked(part, tensors) for part in held]
            return parts if kind == "list" else tuple(parts)
        if kind == "dict" and isinstance(held, list) and all(isinstance(p, list) and len(p) == 2 for p in held):
            return {unpacked(key, tensors): unpacked(part, tensors) for key, part in held}
    raise ValueError("a part of the checkpoint's state is of no known kind")


def fit_state(session: Session) -> dict[str, Any]:
    """What a fit has come to: weights, optimiser, place, the epoch so far, rows, and what early stopping remembers."""
    run, best = session.run, session.best
    weights = run.model.state_dict()
    judged: dict[str, Any] | None = None
    if best is not None:
        judged = {"best": best.best, "waited": best.waited, "epoch": best.epoch}
        judged["weights"] = THE_MODELS if same_weights(best.weights, weights) else best.weights
    return {
        "model": weights,
        "optimizer": run.optimizer.state_dict(),
        "scaler": None if run.scaler is None else run.scaler.state_dict(),
        "step": run.step,
        "first_epoch": run.first_epoch,
        "stop": "" if run.stop in (INTERRUPTED, TERMINATED) else run.stop,
        "weights_epoch": run.weights_epoch,
        "rows": [dataclasses.asdict(row) for row in session.rows],
        "total": session.total,
        "count": session.count,
        "elapsed": time.perf_counter() - session.begun,
        "whole": THE_MODELS if same_weights(session.whole, weights) else session.whole,
        "whole_before": session.whole_before,
        "whole_epoch": session.whole_epoch,
        "warned": session.warned,
        "best": judged,
    }


def same_weights(kept: Mapping[str, Any], weights: Mapping[str, Any]) -> bool:
    """Whether the two hold the same tensors, bit for bit but for NaN, which equals nothing."""
    return kept.keys() == weights.keys() and all(same_bits(kept[name], value) for name, value in weights.items())


def same_bits(a: Any, b: Any) -> bool:
    """Whether two values are equal tensors, 0.0 and -0.0 told apart; not for NaN, or where one is no tensor."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b)):
        return False
    return not a.is_floating_point() or torch.equal(a.signbit(), b.signbit())


def restore_fit(session: Session, state: Mapping[str, Any], source: str) -> None:
    """Bring a fit that has not made a step to `state`. `source`: what errors call it, the file's path."""
    run, best = session.run, session.best
    if state["first_epoch"] != run.first_epoch:
        raise ValueError(
            f"{source}: is of a fit that began at epoch {state['first_epoch']}, this one begins at {run.first_epoch}"
        )
    if (state["best"] is None) != (best is None) or (state["scaler"] is None) != (run.scaler is None):
        raise ValueError(f"{source}: is of a fit with another early stopping or precision")
    assign_weights(run.model, state["model"], source)
    whole = state["model"] if state["whole"] == THE_MODELS else state["whole"]
    restore_optimizer(run.optimizer, state["optimizer"], source)
    if run.scaler is not None:
        run.scaler.load_state_dict(state["scaler"])
    run.step, run.stop, run.weights_epoch = state["step"], state["stop"], state["weights_epoch"]
    session.rows[:] = [EpochRow(**row) for row in state["rows"]]
    session.total, session.count = state["total"], state["count"]
    session.begun = time.perf_counter() - state["elapsed"]
    session.whole = dict(whole)
    session.whole_before, session.whole_epoch = state["whole_before"], state["whole_epoch"]
    session.warned = state["warned"]
    if best is not None:
        judged = state["best"]
        best.best, best.waited, best.epoch = judged["best"], judged["waited"], judged["epoch"]
        best.weights = dict(state["model"] if judged["weights"] == THE_MODELS else judged["weights"])


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any], source: str) -> None:
    """`load_state_dict`, with what is kept for a parameter in the parameter's own order in memory.

    Fused kernels walk through both side by side; a file holds every tensor in the plain order.
    """
    try:
        optimizer.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{source}: its optimiser's state does not fit this one: {error}") from error
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
