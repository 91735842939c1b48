"""From a block's settings to what its loaders use: labels read, batch transforms fitted and put in order."""

from collections.abc import Callable, Sequence
from typing import Any

from satsuma.data.blocks import Block
from satsuma.data.getters import is_missing
from satsuma.data.paths import block_path
from satsuma.data.samples import Samples, get_value, identity, item_name
from satsuma.data.transforms import BatchSteps, part_label

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


def make_samples(
    items: list[Any],
    getters: tuple[Callable[[Any], Any], ...],
    blocks: tuple[Block, ...],
    item_tfms: Sequence[Callable[..., Any]] = (),
    batch_tfms: Sequence[Callable[..., Any]] = (),
) -> tuple[Samples, BatchSteps | None]:
    """The samples of `items`, and what is left to do to their stacked batches (None: nothing)."""
    paths, steps = zip(*(block_path(block, item_tfms, batch_tfms) for block in blocks), strict=True)
    left = BatchSteps(steps) if any(s.transforms for s in steps) else None
    return Samples(items, tuple(getters), blocks, paths), left


def fit_batch_tfms(
    items: Sequence[Any],
    getters: tuple[Callable[[Any], Any], ...],
    blocks: tuple[Block, ...],
    item_tfms: Sequence[Callable[..., Any]],
    batch_tfms: Sequence[Callable[..., Any]],
) -> tuple[Callable[..., Any], ...]:
    """The batch transforms, those with a method `fit` fitted to the first input of evenly chosen samples.

    What a transform is fitted to has gone through those before it, as in validation.
    """
    fitted: list[Callable[..., Any]] = []
    for transform in batch_tfms:
        if hasattr(transform, "fit") and not getattr(transform, "fitted", False):
            samples, steps = make_samples(list(items), getters[:1], blocks[:1], item_tfms, fitted)
            n = min(len(samples), FIT_SAMPLES)
            batch = samples.batch([i * len(samples) // n for i in range(n)], [None] * n)
            transform = transform.fit((batch if steps is None else steps(batch, None))[0])
        fitted.append(transform)
    return tuple(fitted)
