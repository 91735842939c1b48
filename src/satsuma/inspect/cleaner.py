"""`ImageClassifierCleaner`: look through a model's worst images in a notebook, and say what is wrong with them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.data.edit_log import EditLine
from satsuma.data.edits import HALVES
from satsuma.data.multi_category import label_text
from satsuma.errors import nearest
from satsuma.inspect.export import edited_loaders, labels_csv
from satsuma.inspect.gallery import Card, Gallery
from satsuma.inspect.journal import Journal, State
from satsuma.inspect.predictions import Predictions, predictions_of
from satsuma.inspect.samples import sample_pictures

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders
    from satsuma.learner.learner import Learner

Which = int | str | Iterable[int | str]
SHOWN = 10  # images that the text lists


class ImageClassifierCleaner:
    """The images of one class and half, those first on which the model's loss is highest; and edits of them.

    `edits`: the file that the edits go to; `edits.jsonl` in the run's folder unless given, or here without one. What
    stands in it already holds. A notebook shows the images, each with a number; the methods take one number, several
    (`[0, 3]`, `range(4)`), or keys. Nothing is done to the files: the edits count for data that are loaded with them.

    >>> cleaner = ImageClassifierCleaner(learn)  # doctest: +SKIP
    >>> cleaner.show("cats")  # the images that are labelled so, in the validation half  # doctest: +SKIP
    >>> cleaner.relabel(0, "dogs")  # doctest: +SKIP
    >>> cleaner.exclude([2, 5], why="no animal")  # doctest: +SKIP
    >>> cleaner.undo()  # doctest: +SKIP
    >>> learn = vision_learner(cleaner.dataloaders(), "resnet18")  # doctest: +SKIP
    """

    def __init__(
        self,
        learn: "Learner",
        label: Any = None,
        half: str = "valid",
        *,
        edits: str | Path | None = None,
        most: int = 24,
    ) -> None:
        if learn.dls.block is None:
            raise ValueError(
                "ImageClassifierCleaner: edits are of items that a DataBlock reads, and these loaders were made "
                "without one, such as by from_arrays"
            )
        self.learn, self.most = learn, most
        folder = Path() if learn.run_dir is None else learn.run_dir
        self.edits = Journal(folder / "edits.jsonl" if edits is None else edits)
        self.known = {str(name): name for name in learn.dls.vocab}
        self.show(label, half)

    def show(self, label: Any = None, half: str = "valid", *, most: int | None = None) -> "ImageClassifierCleaner":
        """Look at other images: those labelled `label` (None: all) in "train" or "valid"; at most `most` of them."""
        if half not in HALVES:
            raise ValueError(f"ImageClassifierCleaner: half is {nearest(str(half), HALVES)}, got {half!r}")
        if half == "valid" and self.learn.dls.valid is None:
            raise ValueError('ImageClassifierCleaner: nothing is held out; look at half="train"')
        most = self.most if most is None else most
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ValueError(f"ImageClassifierCleaner: most is how many images to show, 1 or more, got {most!r}")
        found = predictions_of(self.learn, HALVES.index(half))
        if label is not None and str(label) not in found.vocab:
            raise ValueError(f"ImageClassifierCleaner: no class {label!r}: {nearest(str(label), found.vocab)}")
        self.label, self.half, self.most = label, half, most
        self.predictions = found
        order = np.argsort(-found.losses, kind="stable")
        self.places = [int(i) for i in order if label is None or has_label(found, int(i), str(label))][: self.most]
        return self

    def __len__(self) -> int:
        """How many images are shown."""
        return len(self.places)

    def __repr__(self) -> str:
        of = "all classes" if self.label is None else str(self.label)
        lines = [f"ImageClassifierCleaner({of}, {self.half}: {len(self)} images; {len(self.edits)} edits in force)"]
        now = self.edits.now()
        for number, place in enumerate(self.places[:SHOWN]):
            words = ", ".join(filter(None, self.words(place, now)))
            lines.append(f"  {number}  {self.predictions.keys[place]}: {words}")
        return "\n".join(lines)

    def gallery(self) -> Gallery:
        """The images with their numbers, what they are labelled, what the model says, and the edits of them."""
        ds_idx, now = HALVES.index(self.half), self.edits.now()
        cards = []
        for number, picture in enumerate(sample_pictures(self.learn.dls, ds_idx, self.places)):
            label, *said, edit = self.words(self.places[number], now)
            tone = "" if not edit else "bad" if edit == "left out" else "good"
            detail = [label, *said] if edit else said
            cards.append(Card(picture, f"{number}: {edit or label}", ", ".join(detail), tone))
        of = "all classes" if self.label is None else str(self.label)
        return Gallery(f"{of}, {self.half}: highest losses first", cards)

    def _repr_html_(self) -> str:
        return self.gallery()._repr_html_()

    def words(self, place: int, now: dict[str, State]) -> list[str]:
        """Of an image: its label, what the model says, its loss, and last the edit of it or ""."""
        p = self.predictions
        said = [f"labelled {p.label(place)}", f"the model says {p.answer(place)}", f"loss {p.losses[place]:.2f}"]
        return [*said, state_text(now.get(p.keys[place], State()))]

    def relabel(self, which: Which, label: Any, *, why: str = "") -> "ImageClassifierCleaner":
        """Give images another label: a class, also a new one; of several labels a list of them; or a number."""
        to = [self.known.get(str(v), v) for v in label] if isinstance(label, list | tuple) else label
        to = to if isinstance(to, list) else self.known.get(str(to), to)
        self.refuse_label(to)
        for key in self.keys(which):
            self.edits.relabel(key, to, was=self.original(key), why=why)
        return self

    def refuse_label(self, to: Any) -> None:
        """Raise for a label that the data could not be read with."""
        kind, several = self.predictions.kind, isinstance(to, list)
        if kind == "category" and several:
            raise ValueError(f"relabel: an image has one class here, got {to}: give one of them")
        if kind == "multi" and not several:
            raise ValueError(f"relabel: an image has any number of labels here, so give a list: [{to!r}]")

    def exclude(self, which: Which, *, why: str = "") -> "ImageClassifierCleaner":
        """Leave images out."""
        for key in self.keys(which):
            self.edits.exclude(key, was=self.original(key), why=why)
        return self

    def include(self, which: Which) -> "ImageClassifierCleaner":
        """Take images in again that were left out."""
        for key in self.keys(which):
            self.edits.include(key)
        return self

    def move(self, which: Which, half: str, *, why: str = "") -> "ImageClassifierCleaner":
        """Put images into the half "train" or "valid"."""
        for key in self.keys(which):
            self.edits.move(key, half, was=self.half if key in self.predictions.keys else None, why=why)
        return self

    def undo(self) -> EditLine | None:
        """Take back the newest edit; None if there is none."""
        return self.edits.undo()

    def redo(self) -> EditLine | None:
        """Do again what was undone last."""
        return self.edits.redo()

    def dataloaders(self) -> "DataLoaders":
        """The same data with the edits, to train a new learner on."""
        return edited_loaders(self.learn.dls, self.edits.edits())

    def save(self, file: str | Path) -> Path:
        """Write the corrected labels of all data as a .csv file, or the images that are shown as a .png or .svg."""
        path = Path(file)
        if path.suffix.lower() != ".csv":
            return self.gallery().save(path)
        labels_csv(self.dataloaders(), path)
        return path

    def keys(self, which: Which) -> list[str]:
        """The keys of images by their numbers here, or by keys. Raises `ValueError` for what is not there."""
        if not isinstance(which, int | str | np.integer | Iterable) or isinstance(which, bool):
            raise TypeError(
                f"an image is called by its number here or its key, several by a list of them, got {which!r}"
            )
        given = [which] if isinstance(which, int | str | np.integer) else list(which)
        return [self.key(part) for part in given]

    def key(self, which: int | str) -> str:
        if isinstance(which, str):
            if which not in self.predictions.keys and which not in self.edits.now():
                hint = nearest(which, [self.predictions.keys[place] for place in self.places] or ["(nothing is shown)"])
                raise ValueError(f"no image {which!r} in {self.half}, the half that is shown (see `show`): {hint}")
            return which
        if not 0 <= int(which) < len(self.places):
            raise ValueError(f"there is no image {which}: {len(self.places)} are shown, counted from 0")
        return self.predictions.keys[self.places[int(which)]]

    def original(self, key: str) -> Any:
        """The label that an image has in the loaders; None for one of the other half."""
        if key not in self.predictions.keys:
            return None
        p, place = self.predictions, self.predictions.keys.index(key)
        if p.kind == "category":
            return self.known.get(p.label(place), p.label(place))
        if p.kind == "multi":
            return [self.known.get(p.vocab[k], p.vocab[k]) for k in np.flatnonzero(p.targets[place])]
        return [float(v) for v in np.ravel(p.targets[place])]


def has_label(found: Predictions, i: int, label: str) -> bool:
    """Whether a sample is labelled so, or, of several labels, among others so."""
    if found.kind == "multi":
        return bool(found.targets[i][found.vocab.index(label)])
    return found.label(i) == label


def state_text(state: State) -> str:
    """What the edits make of an item, in a few words; "" if nothing."""
    if state.excluded:
        return "left out"
    label = list(state.label) if isinstance(state.label, tuple) else state.label
    parts = [] if label is None else [f"now {label_text(label)}"]
    return ", ".join([*parts, *([f"to {state.half}"] if state.half else [])])
