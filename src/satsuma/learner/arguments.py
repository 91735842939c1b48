"""What a learner refuses as an argument, before it does anything with it."""

import functools
import inspect
import math
import numbers
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from satsuma.data.loader import DataLoader
from satsuma.errors import refuse_unknown
from satsuma.functional.each_loss import refuse_unreducible, smoothed_loss
from satsuma.functional.links import part_name
from satsuma.learner.compiling import refuse_backend
from satsuma.train.early_stopping import EarlyStopping, is_number
from satsuma.train.mixing import CutMix, MixUp


def refuse_part(name: str, part: Any, example: str, *, is_made: bool = False) -> None:
    """`TypeError` for a part that is no function, or a partial with an argument that its function does not have.

    `is_made`: a module class is refused, since an object of it is called.
    """
    if not callable(part):
        raise TypeError(f"Learner: {name} is a function, such as {example}; got {part!r}")
    if is_made and isinstance(part, type) and issubclass(part, nn.Module):
        raise TypeError(f"Learner: {name} is the class {part.__name__}: give an object, {part.__name__}()")
    if isinstance(part, functools.partial):
        known = inspect.signature(part.func).parameters
        if not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            refuse_unknown(part_name(part.func), part.keywords, known)


def refuse_schedule(name: str, schedule: Any) -> None:
    """`TypeError` for a schedule that cannot be asked for step 0 or gives no number, saying how one is made."""
    refuse_part(name, schedule, "partial(sm.cosine, total=1000)")
    try:
        value = schedule(0)
    except TypeError as error:
        raise TypeError(
            f"{name}: a schedule is called with the step alone, and {part_name(schedule)} is not: {error}. "
            f"Fill in the rest, for example partial(sm.cosine, total=n_epoch * len(dls.train))"
        ) from error
    if not is_finite(value):
        raise TypeError(f"{name}: {part_name(schedule)} gives {value!r} at step 0; a schedule gives a number")


def refuse_stopping(early_stopping: Any) -> None:
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        raise TypeError(f"early_stopping is a value such as sm.EarlyStopping(patience=3), got {early_stopping!r}")


def whole_epochs(method: str, n_epoch: Any) -> int:
    """`n_epoch` as an int; `ValueError` if it is no whole number of 1 or more."""
    if not is_number(n_epoch, numbers.Integral) or n_epoch < 1:
        raise ValueError(f"{method}: n_epoch must be 1 or more, a whole number, got {n_epoch!r}")
    return int(n_epoch)


def is_finite(value: Any) -> bool:
    """Whether `value` is a number (and not True or False), neither NaN nor infinite."""
    return is_number(value, numbers.Real) and math.isfinite(value)


def refuse_rate(name: str, lr: Any) -> None:
    """`TypeError` or `ValueError` for a learning rate that is no number, slice or sequence of numbers of 0 or more."""
    what = f"{name} is a number, a slice(low, high) or a list with a number for each layer group; got {lr!r}"
    if isinstance(lr, slice):
        rates = [rate for rate in (lr.start, lr.stop) if rate is not None]
    elif isinstance(lr, list | tuple):
        rates = list(lr)
    else:
        rates = [lr]
    for rate in rates:
        if not is_number(rate, numbers.Real):
            raise TypeError(what)
        if not 0 <= rate < math.inf:
            raise ValueError(f"{name}: expected rates of 0 or more, and finite; got {lr!r}")


def refuse_decay(wd: Any) -> None:
    if wd is not None and not (is_finite(wd) and wd >= 0):
        raise ValueError(f"wd, the weight decay, is a number of 0 or more, or None; got {wd!r}")


def refuse_cycle(div: Any, div_final: Any, pct_start: Any, moms: Any) -> None:
    """`ValueError` for a one-cycle schedule that is none."""
    for name, value in (("div", div), ("div_final", div_final)):
        if not (is_finite(value) and value > 0):
            raise ValueError(f"fit_one_cycle: {name} divides the rate, and must be a number above 0; got {value!r}")
    if not (is_finite(pct_start) and 0 <= pct_start <= 1):
        raise ValueError(f"fit_one_cycle: pct_start is a share of the steps, 0..1; got {pct_start!r}")
    right = isinstance(moms, list | tuple) and len(moms) == 2 and all(is_finite(m) and 0 <= m < 1 for m in moms)
    if moms is not None and not right:
        raise ValueError(f"fit_one_cycle: moms are two momenta from 0 to below 1, such as (0.95, 0.85); got {moms!r}")


def refuse_negative(**settings: Any) -> None:
    for name, value in settings.items():
        if not is_number(value, numbers.Real):
            raise TypeError(f"Learner: {name} must be a number of 0 or more, got {value!r}")
        if not value >= 0:
            raise ValueError(f"Learner: {name} must be 0 or more, got {value}")


def refuse_not_positive(**settings: Any) -> None:
    for name, value in settings.items():
        if value is not None and not is_number(value, numbers.Real):
            raise TypeError(f"Learner: {name} must be a number above 0, or None, got {value!r}")
        if value is not None and not value > 0:
            raise ValueError(f"Learner: {name} must be above 0, or None, got {value}")
        counted = {"micro": "samples", "save_steps": "steps"}.get(name)
        if counted is not None and value is not None and not is_number(value, numbers.Integral):
            raise TypeError(f"Learner: {name} is a number of {counted}, a whole number, got {value!r}")


