"""A frozen body's features, computed once, so that training the head costs almost nothing.

N items, F features, h w the feature map's size, V views.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from satsuma.data.arrays import ArrayDataset
from satsuma.data.blocks import TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader, InMemory
from satsuma.hooks.progress import say
from satsuma.learner.tta import OneEpoch, augmented
from satsuma.nn.heads import AdaptiveConcatPool2d
from satsuma.train.early_stopping import is_number
from satsuma.train.evaluate import predict_batches
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Batches

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

POOLING = (AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten)


@dataclass(frozen=True, slots=True)
class FeatureViews:
    """Batches of features: each epoch from the next of several views of the same items."""

    views: tuple[InMemory, ...]
    first_epoch: int

    def __len__(self) -> int:
        return len(self.views[0])

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        return self.views[(epoch - self.first_epoch) % len(self.views)].epoch(epoch, start=start)


def head_learner(learn: "Learner", views: int) -> "Learner":
    """`Learner.precompute`: a learner of the same head on features in memory."""
    from satsuma.learner.learner import Learner

    if not is_number(views, int) or views < 0:
        raise ValueError(
            f"precompute: views is how many augmented views of each item are kept, 0 or more, got {views!r}"
        )
    body, head = divided_model(learn.model)
    first = learn.epochs_done
    train = learn.dls.train.new(shuffle=False, drop_last=False, augment=False)
    random = augmented(train) if views else train
    sources: Sequence[Batches] = [OneEpoch(random, first + v) for v in range(views)] or [train]
    found = [features(learn, body, source) for source in sources]
    loaders = [feature_loader(learn.dls.train, found[0])]
    for held_out in learn.dls.loaders[1:]:
        loaders.append(feature_loader(held_out, features(learn, body, held_out)))
    pre = Learner(
        DataLoaders(*loaders, blocks=(TransformBlock(), *learn.dls.targets)),
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
        hooks=learn.hooks,
        path=learn.path,
        progress=learn.progress,
    )
    pre.epochs_done, pre.features_of = first, learn.title
    if len(found) > 1:
        own = pre.dls.train.batches
        assert isinstance(own, InMemory)
        pre.dls.train.batches = FeatureViews(  # type: ignore[assignment]  # it has what is asked of it
            tuple(replace(own, tensors=tensors) for tensors in found), first
        )
    if learn.progress:
        size = sum(t.numel() * t.element_size() for tensors in found for t in tensors)
        say(f"precomputed: {len(found)} × {len(found[0][0]):,} training items, {size / 2**20:.0f} MiB of features")
    return pre


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


def feature_loader(like: DataLoader, tensors: tuple[Tensor, ...]) -> DataLoader:
    """A loader of features with the order and batches of `like`."""
    return DataLoader(
        ArrayDataset(tensors),
        like.batch_size,
        like.shuffle,
        drop_last=like.drop_last,
        seed=like.seed,
        device=like.device,
    )
