"""The code of `main`: arguments, data, model, stages, weights."""

import functools
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.data.seeds import WEIGHTS, mix_seed
from satsuma.nn.cnn import small_cnn
from satsuma.nn.linear import linear_model, logistic_regression, mlp, simple_net
from satsuma.nn.transfer import load_body
from satsuma.peel.data_code import has_source
from satsuma.peel.describe import Beginning, FitStage
from satsuma.peel.stage_code import freeze_code, layer_groups_code, needs_freezing, run_code, settings_code, stage_code
from satsuma.peel.style import Style
from satsuma.peel.unroll import indented
from satsuma.peel.words import Words
from satsuma.train.precision import has_convolutions

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

NPZ = 'Path(__file__).with_suffix(".npz")'  # the file beside the script
# functions that give an nn.Sequential or nn.Linear whose layers draw their weights in their order
STACKS = tuple(inspect.unwrap(f) for f in (linear_model, logistic_regression, simple_net, mlp, small_cnn))


def main_code(learn: "Learner", beginning: Beginning, stages: list[FitStage], words: Words, style: Style) -> str:
    """`main`: arguments, data, model, stages, weights."""
    body = []
    if len(stages) == 1:
        body.append(settings_code(learn, stages[0], words, "args.epochs"))
        run = run_code(learn, words, seed="args.seed")
        body.append(f"{run}\n{style.loops(learn, stages[0], words, 'args.epochs', '')}")
    else:
        body.append("losses: list[float] = []")
        if any(stage.early_stopping is not None for stage in stages[:-1]):
            words.imports.add("import math")
            body.append("epochs_done = 0")
        body += [stage_code(learn, beginning, stages, place, words, style) for place in range(len(stages))]
    start = [freeze_code(learn, stages[0].first, words)] if needs_freezing(stages) else []
    if re.search(r"\bgroups\b", "\n".join([*start, *body])):
        start.insert(0, layer_groups_code(learn, words))
    body = [data_and_model_code(learn, beginning, words, style), "\n".join(start), *body]
    body.append(
        "save_file({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}, args.out)\n"
        'print(f"weights: {args.out}")\n'
        "return losses"
    )
    text = "\n\n".join(indented(part, 4) for part in body if part)
    options = arguments_code(learn, beginning, stages, words)
    return f'''def main(arguments: list[str] | None = None) -> list[float]:
    """Train as the run did; the loss of every step."""
{indented(options, 4)}

{text}'''


def arguments_code(learn: "Learner", beginning: Beginning, stages: list[FitStage], words: Words) -> str:
    """The command line's options."""
    source = words.value(beginning_source(beginning)) if has_source(beginning.loaders[0]) else ""
    default = source or NPZ
    told = "the folder or file of the data" if source else "the arrays of the run"
    last = " of the last stage" if len(stages) > 1 else ""
    lines = ["parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)"]
    if source or words.arrays:
        lines.append(f'parser.add_argument("--data", type=Path, default={default}, help="{told}")')
    if source and words.arrays:
        lines.append(f'parser.add_argument("--arrays", type=Path, default={NPZ}, help="what else the run began with")')
    if beginning.weights_file is not None and beginning.weights is None:
        file = words.value(beginning.weights_file.absolute())
        lines.append(f'parser.add_argument("--weights", type=Path, default={file}, help="of the trained network")')
    lines += [
        f'parser.add_argument("--epochs", type=int, default={stages[-1].epochs}, help="epochs{last}")',
        f'parser.add_argument("--seed", type=int, default={learn.seed}, help="{seed_text(learn, beginning)}")',
        'parser.add_argument("--out", type=Path, default=Path("weights.safetensors"), help="where the weights go")',
        "args = parser.parse_args(arguments)",
    ]
    return "\n".join(lines)


def seed_text(learn: "Learner", beginning: Beginning) -> str:
    """What the seed of the command line decides; loaders may have one of their own."""
    same = all(dls.train.seed == learn.seed for dls in beginning.loaders)
    return "of weights, order and noise" if same else "of weights and noise"


def beginning_source(beginning: Beginning) -> Path:
    return Path(beginning.loaders[0].source).absolute()


def data_and_model_code(learn: "Learner", beginning: Beginning, words: Words, style: Style) -> str:
    """The first loaders, and the model with its first weights."""
    data = style.loaders(beginning.loaders[0], words, learn.seed, "")
    model = model_code(learn, beginning, words)
    source = has_source(beginning.loaders[0])
    if words.arrays:
        words.imports.add("import numpy as np")
        data = f"arrays = np.load({'args.arrays' if source else 'args.data'})\n{data}"
    return f"{data}\n\n{model}"


def model_code(learn: "Learner", beginning: Beginning, words: Words) -> str:
    """The model, its first weights, its place in memory."""
    words.name(mix_seed)
    words.named("WEIGHTS", WEIGHTS)
    source = learn.maker
    if isinstance(source, nn.Module):
        lines = [f"model = {words.value(source)}"]
    else:
        lines = ["torch.manual_seed(mix_seed(args.seed, WEIGHTS))", f"model = {called_maker(learn, words)}"]
    if beginning.weights is not None:
        for name, tensor in beginning.weights.items():
            words.array(f"weights.{name}", tensor)
        lines.append(
            'model.load_state_dict({name: torch.from_numpy(arrays[f"weights.{name}"]) for name in model.state_dict()})'
        )
    elif beginning.weights_file is not None:
        words.name(load_body)
        words.imports.add("from safetensors.torch import load_file")
        lines.append("load_body(model, load_file(args.weights))")
    if learn.device.type != "cpu":
        lines.append(f"model = model.to({words.value(learn.device)})")
    if has_convolutions(learn.model):
        lines.append("model = model.to(memory_format=torch.channels_last)  # the layout convolutions are fastest in")
    if learn.compile:
        backend = "" if learn.compile is True else f'backend="{learn.compile}"'
        lines.append(f"model.compile({backend})")
    return "\n".join(lines)


def called_maker(learn: "Learner", words: Words) -> str:
    """The call of the function that makes the model; of a plain stack of layers, the layers themselves."""
    source = learn.maker
    if inspect.unwrap(getattr(source, "func", source)) in STACKS:
        return words.value(learn.model)
    if not isinstance(source, functools.partial):
        return f"{words.value(source)}()"
    keywords = source.keywords
    if getattr(source.func, "__module__", "").startswith("satsuma."):
        known = inspect.signature(source.func).parameters
        keywords = {k: v for k, v in keywords.items() if k not in known or not is_own_default(v, known[k].default)}
    given = [words.value(v) for v in source.args] + [f"{k}={words.value(v)}" for k, v in keywords.items()]
    return f"{words.value(source.func)}({', '.join(given)})"


def is_own_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, bool | int | float | str | None) and value == default
