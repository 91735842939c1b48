"""A frozen body's features, computed once, so that training the head costs almost nothing.

N items, F features, h w the feature map's size, V views.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from satsuma.data.arrays import ArrayDataset, ArrayViews
from satsuma.data.blocks import TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader
from satsuma.hooks.progress import say
from satsuma.learner.features import FeaturesOf, contents_of
from satsuma.learner.tta import OneEpoch, augmented
from satsuma.nn.heads import AdaptiveConcatPool2d
from satsuma.train.early_stopping import is_number
from satsuma.train.evaluate import predict_batches
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Batches

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

POOLING = (AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten)


def head_learner(learn: "Learner", views: int) -> "Learner":
    """`Learner.precompute`: a learner of the same head on features in memory."""
    if not is_number(views, int) or views < 0:
        raise ValueError(
            f"precompute: views is how many augmented views of each item are kept, 0 or more, got {views!r}"
        )
    body, head = divided_model(learn.model)
    pre = learner_of_head(learn, head, feature_loaders(learn, body, views))
    pre.features_of = FeaturesOf(learn.title, body, contents_of(body))
    if learn.progress:
        kept = pre.dls.train.dataset
        size = sum(t.numel() * t.element_size() for view in kept.views for t in view)
        say(f"precomputed: {len(kept.views)} × {len(kept):,} training items, {size / 2**20:.0f} MiB of features")
    return pre


def learner_of_head(learn: "Learner", head: nn.Sequential, dls: DataLoaders) -> "Learner":
    """A learner like `learn` of a part of its model, without what is of pictures or of large models."""
    from satsuma.learner.learner import Learner

    pre = Learner(
        dls,
        head,
        loss_func=learn.loss_func,
        opt_func=learn.opt_func,
        lr=learn.lr,
        metrics=learn.metrics,
        wd=learn.wd,
        max_norm=learn.max_norm,
        l1=learn.l1,
        l2=learn.l2,
        label_smoothing=learn.label_smoothing,
        seed=learn.seed,
        device=learn.device,
        precision=learn.precision,
        hooks=(*learn.hooks, *learn.watchers),
        path=learn.path,
        progress=learn.progress,
    )
    pre.epochs_done = learn.epochs_done
    return pre


def feature_loaders(learn: "Learner", body: nn.Module, views: int) -> DataLoaders:
    """The features of all the learner's loaders, the training items' in as many views."""
    train, first = learn.dls.train.new(shuffle=False, drop_last=False, augment=False), learn.epochs_done
    random = augmented(train) if views else train
    sources: Sequence[Batches] = [OneEpoch(random, first + v) for v in range(views)] or [train]
    found = tuple(features(learn, body, source) for source in sources)
    loaders = [feature_loader(learn.dls.train, ArrayViews(found, first))]
    for held_out in learn.dls.loaders[1:]:
        loaders.append(feature_loader(held_out, ArrayDataset(features(learn, body, held_out))))
    return DataLoaders(*loaders, blocks=(TransformBlock(), *learn.dls.targets))


def divided_model(model: nn.Module) -> tuple[nn.Module, nn.Sequential]:
    """The part whose answers are kept, and the layers behind it: the head without its pooling."""
    body, head = getattr(model, "body", None), getattr(model, "head", None)
    if not isinstance(body, nn.Module) or not isinstance(head, nn.Sequential):
        raise ValueError(
            f"precompute: the model, a {type(model).__name__}, has no body and head; vision_learner makes one that does"
        )
    pooling = 0
    while pooling < len(head) and isinstance(head[pooling], POOLING):
        pooling += 1
    layers = list(head)
    return nn.Sequential(body, *layers[:pooling]), nn.Sequential(*layers[pooling:])


def features(learn: "Learner", body: nn.Module, source: Batches) -> tuple[Tensor, ...]:
    """The features [N F] (or [N F h w]) of all items, and their targets, on the learner's device."""
    found, targets = predict_batches(body, source, n_inp=learn.dls.n_inp, autocast=autocast_dtype(learn.precision))
    if not isinstance(found, Tensor):
        raise TypeError(f"precompute: the body gives a {type(found).__name__}; only a tensor can be kept")
    return (found, *targets)


def feature_loader(like: DataLoader, dataset: ArrayDataset | ArrayViews) -> DataLoader:
    """A loader of features with the order and batches of `like`."""
    return DataLoader(
        dataset,
        like.batch_size,
        like.shuffle,
        drop_last=like.drop_last,
        seed=like.seed,
        device=like.device,
    )
