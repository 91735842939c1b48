"""`Learner(compile=)`: the model's forward compiled by `torch.compile`, and what that cost."""

import time
from typing import TYPE_CHECKING, Any

from satsuma.hooks.base import Hook
from satsuma.hooks.progress import duration, say
from satsuma.train.fit import Plan, StepRow
from satsuma.train.run import Run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


class CompileCost(Hook):
    """Says how long the first step took, in which the model is compiled."""

    def __init__(self, learn: "Learner") -> None:
        self.learn = learn
        self.begun = 0.0

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.begun = time.perf_counter()

    def on_step(self, run: Run, row: StepRow) -> None:
        if self.learn.compile_s is None:
            self.learn.compile_s = time.perf_counter() - self.begun
            if self.learn.progress:
                say(f"compiled: the first step took {duration(self.learn.compile_s)}")


def compiled_once(learn: "Learner") -> list[CompileCost]:
    """Compile the model's forward in place where that is asked for; names of weights stay as they are.

    The cost is told after the first step.
    """
    if not learn.compile or learn.compile_s is not None:
        return []
    options: dict[str, Any] = {} if learn.compile is True else {"backend": learn.compile}
    learn.model.compile(**options)
    return [CompileCost(learn)]
