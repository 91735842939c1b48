"""`DataBlock`: how a source of data becomes loaders, as one value."""

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from satsuma.data.blocks import Block, CategoryBlock, plain
from satsuma.data.checks import (
    DataReport,
    examine_all,
    find_twins,
    label_warnings,
    refuse_unreadable,
    twin_warning,
)
from satsuma.data.collate import collate
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.getters import ItemGetter
from satsuma.data.loader import DataLoader
from satsuma.data.samples import Samples, get_value, identity, short
from satsuma.data.splitters import RandomSplitter
from satsuma.data.transforms import BatchSteps, Steps, make_steps, takes_rng
from satsuma.errors import spelled, spelled_class

FIT_SAMPLES = 256  # how many training samples a batch transform such as Normalize() is fitted to


@spelled_class
@dataclass(frozen=True, kw_only=True)
class DataBlock:
    """Blocks, and how to get items, split them, and read inputs and targets from an item.

    `blocks`: one block (or its class) for each position of a sample; the first `n_inp` are inputs (by default all but
    the last, or the only one). `get_items(source)` lists items; without it the source is the list, or a data frame
    whose rows are the items. `splitter(items)` gives train and valid indices. `get_x`, `get_y`: one function for each
    input and target; without any, an item that is a tuple is taken apart. `item_tfms` apply to a sample's pictures
    and arrays one by one, `batch_tfms` to the stacked batch on its device.
    """

    blocks: Any
    get_items: Callable[[Any], Sequence[Any]] | None = None
    splitter: Callable[..., tuple[list[int], list[int]]] = RandomSplitter()  # noqa: RUF009  a frozen value
    get_x: Any = None
    get_y: Any = None
    n_inp: int | None = None
    item_tfms: Any = ()
    batch_tfms: Any = ()

    def __post_init__(self) -> None:
        given = self.blocks if isinstance(self.blocks, tuple | list) else (self.blocks,)
        made = tuple(b() if isinstance(b, type) or not isinstance(b, Block) else b for b in given)
        for block in made:
            if not isinstance(block, Block):
                raise TypeError(f"DataBlock: {block!r} is no block; use ImageBlock, CategoryBlock, RegressionBlock...")
        if not made:
            raise ValueError("DataBlock: blocks is empty; give one block for each position of a sample")
        n_inp = max(1, len(made) - 1) if self.n_inp is None else self.n_inp
        if not 1 <= n_inp <= len(made):
            raise ValueError(f"DataBlock: n_inp={n_inp} does not fit {len(made)} blocks")
        object.__setattr__(self, "blocks", made)
        object.__setattr__(self, "n_inp", n_inp)
        object.__setattr__(self, "item_tfms", make_steps(self.item_tfms).transforms)
        object.__setattr__(self, "batch_tfms", make_steps(self.batch_tfms).transforms)

    def items(self, source: Any) -> list[Any]:
        """The items of `source`; `ValueError` if there are none."""
        found = source if self.get_items is None else self.get_items(source)
        items = [row for _, row in found.iterrows()] if hasattr(found, "iterrows") else list(found)
        if not items:
            name = getattr(self.get_items, "__name__", repr(self.get_items))
            raise ValueError(f"no items found in {short(source)}" + (f" by {name}" if self.get_items else ""))
        return items

    def getters(self, items: Sequence[Any]) -> tuple[Callable[[Any], Any], ...]:
        """One getter for each block."""
        n_inp, n_out = int(self.n_inp or 1), len(self.blocks) - int(self.n_inp or 1)
        first = items[0]
        whole = isinstance(first, tuple) and len(first) == len(self.blocks) > 1
        if self.get_x is None and self.get_y is None and whole:
            return tuple(ItemGetter(i) for i in range(len(self.blocks)))
        inputs = many(self.get_x, n_inp, "get_x", "inputs")
        if self.get_y is None and n_out:
            raise ValueError(
                f"DataBlock: there are {n_out} target blocks but no get_y, and items are {type(first).__name__}, "
                f"not tuples of {len(self.blocks)}. Give get_y, for example get_y=parent_label."
            )
        return inputs + many(self.get_y, n_out, "get_y", "targets")

    def split(self, items: Sequence[Any], labels: Sequence[Any] | None) -> tuple[list[int], list[int]]:
        """Train and valid indices, checked: no item in both, none outside, something to train on."""
        if "labels" in takes(self.splitter):
            train, valid = self.splitter(items, labels=list(range(len(items))) if labels is None else labels)
        else:
            train, valid = self.splitter(items)
        train, valid = [int(i) for i in train], [int(i) for i in valid]
        both = set(train) & set(valid)
        if both:
            raise ValueError(
                f"the splitter puts {len(both)} items into both halves, the first: {short(items[min(both)])}"
            )
        outside = [i for i in train + valid if not 0 <= i < len(items)]
        if outside:
            raise ValueError(f"the splitter gave index {outside[0]}, but there are {len(items)} items")
        if not train:
            raise ValueError(f"the splitter left none of the {len(items)} items to train on")
        return train, valid

    @spelled
    def dataloaders(
        self,
        source: Any,
        *,
        bs: int = 64,
        seed: int = 0,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        drop_last: bool = True,
        check: bool = True,
        on_unreadable: str = "raise",
    ) -> DataLoaders:
        """Loaders over `source`, after a look at the data.

        `bs`: batch size. `workers`: threads that load ahead; None: one a core, up to 8, if samples come from files.
        `drop_last`: leave out a training epoch's last, shorter batch (a batch of one breaks batch normalisation).
        `check`: read every file once; unreadable ones are listed in a `ValueError`, or left out with
        `on_unreadable="skip"`; twins across the split and classes without a training sample are warned of.
        """
        if on_unreadable not in ("raise", "skip"):
            raise ValueError(f'on_unreadable is "raise" or "skip", got {on_unreadable!r}')
        items = self.items(source)
        getters = self.getters(items)
        items, digests, unreadable = self.examine(items, getters, on_unreadable == "skip") if check else (items, [], ())
        raw = [read_labels(getter, items) for getter in getters[self.n_inp :]]
        train, valid = self.split(items, raw[0] if raw else None)
        inputs, targets = self.blocks[: self.n_inp], self.blocks[self.n_inp :]
        blocks = tuple(b.setup(()) for b in inputs) + tuple(b.setup(v) for b, v in zip(targets, raw, strict=True))

        found = []
        for block, labels in zip(blocks[self.n_inp :], raw, strict=True):
            if isinstance(block, CategoryBlock):
                found += label_warnings([plain(v) for v in labels], block.vocab, train, valid)
        twins = find_twins(items, digests, train, valid) if digests else []
        found += [twin_warning(twins)] if twins else []

        item_steps = make_steps(self.item_tfms)
        halves = [Samples([items[i] for i in half], getters, blocks, item_steps) for half in (train, valid)]
        fitted = fit_batch_tfms(halves[0], self.batch_tfms)
        steps = batch_steps(blocks, fitted)
        if workers is None:
            workers = min(8, os.cpu_count() or 1) if any(hasattr(b, "examine") for b in blocks) else 0
        loader = DataLoader(
            halves[0],
            bs,
            True,
            drop_last=drop_last and len(train) > bs,
            workers=workers,
            seed=seed,
            batch_steps=steps,
            device=device,
            n_inp=int(self.n_inp or 1),
        )
        loaders = [loader]
        if valid:
            loaders.append(loader.new(halves[1], batch_size=2 * bs, shuffle=False, drop_last=False, augment=False))
        return DataLoaders(
            *loaders,
            block=replace(self, blocks=blocks, batch_tfms=fitted),
            source=source,
            report=DataReport(tuple(unreadable), tuple(twins), tuple(found)),
        )

    def examine(
        self, items: list[Any], getters: tuple[Callable[[Any], Any], ...], skip: bool
    ) -> tuple[list[Any], list[bytes], list[tuple[str, str]]]:
        """Look at the files of the first input: the items that can be read, their digests, and those that cannot."""
        look = getattr(self.blocks[0], "examine", None)
        if look is None:
            return items, [], []
        facts = examine_all([get_value(getters[0], item) for item in items], look)
        unreadable = [
            (str(get_value(getters[0], i)), f.problem) for i, f in zip(items, facts, strict=True) if f.problem
        ]
        refuse_unreadable(unreadable, len(items), skip=skip)
        kept = [(item, f.digest) for item, f in zip(items, facts, strict=True) if not f.problem]
        return [item for item, _ in kept], [digest for _, digest in kept], unreadable

    def summary(self, source: Any, *, bs: int = 4) -> str:
        """Walk one sample and one batch through every step; print what each step got and gave, or where it failed."""
        from satsuma.data.summary import walk

        text = walk(self, source, bs)
        print(text)
        return text


