"""New loaders for a learner that has trained already: progressive resizing, more data of the same kind."""

from typing import TYPE_CHECKING, Any

from satsuma.data.blocks import TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.normalize import Normalize

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN = 5  # classes that an error lists


def changed_loaders(learn: "Learner", dls: Any) -> DataLoaders:
    """`dls` on the learner's device; `ValueError` where inputs or targets are not of the kind that it has learnt."""
    if not isinstance(dls, DataLoaders):
        raise TypeError(f"learn.dls: expected DataLoaders, got {type(dls).__name__}")
    old = learn.dls
    if dls.n_inp != old.n_inp:
        raise ValueError(f"learn.dls: the new data has {dls.n_inp} inputs, the model has learnt from {old.n_inp}")
    if old.targets and dls.targets:
        refuse_other_targets(old, dls)
    refuse_other_channels(old, dls)
    if learn.normalize is not None:
        from satsuma.learner.vision import normalised

        dls = normalised(dls, learn.normalize)
        refuse_other_scale(old, dls)
    new: DataLoaders = dls
    return new if learn.device.type == "cpu" else new.to(learn.device)


def refuse_other_channels(old: DataLoaders, new: DataLoaders) -> None:
    pairs = zip(old.blocks[: old.n_inp], new.blocks[: new.n_inp], strict=False)  # loaders may know no blocks
    for was, now in pairs:
        if isinstance(was, ImageBlock) and isinstance(now, ImageBlock) and was.channels != now.channels:
            raise ValueError(
                f"learn.dls: the new images have channels={now.channels}, the model has learnt from "
                f"channels={was.channels}: load the new ones with channels={was.channels}"
            )


def refuse_other_scale(old: DataLoaders, new: DataLoaders) -> None:
    was, now = normalizing(old), normalizing(new)
    if now and was != now:
        wanted = f"batch_tfms={', '.join(map(repr, was))}" if was else "batch_tfms=() and no Normalize"
        raise ValueError(
            f"learn.dls: the new images would be normalised by {', '.join(map(repr, now))}, the model has learnt from "
            f"{'images normalised by ' + ', '.join(map(repr, was)) if was else 'plain ones'}. Load them with {wanted}"
        )


def normalizing(dls: DataLoaders) -> list[Normalize]:
    """Each `Normalize` that the images go through."""
    first = dls.blocks[0] if dls.blocks else None
    own = first.batch_tfms if isinstance(first, TransformBlock) else ()
    given = () if dls.block is None else (*dls.block.item_tfms, *dls.block.batch_tfms)
    return [t for t in (*own, *given) if isinstance(t, Normalize)]


def refuse_other_targets(old: DataLoaders, new: DataLoaders) -> None:
    kinds = [[type(block).__name__ for block in dls.targets] for dls in (old, new)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"learn.dls: the new targets are {', '.join(kinds[1])}, the model has learnt {', '.join(kinds[0])}"
        )
    if old.vocab == new.vocab:
        return
    parts = [f"{len(new.vocab)} classes instead of {len(old.vocab)}"] if len(new.vocab) != len(old.vocab) else []
    parts += [f"new: {short_list(new.vocab, old.vocab)}"] if set(new.vocab) - set(old.vocab) else []
    parts += [f"missing: {short_list(old.vocab, new.vocab)}"] if set(old.vocab) - set(new.vocab) else []
    raise ValueError(
        f"learn.dls: the new data's classes are not those that the model has learnt, in their order: "
        f"{'; '.join(parts) or 'they stand in another order'}. Give the blocks of the new data "
        f"vocab={old.vocab if len(old.vocab) <= SHOWN else 'learn.dls.vocab'}, or make a new learner"
    )


def short_list(names: tuple[Any, ...], without: tuple[Any, ...]) -> str:
    found = [str(name) for name in names if name not in without]
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
