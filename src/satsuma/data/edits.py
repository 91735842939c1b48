"""Edits of data: other labels, another half, left out; by the key of an item, without touching a file of the data."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.data.getters import ColReader
from satsuma.data.samples import Samples
from satsuma.errors import spelled_class

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

HALVES = ("train", "valid")
LONGEST_PATH = 4096  # characters; a longer text is no file


@spelled_class
@dataclass(frozen=True, slots=True)
class Edits:
    """What is different from the data as they lie; each item by its key, as `item_key` gives it.

    `labels`: the label in place of the one that is read: a class, a tuple of labels, a number or several. `moves`: the
    half that an item goes to, "train" or "valid", whatever the splitter says. `excluded`: items that are left out.

    >>> Edits(labels={"cats/7.jpg": "dogs"}, excluded=["cats/9.jpg"])
    Edits(labels={'cats/7.jpg': 'dogs'}, moves={}, excluded=('cats/9.jpg',))
    """

    labels: Mapping[str, Any] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)
    excluded: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name, given in (("labels", self.labels), ("moves", self.moves)):
            if not isinstance(given, Mapping):
                raise TypeError(f"Edits: {name} is a dict, from an item's key to what is new, got {given!r}")
        for key, to in self.labels.items():
            if to is None:
                raise ValueError(f"Edits: {key} has no new label, got None; to leave an item out use excluded")
        if isinstance(self.excluded, str):
            raise TypeError(f"Edits: excluded is a list of keys, got one text: use [{self.excluded!r}]")
        for key, half in self.moves.items():
            if half not in HALVES:
                raise ValueError(f'Edits: an item is moved to "train" or "valid", got {half!r} for {key}')
        labels = {key: tuple(to) if isinstance(to, list) else to for key, to in self.labels.items()}
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "moves", dict(self.moves))
        object.__setattr__(self, "excluded", tuple(dict.fromkeys(self.excluded)))
        for key in self.edited():
            if not isinstance(key, str):
                raise TypeError(f"Edits: an item's key is text, as item_key gives it, got {key!r}")

    def __str__(self) -> str:
        counts = (("label", self.labels), ("move", self.moves), ("exclusion", tuple(self.excluded)))
        said = [f"{len(edits)} {name}{'s' * (len(edits) != 1)}" for name, edits in counts if edits]
        return f"edits of {', '.join(said) or 'nothing'}"

    def __hash__(self) -> int:
        return hash((frozenset(self.labels.items()), frozenset(self.moves.items()), frozenset(self.excluded)))

    def __bool__(self) -> bool:
        return bool(self.labels or self.moves or self.excluded)

    def edited(self) -> list[str]:
        """The keys of all items that are edited, each once."""
        return list(dict.fromkeys((*self.labels, *self.moves, *self.excluded)))


def item_key(item: Any, place: int, get_x: Callable[[Any], Any], source: Any) -> str:
    """What an edit calls an item: its file below the source's folder, with "/" between names; else its absolute path.

    An item that has no file is called by its `place` in the list of all items. `get_x`: what reads the (first) input
    from the item; the folder of a `ColReader` is the source of a table's files.

    >>> item_key(Path("pets/cats/7.jpg"), 3, Path, "pets")
    'cats/7.jpg'
    >>> item_key((0.5, "cat"), 3, ColReader(0), None)
    '3'
    """
    return key_below(item, place, get_x, source_folder(get_x, source))


def all_keys(items: Sequence[Any], get_x: Callable[[Any], Any], source: Any) -> list[str]:
    """The key of each of `items`, which are all that the source has."""
    root = source_folder(get_x, source)
    return [key_below(item, place, get_x, root) for place, item in enumerate(items)]


def keys_of(dls: "DataLoaders", ds_idx: int = 1) -> list[str]:
    """What edits call the samples of a loader (0: train, 1: valid), in the order of its data set.

    They stay what they are when other items are left out. Samples without a `DataBlock` are called by their number.
    """
    dataset = dls.loaders[ds_idx].dataset
    if not isinstance(dataset, Samples):
        return [str(i) for i in range(len(dataset))]
    places = range(len(dataset)) if dls.places is None else dls.places[ds_idx].tolist()
    get_x = dataset.getters[0]
    root = source_folder(get_x, dls.source)
    return [key_below(item, place, get_x, root) for item, place in zip(dataset.items, places, strict=True)]


def key_below(item: Any, place: int, get_x: Callable[[Any], Any], root: str) -> str:
    """`item_key`, where files are named from the folder `root` on; "" for no folder."""
    file = item_file(item, get_x)
    if file is None:
        return str(place)
    return (path_below(file, root) if root else "") or Path(os.path.abspath(file)).as_posix()


def item_file(item: Any, get_x: Callable[[Any], Any]) -> str | None:
    """The path of an item's file: the item itself or its input; None for an item that is read from no file."""
    if isinstance(item, Path):
        return str(item)
    try:
        value = get_x(item)
    except Exception:
        return None
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_PATH or "\0" in value:
        return None
    return value if os.path.isfile(value) else None


def file_text(item: Any, get_x: Callable[[Any], Any]) -> str:
    """The path of an item that is known to have a file."""
    return str(item if isinstance(item, Path) else get_x(item))


def source_folder(get_x: Callable[[Any], Any], source: Any) -> str:
    """The folder that files are named from: that of a table's column, or the source itself; "" if there is none."""
    getter = get_x.getter if isinstance(get_x, PlacedInput) else get_x
    if isinstance(getter, ColReader) and isinstance(getter.pref, Path):
        return str(getter.pref)
    if not isinstance(source, str | Path):
        return ""
    return str(Path(source).parent if os.path.isfile(source) else Path(source))


def path_below(file: str, root: str) -> str:
    """`file` from the folder `root` on, with "/" between names; "" if it does not lie below.

    >>> path_below("pets/cats/7.jpg", "pets"), path_below("/scans/7.jpg", "/pets")
    ('cats/7.jpg', '')
    """
    if root == "." and not os.path.isabs(file):
        return Path(file).as_posix()
    start = os.path.join(root, "")
    if not file.startswith(start):
        file, start = os.path.abspath(file), os.path.join(os.path.abspath(root), "")
    below = file[len(start) :] if file.startswith(start) else ""
    return below if os.sep == "/" else below.replace(os.sep, "/")


@dataclass(frozen=True, slots=True)
class EditedLabel:
    """The label of an item, where `labels` has another for its file, as `file_text` gives it; else that of `getter`."""

    getter: Callable[[Any], Any]
    get_x: Callable[[Any], Any]
    labels: Mapping[str, Any]

    def __call__(self, item: Any) -> Any:
        file = file_text(item, self.get_x)
        return self.labels[file] if file in self.labels else self.getter(item)


@dataclass(frozen=True, slots=True)
class PlacedInput:
    """`getter`, of items that are pairs (place, item)."""

    getter: Callable[[Any], Any]

    def __call__(self, item: tuple[int, Any]) -> Any:
        return self.getter(item[1])


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """`getter`, of items that are pairs (place, item), where `labels` has no other for the place."""

    getter: Callable[[Any], Any]
    labels: Mapping[int, Any]

    def __call__(self, item: tuple[int, Any]) -> Any:
        place, inner = item
        return self.labels[place] if place in self.labels else self.getter(inner)


def original_getter(getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What reads from an item as it comes from the source, whatever edits have made of it."""
    return getter.getter if isinstance(getter, EditedLabel) else unplaced(getter)


def unplaced(getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The getter for items as they come from the source, of one that may be for pairs (place, item)."""
    return getter.getter if isinstance(getter, PlacedInput | PlacedLabel) else getter
