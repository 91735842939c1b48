"""New loaders for a learner that has trained already: progressive resizing, more data of the same kind."""

from typing import TYPE_CHECKING, Any

from satsuma.data.dataloaders import DataLoaders

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
    if learn.normalize is not None:
        from satsuma.learner.vision import normalised

        dls = normalised(dls, learn.normalize)
    new: DataLoaders = dls
    return new if learn.device.type == "cpu" else new.to(learn.device)


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
