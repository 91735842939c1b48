"""What a classifier says of samples that it did not learn from. N samples, D features, K classes."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

STEPS = 60  # of the optimiser; the loss no longer falls by much


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold 0..folds-1 of each sample, int [N]: each class is spread evenly over all folds, at random.

    >>> stratified_folds(np.array([0, 0, 0, 0, 1, 1]), 2, seed=1).tolist()
    [0, 1, 0, 1, 0, 1]
    """
    if folds < 2:
        raise ValueError(f"stratified_folds: 2 folds or more are needed, got {folds}")
    rng = np.random.default_rng(seed)
    found = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        mixed = rng.permutation(np.flatnonzero(labels == label))
        found[mixed] = (np.arange(len(mixed)) + rng.integers(folds)) % folds
    return found


def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    folds: int = 5,
    seed: int = 42,
    repeats: int = 2,
    decay: float = 0.1,
    told: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Probabilities float64 [N K] by softmax regression on `features` [N D], for each sample from the other folds.

    `repeats`: how many times the folds are drawn; the mean is taken. `decay`: of the weights, on standardised features.
    `told(done, all)` is called after each fit.
    """
    found = np.zeros((len(labels), classes))
    for repeat in range(repeats):
        fold = stratified_folds(labels, folds, seed + repeat)
        for number in range(folds):
            learnt, asked = fold != number, fold == number
            if asked.any() and learnt.any():
                found[asked] += softmax_answers(features[learnt], labels[learnt], features[asked], classes, decay)
            if told is not None:
                told(repeat * folds + number + 1, repeats * folds)
    return found / repeats


def softmax_answers(
    features: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int, decay: float
) -> np.ndarray:
    """Probabilities float64 [M K] for `asked` [M D] of a softmax regression fitted to `features` [N D].

    Features are standardised by the fitted ones'. A class without a sample is given none of the probability.
    """
    x = torch.from_numpy(np.ascontiguousarray(features, np.float32)).clone()
    y = torch.from_numpy(np.asarray(labels, np.int64))
    mean, deviation = x.mean(0), x.std(0, correction=0).clamp_min(1e-6)
    x.sub_(mean).div_(deviation)
    absent = torch.from_numpy(np.bincount(labels, minlength=classes) == 0)
    weight, bias = softmax_regression(x, y, classes, decay)
    with torch.no_grad():
        new = (torch.from_numpy(np.ascontiguousarray(asked, np.float32)) - mean) / deviation
        logits = (new.clamp(-20, 20) @ weight + bias).double().masked_fill(absent, -torch.inf)
        return np.asarray(logits.softmax(1).numpy())


def softmax_regression(x: Tensor, y: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Weights [D K] and biases [K] that minimise the mean cross-entropy plus decay / 2 times the squared weights.

    By L-BFGS from zero: no chance in it. Source: Liu and Nocedal, *On the limited memory BFGS method for large scale
    optimization*, 1989.
    """
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(x @ weight + bias, y) + decay / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
