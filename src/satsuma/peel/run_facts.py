"""What is constant in this run, and what it never calls: said before lifting, so that it is not even copied."""

import ast
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.data.paths import LabelPath, PlainPath
from satsuma.data.samples import Samples, get_value
from satsuma.nn.registry import NETWORKS
from satsuma.nn.timm_body import TimmBody
from satsuma.nn.transfer import TransferModel
from satsuma.optim.schedules import constant
from satsuma.peel.describe import FitStage
from satsuma.peel.edits import Text
from satsuma.peel.optimizer_code import optimizer_of
from satsuma.peel.picture_facts import facts_of_pictures, picture_texts, without_fields
from satsuma.peel.words import Words
from satsuma.vision.path import ImagePath

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

ON_CPU = {
    "torch.cuda.is_initialized()": "False",
    "torch.backends.mps.is_available()": "False",
    "epoch_order(len(self.tensors[0]), self.seed, epoch).to(self.tensors[0].device)": (
        "epoch_order(len(self.tensors[0]), self.seed, epoch)"
    ),
}
WITHOUT_NOISE = tuple(
    getattr(nn, name)
    for name in [
        "Sequential",
        "Linear",
        "Flatten",
        "Identity",
        "Conv2d",
        "BatchNorm1d",
        "BatchNorm2d",
        "MaxPool2d",
        "AvgPool2d",
        "AdaptiveAvgPool2d",
        "ReLU",
        "LeakyReLU",
        "Sigmoid",
        "Tanh",
        "Softmax",
        "LogSoftmax",
        "GELU",
    ]
)
NOT_TIMED = {f'clock.lap("{stage}")': "None" for stage in ("decode", "warp", "colour", "other")}
FROM_FILES = {"isinstance(source, np.ndarray)": "False", "isinstance(source, Image.Image)": "False"}


def facts_of(learn: "Learner", stages: Sequence[FitStage], words: Words) -> dict[str, str]:
    """Expressions of the library, with what they are throughout this run."""
    facts = {"isinstance(batch, tuple | list)": "True"}
    facts |= {"operator.index(seed)": "seed", "operator.index(key)": "key"}  # whole numbers already
    facts |= ON_CPU if learn.device.type == "cpu" else {}
    facts |= loop_facts(learn, stages)
    if type(learn.model).__module__.startswith(("torch.nn.", "satsuma.nn.")):
        facts["isinstance(first, Tensor)"] = "True"  # of what the model gives
    if isinstance(learn.dls.train.dataset, Samples):
        facts |= sample_facts(learn.dls.train.dataset)
    if words.pictures is not None:
        facts |= facts_of_pictures(words.pictures)
    for path in image_paths(learn.dls):
        facts |= NOT_TIMED
        if not has_foreign(path) and reads_files(learn.dls):
            facts |= FROM_FILES
    return facts


def sample_facts(samples: Samples) -> dict[str, str]:
    """What a loader need not ask of the samples that a `DataBlock` makes."""
    facts = {
        'callable(getattr(self.dataset, "batch", None))': "True",
        'getattr(self.dataset, "needs_processes", False)': str(samples.needs_processes),
        'getattr(dataset, "needs_processes", False)': str(samples.needs_processes),
        'getattr(dataset, "random", False)': str(samples.random),
        'hasattr(dataset, "sample") and hasattr(dataset, "random")': "True",
    }
    if sum(path.random for path in samples.paths) <= 1:
        facts["sum(path.random for path in self.paths) > 1"] = "False"
    return facts


def loop_facts(learn: "Learner", stages: Sequence[FitStage]) -> dict[str, str]:
    """What the loop need not ask: whether there is a momentum to set, a rate to change, a noise to seed."""
    facts = {}
    if all(stage.momentum is not None for stage in stages):
        facts["run.momentum is not None"] = "True"
    settings = optimizer_of(learn).param_groups[0]
    facts |= {f'"{name}" in group': str(name in settings) for name in ("betas", "momentum")}
    still = all(stage.schedule is constant and stage.momentum is None for stage in stages)
    if still and learn.splitter is None and not learn.hooks:
        facts["set_rates(run)"] = "None"
    still = not learn.input_noise and all(type(layer) in WITHOUT_NOISE for layer in learn.model.modules())
    if still and not runs_foreign(learn, stages):
        facts["seed_step(run)"] = "None"
    return facts


