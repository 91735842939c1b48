"""The script at depth `torch`: the run in plain PyTorch, its loop unrolled, every value spelled out."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from satsuma.data.seeds import WEIGHTS, mix_seed
from satsuma.errors import PeelError
from satsuma.nn.transfer import TransferModel
from satsuma.peel.array_code import ARRAYS, lies_in_arrays
from satsuma.peel.data_code import loaders_code
from satsuma.peel.describe import Beginning, stages_of
from satsuma.peel.loop_code import evaluate_code, loop_code
from satsuma.peel.main_code import main_code
from satsuma.peel.picture_code import has_plain_pictures
from satsuma.peel.pieces import Draft
from satsuma.peel.rebuild import HOOKS, STATE_OF_MODULES, arguments_of, same_value
from satsuma.peel.run_facts import facts_of, rewriting_of
from satsuma.peel.stage_code import stage_fit_code
from satsuma.peel.style import Style
from satsuma.peel.title import title_of
from satsuma.peel.words import Words
from satsuma.train.loop import kept_random_states

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

PLAIN = (bool, int, float, str, tuple, type(None))
RGB = 3  # channels of the pictures that networks were trained on
TORCH = Style(loaders=loaders_code, evaluation=evaluate_code, loops=loop_code)


def torch_draft(
    learn: "Learner",
    beginning: Beginning,
    *,
    depth: str = "torch",
    style: Style = TORCH,
    hidden: frozenset[str] = frozenset(),
) -> Draft:
    """The script of a learner's run, before it is lifted. Raises `PeelError` for what no script can hold.

    `hidden`: names of the user's that need a second one, as `hidden_names` finds them.
    """
    refuse_states(learn)
    words = Words(at_loop=depth == "loop", hidden=hidden)
    words.imports |= {"import argparse", "import time", "from pathlib import Path", "import torch"}
    words.imports.add("from safetensors.torch import save_file")
    stages = stages_of(learn)
    if style is TORCH and not any(stage.data for stage in stages) and has_plain_pictures(beginning.loaders[0]):
        words.pictures = beginning.loaders[0]
    if style is TORCH and lies_in_arrays(learn, stages):
        style = ARRAYS
    evaluation = style.evaluation(learn, words)
    fit = stage_fit_code(learn, stages, words, style) if len(stages) > 1 else ""
    main = main_code(learn, beginning, stages, words, style)
    if style is ARRAYS:
        main = main.replace("len(train_data)", "batches")
    parts = [*words.helpers.values(), evaluation, fit, main]
    rewrite = rewriting_of(learn, words)
    return Draft(
        title=title_of(learn, beginning, stages, depth, has_arrays=bool(words.arrays)),
        main="\n\n\n".join(part for part in parts if part),
        names=words.names,
        imports=tuple(sorted(words.imports)),
        facts=facts_of(learn, stages, words) | model_facts(learn),
        arrays=words.arrays,
        written=words.written,
        rewrite=rewrite,
    )


def model_facts(learn: "Learner") -> dict[str, str]:
    """What a transfer model need not ask: whether its outputs are kept in a range, or its first layer adapted."""
    facts = {}
    if isinstance(learn.model, TransferModel):
        if learn.model.y_range is None:
            facts["self.y_range"] = "None"
        if learn.model.in_channels == RGB:
            facts["first in given and given[first].ndim == 4"] = "False"
            facts["next(name for name, value in own.items() if value.ndim == 4)"] = '""'
    return facts


def refuse_states(learn: "Learner") -> None:
    """Raise `PeelError` for what is set by hand in the model and stands in no recipe."""
    for part in (learn.loss_func, *learn.metrics):
        if isinstance(part, nn.Module) and not draws_same(part):
            raise PeelError(
                f"peel: {type(part).__name__} has weights or counts of its own that its arguments do not give, and a "
                f"script would begin with others; hand them to it as an argument"
            )
    if changed := changed_layer(learn):
        raise PeelError(
            f"peel: {changed} of the model is not as the function that built it makes it: it was changed by hand, "
            f"which no script would know; do it in that function"
        )
    known = {id(layer) for layer in learn.resting}
    if learn.model.training and not isinstance(learn.model, TransferModel):
        for name, layer in learn.model.named_modules():
            if not layer.training and id(layer) not in known:
                raise PeelError(
                    f"the layer {name} was put into evaluation mode by hand, which no script of the run would know; "
                    f"do it within the model's own train(), or freeze it by learn.freeze_to()"
                )


def draws_same(module: nn.Module) -> bool:
    """Whether a loss or metric that is a module has the state that its arguments build."""
    held, found = module.state_dict(), arguments_of(module)
    if not held or isinstance(found, str):
        return True  # nothing to lose, or refused where it is spelled out
    with torch.random.fork_rng(devices=[]):
        try:
            again = type(module)(*found[0], **found[1])
        except Exception:  # constructors given what they do not expect raise nearly anything
            return True
    return same_value(dict(held), dict(again.to(next(iter(held.values())).device).state_dict()))


def changed_layer(learn: "Learner") -> str:
    """The first layer that the function that built the model makes otherwise; "" if none, and where nobody can tell."""
    if isinstance(learn.maker, nn.Module) or learn.made[0] != "Learner":
        return ""
    with kept_random_states():
        torch.manual_seed(mix_seed(learn.seed, WEIGHTS))
        again = learn.maker()
    if any(nn.parameter.is_lazy(p) for p in again.parameters()):
        return ""
    made, now = dict(again.named_modules()), dict(learn.model.named_modules())
    for name in (*now, *(n for n in made if n not in now)):
        if name not in made or name not in now or facts_of_layer(made[name]) != facts_of_layer(now[name]):
            return f"the layer {name}" if name else f"the {type(learn.model).__name__}"
    return ""


def facts_of_layer(layer: nn.Module) -> list[str]:
    """What a layer is, but for its weights and the layers in it: its class, settings that are plain, and hooks."""
    plain = sorted(f"{k}={v!r}" for k, v in vars(layer).items() if k not in STATE_OF_MODULES and isinstance(v, PLAIN))
    parts = [f"{k} {list(v.shape)}" for k, v in layer.named_parameters(recurse=False)]
    return [str(type(layer)), layer.extra_repr(), *plain, *parts, *(f"{k}: {len(getattr(layer, k))}" for k in HOOKS)]
