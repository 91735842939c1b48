"""What a loss or a metric says about the numbers around it: which activation fits, how to decide, which way is better.

Answers go by the function itself, also inside `functools.partial`, and never by how its name sounds.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satsuma.functional.label_metrics import (
    accuracy_multi,
    average_precision,
    f1_multi,
    f_beta,
    mean_average_precision,
)
from satsuma.functional.losses import (
    binary_cross_entropy,
    binary_loss,
    cross_entropy,
    l1_penalty,
    l2_penalty,
    mae,
    mnist_loss,
    mse,
    nll,
    shape_text,
    smooth_l1,
)
from satsuma.functional.metrics import accuracy, binary_accuracy, error_rate, r2_score, rmse, top_k_accuracy

# What the model's outputs mean to a loss, as a word
LOGITS_OF_CLASSES = "logits of classes"
LOGS_OF_CLASSES = "log-probabilities of classes"
LOGITS_OF_YES = "logits of yes"
PROBABILITIES_OF_YES = "probabilities of yes"
PLAIN_VALUES = "values"

LOSS_MEANINGS: dict[Any, str] = {
    cross_entropy: LOGITS_OF_CLASSES,
    F.cross_entropy: LOGITS_OF_CLASSES,
    nn.CrossEntropyLoss: LOGITS_OF_CLASSES,
    nll: LOGS_OF_CLASSES,
    F.nll_loss: LOGS_OF_CLASSES,
    nn.NLLLoss: LOGS_OF_CLASSES,
    mnist_loss: LOGITS_OF_YES,
    binary_cross_entropy: LOGITS_OF_YES,
    F.binary_cross_entropy_with_logits: LOGITS_OF_YES,
    nn.BCEWithLogitsLoss: LOGITS_OF_YES,
    F.binary_cross_entropy: PROBABILITIES_OF_YES,
    nn.BCELoss: PROBABILITIES_OF_YES,
}

LOWER_IS_BETTER: tuple[Any, ...] = (
    *(mnist_loss, binary_loss, binary_cross_entropy, cross_entropy, nll, mse, mae, smooth_l1, l1_penalty, l2_penalty),
    *(error_rate, rmse, F.cross_entropy, F.nll_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits),
    *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss),
)
HIGHER_IS_BETTER: tuple[Any, ...] = (
    *(accuracy, top_k_accuracy, binary_accuracy, r2_score),
    *(accuracy_multi, f_beta, f1_multi, average_precision, mean_average_precision),
)


def activation_for(loss: Callable[..., Any]) -> Callable[[Tensor], Tensor]:
    """The function that makes what people read (probabilities, or plain values) of a model's outputs.

    Softmax over dimension 1 for cross-entropy, exp for NLL, sigmoid for yes-or-no losses, unchanged for all others.

    >>> activation_for(cross_entropy).__name__, activation_for(nn.BCEWithLogitsLoss()).__name__
    ('class_probabilities', 'yes_probabilities')
    """
    meaning = loss_meaning(loss)
    if meaning == LOGITS_OF_CLASSES:
        return class_probabilities
    if meaning == LOGS_OF_CLASSES:
        return exponentials
    if meaning == LOGITS_OF_YES:
        return yes_probabilities
    return unchanged


def decode_for(loss: Callable[..., Any], *, threshold: float = 0.5) -> Callable[[Tensor], Tensor]:
    """The function that decides, given what `activation_for(loss)` returned.

    The best class for class losses, "at least `threshold`" for yes-or-no losses, unchanged for all others.

    >>> decode_for(cross_entropy)(torch.tensor([[0.2, 0.7, 0.1]])), decode_for(mnist_loss)(torch.tensor([0.7, 0.2]))
    (tensor([1]), tensor([ True, False]))
    """
    meaning = loss_meaning(loss)
    if meaning in (LOGITS_OF_CLASSES, LOGS_OF_CLASSES):
        return best_class
    if meaning in (LOGITS_OF_YES, PROBABILITIES_OF_YES):
        return functools.partial(at_least, threshold=threshold)
    return unchanged


def better_direction(metric: Callable[..., Any]) -> str | None:
    """ "lower" or "higher" where that is known, else None: it is never guessed from a name.

    Known are Satsuma's own losses and metrics, torch's losses, and objects that say so themselves by an attribute
    `higher_is_better`, as torchmetrics' do.

    >>> better_direction(accuracy), better_direction(functools.partial(mnist_loss, sigmoid=False))
    ('higher', 'lower')
    >>> better_direction(max) is None
    True
    """
    function, _ = opened_partial(metric)
    if any(function is known for known in HIGHER_IS_BETTER):
        return "higher"
    if any(function is known for known in LOWER_IS_BETTER) or isinstance(function, nn.modules.loss._Loss):
        return "lower"
    said = getattr(function, "higher_is_better", None)
    return None if said is None else "higher" if said else "lower"


def part_name(part: Any) -> str:
    """What to call a function, a partial, a class or an object in a table's head.

    >>> part_name(accuracy), part_name(functools.partial(top_k_accuracy, k=3)), part_name(nn.MSELoss())
    ('accuracy', 'top_k_accuracy(k=3)', 'MSELoss')
    """
    if isinstance(part, functools.partial):
        given = [argument_text(value) for value in part.args]
        given += [f"{name}={argument_text(value)}" for name, value in part.keywords.items()]
        return f"{part_name(part.func)}({', '.join(given)})"
    return str(getattr(part, "__name__", None) or type(part).__name__)


def argument_text(value: Any) -> str:
    """A partial's argument, short: a tensor by its shape, a function by its name, anything else as Python writes it."""
    if isinstance(value, Tensor):
        return f"tensor{shape_text(value)}"
    return part_name(value) if callable(value) else repr(value)


def loss_meaning(loss: Callable[..., Any]) -> str:
    """What the model's outputs mean to `loss`: one of the words at the head of this file."""
    function, given = opened_partial(loss)
    if function is mnist_loss and given.get("sigmoid") is False:
        return PROBABILITIES_OF_YES
    for known, meaning in LOSS_MEANINGS.items():
        if function is known or (isinstance(known, type) and isinstance(function, known)):
            return meaning
    return PLAIN_VALUES


def opened_partial(part: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function inside any number of partials, and the keyword arguments that they give it."""
    given: dict[str, Any] = {}
    while isinstance(part, functools.partial):
        given = {**part.keywords, **given}
        part = part.func
    return part, given


def class_probabilities(logits: Tensor) -> Tensor:
    """Softmax over dimension 1: [B K ...] any numbers to [B K ...] that sum to 1 over the classes."""
    return torch.softmax(logits, 1)


def exponentials(log_probabilities: Tensor) -> Tensor:
    """exp: logs of probabilities back to probabilities."""
    return torch.exp(log_probabilities)


def yes_probabilities(logits: Tensor) -> Tensor:
    """Sigmoid: any numbers to 0..1, each on its own."""
    return torch.sigmoid(logits)


def unchanged(values: Tensor) -> Tensor:
    """The values as they are."""
    return values


def best_class(probabilities: Tensor) -> Tensor:
    """[B K ...] to the number of the highest class, [B ...], int64."""
    return probabilities.argmax(1)


def at_least(probabilities: Tensor, *, threshold: float) -> Tensor:
    """True where the probability of yes is `threshold` or more."""
    return probabilities >= threshold
