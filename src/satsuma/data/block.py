"""`DataBlock`: how a source of data becomes loaders, as one value."""

import inspect
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satsuma.data.blocks import Block, CategoryBlock, RegressionBlock
from satsuma.data.broken import MAX_BROKEN
from satsuma.data.cache import with_cache
from satsuma.data.checks import (
    DataReport,
    FileFacts,
    examine_all,
    find_twins,
    label_warnings,
    note_warnings,
    refuse_sizes,
    refuse_unreadable,
    twin_warning,
    with_closed_named,
)
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.edit_log import read_edits
from satsuma.data.edited import EditedData, apply_edits
from satsuma.data.edits import Edits, all_keys
from satsuma.data.getters import ItemGetter, as_python
from satsuma.data.loader import DataLoader, whole_number
from satsuma.data.multi_category import MultiCategoryBlock, delimiter_warnings, multi_label_warnings
from satsuma.data.prepare import fit_batch_tfms, make_samples, read_labels
from satsuma.data.samples import get_value, identity, item_name, listed, short
from satsuma.data.seeds import as_seed
from satsuma.data.splitters import RandomSplitter
from satsuma.data.summary import walk
from satsuma.data.transforms import make_steps, part_label
from satsuma.errors import spelled, spelled_class


@spelled_class
@dataclass(frozen=True, kw_only=True, repr=False)
class DataBlock:
    """Blocks, and how to get items, split them, and read inputs and targets from an item.

    `blocks`: one block (or its class) for each position of a sample; the first `n_inp` are inputs (by default all but
    the last, or the only one). `get_items(source)` lists items; without it the source is the list, or a data frame
    whose rows are the items. `splitter(items)` gives train and valid indices. `get_x`, `get_y`: a function, or a list
    of them for several inputs or targets; without any, an item that is a tuple is taken apart. `item_tfms` apply to
    a sample's pictures and arrays one by one, `batch_tfms` to the stacked batch on its device. `edits`: other labels,
    moves to the other half and items to leave out: `Edits`, or a file of them, which is read once, here.
    """

    blocks: Any
    get_items: Callable[[Any], Sequence[Any]] | None = None
    splitter: Callable[..., tuple[list[int], list[int]]] = RandomSplitter()  # noqa: RUF009  a frozen value
    get_x: Any = None
    get_y: Any = None
    n_inp: int = 0  # 0: all but the last, or the only one
    item_tfms: Any = ()
    batch_tfms: Any = ()
    edits: Any = None

    def __post_init__(self) -> None:
        given = self.blocks if isinstance(self.blocks, tuple | list) else (self.blocks,)
        made = tuple(b() if isinstance(b, type) else b for b in given)
        for block in made:
            if not isinstance(block, Block):
                raise TypeError(f"DataBlock: {block!r} is no block; use ImageBlock, CategoryBlock, RegressionBlock...")
        if not made:
            raise ValueError("DataBlock: blocks is empty; give one block for each position of a sample")
        if not callable(self.splitter) or isinstance(self.splitter, type):
            name = f"the class {self.splitter.__name__}" if isinstance(self.splitter, type) else repr(self.splitter)
            raise TypeError(
                f"DataBlock: splitter is a function of the items, such as RandomSplitter(0.2), got {name}; "
                f"to hold nothing out: RandomSplitter(0)"
            )
        if self.get_items is not None and not callable(self.get_items):
            raise TypeError(f"DataBlock: get_items is a function of the source, got {self.get_items!r}")
        n_inp = self.n_inp or max(1, len(made) - 1)
        if not 1 <= n_inp <= len(made):
            raise ValueError(f"DataBlock: n_inp={n_inp} does not fit {len(made)} blocks")
        edits = read_edits(self.edits) if isinstance(self.edits, str | Path) else self.edits
        if not isinstance(edits, Edits | None):
            raise TypeError(f"DataBlock: edits is a file such as edits.jsonl, or Edits(...), got {self.edits!r}")
        object.__setattr__(self, "edits", edits or None)  # none at all are as if nothing was given
        object.__setattr__(self, "blocks", made)
        object.__setattr__(self, "n_inp", n_inp)
        object.__setattr__(self, "item_tfms", make_steps(self.item_tfms).transforms)
        object.__setattr__(self, "batch_tfms", make_steps(self.batch_tfms).transforms)

    def __repr__(self) -> str:
        given = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in (None, ()) and field.name != "n_inp":
                parts = ", ".join(part_label(v) for v in value) if isinstance(value, tuple) else part_label(value)
                given.append(f"{field.name}=({parts})" if isinstance(value, tuple) else f"{field.name}={parts}")
        return f"DataBlock({', '.join(given)})"

    def items(self, source: Any) -> list[Any]:
        """The items of `source`; `ValueError` if there are none."""
        if self.get_items is None and isinstance(source, str | Path):
            raise ValueError(
                f"DataBlock: the source is a path, {source}, and there is no get_items to list what lies there. "
                f"Give get_items=get_image_files, or a list as the source."
            )
        items = listed(source if self.get_items is None else with_closed_named(self.get_items, source))
        if not items:
            by = "" if self.get_items is None else f" by {part_label(self.get_items)}"
            raise ValueError(f"no items found in {short(source)}{by}")
        return items

    def getters(self, items: Sequence[Any]) -> tuple[Callable[[Any], Any], ...]:
        """One getter for each block."""
        n_inp, n_out = self.n_inp, len(self.blocks) - self.n_inp
        first = items[0]
        if self.get_x is None and self.get_y is None and isinstance(first, tuple) and len(self.blocks) > 1:
            for i, item in enumerate(items):
                if not isinstance(item, tuple) or len(item) != len(self.blocks):
                    given = f"{len(item)} parts" if isinstance(item, tuple) else type(item).__name__
                    raise ValueError(
                        f"DataBlock: {len(self.blocks)} blocks need items of as many parts; item {i} is {given}: "
                        f"{short(item)}. Give get_x and get_y if the parts are to be chosen."
                    )
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
        name = part_label(self.splitter)
        if "labels" not in inspect.signature(self.splitter).parameters:
            halves = self.splitter(items)
        elif labels is None:
            raise ValueError(f"{name} splits by label, and there is no target block to read labels")
        else:
            halves = self.splitter(items, labels=labels)
        if not isinstance(halves, tuple | list) or len(halves) != 2:
            raise ValueError(f"a splitter gives (train indices, valid indices); {name} gave {short(halves)}")
        train, valid = ([int(i) for i in half] for half in halves)
        both = set(train) & set(valid)
        if both:
            raise ValueError(
                f"the splitter {name} puts {len(both)} items into both halves, the first: {short(items[min(both)])}"
            )
        again = [i for i, n in Counter(train + valid).items() if n > 1]
        if again:
            raise ValueError(
                f"the splitter {name} gives {len(again)} items more than once, the first: {short(items[again[0]])}"
            )
        outside = [i for i in train + valid if not 0 <= i < len(items)]
        if outside:
            raise ValueError(f"the splitter {name} gave index {outside[0]}, but there are {len(items)} items")
        if not train:
            raise ValueError(f"the splitter {name} left none of the {len(items)} items to train on")
        return train, valid

    def halves(
        self, items: list[Any], keys: Sequence[str], getters: tuple[Callable[[Any], Any], ...], raw: list[list[Any]]
    ) -> EditedData:
        """The split of all items, and what the edits make of it. `keys`: of each item; `raw`: each target's values."""
        halves = self.split(items, raw[0] if raw else None)
        if self.edits is None:
            return EditedData(items, getters, raw, halves, list(range(len(items))))
        return apply_edits(self.edits, keys, items, getters, self.blocks[self.n_inp :], raw, halves)

    @spelled
    def dataloaders(
        self,
        source: Any,
        *,
        bs: int = 64,
        seed: int = 42,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        drop_last: bool = True,
        check: bool = True,
        on_unreadable: str = "raise",
        cache: str | None = None,
        worker_kind: str = "auto",
        max_broken: float = MAX_BROKEN,
        skipped: Sequence[tuple[str, str]] = (),
    ) -> DataLoaders:
        """Loaders over `source`, after a look at the data.

        `bs`: batch size. `workers`: threads that load ahead; None: one a core, up to 8, if samples come from files.
        `worker_kind`: "threads", "processes" (for transforms that hold the interpreter lock), or "auto".
        `cache`: keep in memory each picture's "pixels", decoded, or the "bytes" of its file; None: read files anew.
        `drop_last`: leave out a training epoch's last, shorter batch (a batch of one breaks batch normalisation).
        `check`: read every file once; unreadable ones are listed in a `ValueError`, or left out with
        `on_unreadable="skip"`; twins across the split and classes without a training sample are warned of.
        `max_broken`: the share of training files that may break after that check before the run stops, at least one
        unless 0; until then other samples take their place. A validation file that breaks is an error.
        `skipped`: (name, reason) of files to leave out unseen, as the report of an earlier check lists them.
        """
        if on_unreadable not in ("raise", "skip"):
            raise ValueError(f'on_unreadable is "raise" or "skip", got {on_unreadable!r}')
        bs, workers = whole_number("bs", bs, 1), None if workers is None else whole_number("workers", workers, 0)
        seed = as_seed(seed)
        items = self.items(source)
        getters = self.getters(items)
        keys = all_keys(items, getters[0], source) if self.edits else []
        raw = [read_labels(getter, items, getters[0]) for getter in getters[self.n_inp :]]
        unreadable = listed_places(items, getters, skipped)
        digests, found = list[bytes](), list[str]()
        if check:
            excluded = set(self.edits.excluded) if self.edits else ()
            looked = [i for i in range(len(items)) if i not in unreadable and not (keys and keys[i] in excluded)]
            digests, bad, found = self.examine([items[i] for i in looked], getters, on_unreadable == "skip")
            unreadable |= {looked[i]: problem for i, problem in bad.items()}
        good = [i for i in range(len(items)) if i not in unreadable]
        items, raw = [items[i] for i in good], [[labels[i] for i in good] for labels in raw]
        for getter in getters[self.n_inp :]:
            found += delimiter_warnings(getter, items)
        data = self.halves(items, [keys[i] for i in good] if keys else [], getters, raw)
        items, getters, raw, (train, valid) = data.items, data.getters, data.raw, data.halves
        found += data.told
        inputs, targets = self.blocks[: self.n_inp], self.blocks[self.n_inp :]
        for block, labels in zip(targets, raw, strict=True):
            refuse_misfits(block, labels, items, getters[0])
        fitted_targets = tuple(fitted_target(b, v, items, getters[0]) for b, v in zip(targets, raw, strict=True))
        blocks = (*(b.setup(()) for b in inputs), *fitted_targets)

        twins = find_twins([item_name(i, getters[0]) for i in items], digests, train, valid) if digests else []
        found += [twin_warning(twins)] if twins else []
        for block, labels in zip(blocks[self.n_inp :], raw, strict=True):
            if isinstance(block, CategoryBlock):
                found += label_warnings([as_python(v) for v in labels], block.vocab, train, valid)
            if isinstance(block, MultiCategoryBlock):
                found += multi_label_warnings(block, labels, train, valid)

        halves = [[items[i] for i in half] for half in (train, valid)]
        fitted = fit_batch_tfms(halves[0], getters, blocks, self.item_tfms, self.batch_tfms)
        samples, steps = make_samples(halves[0], getters, blocks, self.item_tfms, fitted)
        samples = with_cache(samples, cache)
        from_files = any(hasattr(b, "examine") for b in blocks)
        loader = DataLoader(
            samples,
            bs,
            True,
            drop_last=drop_last and len(train) > bs,
            workers=default_workers(from_files) if workers is None else workers,
            worker_kind=worker_kind,
            seed=seed,
            batch_steps=steps,
            device=device,
            n_inp=self.n_inp,
            max_broken=max_broken,
        )
        loaders = [loader]
        if valid:
            held_out = replace(samples, items=halves[1])
            loaders.append(loader.new(held_out, batch_size=2 * bs, shuffle=False, drop_last=False, augment=False))
        made = DataLoaders(
            *loaders,
            block=replace(self, blocks=blocks, batch_tfms=fitted),
            source=source,
            report=DataReport(tuple(unreadable.values()), tuple(twins), tuple(found)),
        )
        places = np.array([good[i] for i in data.places], dtype=np.int64)
        made.places = (places[train], places[valid])[: len(loaders)]
        return made

    def examine(
        self, items: list[Any], getters: Sequence[Callable[[Any], Any]], skip: bool
    ) -> tuple[list[bytes], dict[int, tuple[str, str]], list[str]]:
        """Read all files: digests of the items that are good; place → (name, reason) of the others; what to note."""
        digests = [b""] * len(items)
        unreadable: dict[int, tuple[str, str]] = {}
        looked: list[tuple[list[str], list[FileFacts]]] = []
        comparable, notes = True, list[str]()
        for position, (getter, block) in enumerate(zip(getters, self.blocks, strict=True)):
            is_input = position < self.n_inp
            if not is_input and hasattr(block, "misfit"):
                for i, item in enumerate(items):
                    size = looked[0][1][i].size if looked else None
                    if problem := block.misfit(get_value(getter, item), size):
                        unreadable.setdefault(i, (item_name(item, getters[0]), problem))
            if not hasattr(block, "examine"):
                comparable = comparable and not is_input  # an input that cannot be examined may tell twins apart
                continue
            found = examine_all([get_value(getter, item) for item in items], block.examine)
            names = [item_name(item, getter) for item in items]
            notes += note_warnings(names, found)
            if is_input:
                looked.append((names, found))
            for i, facts in enumerate(found):
                digests[i] += facts.digest if is_input else b""
                problem = facts.problem or ("" if is_input or not looked else other_size(facts, looked[0][1][i]))
                if problem:
                    unreadable.setdefault(i, (names[i], problem))
        refuse_unreadable(list(unreadable.values()), len(items), skip=skip)
        # with any of these, what size comes out is not known before they run
        if not self.item_tfms and not any(hasattr(t, "size") for t in self.batch_tfms):
            for names, found in looked:
                refuse_sizes(names, found)
        return [digest for i, digest in enumerate(digests) if comparable and i not in unreadable], unreadable, notes

    @spelled
    def summary(self, source: Any, *, bs: int = 4) -> None:
        """Walk one sample and one batch through every step; print what each step got and gave, or where it failed."""
        print(walk(self, source, bs))


