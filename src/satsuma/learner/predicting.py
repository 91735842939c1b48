"""A learner's predictions over a loader. N samples, K classes."""

from typing import TYPE_CHECKING, Any

import torch

from satsuma.data.loader import DataLoader
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.functional.label_metrics import LabelReport, label_report
from satsuma.functional.links import activation_for
from satsuma.learner.arguments import refuse_loader
from satsuma.learner.checks import items_losses
from satsuma.learner.features import refuse_stale
from satsuma.ship.predictor import decider
from satsuma.train.evaluate import predict_batches
from satsuma.train.precision import autocast_dtype

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def chosen_loader(learn: "Learner", dl: DataLoader | None, ds_idx: int) -> DataLoader:
    """`dl` on the learner's device, or the learner's loader number `ds_idx`: in order, whole, without augmentation."""
    if dl is not None:
        refuse_loader(dl)
        return dl.to(learn.device)
    if not isinstance(ds_idx, int) or not 0 <= ds_idx < len(learn.dls.loaders):
        raise ValueError(f"there is no loader {ds_idx!r}; the learner has {len(learn.dls.loaders)} (0 is training)")
    refuse_stale(learn)
    loader = learn.dls[ds_idx]
    return loader.new(shuffle=False, drop_last=False, augment=False) if ds_idx == 0 else loader


def predictions(learn: "Learner", loader: DataLoader, *, with_loss: bool, with_decoded: bool) -> tuple[Any, ...]:
    """What `Learner.get_preds` gives."""
    outputs, targets = predict_batches(
        learn.model, loader, n_inp=learn.dls.n_inp, autocast=autocast_dtype(learn.precision)
    )
    probabilities = activation_for(learn.loss_func)(outputs)
    found: list[Any] = [probabilities, targets[0] if len(targets) == 1 else (targets or None)]
    if with_decoded:
        found.append(decider(learn.loss_func, learn.dls.targets)(probabilities))
    if with_loss:
        if not targets:
            raise ValueError("get_preds: with_loss=True needs a loader that has targets")
        with torch.no_grad():
            found.append(items_losses(learn.loss_func, outputs, targets))
    return tuple(found)


def scores_of_labels(learn: "Learner", loader: DataLoader) -> LabelReport:
    """`Learner.label_report`."""
    targets = learn.dls.targets
    if len(targets) != 1 or not isinstance(targets[0], MultiCategoryBlock):
        kinds = " and ".join(type(block).__name__ for block in targets) or "target that no block made"
        raise ValueError(f"label_report: the data has one {kinds} as its target; expected a MultiCategoryBlock")
    block = targets[0]
    preds, wanted = predictions(learn, loader, with_loss=False, with_decoded=False)
    if wanted is None:
        raise ValueError("label_report: the loader has no targets to compare with")
    return label_report(preds, wanted, block.vocab, threshold=block.threshold, sigmoid=False)
