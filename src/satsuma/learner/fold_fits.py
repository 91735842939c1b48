"""Networks trained anew on all folds but one, and what they say of that one. N samples, K classes."""

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from satsuma.data.arrays import ArrayDataset
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.samples import Samples
from satsuma.inspect.answers import are_probabilities
from satsuma.inspect.out_of_fold import stratified_folds
from satsuma.learner.beginnings import NO_FITS
from satsuma.nn.cnn import small_cnn
from satsuma.nn.transfer import TransferModel
from satsuma.ship.weights import load_pretrained

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SAMPLES_SEEN = 10_000  # by a small network at least, one epoch or more: with 40,000 it learns wrong labels by heart
MOST_EPOCHS = 30
SETTINGS = (
    *("loss_func", "opt_func", "lr", "wd", "splitter", "batch_norm", "max_norm", "l1", "l2", "input_noise"),
    *("mixup", "label_smoothing", "device", "precision"),
)
AGAIN = ("freeze", "freeze_to", "unfreeze")  # calls beside the fits that are made again


def small_network_answers(
    pictures: np.ndarray, labels: np.ndarray, classes: int, folds: int, seed: int, told: Callable[[int, int], None]
) -> np.ndarray:
    """Out-of-fold probabilities float64 [N K] by a small network on `pictures` uint8 [N C H W]."""
    from satsuma.learner.learner import Learner

    known, codes = np.unique(labels, return_inverse=True)
    fold = stratified_folds(labels, folds, seed)
    found = np.zeros((len(labels), classes))
    for number in range(folds):
        learnt, asked = fold != number, fold == number
        if not asked.any():  # fewer samples than folds
            continue
        if not learnt.any():
            raise ValueError(f"find_faults: {len(labels)} samples are too few to judge one by the others")
        bs = 128 if learnt.sum() >= 4096 else 32 if learnt.sum() >= 256 else 8
        whole = bool(learnt.sum() >= bs)
        dls = DataLoaders.from_arrays(
            pictures[learnt], codes[learnt], valid=(pictures[asked], codes[asked]), bs=bs, seed=seed, drop_last=whole
        )
        maker = functools.partial(small_cnn, pictures.shape[1], len(known))
        learn = Learner(dls, maker, seed=seed + number, device="cpu", progress=False)
        epochs = min(MOST_EPOCHS, max(1, round(SAMPLES_SEEN / int(learnt.sum()))))
        learn.fit_one_cycle(epochs, 0.01)
        found[np.ix_(asked, known)] = learn.get_preds()[0].double().numpy()
        told(number + 1, folds)
    return found


def refitted_answers(
    learn: "Learner", labels: np.ndarray, folds: int, seed: int, told: Callable[[int, int], None]
) -> np.ndarray:
    """Out-of-fold probabilities float64 [N K] by the learner's own model, trained anew with its fits for each fold.

    The samples are those of training and validation, in this order. Raises `ValueError` for data and models of which
    no part or no beginning can be had.
    """
    samples = joined_samples(learn.dls)
    fold = stratified_folds(labels, folds, seed)
    found: np.ndarray | None = None
    for number in range(folds):
        asked = np.flatnonzero(fold == number)
        if not len(asked):
            continue
        fresh = fresh_learner(
            learn, fold_loaders(learn.dls, samples, np.flatnonzero(fold != number), asked), seed + number
        )
        fit_again(fresh, learn)
        answers = fresh.get_preds()[0].float().cpu()
        if answers.ndim != 2 or not are_probabilities(answers):
            raise ValueError("refit=True: the learner's answers are no probabilities of classes")
        found = np.zeros((len(labels), answers.shape[1])) if found is None else found
        found[asked] = answers.double().numpy()
        told(number + 1, folds)
    assert found is not None
    return found


def joined_samples(dls: DataLoaders) -> Any:
    """The training and validation samples as one data set."""
    halves = [loader.dataset for loader in dls.loaders[:2]]
    if all(isinstance(half, Samples) for half in halves):
        return replace(halves[0], items=[item for half in halves for item in half.items])
    if all(isinstance(half, ArrayDataset) for half in halves):
        import torch

        columns = zip(*(half.tensors for half in halves), strict=True)
        return ArrayDataset(tuple(torch.cat(column) for column in columns))
    raise ValueError(
        f"refit=True: the samples are a {type(halves[0]).__name__}, which cannot be divided anew; leave refit out"
    )


def samples_at(samples: Any, places: np.ndarray) -> Any:
    """The samples at `places`, in this order."""
    if isinstance(samples, Samples):
        return replace(samples, items=[samples.items[i] for i in places])
    return ArrayDataset(tuple(tensor[places] for tensor in samples.tensors))


def fold_loaders(dls: DataLoaders, samples: Any, learnt: np.ndarray, asked: np.ndarray) -> DataLoaders:
    """Loaders that train on `learnt` and validate on `asked`."""
    train = dls.train.new(samples_at(samples, learnt))
    valid = train.new(samples_at(samples, asked), shuffle=False, drop_last=False, augment=False)
    return DataLoaders(train, valid, block=dls.block, blocks=dls.blocks, source=dls.source)


def fresh_learner(learn: "Learner", dls: DataLoaders, seed: int) -> "Learner":
    """A learner like `learn`, as it was before its first step, on other loaders; it prints and writes nothing."""
    from satsuma.learner.learner import Learner

    settings = {name: getattr(learn, name) for name in SETTINGS}
    fresh = Learner(dls, beginning(learn), seed=seed, progress=False, **settings)
    if isinstance(fresh.model, TransferModel) and learn.past.weights_file is not None:
        load_pretrained(fresh.model, learn.past.weights_file)
        fresh.freeze()
        fresh.calls.clear()
    return fresh


def beginning(learn: "Learner") -> Any:
    """The function that makes the model, or a copy of the module with the weights that training began with."""
    if not isinstance(learn.model_source, nn.Module):
        return learn.maker
    if learn.past.first is None and learn.past.ends:
        raise ValueError(
            "refit=True: the weights that this model began with are not kept; give a function that makes it"
        )
    model = copy.deepcopy(learn.model)
    if learn.past.first is not None:
        model.load_state_dict(learn.past.first)
    return model


def fit_again(fresh: "Learner", learn: "Learner") -> None:
    """The fits of `learn` made on `fresh`; one cycle of one epoch where there are none."""
    fits = [(name, dict(given)) for name, given in learn.calls if name not in NO_FITS or name in AGAIN]
    if not any(name not in NO_FITS for name, _ in fits):
        fits = [("fit_one_cycle", {"n_epoch": 1})]
    for name, given in fits:
        given.pop("early_stopping", None)  # it would look at the samples that are asked
        getattr(fresh, name)(**given)
