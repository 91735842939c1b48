"""What a run was, in order: its stages of training, the loaders they used, how the weights began."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.errors import PeelError
from satsuma.optim.groups import listed_layer_groups
from satsuma.optim.schedules import constant, one_cycle, one_cycle_momentum

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

FITS = ("fit", "fit_one_cycle", "fine_tune")
FREEZES = {"freeze": -1, "unfreeze": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A schedule that is told how many steps there are: `function(step, total=, ...)`, as a one-cycle's."""

    function: Callable[..., float]
    settings: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStage:
    """One fit. `schedule`, `momentum`: functions of the step, or a `Cycle`. `first`: the first layer group that learns.

    `data`: the number of the loaders it trains on.
    """

    epochs: int
    lr: Any
    schedule: Any
    momentum: Any = None
    wd: float | None = None
    early_stopping: Any = None
    first: int = 0
    data: int = 0


def stages_of(learn: "Learner") -> list[FitStage]:
    """The fits of a learner, in order; of one that has not been trained, a single epoch at its rate."""
    stages: list[FitStage] = []
    n_groups = len(group_list(learn))
    pretrained = learn.made[0] == "vision_learner" and learn.made[1].get("pretrained", True)
    first, data = (n_groups - 1 if pretrained else 0), 0
    n_fits = sum(name in FITS for name, _ in learn.calls)
    if broken := next((end for end in learn.past.ends[: max(n_fits - 1, 0)] if end.cause), None):
        raise PeelError(
            f"a fit broke off after {broken.steps} steps ({broken.cause}), and others followed: a script would train "
            f"it to its end, and the rest otherwise. Make the learner anew, and train it in whole fits"
        )
    for name, call in learn.calls:
        if name == "dls":
            data += 1
        elif name == "load" and stages:
            raise PeelError(
                f"weights were loaded between two fits (learn.load({call.get('file')!r})): a script of the whole run "
                f"would need them in the middle. Peel a learner that loads them before its first fit"
            )
        elif name == "changed" and "settings" in call:
            raise PeelError(
                f"learn.{' and learn.'.join(call['settings'])} was set between two fits, which no recipe records: make "
                f"a learner with it, which loads the weights of this one, and peel both"
            )
        elif name == "changed":
            raise PeelError(
                "the weights were changed by hand between two fits, which no recipe records: a script cannot do it "
                "again. Make the change before the first fit, or within the model"
            )
        elif name in ("freeze", "freeze_to", "unfreeze"):
            first = FREEZES.get(name, call.get("n", 0)) % n_groups
        elif name == "fine_tune":
            two, first = fine_tune_stages(learn, call, n_groups, data), 0
            stages += two
        elif name in FITS:
            stages.append(single_stage(learn, name, call, first, data))
    if not stages:
        stages.append(FitStage(epochs=1, lr=learn.lr, schedule=constant, first=first, data=data))
    return stages


def group_list(learn: "Learner") -> list[Any]:
    """The learner's layer groups, each a list of parameters."""
    return listed_layer_groups(learn.model if learn.splitter is None else learn.splitter(learn.model))


def single_stage(learn: "Learner", name: str, call: Mapping[str, Any], first: int, data: int) -> FitStage:
    """The stage of a `fit` or a `fit_one_cycle`."""
    given = {**defaults_of(getattr(type(learn), name)), **call}
    if name == "fit":
        rate, schedule, momentum = given["lr"], given["schedule"], given["momentum"]
    else:
        rate = given["lr_max"]
        schedule = Cycle(function=one_cycle, settings={k: given[k] for k in ("pct_start", "div", "div_final")})
        momentum = momentum_cycle(given["moms"], given["pct_start"])
    return FitStage(
        epochs=given["n_epoch"],
        lr=learn.lr if rate is None else rate,
        schedule=schedule,
        momentum=momentum,
        wd=given["wd"],
        early_stopping=given["early_stopping"],
        first=first,
        data=data,
    )


def fine_tune_stages(learn: "Learner", call: Mapping[str, Any], n_groups: int, data: int) -> list[FitStage]:
    """The two stages of a `fine_tune`, or the second alone if it freezes for no epoch."""
    given = {**defaults_of(type(learn).fine_tune), **call}
    rate, spread = given["base_lr"], given["lr_mult"]
    cycles = ((0.99, 25.0), (given["pct_start"], given["div"]))
    rates = (slice(rate), slice(rate / 2 / spread, rate / 2))
    epochs, firsts = (given["freeze_epochs"], given["epochs"]), (n_groups - 1, 0)
    found = [
        FitStage(
            epochs=n,
            lr=lr,
            schedule=Cycle(
                function=one_cycle, settings={"pct_start": start, "div": div, "div_final": given["div_final"]}
            ),
            momentum=momentum_cycle(given["moms"], start),
            wd=given["wd"],
            early_stopping=given["early_stopping"],
            first=first,
            data=data,
        )
        for n, lr, (start, div), first in zip(epochs, rates, cycles, firsts, strict=True)
    ]
    return found if given["freeze_epochs"] else found[1:]


def momentum_cycle(moms: Sequence[float] | None, pct_start: float) -> Cycle | None:
    if moms is None:
        return None
    settings = {"pct_start": pct_start, "high": moms[0], "low": moms[1]}
    return Cycle(function=one_cycle_momentum, settings=settings)


def defaults_of(method: Callable[..., Any]) -> dict[str, Any]:
    """The default values of a method's parameters."""
    return {name: p.default for name, p in inspect.signature(method).parameters.items() if p.default is not p.empty}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a run began with beside the recipe: its name, its loaders in turn, and where the first weights are from.

    `weights`: those that neither the seed nor `weights_file` (of a trained network) gives; None where they do.
    """

    name: str
    loaders: Sequence[Any]
    weights: Mapping[str, Any] | None = None
    weights_file: Path | None = None
