"""`Learner(compile=)`: the model's forward compiled by `torch.compile`, and what that cost."""

import time
from typing import TYPE_CHECKING, Any

import torch

from satsuma.errors import nearest
from satsuma.hooks.base import Hook
from satsuma.hooks.progress import duration, say
from satsuma.train.fit import Plan, StepRow
from satsuma.train.run import Run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


class CompileCost(Hook):
    """Keeps how many seconds the first step took, in which the model is compiled; says so if `said`."""

    def __init__(self, said: bool) -> None:
        self.said = said
        self.begun = 0.0
        self.seconds: float | None = None

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.begun = time.perf_counter()

    def on_step(self, run: Run, row: StepRow) -> None:
        if self.seconds is None:
            self.seconds = time.perf_counter() - self.begun
            if self.said:
                say(f"compiled: the first step took {duration(self.seconds)}")


def refuse_backend(compile: Any) -> None:
    """`TypeError` or `ValueError` for what `torch.compile` cannot compile by."""
    if not isinstance(compile, bool | str):
        raise TypeError(f"Learner: compile is True, False or the name of a backend of torch.compile, got {compile!r}")
    if isinstance(compile, str):
        known = torch.compiler.list_backends(exclude_tags=())
        if compile not in known:
            raise ValueError(f"Learner: compile={compile!r} is no backend of torch.compile: {nearest(compile, known)}")


def compile_once(learn: "Learner") -> None:
    """Compile the model's forward in place where that is asked for; names of weights stay as they are."""
    if learn.compile and learn.compile_cost is None:
        options: dict[str, Any] = {} if learn.compile is True else {"backend": learn.compile}
        learn.model.compile(**options)
        learn.compile_cost = CompileCost(said=learn.progress)
