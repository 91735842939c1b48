"""The runs that a learner makes of its model, data and settings."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from satsuma.functional.each_loss import smoothed_loss
from satsuma.learner.arguments import refuse_course, split_groups
from satsuma.learner.checks import check_weights
from satsuma.learner.features import refuse_stale
from satsuma.learner.freezing import settle
from satsuma.optim.groups import build_optimizer
from satsuma.optim.schedules import one_cycle, one_cycle_momentum
from satsuma.train.fit import Validation
from satsuma.train.objectives import penalised, supervised, supervised_mixed
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def new_run(
    learn: "Learner",
    lr: float | slice | Sequence[float] | None,
    *,
    schedule: Callable[[int], float],
    momentum: Callable[[int], float] | None,
    wd: float | None,
) -> Run:
    """`Learner.make_run`."""
    refuse_stale(learn)
    settle(learn)
    groups = split_groups(learn.splitter, learn.model)
    return Run(
        model=learn.model,
        optimizer=build_optimizer(
            learn.opt_func,
            groups,
            lr=learn.lr if lr is None else lr,
            weight_decay=learn.wd if wd is None else wd,
        ),
        objective=learn.objective(),
        schedule=schedule,
        momentum=momentum,
        max_norm=learn.max_norm,
        mix=None if learn.mixup is None else functools.partial(learn.mixup, n_inp=learn.dls.n_inp),
        scaler=GradScaler(learn.device.type) if learn.precision == "fp16" else None,
        seed=learn.seed,
        first_epoch=learn.epochs_done,
        weights_epoch=learn.weights_epoch,
    )


def objective_of(learn: "Learner") -> Callable[..., Tensor]:
    """`Learner.objective`."""
    objective: Callable[..., Tensor] = functools.partial(
        supervised if learn.mixup is None else supervised_mixed,
        loss_func=smoothed_loss(learn.loss_func, learn.label_smoothing),
        n_inp=learn.dls.n_inp,
        autocast=autocast_dtype(learn.precision),
        input_noise=learn.input_noise,
    )
    if learn.l1 or learn.l2:
        return functools.partial(penalised, objective=objective, l1=learn.l1, l2=learn.l2)
    return objective


def validation_of(learn: "Learner") -> Validation | None:
    """`Learner.validation`."""
    if learn.dls.valid is None:
        return None
    return Validation(
        data=learn.dls.valid,
        loss_func=learn.loss_func,
        metrics=learn.metrics,
        n_inp=learn.dls.n_inp,
        autocast=autocast_dtype(learn.precision),
    )


def checked_run(
    learn: "Learner",
    lr: float | slice | Sequence[float] | None,
    *,
    schedule: Callable[[int], float],
    momentum: Callable[[int], float] | None,
    wd: float | None,
) -> Run:
    """`make_run` after a look at whether everything fits together."""
    refuse_course(learn.lr if lr is None else lr, wd, schedule, momentum)
    learn.check()
    check_weights(learn.model)
    return learn.make_run(lr, schedule=schedule, momentum=momentum, wd=wd)


def one_cycle_run(
    learn: "Learner",
    n_epoch: int,
    lr_max: float | slice | Sequence[float] | None,
    *,
    div: float,
    div_final: float,
    pct_start: float,
    moms: tuple[float, float] | None,
    wd: float | None,
) -> Run:
    """A run whose rate and momentum go through one cycle in `n_epoch` epochs."""
    total = n_epoch * len(learn.dls.train)
    schedule = functools.partial(one_cycle, total=total, pct_start=pct_start, div=div, div_final=div_final)
    momentum = None
    if moms is not None:
        high, low = moms
        momentum = functools.partial(one_cycle_momentum, total=total, pct_start=pct_start, high=high, low=low)
    return checked_run(learn, lr_max, schedule=schedule, momentum=momentum, wd=wd)
