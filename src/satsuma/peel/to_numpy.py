"""The script at depth `numpy`: the run with NumPy alone, every gradient by hand."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from satsuma.data.seeds import WEIGHTS, mix_seed
from satsuma.ladder.numpy import seeds as numpy_seeds
from satsuma.ladder.numpy import train as numpy_train
from satsuma.ladder.numpy.model import load_state, set_dtype, state
from satsuma.ladder.numpy.random import Generator
from satsuma.peel.describe import Beginning, FitStage, stages_of
from satsuma.peel.main_code import seed_text
from satsuma.peel.numpy_parts import Parts, dtype_of, parts_of
from satsuma.peel.numpy_stages import batches_code, numpy_loop_code, numpy_settings_code, spelled_state, stages_code
from satsuma.peel.numpy_terms import built, no_twin, spelled_term
from satsuma.peel.pieces import Draft
from satsuma.peel.title import title_of
from satsuma.peel.unroll import indented

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

WITH_BIAS = (nn.Linear, nn.Conv2d)


def numpy_draft(learn: "Learner", beginning: Beginning) -> Draft:
    """The script of a learner's run, before it is lifted. Raises `PeelError` for what has no twin in NumPy."""
    stages = stages_of(learn)
    parts = parts_of(learn, stages)
    words = parts.words
    words.imports |= {"import argparse", "import time", "from pathlib import Path", "import numpy as np"}
    if len(stages) == 1:
        settings, arguments = numpy_settings_code(learn, parts, stages[0], "args.epochs")
        given = {**arguments, "epochs": "args.epochs", "seed": "args.seed", "first_epoch": "0"}
        fit, training = "", f"{batches_code(parts)}\n{settings}\n\n{numpy_loop_code(learn, parts, stages[0], given)}"
    else:
        fit, training = stages_code(learn, parts, stages)
    texts = [fit, numpy_main_code(learn, beginning, parts, stages, training)]
    facts = {"generator is not None": "True"} if parts.random else {}
    if learn.mixup is not None:
        facts["mix is not None"] = "True"
    if all(layer.bias is not None for layer in learn.model.modules() if isinstance(layer, WITH_BIAS)):
        facts['"bias" in self.parameters'] = "True"
    if learn.mixup is None and not parts.train.tensors[1].is_floating_point():
        facts["targets.ndim == 2"] = "False"  # of a classifier's targets
    if len(stages) == 1:
        facts |= {"schedule is not None": "True", "momentum is not None": "True"}
    return Draft(
        title=title_of(learn, beginning, stages, "numpy", has_arrays=True),
        main="\n\n\n".join(text for text in texts if text),
        names=words.names,
        imports=tuple(sorted(words.imports)),
        facts=facts,
        arrays=words.arrays,
    )


# --- data and model -----------------------------------------------------------------------------------------------


def numpy_main_code(learn: "Learner", beginning: Beginning, parts: Parts, stages: list[FitStage], training: str) -> str:
    """`main`: arguments, data, model, `training`, weights."""
    body = [numpy_data_code(parts), numpy_model_code(learn, beginning, parts), training]
    body.append(f'np.savez(args.out, **{spelled_state(parts)})\nprint(f"weights: {{args.out}}")\nreturn losses')
    last = " of the last stage" if len(stages) > 1 else ""
    options = f"""parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--data", type=Path, default=Path(__file__).with_suffix(".npz"), help="the arrays of the run")
parser.add_argument("--epochs", type=int, default={stages[-1].epochs}, help="epochs{last}")
parser.add_argument("--seed", type=int, default={learn.seed}, help="{seed_text(learn, beginning)}")
parser.add_argument("--out", type=Path, default=Path("weights.npz"), help="where the weights go")
args = parser.parse_args(arguments)"""
    text = "\n\n".join(indented(part, 4) for part in body)
    return f'''def main(arguments: list[str] | None = None) -> list[float]:
    """Train as the run did; the loss of every step."""
{indented(options, 4)}

{text}'''


def numpy_data_code(parts: Parts) -> str:
    """The arrays, training and validation."""
    lines = ["arrays = np.load(args.data)"]
    for name, batches in (("train", parts.train), ("valid", parts.valid)):
        if batches is None:
            continue
        for place, tensor in enumerate(batches.tensors):
            parts.words.array(f"{name}_{place}", tensor)
        x = f'arrays["{name}_0"]'
        if parts.pixels and batches.tensors[0].dtype == torch.uint8:
            x = f"{parts.words.name(numpy_train.pixels_to_float)}({x})"
        lines.append(f'{name}_x, {name}_y = {x}, arrays["{name}_1"]')
    return "\n".join(lines)


def numpy_model_code(learn: "Learner", beginning: Beginning, parts: Parts) -> str:
    """The model with its first weights."""
    words = parts.words
    words.name(numpy_seeds.mix_seed)
    words.named("WEIGHTS", numpy_seeds.WEIGHTS)
    lines = [
        f"generator = {words.name(Generator)}(mix_seed(args.seed, WEIGHTS))",
        f"model = {spelled_term(parts.model, words.names)}",
    ]
    weights = numpy_weights(learn, beginning, parts)
    if dtype_of(learn.model) is np.float64:
        lines.append(f"{words.name(set_dtype)}(model, np.float64)")
    if weights is not None:
        for name, tensor in weights.items():
            words.array(f"weights.{name}", tensor)
        words.name(load_state)
        lines.append(f'load_state(model, {{name: arrays[f"weights.{{name}}"] for name in {spelled_state(parts)}}})')
    return "\n".join(lines)


def numpy_weights(learn: "Learner", beginning: Beginning, parts: Parts) -> Any:
    """The weights that go into the file; None where the layers' own first numbers from the seed are those."""
    if beginning.weights is not None:
        return beginning.weights
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(mix_seed(learn.seed, WEIGHTS))
    try:
        again = learn.maker()
    finally:
        torch.set_rng_state(before)
    if any(nn.parameter.is_lazy(p) for p in again.parameters()):
        raise no_twin("layers that wait for their first input", "give them their sizes")
    twin = built(parts.model, Generator(mix_seed(learn.seed, WEIGHTS)))
    set_dtype(twin, dtype_of(learn.model))
    theirs = again.state_dict()
    ours = state(twin)
    same = all(np.array_equal(ours[name], tensor.detach().cpu().numpy()) for name, tensor in theirs.items())
    return None if same else theirs
