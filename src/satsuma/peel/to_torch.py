"""The script at depth `torch`: the run in plain PyTorch, its loop unrolled, every value spelled out."""

from typing import TYPE_CHECKING

from satsuma.errors import PeelError
from satsuma.hooks.progress import duration, number, table_line
from satsuma.nn.transfer import TransferModel
from satsuma.peel.data_code import loaders_code
from satsuma.peel.describe import Beginning, stages_of
from satsuma.peel.loop_code import columns_code, evaluate_code, loop_code
from satsuma.peel.main_code import main_code
from satsuma.peel.pieces import Draft
from satsuma.peel.run_facts import facts_of, rewriting_of
from satsuma.peel.stage_code import stage_fit_code
from satsuma.peel.style import Style
from satsuma.peel.title import title_of
from satsuma.peel.words import Words

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

TORCH = Style(loaders=loaders_code, evaluation=evaluate_code, loops=loop_code)


def torch_draft(learn: "Learner", beginning: Beginning, *, depth: str = "torch", style: Style = TORCH) -> Draft:
    """The script of a learner's run, before it is lifted. Raises `PeelError` for what no script can hold."""
    refuse_states(learn)
    words = Words()
    words.imports |= {"import argparse", "import time", "from pathlib import Path", "import torch"}
    words.imports.add("from safetensors.torch import save_file")
    stages = stages_of(learn)
    for function in (number, duration, table_line):
        words.name(function)
    parts = [columns_code(learn), style.evaluation(learn, words)]
    if len(stages) > 1:
        parts.append(stage_fit_code(learn, stages, words, style))
    parts.append(main_code(learn, beginning, stages, words, style))
    rewrite = rewriting_of(learn, words)
    return Draft(
        title=title_of(learn, beginning, stages, depth, has_arrays=bool(words.arrays)),
        main="\n\n\n".join(part for part in parts if part),
        names=words.names,
        imports=tuple(sorted(words.imports)),
        facts=facts_of(learn, stages),
        arrays=words.arrays,
        rewrite=rewrite,
    )


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