def many(getter: Any, n: int, name: str, what: str) -> tuple[Callable[[Any], Any], ...]:
    if n == 0:
        return ()
    getters = tuple(getter) if isinstance(getter, list | tuple) else (identity if getter is None else getter,) * n
    if len(getters) != n:
        raise ValueError(f"DataBlock: {name} has {len(getters)} functions for {n} {what}")
    return getters


def takes(func: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(func).parameters)


def read_labels(getter: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """The targets of all items; `ValueError` that counts and names those for which there is none."""
    labels, failures = [], []
    for item in items:
        try:
            label = get_value(getter, item)
        except ValueError as error:
            failures.append(str(error))
            continue
        if label is None or (isinstance(label, float) and label != label):
            failures.append(f"no label for {short(item)}")
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
    """The batch transforms, those with a method `fit` fitted to an even choice of the training samples' first part."""
    if not any(hasattr(t, "fit") for t in batch_tfms):
        return tuple(batch_tfms)
    stride = max(1, len(samples) // FIT_SAMPLES)
    batch = collate([samples[i][0] for i in range(0, len(samples), stride)][:FIT_SAMPLES])
    batch = samples.blocks[0].batch_steps()(batch, None)
    fitted = []
    for transform in batch_tfms:
        transform = transform.fit(batch) if hasattr(transform, "fit") else transform
        batch = Steps((transform,), (takes_rng(transform),))(batch, None)
        fitted.append(transform)
    return tuple(fitted)
