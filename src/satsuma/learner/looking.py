"""A learner's model, looked into: heat maps, activations, its layers as a table and as a graph."""

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from satsuma.data.blocks import CategoryBlock
from satsuma.data.multi_category import label_text
from satsuma.data.show import as_picture, undone
from satsuma.errors import nearest
from satsuma.inspect.activations import Activations, activations
from satsuma.inspect.heat_map import HeatPicture, heat_map
from satsuma.inspect.model_graph import ModelGraph, model_graph
from satsuma.inspect.model_table import ModelTable, model_table
from satsuma.inspect.samples import picture_bytes, sample_batch
from satsuma.inspect.watched import in_precision_of
from satsuma.learner.features import refuse_stale

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def inputs_of(learn: "Learner", item: Any, ds_idx: int) -> tuple[Tensor, ...]:
    """The inputs [1 ...] of sample number `item` of a loader, or of an item of the user's, as validation sees them."""
    if isinstance(item, bool) or not isinstance(item, int | np.integer):
        return in_precision_of(learn.model, learn.predictor().inputs([item]))
    n, place = len(learn.loader(None, ds_idx).dataset), int(item)
    if not -n <= place < n:
        raise ValueError(f"there is no sample {place}: the loader {ds_idx} has {n:,} (0 to {n - 1})")
    return first_samples(learn, ds_idx, [place % n])


def first_samples(learn: "Learner", ds_idx: int, places: list[int]) -> tuple[Tensor, ...]:
    """The inputs of these samples of a loader, each [B ...], on the learner's device."""
    refuse_stale(learn)
    return in_precision_of(learn.model, sample_batch(learn.dls, ds_idx, places)[: learn.dls.n_inp])


def some_inputs(learn: "Learner", n: int) -> tuple[Tensor, ...]:
    """Up to `n` samples of the validation data, or of the training data where nothing is held out."""
    ds_idx = 0 if learn.dls.valid is None else 1
    return first_samples(learn, ds_idx, list(range(min(n, len(learn.dls[ds_idx].dataset)))))


def learner_heat(
    learn: "Learner", item: Any, *, target: int | str | None, layer: str | None, ds_idx: int
) -> HeatPicture:
    """`Learner.heat_map`."""
    inputs = inputs_of(learn, item, ds_idx)
    if inputs[0].ndim != 4:
        raise ValueError(f"heat_map: the data are no pictures: a sample is {list(inputs[0].shape[1:])}, not [C H W]")
    wanted = wanted_output(learn, target)
    heat = heat_map(learn.model, inputs, layer=layer, target=wanted)[0]
    scores, said = answer(learn, inputs)
    chosen = int(scores.argmax()) if wanted is None else wanted
    vocab = learn.dls.vocab
    names = label_text(vocab[chosen]) if chosen < len(vocab) and len(scores) == len(vocab) else f"output {chosen}"
    return HeatPicture(picture_bytes(as_picture(undone(learn.dls, inputs[0][0]))), heat, said, f"where it sees {names}")


def answer(learn: "Learner", inputs: tuple[Tensor, ...]) -> tuple[Tensor, str]:
    """What the model gives for one sample, [K], and its answer in words."""
    predictor = learn.predictor()
    outputs = predictor.outputs(inputs)
    found = predictor.answers(outputs)[0]
    shares = found.probabilities.flatten()
    single = learn.dls.targets and isinstance(learn.dls.targets[0], CategoryBlock) and shares.numel() > 1
    sure = f" ({float(shares.max()):.0%})" if single else ""
    return outputs.float().flatten().cpu(), f"said {label_text(found.label)}{sure}"


def wanted_output(learn: "Learner", target: int | str | None) -> int | None:
    """The number of an output that is given by its number or by its class's name."""
    if target is None or (isinstance(target, int) and not isinstance(target, bool)):
        return target
    names = [str(name) for name in learn.dls.vocab]
    if str(target) not in names:
        raise ValueError(f"heat_map: there is no class {target!r}: {nearest(str(target), names)}")
    return names.index(str(target))


def summary_of(learn: "Learner") -> ModelTable:
    """`Learner.summary`."""
    return model_table(learn.model, some_inputs(learn, 1))


def graph_of(learn: "Learner") -> ModelGraph:
    """`Learner.model_graph`."""
    return model_graph(learn.model, some_inputs(learn, 1))


def activations_of(learn: "Learner", n: int) -> Activations:
    """`Learner.activations`."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"activations: n is a whole number of samples, 1 or more, got {n!r}")
    return activations(learn.model, some_inputs(learn, n))
