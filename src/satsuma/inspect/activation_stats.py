"""`ActivationStats`: a hook that watches the layers' outputs while a model trains, and changes nothing."""

import functools
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.data.checks import warn_user
from satsuma.hooks.base import Hook
from satsuma.inspect.activations import ActivationRow, Activations, OutputSums, summed_output
from satsuma.inspect.watched import is_innermost
from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.run import Run

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure


class ActivationStats(Hook):
    """Mean, deviation, share near 0 and dead ReLU units of every layer while training: `Learner(hooks=[...])`.

    `every`: look at one step in so many (10), which costs a small model about a twentieth of its time; to look at every
    step costs it half as much time again.
    `steps` has the steps looked at, counted from 1 over all fits, and `rows` for each of them one row a layer; `epochs`
    has an `Activations` an epoch, in which a unit is dead that was 0 in all batches looked at. `plot()` draws them.
    Layers of a model compiled by `torch.compile` are not seen, and the hook says so. Source: Howard and Gugger 2020,
    "fastai: A Layered API for Deep Learning" (`ActivationStats`).

    >>> stats = ActivationStats()
    >>> learn = Learner(data, model, hooks=[stats])  # doctest: +SKIP
    >>> learn.fit(3); stats.dead  # doctest: +SKIP
    {'1': (4, 17)}
    """

    only_watches = True  # so that a recipe and a peeled script need not know of it

    def __init__(self, *, every: int = 10) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"ActivationStats: every is a whole number of steps, 1 or more, got {every!r}")
        self.every = every
        self.steps: list[int] = []
        self.rows: list[tuple[ActivationRow, ...]] = []
        self.epochs: list[Activations] = []
        self.handles: list[Any] = []
        self.kinds: dict[str, str] = {}  # of the layers, by name, in the order of the forward pass
        self.waiting: dict[int, dict[str, OutputSums]] = {}  # by step of the fit, then by layer; not read yet
        self.before = 0  # steps of earlier fits

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        if getattr(run.model, "_compiled_call_impl", None) is not None:
            warn_user("ActivationStats: the model is compiled, whose layers cannot be watched; train without compile=")
            return
        for name, module in run.model.named_modules():
            if is_innermost(module):
                self.handles.append(module.register_forward_hook(functools.partial(self.look, run, name)))

    def look(self, run: Run, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """Add up what a layer gives, in training and at the steps that are looked at."""
        if not run.model.training or run.step % self.every:
            return
        sums = summed_output(module, output)
        if sums is None:
            return
        layers = self.waiting.setdefault(run.step + 1, {})
        if name in layers and layers[name].units != sums.units:
            name = f"{name} ({sums.units} units)"  # one layer that stands in two places of the model, as a shared ReLU
        self.kinds.setdefault(name, type(module).__name__)
        if name in layers:  # another slice of the batch, or a layer that is called twice
            layers[name].add(sums)
        else:
            layers[name] = sums

    def on_step(self, run: Run, row: StepRow) -> None:
        """Nothing: reading the sums would wait for a GPU."""

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        if not self.waiting:
            return
        whole: dict[str, OutputSums] = {}
        for step, layers in sorted(self.waiting.items()):
            self.steps.append(self.before + step)
            self.rows.append(tuple(sums.row(name, self.kinds[name]) for name, sums in layers.items()))
            for name, sums in layers.items():
                if name in whole:
                    whole[name].add(sums)
                else:
                    whole[name] = sums
        what = f"{len(self.waiting)} batches of epoch {row.epoch}"
        self.epochs.append(Activations(tuple(sums.row(n, self.kinds[n]) for n, sums in whole.items()), what))
        self.waiting = {}

    def on_fit_end(self, run: Run) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles, self.waiting = [], {}
        self.before += run.step

    @property
    def dead(self) -> dict[str, tuple[int, ...]]:
        """The numbers of the units that were always 0 in the last epoch, by the name of their ReLU layer."""
        return self.last.dead

    @property
    def last(self) -> Activations:
        """The layers over the last epoch. `ValueError` before there is one."""
        if not self.epochs:
            raise ValueError(
                "ActivationStats: nothing was watched yet: give it as a hook, Learner(hooks=[...]), and fit"
            )
        return self.epochs[-1]

    def __repr__(self) -> str:
        return str(self.epochs[-1]) if self.epochs else f"ActivationStats(every={self.every}), nothing watched yet"

    def _repr_html_(self) -> str:
        return self.last._repr_html_() if self.epochs else f"<p>{self!r}</p>"

    def plot(self) -> "ShownFigure":
        """Mean, deviation and share near 0 by step, and the share of dead ReLU units by epoch: a line a layer."""
        from satsuma.plots.activations import plot_activation_stats

        labels = {name: f"{name} {kind}" for name, kind in self.kinds.items()}
        steps = {
            field: {
                label: [next((getattr(r, field) for r in rows if r.name == name), float("nan")) for rows in self.rows]
                for name, label in labels.items()
            }
            for field in ("mean", "std", "near_zero")
        }
        relus = {row.name for row in self.last.rows if row.dead is not None}
        dead = {
            labels[name]: [
                next((len(r.dead) / r.units for r in e.rows if r.name == name and r.dead is not None), 0.0)
                for e in self.epochs
            ]
            for name in labels
            if name in relus
        }
        return plot_activation_stats(self.steps, steps["mean"], steps["std"], steps["near_zero"], dead)
