"""From a block's settings to what its loaders use: labels read, batch transforms fitted and put in order."""

from collections.abc import Callable, Sequence
from typing import Any

from satsuma.data.blocks import Block
from satsuma.data.collate import collate
from satsuma.data.getters import is_missing
from satsuma.data.samples import Samples, get_value, identity, item_name
from satsuma.data.transforms import BatchSteps, Steps, make_steps, part_label, takes_rng

FIT_SAMPLES = 128  # how many training samples a batch transform such as Normalize() is fitted to


def read_labels(
    getter: Callable[[Any], Any], items: Sequence[Any], get_x: Callable[[Any], Any] = identity
) -> list[Any]:
    """The targets of all items; `ValueError` that counts and names those for which there is none."""
    labels, failures = [], []
    for item in items:
        try:
            label = get_value(getter, item)
        except ValueError as error:
            failures.append(str(error))
            continue
        if is_missing(label):
            failures.append(f"{part_label(getter)} gives no label for {item_name(item, get_x)}")
        labels.append(label)
    if failures:
        shown = "\n".join(f"  {f}" for f in failures[:5])
        more = f"\n  and {len(failures) - 5} more" if len(failures) > 5 else ""
        raise ValueError(f"{len(failures)} of {len(items)} items have no label:\n{shown}{more}")
    return labels


def batch_steps(blocks: Sequence[Block], batch_tfms: Sequence[Callable[..., Any]]) -> BatchSteps | None:
    """Each block's own steps, then `batch_tfms` where they apply; None if nothing is to be done."""
    steps = []
    for block in blocks:
        own = block.batch_steps().transforms
        steps.append(make_steps(own + tuple(batch_tfms)) if block.takes_tfms else make_steps(own))
    return BatchSteps(tuple(steps)) if any(s.transforms for s in steps) else None


def fit_batch_tfms(samples: Samples, batch_tfms: Sequence[Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
    """The batch transforms, those with a method `fit` fitted to the first input of evenly chosen samples."""
    if not any(hasattr(t, "fit") for t in batch_tfms):
        return tuple(batch_tfms)
    n = min(len(samples), FIT_SAMPLES)
    batch = collate([samples[i * len(samples) // n][0] for i in range(n)])
    batch = samples.blocks[0].batch_steps()(batch, None)
    fitted: list[Callable[..., Any]] = []
    for i, transform in enumerate(batch_tfms):
        fitted.append(transform.fit(batch) if hasattr(transform, "fit") else transform)
        if any(hasattr(later, "fit") for later in batch_tfms[i + 1 :]):
            batch = Steps((fitted[i],), (takes_rng(transform),))(batch, None)
    return tuple(fitted)
