"""What a run's model says of one new item: the answer, where in the picture it looked, what it is like.

K classes, D features.
"""

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.data.arrays import pixels_to_float
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.samples import Samples, get_value
from satsuma.data.show import as_picture
from satsuma.functional.links import activation_for
from satsuma.inspect.answers import Answers, read_answers
from satsuma.inspect.heat_map import heat_map, overlay
from satsuma.inspect.predictions import FeatureWatch, Predictions
from satsuma.inspect.samples import looks_like_picture, picture_bytes, sample_batch
from satsuma.ship.model_file import load_learner
from satsuma.ship.predictor import Predictor
from satsuma.vision.blocks import ImageBlock

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders
    from satsuma.learner.learner import Learner

SHOWN_SIDE = 336  # pixels of the longer side of the pictures shown
MOST_VALUES = 100_000  # of a row that is typed


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the model says of one item. `picture`, `heat`: uint8 [H W 3]; None where there are none."""

    answers: Answers  # of one sample
    picture: np.ndarray | None
    heat: np.ndarray | None  # the picture under the heat map
    features: np.ndarray | None  # float32 [D], to compare with those of the data
    seconds: float  # from the item to its answer


class Trials:
    """Tries a model on one item at a time. `dls`: the data that it was trained on, None where they are not at hand."""

    def __init__(self, predictor: Predictor, dls: "DataLoaders | None") -> None:
        self.predictor, self.dls = predictor, dls
        self.lock = threading.Lock()
        layers = [layer for layer in predictor.model.modules() if isinstance(layer, nn.Linear)]
        self.last = layers[-1] if layers else None
        self.shape, self.dtype = row_of_model(predictor) if dls is None else row_of_data(dls)

    @property
    def kind(self) -> str:
        """What it takes: "image", "row" (numbers of the shape `shape`), or "other", which cannot be given here."""
        if self.predictor.n_inp != 1:
            return "other"
        if isinstance(self.predictor.blocks[0], ImageBlock):
            return "image"
        return "other" if self.shape is None else "row"

    def of_item(self, item: Any) -> Trial:
        """The answer for what the input block reads. Raises `ValueError` where a transform or the model fails."""
        return self.tried(lambda: self.predictor.inputs([item]))

    def of_sample(self, half: int, place: int) -> Trial:
        """The answer for a sample of the data, which must be at hand."""
        dls = self.dls
        assert dls is not None
        return self.tried(lambda: sample_batch(dls, half, [place])[: self.predictor.n_inp])

    def of_row(self, numbers: np.ndarray) -> Trial:
        """The answer for the numbers of a row, in the shape of the training rows; `ValueError` for another count."""
        assert self.shape is not None
        return self.of_item(numbers.reshape(self.shape).astype(self.dtype))

    def tried(self, inputs_of: Callable[[], tuple[Tensor, ...]]) -> Trial:
        with self.lock:
            start = time.perf_counter()
            inputs = inputs_of()
            watch = FeatureWatch(1)
            handle = None if self.last is None else self.last.register_forward_pre_hook(watch)
            try:
                outputs = self.predictor.outputs(inputs)
            finally:
                if handle is not None:
                    handle.remove()
            answers = self.read(outputs)
            seconds = time.perf_counter() - start
            picture = self.picture(inputs[0])
            heat = None if picture is None else self.heat(inputs, picture, answers)
        features = watch.found()
        return Trial(
            answers=answers,
            picture=picture,
            heat=heat,
            features=None if features is None or self.dls is None else features[0],
            seconds=seconds,
        )

    def read(self, outputs: Any) -> Answers:
        """The model's outputs as arrays; the target is unknown, so that one is made up, and its loss means nothing."""
        if not isinstance(outputs, Tensor):
            raise ValueError(f"the model gives a {type(outputs).__name__}; only one tensor can be read as an answer")
        loss, blocks = self.predictor.loss, self.predictor.blocks[self.predictor.n_inp :]
        said = activation_for(loss)(outputs).detach().float().cpu()
        target = torch.zeros_like(said)
        if blocks and isinstance(blocks[0], CategoryBlock):
            target = torch.zeros(1, dtype=torch.int64)
        return read_answers(said, target, torch.zeros(1), loss, blocks)

    def picture(self, x: Tensor) -> np.ndarray | None:
        """The input [1 *dims] as a picture, large enough for the eye; None if it is none."""
        if not looks_like_picture(x[0]):
            return None
        for transform in reversed(self.predictor.batch_tfms):
            undo = getattr(transform, "decode", None)
            x = x if undo is None else undo(x)
        small = picture_bytes(as_picture(x[0]))
        times = max(1, SHOWN_SIDE // max(small.shape[:2]))
        return np.ascontiguousarray(small.repeat(times, 0).repeat(times, 1))

    def heat(self, inputs: tuple[Tensor, ...], picture: np.ndarray, answers: Answers) -> np.ndarray | None:
        """The picture under the heat map of the answer; None for a model without such maps."""
        if inputs[0].ndim != 4:
            return None
        target = None
        columns = sum(len(getattr(b, "vocab", ())) for b in self.predictor.blocks[self.predictor.n_inp :])
        if answers.kind != "regression" and answers.outputs.shape[1] == columns:
            target = int(answers.outputs[0].argmax())
        try:
            found = heat_map(self.predictor.model, inputs, target=target)[0]
        except ValueError:
            try:
                found = heat_map(self.predictor.model, inputs)[0]  # a model with one output
            except ValueError:
                return None
        return overlay(picture, found)

    def row_text(self, half: int, place: int) -> str:
        """The numbers of a sample, as a person would type them."""
        assert self.dls is not None
        value = raw_value(self.dls, half, place)
        return ", ".join(f"{v:.6g}" for v in np.ravel(np.asarray(value)).tolist())


def trials_of_learner(learn: "Learner") -> Trials:
    """Trials of a learner's model, by a copy of its own: others may look through the learner's meanwhile."""
    predictor = learn.predictor()
    return Trials(replace(predictor, model=copy.deepcopy(predictor.model)), learn.dls)


def trials_of_file(file: Path) -> Trials:
    """Trials of a model file alone, where the data cannot be had again (arrays, say, are in no recipe)."""
    return Trials(load_learner(file, device="cpu"), None)


def row_of_data(dls: "DataLoaders") -> tuple[tuple[int, ...] | None, Any]:
    """Shape and dtype of what a training sample's getter gives, if it is an array of numbers; (None, None) if not."""
    if isinstance(dls.blocks[0], ImageBlock | CategoryBlock | MultiCategoryBlock):
        return None, None
    try:
        value = np.asarray(raw_value(dls, 0, 0))
    except (TypeError, ValueError):
        return None, None
    if value.dtype.kind not in "fiub" or not 0 < value.size <= MOST_VALUES:
        return None, None
    return value.shape, value.dtype


def row_of_model(predictor: Predictor) -> tuple[tuple[int, ...] | None, Any]:
    """As `row_of_data`, by the model's first layer: a row of as many numbers as a linear one takes."""
    block = predictor.blocks[0]
    weighty = (m for m in predictor.model.modules() if next(m.parameters(recurse=False), None) is not None)
    first = next(weighty, None)
    if not isinstance(block, TransformBlock) or not isinstance(first, nn.Linear) or first.in_features > MOST_VALUES:
        return None, None
    return (first.in_features,), np.dtype(np.uint8 if pixels_to_float in block.batch_tfms else np.float32)


def raw_value(dls: Any, half: int, place: int) -> Any:
    """What the input block is given for a sample."""
    dataset = dls[half].dataset
    if isinstance(dataset, Samples):
        return get_value(dataset.getters[0], dataset.items[place])
    return dataset[place][0]


def numbers_in(text: str) -> np.ndarray:
    """The numbers of a text, parted by commas, semicolons, tabs, spaces or lines. `ValueError` names what is none."""
    parts = text.replace(",", " ").replace(";", " ").replace("[", " ").replace("]", " ").split()
    found = []
    for part in parts[: MOST_VALUES + 1]:
        try:
            found.append(float(part))
        except ValueError:
            raise ValueError(part[:40]) from None
    return np.array(found)


def nearest_samples(features: np.ndarray, predictions: Predictions, n: int) -> list[tuple[int, float]]:
    """The `n` samples most like `features` [D]: places and cosines, the nearest first; none where D differs."""
    known = predictions.features
    if known is None or not len(known) or known.shape[1] != len(features):
        return []
    lengths = np.sqrt(np.einsum("nd,nd->n", known, known)) * float(np.linalg.norm(features))
    cosines = known @ features / np.maximum(lengths, 1e-12)
    first = np.argpartition(-cosines, min(n, len(cosines)) - 1)[:n]
    return [(int(i), float(cosines[i])) for i in sorted(first, key=lambda i: (-cosines[i], i))]