def given_micro(micro: int | str | None) -> int | None:
    """`micro` to begin with; `ValueError` for a word that is not "auto"."""
    if not isinstance(micro, str):
        return micro
    if micro != "auto":
        raise ValueError(f'Learner: micro is a number of samples, "auto" or None, got {micro!r}')
    return None


def refuse_auto_micro(micro: int | str | None, processes: int) -> None:
    """`ValueError` where several processes train together: one that ran out would leave the others waiting."""
    if micro == "auto" and processes > 1:
        raise ValueError('Learner: micro="auto" is for one process; give several the number of samples')


def refuse_fine_tune(base_lr: Any, freeze_epochs: Any, lr_mult: Any) -> None:
    """`TypeError` or `ValueError` for what `fine_tune` cannot go by."""
    for name, value in (("base_lr", base_lr), ("lr_mult", lr_mult)):
        if not is_number(value, numbers.Real):
            raise TypeError(f"fine_tune: {name} is a number, got {value!r}; for rates of your own use fit_one_cycle")
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"fine_tune: {name} must be a number above 0, got {value!r}")
    if not is_number(freeze_epochs, numbers.Integral) or freeze_epochs < 0:
        raise ValueError(f"fine_tune: freeze_epochs is a whole number, 0 or more, got {freeze_epochs!r}")


def refuse_settings(
    opt_func: Any,
    loss_func: Any,
    lr: Any,
    wd: Any,
    batch_norm: Any,
    compile: Any,
    progress: Any,
    run_dir: Any,
) -> None:
    """What a learner is made with."""
    refuse_part("opt_func", opt_func, "sm.AdamW")
    if loss_func is not None:
        refuse_part("loss_func", loss_func, "sm.cross_entropy", is_made=True)
    refuse_rate("lr", lr)
    refuse_decay(wd)
    if batch_norm not in ("train", "frozen"):
        raise ValueError(f'Learner: batch_norm is "train" or "frozen", for frozen layer groups; got {batch_norm!r}')
    refuse_backend(compile)
    if not isinstance(progress, bool):
        raise TypeError(f"Learner: progress is True or False, got {progress!r}")
    if run_dir is not None and Path(run_dir).exists() and not Path(run_dir).is_dir():
        raise NotADirectoryError(f"Learner: run_dir {run_dir} is a file; give a folder, which need not exist")


def refuse_mixing(loss_func: Any, mixup: Any, label_smoothing: Any) -> None:
    """`TypeError` or `ValueError` for settings that are none, or that the loss cannot follow."""
    if mixup is not None and not isinstance(mixup, MixUp | CutMix):
        raise TypeError(f"Learner: mixup is a value such as sm.MixUp() or sm.CutMix(), got {mixup!r}")
    if not is_number(label_smoothing, numbers.Real):
        raise TypeError(f"Learner: label_smoothing is a share, 0 to below 1, got {label_smoothing!r}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"Learner: label_smoothing is a share, 0 to below 1, got {label_smoothing!r}")
    smoothed_loss(loss_func, label_smoothing)
    if mixup is not None:
        refuse_unreducible(loss_func, "mixup")


def refuse_course(lr: Any, wd: Any, schedule: Any, momentum: Any) -> None:
    """How the rate, the decay and the momentum go while a fit runs."""
    refuse_rate("lr", lr)
    refuse_decay(wd)
    refuse_schedule("schedule", schedule)
    if momentum is not None:
        refuse_schedule("momentum", momentum)


def refuse_loader(dl: Any) -> None:
    if not isinstance(dl, DataLoader):
        raise TypeError(f"dl must be a DataLoader, got a {type(dl).__name__}: learn.dls.test_dl(items) makes one")


def split_groups(splitter: Any, model: nn.Module) -> nn.Module | list[list[nn.Parameter]]:
    """What `splitter` makes of the model: lists of parameters, none of them in two lists."""
    if splitter is None:
        return model
    made = splitter(model)
    right = isinstance(made, Iterable) and not isinstance(made, nn.Module | nn.Parameter)
    listed: Sequence[Any] = [g.parameters() if isinstance(g, nn.Module) else g for g in made] if right else []
    if not listed or not all(isinstance(g, Iterable) and not isinstance(g, nn.Parameter) for g in listed):
        raise TypeError(
            f"splitter: gave a {type(made).__name__}; expected lists of parameters or modules, one a layer group"
        )
    groups = [list(group) for group in listed]
    names = {id(p): name for name, p in model.named_parameters()}
    seen: set[int] = set()
    for parameter in (p for group in groups for p in group):
        if not isinstance(parameter, nn.Parameter):
            raise TypeError(f"splitter: a layer group holds a {type(parameter).__name__}; expected parameters")
        if id(parameter) in seen:
            raise ValueError(f"splitter: gives the parameter {names.get(id(parameter), '?')} twice; once is right")
        seen.add(id(parameter))
    return groups