def runs_foreign(learn: "Learner", stages: Sequence[FitStage]) -> bool:
    """Whether code of the user's runs between a step's seed and the next, and may draw random numbers there."""
    parts = [learn.loss_func, learn.opt_func, *learn.metrics, *learn.hooks]
    parts += [part for stage in stages for part in (stage.schedule, stage.momentum) if part is not None]
    parts += [loader.dataset for loader in learn.dls.loaders]
    return not all(map(is_ours, parts))


def is_ours(part: Any) -> bool:
    """Whether a part is the library's or torch's, whatever it was given before."""
    while isinstance(part, functools.partial):
        part = part.func
    module = getattr(part, "__module__", None) or type(part).__module__
    return module.split(".")[0] in ("satsuma", "torch")


def rewriting_of(learn: "Learner", words: Words) -> Callable[[str], str] | None:
    """How the library's text is changed before it is looked into; None for not at all."""
    known = known_network(learn.model, words)
    uncalled: dict[str, tuple[str, ...]] = {}
    for path in image_paths(learn.dls):
        if not has_foreign(path):
            for stage in path.stages:
                uncalled |= {type(t).__name__: ("__call__",) for t in (*stage.fused, *stage.effects)}
    settled: dict[str, str] = {}
    if words.pictures is not None:
        texts, methods, settled = picture_texts(words.pictures.train.dataset.paths[0])
        known, uncalled = known | texts, uncalled | methods
    if not known and not uncalled:
        return None
    return functools.partial(rewritten, known=known, uncalled=uncalled, settled=settled)


def rewritten(
    text: str, known: Mapping[str, str], uncalled: Mapping[str, tuple[str, ...]], settled: Mapping[str, str]
) -> str:
    """`text` with each expression of `known` replaced by what it is, and without the methods that no one calls.

    `settled`: the fields of `ColourMap` that are the same in all of them.
    """
    if known:
        pattern = "|".join(re.escape(expression) for expression in known)
        text = re.sub(rf"(?<![\w.])(?:{pattern})(?!\w)", lambda found: known[found[0]], text)
    name = re.search(r"^class (\w+)", text, re.MULTILINE)
    if name is None or name[1] not in uncalled:
        return text
    source = Text(text)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and node.name in uncalled[name[1]]:
            source.remove_lines(node)
    text = source.changed().rstrip() + "\n"
    return without_fields(text, settled) if settled and name[1] == "ColourMap" else text


def known_network(model: nn.Module, words: Words) -> dict[str, str]:
    """For a transfer model: the architecture that the tables of all networks come down to."""
    if not isinstance(model, TransferModel) or isinstance(model.body, TimmBody):
        return {}
    words.name(NETWORKS[model.arch])
    cut = model.cut
    return {
        "NETWORKS[arch]": model.arch,
        "arch not in NETWORKS": "False",
        "nearest(arch, NETWORKS)": "arch",
        "arch.startswith(TIMM)": "False",
        "CUTS[type(network).__name__]": f"Cut({cut.classifier!r}, {cut.first_group})".replace("'", '"'),
        "isinstance(body, TimmBody)": "False",
        "isinstance(model.body, TimmBody)": "False",
    }


def image_paths(dls: Any) -> list[ImagePath]:
    """The paths of the samples that are pictures."""
    return [path for path in getattr(dls.train.dataset, "paths", ()) if isinstance(path, ImagePath)]


def has_foreign(path: ImagePath) -> bool:
    return any(stage.foreign is not None for stage in path.stages)


def reads_files(dls: Any) -> bool:
    """Whether every picture is read from a path."""
    samples: Samples = dls.train.dataset
    if not all(isinstance(path, ImagePath | PlainPath | LabelPath) for path in samples.paths):  # masks are opened too
        return False
    getters = [g for g, path in zip(samples.getters, samples.paths, strict=True) if isinstance(path, ImagePath)]
    return all(isinstance(get_value(getter, item), str | Path) for getter in getters for item in samples.items)
