"""The script at depth `torch`: the run in plain PyTorch, its loop unrolled, every value spelled out."""

from typing import TYPE_CHECKING

from satsuma.errors import PeelError
from satsuma.nn.transfer import TransferModel
from satsuma.peel.array_code import ARRAYS, lies_in_arrays
from satsuma.peel.data_code import loaders_code
from satsuma.peel.describe import Beginning, stages_of
from satsuma.peel.loop_code import evaluate_code, loop_code
from satsuma.peel.main_code import main_code
from satsuma.peel.picture_code import has_plain_pictures
from satsuma.peel.pieces import Draft
from satsuma.peel.run_facts import facts_of, rewriting_of
from satsuma.peel.stage_code import stage_fit_code
from satsuma.peel.style import Style
from satsuma.peel.title import title_of
from satsuma.peel.words import Words

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

RGB = 3  # channels of the pictures that networks were trained on
# a script's seeds are whole numbers already
WHOLE_SEEDS = {"operator.index(seed)": "seed", "operator.index(key)": "key"}
TORCH = Style(loaders=loaders_code, evaluation=evaluate_code, loops=loop_code)


def torch_draft(learn: "Learner", beginning: Beginning, *, depth: str = "torch", style: Style = TORCH) -> Draft:
    """The script of a learner's run, before it is lifted. Raises `PeelError` for what no script can hold."""
    refuse_states(learn)
    words = Words(at_loop=depth == "loop")
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
        facts=facts_of(learn, stages, words) | WHOLE_SEEDS | model_facts(learn),
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
    known = {id(layer) for layer in learn.resting}
    if learn.model.training and not isinstance(learn.model, TransferModel):
        for name, layer in learn.model.named_modules():
            if not layer.training and id(layer) not in known:
                raise PeelError(
                    f"the layer {name} was put into evaluation mode by hand, which no script of the run would know; "
                    f"do it within the model's own train(), or freeze it by learn.freeze_to()"
                )
