"""What is looked at when loaders are built: files that cannot be read, twins across the split, classes left out."""

import os
import stat
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ONE_SIZE = "Bring them to one size by size=224, or in a DataBlock by item_tfms=Resize(224)."
SHOWN = 5  # how many names a message lists before it says how many more there are
MAX_BYTES = 2**31  # of one file; the largest picture that is read, 16 bits in four channels, has fewer


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one look at a file found: why it cannot be used ("" if it can), a digest of its bytes, (width, height).

    `note`: what to say of a file that can be used.
    """

    problem: str
    digest: bytes
    size: tuple[int, int] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the check found. `unreadable`: (item, reason); `twins`: (training item, validation item), byte for byte."""

    unreadable: tuple[tuple[str, str], ...] = ()
    twins: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def examine_all(values: Sequence[Any], examine: Callable[[Any], FileFacts]) -> list[FileFacts]:
    """`examine` applied to every value by a few threads (reading and decoding release the interpreter lock).

    What Pillow warns of meanwhile is not shown: it names no file, and the facts say what is of consequence.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        return list(pool.map(examine, values))


def file_problem(path: str | Path) -> str:
    """Why there is no file to read at a path, "" if there is. It opens nothing: a pipe would wait for ever."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return "it is a link to nowhere" if os.path.islink(path) else "there is no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError as error:
        return f"no file can have this name: {error}"
    if not stat.S_ISREG(found.st_mode):
        return f"cannot be read: it is a {'folder' if stat.S_ISDIR(found.st_mode) else 'pipe, socket or device'}"
    if found.st_size > MAX_BYTES:
        return f"{found.st_size:,} bytes are more than the limit of {MAX_BYTES:,}"
    return ""


def with_closed_named(list_items: Callable[[Any], Any], source: Any) -> Any:
    """`list_items(source)`; `PermissionError` that names every folder below `source` that cannot be opened."""
    try:
        return list_items(source)
    except PermissionError as error:
        failures: list[OSError] = []
        for _ in os.walk(source, onerror=failures.append):
            pass
        if not failures:
            raise
        listed = "\n".join(f"  {on_one_line(str(f.filename))}: {f.strerror}" for f in failures)
        count = "1 folder" if len(failures) == 1 else f"{len(failures)} folders"
        raise PermissionError(
            f"{count} cannot be opened:\n{listed}\nChange the permissions, or move what is not to be read elsewhere."
        ) from error


def note_warnings(names: Sequence[str], facts: Sequence[FileFacts]) -> list[str]:
    """A line for each kind of note, with the files that it is about."""
    notes: dict[str, list[str]] = {}
    for name, found in zip(names, facts, strict=True):
        if found.note:
            notes.setdefault(found.note, []).append(name)
    return [f"{len(n)} file{'s' * (len(n) > 1)}: {note}: {listing(n)}" for note, n in notes.items()]


def refuse_unreadable(unreadable: Sequence[tuple[str, str]], n_items: int, *, skip: bool) -> None:
    """Raise `ValueError` listing every unreadable file with its reason; with `skip` warn instead."""
    if not unreadable:
        return
    listed = "\n".join(f"  {on_one_line(item)}: {reason}" for item, reason in unreadable)
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
    """Classes without a training sample, among them those that validation has, and classes that look like another."""
    in_train, in_valid = {labels[i] for i in train}, {labels[i] for i in valid}
    unseen = [str(v) for v in vocab if v not in in_train and v in in_valid]
    absent = [str(v) for v in vocab if v not in in_train and v not in in_valid]
    found = lookalike_warnings(vocab)
    if unseen:
        found.append(
            f"{len(unseen)} labels in the validation half have no training sample, the model cannot learn them: "
            f"{listing(unseen)}"
        )
    if absent:
        found.append(f"{len(absent)} classes of the vocab have no sample at all: {listing(absent)}")
    return found


def lookalike_warnings(vocab: Sequence[Any]) -> list[str]:
    """Classes that differ from another only in capitals, in spaces around them or in how Unicode spells a letter."""
    alike: dict[str, list[str]] = {}
    for v in vocab:
        alike.setdefault(unicodedata.normalize("NFKC", str(v)).strip().casefold(), []).append(repr(v))
    groups = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if not groups:
        return []
    count = "1 class is" if len(groups) == 1 else f"{len(groups)} classes are"
    return [f"{count} spelt in several ways, as if there were several: {listing(groups)}"]


def twin_warning(twins: Sequence[tuple[str, str]]) -> str:
    pairs = listing([f"{a} = {b}" for a, b in twins])
    count = "1 file is" if len(twins) == 1 else f"{len(twins)} files are"
    return (
        f"{count} byte for byte the same in training and validation, so the validation result "
        f"flatters the model: {pairs}"
    )


def listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(on_one_line(name) for name in names[:SHOWN]) + more


def on_one_line(text: str) -> str:
    r"""The text with whatever would break a line, steer a terminal or fail to be printed written as its number.

    >>> print(on_one_line("a\nb \x1b[31m.jpg"))
    a\nb \x1b[31m.jpg
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def warn_user(text: str) -> None:
    """Warn at the line that called into this package, wherever in it the trouble was found."""
    depth, frame = 1, sys._getframe()
    here = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == here:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)
