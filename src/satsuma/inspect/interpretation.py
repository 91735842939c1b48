"""`Interpretation`: what a model gets right and wrong, in numbers and pictures. N samples, K classes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.data.edits import PlacedInput
from satsuma.data.samples import Samples
from satsuma.errors import spelled
from satsuma.inspect.certainty import Calibration, calibrated, class_place, threshold_table
from satsuma.inspect.gallery import Gallery, shown_fragment
from satsuma.inspect.picks import Picks, pick_of
from satsuma.inspect.predictions import Predictions, predictions_of
from satsuma.inspect.ranking import drawn_places, lowest, rank_correct, rank_incorrect, rank_losses, rank_uncertain
from satsuma.inspect.residuals import Residuals, residuals_of
from satsuma.inspect.samples import has_pictures, sample_pictures
from satsuma.inspect.scores import confused_pairs, confusion_counts, report_table, row_shares
from satsuma.inspect.slices import SliceBy, slice_table
from satsuma.inspect.tables import ShownTable
from satsuma.plots.theme import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.data.dataloaders import DataLoaders
    from satsuma.learner.learner import Learner


class Interpretation:
    """What a model says of one data set, looked at from all sides. Made by `learn.interpret()`.

    `predictions`: the numbers, computed once. With `dls`, whose loader `ds_idx` they are of, samples are shown as
    pictures; with `learn`, with heat maps.
    """

    def __init__(
        self,
        predictions: Predictions,
        dls: "DataLoaders | None" = None,
        ds_idx: int = 1,
        learn: "Learner | None" = None,
    ) -> None:
        if dls is not None and len(dls[ds_idx].dataset) != len(predictions):
            raise ValueError(
                f"Interpretation: {len(predictions)} predictions, but loader {ds_idx} has "
                f"{len(dls[ds_idx].dataset)} samples; they are not of the same data"
            )
        self.predictions, self.dls, self.ds_idx, self.learn = predictions, dls, ds_idx, learn

    @classmethod
    def from_learner(cls, learn: "Learner", ds_idx: int = 1) -> "Interpretation":
        """Of loader `ds_idx`: 1 is validation, 0 training (without augmentation)."""
        return cls(predictions_of(learn, ds_idx), learn.dls, ds_idx, learn)

    def __repr__(self) -> str:
        found = self.predictions
        if found.kind == "regression":
            return f"Interpretation of {len(found)} samples ({found.half}): mean loss {found.loss:.4g}"
        n, wrong = len(found), int((~found.right).sum())
        what = "wrong" if found.kind == "category" else "with a wrong label"
        told = f"{wrong} {what}, {wrong / max(n, 1):.2%}; mean loss {found.loss:.4g}"
        return f"Interpretation of {n} samples ({found.half}): {told}"

    def _repr_html_(self) -> str:
        parts = [f'<p class="fragment-title">{escaped(repr(self))}</p>']
        if self.predictions.kind == "category":
            parts.append(self.plot_confusion_matrix().svg())  # type: ignore[attr-defined]
        table = self.residuals().table() if self.predictions.kind == "regression" else self.classification_report()
        return shown_fragment("".join([*parts, table.html(), self.top_losses(6).html()]))

    # --- classes --------------------------------------------------------------------------------------------------

    @spelled
    def confusion_matrix(self, *, normalize: bool = False) -> np.ndarray:
        """int64 [K K]: how many samples of a class (row) were said to be of a class (column).

        `normalize`: float64, each row's shares, which sum to 1; 0 where a class has no sample.
        """
        found = self.of_kind("confusion_matrix", "category", "classification_report() has each label's counts")
        counts = confusion_counts(found.targets, found.decided, len(found.vocab))
        return row_shares(counts) if normalize else counts

    @spelled
    def plot_confusion_matrix(self, *, normalize: bool = False) -> "Figure":
        """The confusion matrix as a picture: blue is right, orange is confused; counts, or percent of a row."""
        from satsuma.plots.matrix import plot_matrix

        self.of_kind("plot_confusion_matrix", "category", "classification_report() has each label's counts")
        return plot_matrix(self.confusion_matrix(), self.predictions.vocab, normalize=normalize)

    @spelled
    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """(is, said, how often), the most frequent first, of those seen `min_val` times or more."""
        found = self.of_kind("most_confused", "category", "most_incorrect() lists the samples")
        return confused_pairs(self.confusion_matrix(), found.vocab, min_val)

    def confused(self, label: str, answer: str) -> Picks:
        """The samples of class `label` that were said to be `answer`, the surest first: one cell of the matrix."""
        found = self.of_kind("confused", "category", "most_incorrect(label=) lists the samples")
        is_, said = class_place(found, label), class_place(found, answer)
        places = np.flatnonzero((found.targets == is_) & (found.decided == said))
        order = places[np.argsort(-found.outputs[places, said], kind="stable")]
        return self.picks(f"is {label}, said {answer}", order)

    def classification_report(self) -> ShownTable:
        """Precision, recall, F1 and samples of each class, and their means; of labels average precision too."""
        self.of_kind("classification_report", "category multi", "residuals() has a regression's errors")
        return report_table(self.predictions)

    # --- samples --------------------------------------------------------------------------------------------------

    @spelled
    def top_losses(self, k: int = 9) -> Picks:
        """The `k` samples with the highest loss: `.indices`, rows to go through, and a gallery in a notebook."""
        return self.picks("Highest loss", rank_losses(self.predictions, sample_count(k)))

    @spelled
    def plot_top_losses(self, k: int = 9, *, heat: bool = False) -> Gallery:
        """Pictures of the `k` samples with the highest loss; `heat`: with what the model looked at (Grad-CAM)."""
        return self.top_losses(k).gallery(heat=heat)

    @spelled
    def most_correct(self, k: int = 9, label: str | None = None) -> Picks:
        """The `k` samples (of class `label`) that were right and surest."""
        found = self.of_classes("most_correct")
        return self.picks(named("Most correct", label), rank_correct(found, label, sample_count(k)), label)

    @spelled
    def most_incorrect(self, k: int = 9, label: str | None = None) -> Picks:
        """The `k` samples (of class `label`) that were wrong, with the least probability for the truth."""
        found = self.of_classes("most_incorrect")
        return self.picks(named("Most incorrect", label), rank_incorrect(found, label, sample_count(k)), label)

    @spelled
    def most_uncertain(self, k: int = 9, label: str | None = None) -> Picks:
        """The `k` samples (of class `label`) whose two highest probabilities lie closest together."""
        found = self.of_classes("most_uncertain")
        return self.picks(named("Most uncertain", label), rank_uncertain(found, label, sample_count(k)), label)

    @spelled
    def each_class(self, k: int = 4) -> dict[str, dict[str, Picks]]:
        """Class → "most correct", "most incorrect", "most uncertain" → `k` samples."""
        found = self.of_classes("each_class")
        kinds = {"correct": self.most_correct, "incorrect": self.most_incorrect, "uncertain": self.most_uncertain}
        return {label: {f"most {name}": most(k, label) for name, most in kinds.items()} for label in found.vocab}

    @spelled
    def some_correct(self, k: int = 9, *, seed: int = 42) -> Picks:
        """`k` samples at random of those that were right."""
        found = self.of_classes("some_correct")
        return self.picks("Some that were right", drawn_places(found.right, sample_count(k), seed))

    @spelled
    def some_incorrect(self, k: int = 9, *, seed: int = 42) -> Picks:
        """`k` samples at random of those that were wrong."""
        found = self.of_classes("some_incorrect")
        return self.picks("Some that were wrong", drawn_places(~found.right, sample_count(k), seed))

    def picks(self, title: str, places: Sequence[int] | np.ndarray, label: str | None = None) -> Picks:
        """The samples at `places`, in that order; of several labels, with `label` what was said of that one."""
        found = self.predictions
        column = class_place(found, label) if label is not None and found.kind == "multi" else None
        return Picks(title, tuple(pick_of(found, int(i), column) for i in places), self)

    # --- slices, probabilities, numbers ---------------------------------------------------------------------------

    @spelled
    def by_slice(self, by: SliceBy, *, bins: int = 4, least: int = 1) -> ShownTable:
        """The results of parts of the data, the worst part first.

        `by`: a column of the table that the samples came from; "folder", in which their files lie; a function of an
        item; or a value for each sample. A column of many numbers is cut into `bins` ranges of about equally many
        samples. `least`: leave out parts of fewer samples. With each accuracy stands between what it truly lies, at
        95%: parts whose ranges overlap need not differ. Of several labels: F1 over all of a part's answers.
        """
        return slice_table(self.predictions, by, self.items, bins, least)

    @spelled
    def calibration(self, *, bins: int = 15) -> Calibration:
        """Whether what is said with 90% is right in 90 of 100: `.error` (0 is best), `.table()`, `.plot()`."""
        self.of_kind("calibration", "category multi", "residuals() has a regression's errors")
        return calibrated(self.predictions, bins)

    @spelled
    def plot_calibration(self, *, bins: int = 15) -> "Figure":
        """`calibration().plot()`."""
        return self.calibration(bins=bins).plot()

    @spelled
    def best_thresholds(self, *, beta: float = 1.0, label: str | None = None) -> ShownTable:
        """From which probability to say yes for the highest F-beta: of each label, or of `label` of two classes.

        `beta` above 1 weighs finding more than being right. Of two classes `label` is the second unless given.
        """
        found = self.of_kind("best_thresholds", "category multi", "residuals() has a regression's errors")
        if found.kind == "category" and len(found.vocab) != 2:
            raise ValueError(
                f"best_thresholds: of {len(found.vocab)} classes the surest is said, without a threshold; thresholds "
                f"are of two classes, or of several labels. calibration() says how far to believe the probabilities"
            )
        return threshold_table(found, beta, label)

    def residuals(self) -> Residuals:
        """A regression's targets less what was said: `.values` [N n], `.table()`, `.plot()`."""
        return residuals_of(self.of_kind("residuals", "regression", "top_losses() has the worst samples"))

    def plot_residuals(self) -> "Figure":
        """`residuals().plot()`."""
        self.of_kind("plot_residuals", "regression", "plot_confusion_matrix() and plot_calibration() are for classes")
        return self.residuals().plot()

    @spelled
    def largest_residuals(self, k: int = 9, *, output: int | None = None) -> Picks:
        """The `k` samples of a regression that are furthest off, in number `output` alone if given."""
        found = self.of_kind("largest_residuals", "regression", "top_losses() has the worst samples")
        n = found.outputs.shape[1]
        if output is not None and not 0 <= output < n:
            raise ValueError(f"largest_residuals: output is 0 to {n - 1}, got {output}")
        sizes = np.abs(residuals_of(found).values)
        size = sizes.max(1) if output is None else sizes[:, output]
        return self.picks("Largest residuals", lowest(-size, sample_count(k)))

    # --- pictures -------------------------------------------------------------------------------------------------

    @property
    def has_pictures(self) -> bool:
        """Whether samples can be shown as pictures."""
        of_features = self.learn is not None and self.learn.features_of is not None  # numbers in place of pictures
        return self.dls is not None and not of_features and len(self.predictions) > 0 and has_pictures(self.dls)

    @property
    def items(self) -> Sequence[Any] | None:
        """What the samples were made from, in their order; None where that is not known."""
        dataset = None if self.dls is None else self.dls[self.ds_idx].dataset
        if not isinstance(dataset, Samples):
            return None
        placed = isinstance(dataset.getters[0], PlacedInput)  # edits have made pairs (place, item) of the items
        return [item for _, item in dataset.items] if placed else dataset.items

    def picture(self, i: int) -> np.ndarray:
        """Sample `i` as the model sees it, uint8 [H W 3]. `ValueError` where samples are no pictures."""
        if self.dls is None:
            raise ValueError("Interpretation: there are only predictions, no data to show: give dls")
        return sample_pictures(self.dls, self.ds_idx, [i])[0]

    def pictures(self, places: Sequence[int], *, heat: bool = False) -> list[np.ndarray | None]:
        """The samples `places` as pictures, None for each where they are none; `heat`: with Grad-CAM over them."""
        if not places or not self.has_pictures or self.dls is None:
            return [None] * len(places)
        found = sample_pictures(self.dls, self.ds_idx, places)
        if not heat:
            return list(found)
        if self.learn is None:
            raise ValueError("heat maps need the model: use learn.interpret()")
        from satsuma.inspect.explained import explained_pictures

        return list(explained_pictures(self.learn, self.ds_idx, places, found, self.predictions))

    # --- what fits what -------------------------------------------------------------------------------------------

    def of_kind(self, method: str, kinds: str, instead: str) -> Predictions:
        """The predictions, if they are of one of `kinds`; else the `ValueError` that says what to use `instead`."""
        found = self.predictions
        if found.kind not in kinds.split():
            wanted = " or ".join(KINDS[kind] for kind in kinds.split())
            raise ValueError(f"{method} is for {wanted}, and this is {KINDS[found.kind]}: {instead}")
        return found

    def of_classes(self, method: str) -> Predictions:
        return self.of_kind(method, "category multi", "use top_losses() or largest_residuals()")


ClassificationInterpretation = Interpretation  # as fastai calls it
KINDS = {"category": "one class a sample", "multi": "several labels a sample", "regression": "a regression"}


def sample_count(k: int) -> int:
    """`k` if it is a whole number of 1 or more, else a `ValueError`."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"how many samples to show is a whole number of 1 or more, got {k!r}")
    return k


def named(title: str, label: str | None) -> str:
    return title if label is None else f"{title}: {label}"
