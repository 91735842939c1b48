"""From what a model gives, over all samples, to arrays of one of three kinds. N samples, K classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.functional.links import LOGITS_OF_YES, PLAIN_VALUES, PROBABILITIES_OF_YES, loss_meaning
from satsuma.functional.losses import shape_text

YES_OR_NO = (LOGITS_OF_YES, PROBABILITIES_OF_YES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The arrays of `Predictions`, without what they are of."""

    kind: str
    vocab: tuple[str, ...]
    outputs: np.ndarray
    targets: np.ndarray
    decided: np.ndarray
    losses: np.ndarray


def read_answers(
    outputs: Any, targets: Any, losses: Tensor, loss: Callable[..., Any], blocks: Sequence[Block]
) -> Answers:
    """`get_preds`' probabilities, targets and losses as arrays; the targets' block, or the loss, says of which kind.

    A yes-or-no loss on one column of targets 0 and 1 is read as two classes. Classes under a loss of one's own are
    read as probabilities if they are such, else through softmax, or of one column through sigmoid. Raises `ValueError`
    where a sample has more than one answer.
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or len(blocks) > 1:
        raise ValueError(
            f"predictions can be looked into where a sample has one target, and the model gives one tensor; "
            f"here there are {max(len(blocks), 1)} targets and a {type(outputs).__name__}"
        )
    outputs, targets = outputs.detach().float().cpu(), targets.detach().cpu()
    block = blocks[0] if blocks else None
    lost = losses.detach().float().cpu().numpy()
    kind = answers_kind(outputs, targets, loss, block)
    if kind == "multi":
        threshold = block.threshold if isinstance(block, MultiCategoryBlock) else 0.5
        return answers(kind, class_names(block, outputs.shape[1]), outputs, targets > 0.5, outputs >= threshold, lost)
    if kind == "category":
        return category_answers(outputs, targets, lost, loss, block)
    if outputs.shape != targets.shape or outputs.ndim > 3 or not targets.is_floating_point():
        raise ValueError(
            f"predictions can be looked into where a sample has one answer: a class, labels, or numbers; here outputs "
            f"are {shape_text(outputs)} and targets {shape_text(targets)} of {targets.dtype}"
        )
    return answers("regression", (), outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1), None, lost)


def answers(kind: str, vocab: tuple[str, ...], outputs: Tensor, targets: Tensor, said: Any, lost: Any) -> Answers:
    """`Answers` of tensors; of a regression, what is said is the outputs."""
    if outputs.ndim != 2 or (kind != "category" and outputs.shape != targets.shape):
        raise ValueError(
            f"predictions to look into are [N K], one row a sample; here outputs are {shape_text(outputs)} and targets "
            f"{shape_text(targets)}"
        )
    found = outputs.contiguous().numpy()
    return Answers(
        kind=kind,
        vocab=vocab,
        outputs=found,
        targets=(targets.float() if kind == "regression" else targets).contiguous().numpy(),
        decided=found if said is None else said.contiguous().numpy(),
        losses=lost,
    )


def answers_kind(outputs: Tensor, targets: Tensor, loss: Callable[..., Any], block: Block | None) -> str:
    """The kind that the targets' block says; where it says nothing of classes the loss does, or whole numbers [N]."""
    if isinstance(block, MultiCategoryBlock):
        return "multi"
    if isinstance(block, CategoryBlock):
        return "category"
    if isinstance(block, RegressionBlock | None):
        if loss_meaning(loss) in YES_OR_NO and bool(((targets == 0) | (targets == 1)).all()):
            return "multi" if outputs.ndim == 2 and outputs.shape[1] > 1 else "category"
        if block is None and targets.ndim == 1 and not targets.is_floating_point():
            return "category"
    return "regression"


def category_answers(
    outputs: Tensor, targets: Tensor, lost: np.ndarray, loss: Callable[..., Any], block: Block | None
) -> Answers:
    """One class of K: probabilities [N K], of a model with one column those of no and of yes."""
    one_column = outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)
    meaning = loss_meaning(loss)
    if one_column and (meaning in YES_OR_NO or meaning == PLAIN_VALUES):
        yes = outputs.reshape(-1)
        if meaning == PLAIN_VALUES and not bool(((yes >= 0) & (yes <= 1)).all()):
            yes = torch.sigmoid(yes)
        outputs = torch.stack([1 - yes, yes], 1)
        decided = (yes >= 0.5).long()
    else:
        if outputs.ndim == 2 and meaning == PLAIN_VALUES and not are_probabilities(outputs):
            outputs = torch.softmax(outputs, 1)
        decided = outputs.argmax(1)
    labels = targets.reshape(-1).long() if targets.numel() == len(targets) else targets
    if outputs.ndim != 2 or labels.shape != decided.shape:
        raise ValueError(
            f"predictions can be looked into where a sample has one class; here outputs are {shape_text(outputs)} and "
            f"targets {shape_text(targets)}: of masks, look at learn.show_results()"
        )
    strange = labels[(labels < 0) | (labels >= outputs.shape[1])]
    if len(strange):
        last = outputs.shape[1] - 1
        raise ValueError(f"a sample's label is {int(strange[0])}; the model's classes are numbered 0..{last}")
    return answers("category", class_names(block, outputs.shape[1]), outputs, labels, decided, lost)


def are_probabilities(outputs: Tensor) -> bool:
    """Whether each row [K] has no negative number and sums to 1."""
    return bool((outputs >= 0).all()) and bool(torch.allclose(outputs.sum(1), torch.ones(len(outputs)), atol=1e-3))


def class_names(block: Block | None, columns: int) -> tuple[str, ...]:
    """The classes as text; their numbers where no block names as many."""
    vocab = getattr(block, "vocab", ())
    return tuple(str(name) for name in vocab) if len(vocab) == columns else tuple(str(k) for k in range(columns))
