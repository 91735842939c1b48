"""What a learner writes about itself: its recipe as JSON and as code, and what to say when the loss breaks."""

import dataclasses
import inspect
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from satsuma.data.dataloaders import DataLoaders
from satsuma.learner.beginnings import NO_FITS, loaders_in_turn
from satsuma.learner.nan_report import gradients_told
from satsuma.learner.surroundings import hardware, versions
from satsuma.learner.table import row_of
from satsuma.ship.code import path_code, to_code
from satsuma.ship.recipe import described, opaque_parts, to_recipe
from satsuma.train.checkpoint import save_tensors, write_whole
from satsuma.train.fit import NonFiniteLossError

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN = 8  # items of a batch that a message lists
FIRST_WEIGHTS = "checkpoints/first.safetensors"  # below the run's folder
LOADER_OPTIONS = ("bs", "seed", "drop_last", "on_unreadable")  # of `dataloaders`, as the script gives them


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
        "data": data_recipe(loaders_in_turn(learn)[0]),
        "model": to_recipe(model),
        **({} if learn.made[0] == "Learner" else {"made": call_recipe(*learn.made)}),
        "settings": {name: to_recipe(value) for name, value in settings.items()},
        **({"hooks": [described(hook) for hook in learn.hooks]} if learn.hooks else {}),
        **slices_recipe(learn),
        **beginning_recipe(learn),
        "fits": [call_recipe(name, call) for name, call in learn.calls],
        "ends": [dataclasses.asdict(end) for end in learn.past.ends],
        "weights_epoch": learn.weights_epoch,
        "last_digest": learn.past.left,
        "versions": versions(),
        "hardware": {**hardware(learn.device), **processes_facts(learn)},
        "git": learn.past.git,
    }


def slices_recipe(learn: "Learner") -> dict[str, Any]:
    """That `micro` follows the memory, and when it changed: epoch, steps of the fit before it, `micro`."""
    if learn.slices is None:
        return {}
    return {"auto_micro": [list(dataclasses.astuple(change)) for change in learn.slices.changes]}


def processes_facts(learn: "Learner") -> dict[str, Any]:
    """How many processes trained together and how; nothing of one alone."""
    if learn.world.size == 1:
        return {}
    sync = {"sync_batch_norm": True} if learn.sync_batch_norm else {}
    return {"processes": learn.world.size, "parallel": learn.parallel, **sync}


def beginning_recipe(learn: "Learner") -> dict[str, Any]:
    """Where the weights before the first step come from, as far as the seed does not give them; and their digest."""
    past, found = learn.past, {}
    if past.weights_file is not None:
        found["weights_file"] = to_recipe(past.weights_file.absolute())
    if past.first is not None and learn.run_dir is not None:
        found["first_weights"] = to_recipe((learn.run_dir / FIRST_WEIGHTS).absolute())
    return {**found, "first_digest": past.first_digest}


def data_recipe(dls: DataLoaders) -> dict[str, Any]:
    """The loaders as JSON; `skipped`: the files that were left out and why, `items`: how many are in each loader.
    `fingerprints`: digests of them."""
    return {
        "block": None if dls.block is None else to_recipe(dls.block),
        "source": to_recipe(Path(dls.source).absolute())  # the recipe may be run from anywhere
        if isinstance(dls.source, str | Path)
        else {"opaque": repr(dls)},
        "bs": dls.bs,
        "seed": dls.train.seed,
        "workers": dls.train.workers,
        "drop_last": dls.train.drop_last,
        "items": [len(loader.dataset) for loader in dls.loaders],
        "fingerprints": dls.fingerprints,
        **({"on_unreadable": "skip", "skipped": to_recipe(dls.report.unreadable)} if dls.report.unreadable else {}),
    }


def call_recipe(name: str, call: dict[str, Any]) -> dict[str, Any]:
    """A call as JSON; that of new loaders, `dls`, holds them as JSON already."""
    return {"method": name, "arguments": call if name == "dls" else {k: to_recipe(v) for k, v in call.items()}}


def write_recipe(learn: "Learner", folder: Path) -> None:
    """Write `recipe.json` and `recipe.py` into the run's folder, and once the first weights if only it has them."""
    recipe = learner_recipe(learn)
    if learn.past.first is not None and not learn.past.ends:
        save_tensors(learn.past.first, folder / FIRST_WEIGHTS)
    write_whole(folder / "recipe.json", (json.dumps(recipe, indent=1) + "\n").encode())
    write_whole(folder / "recipe.py", recipe_code(recipe, folder.name).encode())


def recipe_code(recipe: dict[str, Any], name: str) -> str:
    """The recipe as a script that trains again."""
    imports = {"import satsuma as sm"}
    settings = recipe["settings"]
    lines = [f"    {k}={to_code(v, imports)}," for k, v in settings.items() if not left_out(k, v)]
    fits = fit_lines(recipe, imports)
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
    options = call_arguments({k: v for k, v in data.items() if k in LOADER_OPTIONS}, imports)
    return f"sm.DataBlock(\n{parts}).dataloaders({to_code(data['source'], imports)}, {options})"


def fit_lines(recipe: dict[str, Any], imports: set[str]) -> list[str]:
    """The calls as lines; before them, the weights to begin with if only the run's folder has them."""
    calls, lines = recipe["fits"], []
    if "first_weights" in recipe:  # what was loaded before the first fit is in them
        lines = [f"learn.load({path_code(recipe['first_weights'], imports)})"]
        fits = [i for i, call in enumerate(calls) if call["method"] not in NO_FITS]
        calls = [call for i, call in enumerate(calls) if call["method"] != "load" or i > fits[0]]
    return lines + [fit_code(call, imports) for call in calls]


def fit_code(call: dict[str, Any], imports: set[str]) -> str:
    """A call as a line of the script."""
    if call["method"] == "dls":
        return "learn.dls = " + data_code(call["arguments"]["data"], imports)
    if call["method"] == "changed":
        return "# here the weights were changed by something else than a fit"
    if call["method"] == "load":
        return f"learn.load({to_code(call['arguments']['file'], imports)})"
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


def has_history(folder: Path) -> bool:
    """Whether a run in the folder has made a step."""
    history = folder / "history.jsonl"
    return history.exists() and history.stat().st_size > 0


def refuse_used(folder: Path) -> None:
    """`ValueError` if the folder holds another run: its history and checkpoints must not be mixed with new ones."""
    if has_history(folder):
        raise ValueError(
            f"run_dir {folder} holds another run already. To go on with that run, give its first fit resume=True; else "
            f"give a new run_dir (which can begin with the weights {folder / 'checkpoints' / 'last.safetensors'}), or "
            f"delete it"
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
    advice = "Their values are finite: lower the learning rate (learn.lr_find()) or clip with max_norm=1.0."
    return f"{text} {advice} {gradients_told(learn, error)}"


def non_finite_rows(batch: tuple[Any, ...]) -> list[bool]:
    """For each sample of the batch, whether any of its numbers is NaN or infinite."""
    bad = torch.zeros(len(batch[0]), dtype=torch.bool)
    for part in batch:
        if isinstance(part, Tensor) and part.is_floating_point():
            bad |= (~torch.isfinite(part)).reshape(len(part), -1).any(1).cpu()
    return bad.tolist()
