"""What is looked at when loaders are built: files that cannot be read, twins across the split, classes left out."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

ONE_SIZE = "Bring them to one size by size=224, or in a DataBlock by item_tfms=Resize(224)."
SHOWN = 5  # how many names a message lists before it says how many more there are


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one look at a file found: why it cannot be used ("" if it can), a digest of its bytes, (width, height)."""

    problem: str
    digest: bytes
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the check found. `unreadable`: (item, reason); `twins`: (training item, validation item), byte for byte."""

    unreadable: tuple[tuple[str, str], ...] = ()
    twins: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def examine_all(values: Sequence[Any], examine: Callable[[Any], FileFacts]) -> list[FileFacts]:
    """`examine` applied to every value by a few threads (reading and decoding release the interpreter lock)."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(examine, values))


def refuse_unreadable(unreadable: Sequence[tuple[str, str]], n_items: int, *, skip: bool) -> None:
    """Raise `ValueError` listing every unreadable file with its reason; with `skip` warn instead."""
    if not unreadable:
        return
    listed = "\n".join(f"  {item}: {reason}" for item, reason in unreadable)
    head = f"{len(unreadable)} of {n_items} files cannot be read"
    if skip and len(unreadable) < n_items:
        warn_user(f"{head}; going on without them:\n{listed}")
    elif skip:
        raise ValueError(f"{head}; there is nothing left to train on:\n{listed}")
    else:
        raise ValueError(f'{head}:\n{listed}\nMend or remove them, or go on without: on_unreadable="skip".')


def refuse_sizes(names: Sequence[str], facts: Sequence[FileFacts]) -> None:
    """Raise `ValueError` naming a few images whose size is not the most frequent one."""
    sizes = [f.size for f in facts]
    known = Counter(size for size in sizes if size)
    if len(known) < 2:
        return
    usual = known.most_common(1)[0][0]
    others = [
        f"{name} ({size[0]}×{size[1]})" for name, size in zip(names, sizes, strict=True) if size and size != usual
    ]
    raise ValueError(
        f"{len(others)} of {len(names)} images are not {usual[0]}×{usual[1]} (width × height) as most are, and images "
        f"of different sizes cannot be one batch: {listing(others)}. {ONE_SIZE}"
    )


def find_twins(
    names: Sequence[str], digests: Sequence[bytes], train: Sequence[int], valid: Sequence[int]
) -> list[tuple[str, str]]:
    """Pairs (training item, validation item) whose files are equal byte for byte; an empty digest equals none."""
    in_train = {digests[i]: i for i in reversed(train) if digests[i]}
    return [(names[in_train[digests[i]]], names[i]) for i in valid if digests[i] in in_train]


def label_warnings(
    labels: Sequence[Hashable], vocab: Sequence[Any], train: Sequence[int], valid: Sequence[int]
) -> list[str]:
    """Classes without a training sample, among them those that validation has."""
    in_train, in_valid = {labels[i] for i in train}, {labels[i] for i in valid}
    unseen = [str(v) for v in vocab if v not in in_train and v in in_valid]
    absent = [str(v) for v in vocab if v not in in_train and v not in in_valid]
    found = []
    if unseen:
        found.append(
            f"{len(unseen)} labels in the validation half have no training sample, the model cannot learn them: "
            f"{listing(unseen)}"
        )
    if absent:
        found.append(f"{len(absent)} classes of the vocab have no sample at all: {listing(absent)}")
    return found


def twin_warning(twins: Sequence[tuple[str, str]]) -> str:
    pairs = listing([f"{a} = {b}" for a, b in twins])
    count = "1 file is" if len(twins) == 1 else f"{len(twins)} files are"
    return (
        f"{count} byte for byte the same in training and validation, so the validation result "
        f"flatters the model: {pairs}"
    )


def listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def warn_user(text: str) -> None:
    """Warn at the line that called into this package, wherever in it the trouble was found."""
    depth, frame = 1, sys._getframe()
    here = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == here:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)