def listed_places(
    items: Sequence[Any], getters: Sequence[Callable[[Any], Any]], listed_names: Sequence[tuple[str, str]]
) -> dict[int, tuple[str, str]]:
    """Place → (name, reason) of the items that a list of names and reasons has."""
    reasons = {str(name): str(reason) for name, reason in listed_names}
    found: dict[int, tuple[str, str]] = {}
    for i, item in enumerate(items if reasons else ()):
        for getter in getters:
            if (name := item_name(item, getter)) in reasons:
                found.setdefault(i, (name, reasons[name]))
    return found


def refuse_misfits(block: Block, values: Sequence[Any], items: Sequence[Any], get_x: Callable[[Any], Any]) -> None:
    """`ValueError` that names the first item whose target the block says cannot be one, if it has a `misfit`."""
    for item, value in zip(items, values, strict=True):
        problem = block.misfit(value, None) if hasattr(block, "misfit") else ""
        if problem:
            raise ValueError(f"{item_name(item, get_x)}: {problem}")


def fitted_target(block: Block, values: Sequence[Any], items: Sequence[Any], get_x: Callable[[Any], Any]) -> Block:
    """The block fitted to its values; of numbers the first that is none is told with its item."""
    try:
        return block.setup(values)
    except ValueError:
        for item, value in zip(items, values, strict=True) if isinstance(block, RegressionBlock) else ():
            try:
                block.load(value)
            except ValueError as error:
                raise ValueError(f"{item_name(item, get_x)}: {error}") from error
        raise


def other_size(mask: FileFacts, picture: FileFacts) -> str:
    """Why a mask does not fit the picture that it belongs to; "" if it does."""
    if mask.size == picture.size or mask.size is None or picture.size is None:
        return ""
    (w, h), (width, height) = mask.size, picture.size
    return f"the mask is {w}×{h} (width × height) and its image {width}×{height}: a mask has its image's size"


def default_workers(from_files: bool) -> int:
    """One thread a core, up to 8, where files are read; none for what lies in memory."""
    return min(8, os.cpu_count() or 1) if from_files else 0


def many(getter: Any, n: int, name: str, what: str) -> tuple[Callable[[Any], Any], ...]:
    if n == 0 and getter is not None:
        raise ValueError(f"DataBlock: {name} is given, but there are no {what}; add a block, or lower n_inp")
    if n == 0:
        return ()
    getters = tuple(getter) if isinstance(getter, list | tuple) else (identity if getter is None else getter,)
    for given in getters:
        if not callable(given):
            raise TypeError(f"DataBlock: {name} is a function of an item, or a list of them, got {given!r}")
    if len(getters) != n:
        raise ValueError(f"DataBlock: {n} {what} need {name} to be a list of {n} functions, got {len(getters)}")
    return getters
