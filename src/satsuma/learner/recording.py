"""What a learner writes about itself: its recipe as JSON and as code, and what to say when the loss breaks."""

import inspect
import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from satsuma.data.dataloaders import DataLoaders
from satsuma.learner.table import row_of
from satsuma.ship.code import to_code
from satsuma.ship.recipe import opaque_parts, to_recipe
from satsuma.train.checkpoint import write_whole
from satsuma.train.fit import NonFiniteLossError
from satsuma.version import __version__

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN = 8  # items of a batch that a message lists


def learner_recipe(learn: "Learner") -> dict[str, Any]:
    """The whole run as JSON: data, model, how it was trained, and on what."""
    model = learn.model_source if not isinstance(learn.model_source, torch.nn.Module) else learn.model
    settings = {
        "loss_func": learn.loss_func,
        "opt_func": learn.opt_func,
        "lr": learn.lr,
        "metrics": learn.metrics,
        "wd": learn.wd,
        "splitter": learn.splitter if learn.made[0] == "Learner" else None,  # others choose their own
        "batch_norm": learn.batch_norm,
        "max_norm": learn.max_norm,
        "micro": learn.micro,
        "l1": learn.l1,
        "l2": learn.l2,
        "input_noise": learn.input_noise,
        "mixup": learn.mixup,
        "label_smoothing": learn.label_smoothing,
        "seed": learn.seed,
        "device": str(learn.device),
        "precision": learn.precision,
        "compile": learn.compile,
    }
    return {
        "data": learn.first_data or data_recipe(learn.dls),
        "model": to_recipe(model),
        **({} if learn.made[0] == "Learner" else {"made": call_recipe(*learn.made)}),
        "settings": {name: to_recipe(value) for name, value in settings.items()},
        "fits": [call_recipe(name, call) for name, call in learn.calls],
        "versions": {"satsuma": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def data_recipe(dls: DataLoaders) -> dict[str, Any]:
    """The loaders as JSON."""
    return {
        "block": None if dls.block is None else to_recipe(dls.block),
        "source": to_recipe(Path(dls.source).absolute())  # the recipe may be run from anywhere
        if isinstance(dls.source, str | Path)
        else {"opaque": repr(dls)},
        "bs": dls.bs,
        "seed": dls.train.seed,
        "workers": dls.train.workers,
        "drop_last": dls.train.drop_last,
        **({"on_unreadable": "skip"} if dls.report.unreadable else {}),
    }


def call_recipe(name: str, call: dict[str, Any]) -> dict[str, Any]:
    """A call as JSON; that of new loaders, `dls`, holds them as JSON already."""
    return {"method": name, "arguments": call if name == "dls" else {k: to_recipe(v) for k, v in call.items()}}


def write_recipe(learn: "Learner", folder: Path) -> None:
    """Write `recipe.json` and `recipe.py` into the run's folder."""
    recipe = learner_recipe(learn)
    write_whole(folder / "recipe.json", (json.dumps(recipe, indent=1) + "\n").encode())
    write_whole(folder / "recipe.py", recipe_code(recipe, folder.name).encode())


def recipe_code(recipe: dict[str, Any], name: str) -> str:
    """The recipe as a script that trains again."""
    imports = {"import satsuma as sm"}
    settings = recipe["settings"]
    lines = [f"    {k}={to_code(v, imports)}," for k, v in settings.items() if not left_out(k, v)]
    fits = [fit_code(call, imports) for call in recipe["fits"]]
    if "made" in recipe:
        made = recipe["made"]
        method, given = made["method"], {k: v for k, v in made["arguments"].items() if k != "arch"}
        first = to_code(made["arguments"]["arch"], imports)
        lines = [*(f"    {k}={to_code(v, imports)}," for k, v in given.items()), *lines]
    else:
        method, first = "Learner", to_code(recipe["model"], imports)
    body = ["data = " + data_code(recipe["data"], imports), f"learn = sm.{method}(", "    data,"]
    body += [f"    {first},", *lines, ")", *fits]
    title = f"The run {name!r} as code. Run this file to train it again.".replace('"', "'")
    yours = dict.fromkeys(opaque_parts(recipe))
    if yours:
        title += f"\n\nWhere it says ... stand parts of yours: {', '.join(yours)}\n".replace('"', "'")
    return "\n".join([f'"""{title}"""\n', *sorted(imports), "", *body]) + "\n"


def data_code(data: dict[str, Any], imports: set[str]) -> str:
    """The call that makes the loaders; `...` for those that were not made by a `DataBlock`."""
    if data["block"] is None:
        return "..."
    parts = "".join(f"    {k}={to_code(v, imports)},\n" for k, v in data["block"]["kwargs"].items())
    options = call_arguments({k: v for k, v in data.items() if k not in ("block", "source", "workers")}, imports)
    return f"sm.DataBlock(\n{parts}).dataloaders({to_code(data['source'], imports)}, {options})"


def fit_code(call: dict[str, Any], imports: set[str]) -> str:
    """A call as a line of the script."""
    if call["method"] == "dls":
        return "learn.dls = " + data_code(call["arguments"]["data"], imports)
    return f"learn.{call['method']}({call_arguments(call['arguments'], imports)})"


def call_arguments(arguments: dict[str, Any], imports: set[str]) -> str:
    return ", ".join(f"{k}={to_code(v, imports)}" for k, v in arguments.items())


def left_out(name: str, value: Any) -> bool:
    """Whether a setting is as it is without being given."""
    if name == "batch_norm":
        return bool(value == "train")
    zero = ("l1", "l2", "input_noise", "label_smoothing", "compile")
    return value is None or value == [] or (name in zero and value in (0, False))


def given_arguments(method: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call that differ from the method's defaults."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(method).parameters.items()}
    return {k: v for k, v in arguments.items() if v is not defaults[k] and v != defaults[k]}


def refuse_used(folder: Path) -> None:
    """`ValueError` if the folder holds another run: its history and checkpoints must not be mixed with new ones."""
    history = folder / "history.jsonl"
    if history.exists() and history.stat().st_size:
        raise ValueError(
            f"run_dir {folder} holds another run already. Give a new run_dir (a run that goes on from its weights can "
            f"load {folder / 'checkpoints' / 'last.safetensors'}), or delete it"
        )


def result_facts(learn: "Learner") -> dict[str, Any]:
    """What the epoch that the weights are of came to; nothing where they are of none (after `load`)."""
    row = row_of(learn.recorder.epochs, learn.weights_epoch)
    if row is None:
        return {}
    result = {"train_loss": row.train_loss, "valid_loss": row.valid_loss, **row.metrics}
    finite = {k: v if v is not None and math.isfinite(v) else None for k, v in result.items()}
    return {"epoch": row.epoch, "result": finite}


def named_weights(epoch: int | None) -> str:
    return "before the fit" if epoch is None else f"after epoch {epoch}"


def weights_path(folder: Path, file: str | Path) -> Path:
    """Where `save` writes: `folder/models/FILE.safetensors`, or a path with folders as it is."""
    named = Path(file)
    if not named.name:
        raise ValueError(f"give the file of weights a name, such as 'stage-1'; got {str(file)!r}")
    inside = named if named.is_absolute() or len(named.parts) > 1 else folder / "models" / named
    return inside if inside.suffix == ".safetensors" else inside.with_name(inside.name + ".safetensors")


def non_finite_message(learn: "Learner", error: NonFiniteLossError) -> str:
    """What broke, on which items, and what to try."""
    loader = learn.dls.train
    batch_number = (error.step - 1) % len(loader)
    indices = loader.indices(error.epoch, batch_number)
    names = loader.names(indices)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    text = f"{error}, batch {batch_number} of {len(loader)}. The batch's items: {', '.join(names[:SHOWN])}{more}."
    batch = next(iter(loader.epoch(error.epoch, start=batch_number)))
    broken = [n for n, bad in zip(names, non_finite_rows(batch), strict=True) if bad]
    if broken:
        return f"{text} Their values are NaN or infinite in: {', '.join(broken[:SHOWN])}. Mend or drop them."
    return f"{text} Their values are finite: lower the learning rate (learn.lr_find()) or clip with max_norm=1.0."


def non_finite_rows(batch: tuple[Any, ...]) -> list[bool]:
    """For each sample of the batch, whether any of its numbers is NaN or infinite."""
    bad = torch.zeros(len(batch[0]), dtype=torch.bool)
    for part in batch:
        if isinstance(part, Tensor) and part.is_floating_point():
            bad |= (~torch.isfinite(part)).reshape(len(part), -1).any(1).cpu()
    return bad.tolist()
