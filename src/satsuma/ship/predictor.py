"""`Predictor`: a trained model with everything from an item to its answer, and nothing of training. K classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from satsuma.data.blocks import Block, CategoryBlock
from satsuma.data.dataloaders import input_getters
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.prepare import make_samples
from satsuma.functional.links import LOGITS_OF_CLASSES, LOGS_OF_CLASSES, activation_for, decode_for, loss_meaning
from satsuma.functional.losses import shape_text
from satsuma.train.evaluate import evaluation_mode
from satsuma.train.objectives import forward


class Prediction(NamedTuple):
    """One answer: what a person reads, what the model decided, and its probabilities [K] (or values [n])."""

    label: Any
    decided: Tensor
    probabilities: Tensor


@dataclass(kw_only=True)
class Predictor:
    """Predicts new items. `blocks`: the inputs (the first `n_inp`) and targets; `loss` says what outputs mean."""

    model: nn.Module
    blocks: tuple[Block, ...]
    n_inp: int
    item_tfms: tuple[Callable[..., Any], ...]
    batch_tfms: tuple[Callable[..., Any], ...]
    loss: Callable[..., Any]
    device: torch.device
    autocast: torch.dtype | None = None

    @property
    def vocab(self) -> tuple[Any, ...]:
        """The classes in the order of the probabilities; `()` for a regression."""
        found = [b.vocab for b in self.blocks[self.n_inp :] if isinstance(b, CategoryBlock | MultiCategoryBlock)]
        return found[0] if found else ()

    def predict(self, item: Any) -> Prediction:
        """The answer for one item: what the input block reads (an image's path, say), or a tuple for several inputs."""
        return self.predict_batch([item])[0]

    def predict_batch(self, items: Sequence[Any], *, bs: int = 64) -> list[Prediction]:
        """The answers for several items, in their order, `bs` at a time."""
        if isinstance(items, str | Path):
            raise TypeError(f"predict_batch takes a list of items, got one text: use [{str(items)!r}]")
        answers: list[Prediction] = []
        for start in range(0, len(items), bs):
            answers += self.answers(self.outputs(self.inputs(items[start : start + bs])))
        return answers

    def inputs(self, items: Sequence[Any]) -> tuple[Tensor, ...]:
        """The batch of inputs, each [B ...], through the transforms of validation."""
        blocks = self.blocks[: self.n_inp]
        getters = input_getters(self.n_inp)
        samples, steps = make_samples(list(items), getters, blocks, self.item_tfms, self.batch_tfms)
        batch = tuple(t.to(self.device) for t in samples.batch(range(len(samples)), [None] * len(samples)))
        return batch if steps is None else steps(batch, None)

    def outputs(self, inputs: tuple[Tensor, ...]) -> Any:
        try:
            with evaluation_mode(self.model), torch.no_grad():
                return forward(self.model, inputs, self.autocast)
        except (RuntimeError, TypeError, IndexError) as error:
            got = ", ".join(f"{shape_text(x)} of {x.dtype}" for x in inputs)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"the model cannot take inputs {got}: {reason}") from error

    def answers(self, outputs: Any) -> list[Prediction]:
        if not isinstance(outputs, Tensor):
            raise TypeError(
                f"the model gives a {type(outputs).__name__}, and only a single tensor can be read as answers; "
                f"use get_preds, or call the model"
            )
        probabilities = activation_for(self.loss)(outputs).cpu()
        self.refuse_other_classes(probabilities)
        targets = self.blocks[self.n_inp :]
        decided = decider(self.loss, targets)(probabilities)
        return [
            Prediction(targets[0].decode(index) if targets else bare(index), index, row)
            for index, row in zip(decided, probabilities, strict=True)
        ]

    def refuse_other_classes(self, probabilities: Tensor) -> None:
        if not names_columns(self.loss, self.blocks[self.n_inp :]):
            return
        if probabilities.ndim < 2 or probabilities.shape[1] != len(self.vocab):
            raise ValueError(
                f"the model gives {probabilities[0].numel()} numbers an item, but there are {len(self.vocab)} classes: "
                f"the model and the classes are not of one training; load or export them together"
            )


def decider(loss: Callable[..., Any], targets: Sequence[Block]) -> Callable[[Tensor], Tensor]:
    """How to decide by probabilities: as `loss` says, where labels have a threshold by that."""
    only = targets[0] if len(targets) == 1 else None
    return decode_for(loss, threshold=only.threshold if isinstance(only, MultiCategoryBlock) else 0.5)


def names_columns(loss: Callable[..., Any], targets: Sequence[Block]) -> bool:
    """Whether the model's columns are the classes, or labels, of the only target's vocabulary."""
    if len(targets) != 1:
        return False
    if isinstance(targets[0], MultiCategoryBlock):
        return True
    return isinstance(targets[0], CategoryBlock) and loss_meaning(loss) in (LOGITS_OF_CLASSES, LOGS_OF_CLASSES)


def bare(value: Tensor) -> Any:
    """A tensor's numbers: one as itself, several as a list."""
    return value.item() if value.numel() == 1 else value.tolist()
