"""`find_faults`: everything that seems wrong in a data set, with a model or without. N samples, K classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from satsuma.data.checks import listing
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.seeds import as_seed
from satsuma.errors import nearest, spelled
from satsuma.inspect.fault_rows import imbalance_rows, label_rows, odd_rows, outlier_rows, twin_rows
from satsuma.inspect.faults import KINDS, Fault, Faults, ranked
from satsuma.inspect.label_faults import FEWEST, label_candidates
from satsuma.inspect.odd_pictures import odd_pictures
from satsuma.inspect.out_of_fold import out_of_fold
from satsuma.inspect.outliers import outliers
from satsuma.inspect.picture_facts import PictureFacts, look_at_all
from satsuma.inspect.stages import Stages
from satsuma.inspect.twins import near_twins
from satsuma.inspect.whole_data import WholeData
from satsuma.learner.choices import SMALL_SIDE
from satsuma.learner.fold_fits import refitted_answers, small_network_answers
from satsuma.learner.known_features import features_of_learner, features_of_weights, weights_here
from satsuma.nn.transfer import TransferModel
from satsuma.vision.image import digest_of, read_image

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

ASKED_SIDE = 32  # pixels that small pictures are brought to for the small network
WAYS_OUT = (
    "give a trained model (learn=, on the command line --model RUN), or set SATSUMA_WEIGHTS to a folder of weights"
)


@spelled
def find_faults(
    dls: DataLoaders,
    *,
    learn: "Learner | None" = None,
    kinds: Sequence[str] | None = None,
    folds: int = 5,
    seed: int = 42,
    refit: bool = False,
    progress: bool = True,
) -> Faults:
    """What seems wrong in the data, as ranked tables: shows itself in a notebook; `.of(kind)`, `.save(file)`.

    Twins across the split ("leak") and within a half ("twin"): byte for byte, re-encoded or resized. Labels that may
    be wrong ("label"): by confident learning on predictions for samples that were not learnt from. "outlier": far
    from the others of its class, by features. "odd": of another size, shape, light or sharpness. "imbalance".

    Labels of small pictures are judged by a small network that is trained here, of photos by trained weights if they
    lie on this machine (nothing is fetched). `learn`: a trained learner of this data: its features judge outliers, and
    the weights that it began with photos. `refit`: train the learner's own model anew for each fold, with its own fits,
    and let it judge. `kinds`: some of the above. `folds`: in how many parts the samples are judged. Nothing is changed.
    What could not be looked for is said in `.notes`. The same data and seed give the same faults.
    Raises `ValueError` for an unknown kind, too few folds, or `refit` without `learn`.
    """
    if not isinstance(dls, DataLoaders):
        raise TypeError(f"find_faults: expected DataLoaders, got a {type(dls).__name__}")
    wanted = tuple(KINDS) if kinds is None else (kinds,) if isinstance(kinds, str) else tuple(kinds)
    refuse_kinds(wanted, folds, refit, learn)
    seed = as_seed(seed) % 2**32
    refuse_other_data(dls, learn)
    with Stages(progress) as stages:
        search = Search(dls if learn is None else learn.dls, learn, wanted, folds, seed, refit, stages)
        rows = search.rows()
    return Faults(ranked(rows), tuple(k for k in KINDS if k in search.looked), tuple(search.notes), search.data.dls)


def refuse_kinds(kinds: Sequence[str], folds: int, refit: bool, learn: "Learner | None") -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"find_faults: there is no kind {kind!r}: {nearest(str(kind), KINDS)}")
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise ValueError(f"find_faults: folds is a whole number, 2 or more, got {folds!r}")
    if refit and learn is None:
        raise ValueError("find_faults: refit=True trains the learner's model anew: give learn=")


def refuse_other_data(dls: DataLoaders, learn: "Learner | None") -> None:
    if learn is None or dls is learn.dls:
        return
    given, own = ([len(loader.dataset) for loader in loaders.loaders[:2]] for loaders in (dls, learn.dls))
    if given != own:
        raise ValueError(
            f"find_faults: the data have {given} samples in their halves and the learner's {own}: "
            f"set learn.dls = dls first"
        )


@dataclass
class Search:
    """One search through a data set: what has been looked at, by then, and what could not be."""

    dls: DataLoaders
    learn: "Learner | None"
    kinds: tuple[str, ...]
    folds: int
    seed: int
    refit: bool
    stages: Stages
    looked: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def data(self) -> WholeData:
        return WholeData(self.dls)

    def rows(self) -> list[Fault]:
        """The faults of all kinds that are wanted and can be looked for."""
        found: list[Fault] = []
        for kinds, look in (
            (("leak", "twin"), self.twins),
            (("label",), self.labels),
            (("outlier",), self.outliers),
            (("odd",), self.odd),
            (("imbalance",), self.imbalance),
        ):
            if any(kind in self.kinds for kind in kinds):
                found += [row for row in look() if row.kind in self.kinds]
        return found

    def left_out(self, what: str, why: str) -> list[Fault]:
        self.notes.append(f"{what} not looked for: {why}")
        return []

    # --- what the searches share ----------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> list[PictureFacts]:
        """One look at each picture; [] where samples are none. What cannot be read is noted."""
        if not self.data.has_pictures:
            return []
        with self.stages.stage("looking at pictures") as told:
            found = look_at_all(self.data.pictures(), len(self.data), told)
        broken = [name for name, facts in zip(self.data.names, found, strict=True) if facts.problem]
        if broken:
            self.notes.append(f"{len(broken)} pictures could not be read: {listing(broken)}")
        return found

    @cached_property
    def small(self) -> bool:
        """Whether most of the pictures are small ones."""
        sides = [max(f.height, f.width) for f in self.facts if not f.problem]
        return bool(sides) and float(np.median(sides)) <= SMALL_SIDE

    @cached_property
    def features(self) -> tuple[np.ndarray | None, str]:
        """float32 [N D] and by what they are, or None and why there are none."""
        if self.learn is not None:
            with self.stages.stage("asking the model") as told:
                found = features_of_learner(self.learn, told)
            if found is not None:
                return found, "the model's features"
        if self.data.arrays is not None and not self.data.has_pictures:
            return self.numbers(), "its numbers"
        if not self.data.has_pictures:
            return None, "the samples are neither pictures nor arrays, and there is no model with features"
        if self.small:
            return None, "the pictures are small, and there is no model with features"
        here = weights_here()
        if here is None:
            return None, f"there are no trained weights on this machine; {WAYS_OUT}"
        with self.stages.stage(f"asking {here[0]}") as told:
            return features_of_weights(self.dls, *here, told), f"{here[0]}'s features"

    def numbers(self) -> np.ndarray:
        """Samples that are arrays as rows, float32 [N D]."""
        assert self.data.arrays is not None
        return self.data.arrays.reshape(len(self.data), -1).astype(np.float32)

    # --- the searches ---------------------------------------------------------------------------------------------

    def twins(self) -> list[Fault]:
        self.looked |= {"leak", "twin"} & set(self.kinds)
        if self.facts:
            features = self.features[0] if self.learn is not None else None
            with self.stages.stage("comparing pictures") as told:
                near = near_twins(self.facts, features, told)
            return twin_rows(self.data, [f.digest for f in self.facts], near, self.facts)
        if self.data.arrays is not None:
            self.notes.append("of samples that are no pictures only equal ones are found, not nearly equal ones")
            digests = [digest_of(np.ascontiguousarray(row).tobytes()) for row in self.data.arrays]
            return twin_rows(self.data, digests, (), ())
        self.looked -= {"leak", "twin"}
        return self.left_out("twins", "the samples are neither single pictures nor arrays")

    def labels(self) -> list[Fault]:
        if self.data.kind != "category" or self.data.labels is None:
            return self.left_out("wrong labels", "that is done where each sample has one class")
        counts = np.bincount(self.data.labels, minlength=len(self.data.vocab))
        rare = [name for name, n in zip(self.data.vocab, counts, strict=True) if 0 < n < FEWEST]
        if rare:
            self.notes.append(f"labels of classes with fewer than {FEWEST} samples not judged: {listing(rare)}")
        probabilities, how = self.judgement(self.data.labels)
        if probabilities is None:
            return self.left_out("wrong labels", how)
        self.looked.add("label")
        return label_rows(self.data, label_candidates(probabilities, self.data.labels), probabilities, how)

    def judgement(self, labels: np.ndarray) -> tuple[np.ndarray | None, str]:
        """Out-of-fold probabilities float64 [N K] and who says them; or None and why there are none."""
        classes = len(self.data.vocab)
        if self.refit and self.learn is not None:
            with self.stages.stage("training the model anew") as told:
                found = refitted_answers(self.learn, labels, self.folds, self.seed, told)
            return found, "the model, trained without it,"
        if self.small:
            with self.stages.stage("training a small network") as told:
                asked = self.small_pictures()
                found = small_network_answers(asked, labels, classes, self.folds, self.seed, told)
            return found, "a small network, trained without it,"
        features, by = self.label_free_features()
        if features is None:
            return None, by
        with self.stages.stage("judging labels") as told:
            found = out_of_fold(features, labels, classes, folds=self.folds, seed=self.seed, told=told)
        return found, f"a classifier by {by}"

    def label_free_features(self) -> tuple[np.ndarray | None, str]:
        """Features that know least of the labels: a model that has learnt them by heart finds nothing wrong."""
        if self.learn is None:
            return self.features
        if isinstance(self.learn.model, TransferModel):
            arch, file = self.learn.model.arch, self.learn.past.weights_file
            if file is not None and file.is_file() and self.data.has_pictures:
                with self.stages.stage(f"asking {arch}") as told:
                    return features_of_weights(self.dls, arch, file, told), f"{arch}'s features"
        elif self.data.arrays is not None and not self.data.has_pictures:
            return self.numbers(), "its numbers"
        if self.features[0] is not None:
            self.notes.append(
                "labels are judged by features that were learnt from them, which hides those that were learnt by "
                "heart: find_faults(refit=True) trains the model anew for each fold"
            )
        return self.features

    def small_pictures(self) -> np.ndarray:
        """All pictures at one small size, uint8 [N C H W]; grey ones if all are. Unreadable ones are black."""
        sizes = [(f.height, f.width) for f in self.facts if not f.problem]
        height, width = (int(min(ASKED_SIDE, max(8, np.median(side)))) for side in zip(*sizes, strict=True))
        channels = 1 if all(f.colour < 1 for f in self.facts) else 3
        found = np.zeros((len(self.data), height, width, channels), np.uint8)
        for row, (source, facts) in enumerate(zip(self.data.pictures(), self.facts, strict=True)):
            if not facts.problem:
                picture = np.asarray(read_image(source, channels))
                shrinks = picture.shape[0] > height or picture.shape[1] > width
                by = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
                found[row] = cv2.resize(picture, (width, height), interpolation=by).reshape(height, width, channels)
        return np.ascontiguousarray(found.transpose(0, 3, 1, 2))

    def outliers(self) -> list[Fault]:
        if self.learn is None and self.small:
            features: np.ndarray | None = self.coarse_structures()
            by = "their coarse structure"
        else:
            features, by = self.features
        if features is None:
            return self.left_out("outliers", by)
        self.looked.add("outlier")
        with self.stages.stage("comparing features"):
            found = outliers(features, self.data.labels if self.data.kind == "category" else None)
        return outlier_rows(self.data, found, by)

    def coarse_structures(self) -> np.ndarray:
        """The structure of each picture at the finest level that all have, float32 [N 63]; 0 of unreadable ones."""
        known = [f.structure for f in self.facts if f.structure is not None]
        level = min(int((~np.isnan(structure[:, 0])).sum()) for structure in known) - 1
        nothing = np.zeros(known[0].shape[1], np.float32)
        return np.stack([nothing if f.structure is None else f.structure[level] for f in self.facts])

    def odd(self) -> list[Fault]:
        if not self.facts:
            return self.left_out("odd pictures", "the samples are no single pictures")
        self.looked.add("odd")
        return odd_rows(self.data, odd_pictures(self.facts))

    def imbalance(self) -> list[Fault]:
        if self.data.labels is None:
            return self.left_out("small classes", "the targets are no classes")
        self.looked.add("imbalance")
        return imbalance_rows(self.data)
