"""From what the searches find to rows for people: places become names, numbers become sentences."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from satsuma.data.edits import HALVES
from satsuma.inspect.faults import Fault
from satsuma.inspect.imbalance import small_classes
from satsuma.inspect.label_faults import LabelCandidates
from satsuma.inspect.odd_pictures import OddPicture, size_words
from satsuma.inspect.outliers import Outlier
from satsuma.inspect.picture_facts import PictureFacts
from satsuma.inspect.twins import SURE, TwinPair, exact_twins
from satsuma.inspect.whole_data import WholeData


def fault_row(data: WholeData, place: int, kind: str, score: float, reason: str, suggestion: str = "") -> Fault:
    return Fault(
        kind=kind,
        key=data.keys[place],
        name=data.names[place],
        half=HALVES[data.half[place]],
        score=float(score),
        reason=reason,
        label=data.label_text(place),
        suggestion=suggestion,
        index=int(data.index[place]),
    )


def twin_rows(
    data: WholeData, digests: Sequence[bytes], near: Sequence[TwinPair], facts: Sequence[PictureFacts]
) -> list[Fault]:
    """Each sample with a twin once for each kind: as a leak with the nearest in training, else with one before it."""
    pairs = [TwinPair(a, b, 0.0, True) for group in exact_twins(digests).values() for a, b in exact_pairs(data, group)]
    best: dict[tuple[str, int], TwinPair] = {}
    for twin in sorted([*pairs, *near], key=lambda t: (t.distance, t.place, t.other)):
        kind = "twin" if data.half[twin.place] == data.half[twin.other] else "leak"
        best.setdefault((kind, twin.other), twin)  # places in training come before those in validation
    return [pair_row(data, kind, twin, facts) for (kind, _), twin in best.items()]


def exact_pairs(data: WholeData, group: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of a group with the same bytes: each with the first, and with the first of its own half."""
    first = group[0]
    pairs = [(first, other) for other in group[1:]]
    held_out = [place for place in group if data.half[place] != data.half[first]]
    return pairs + [(held_out[0], other) for other in held_out[1:]]


def pair_row(data: WholeData, kind: str, twin: TwinPair, facts: Sequence[PictureFacts]) -> Fault:
    a, b = twin.place, twin.other
    if twin.exact:
        said = "byte for byte the same" if facts else "the same numbers"
    else:
        sizes = {size_words(facts[a]), size_words(facts[b])}
        how = (
            f"resized ({size_words(facts[b])}, the other {size_words(facts[a])})"
            if len(sizes) > 1
            else "encoded anew or nearly the same"
        )
        sure = "the same picture" if twin.distance <= SURE else "perhaps the same picture"
        said = f"{sure}, {how}; difference {twin.distance:.1%}"
    labels = data.label_text(a), data.label_text(b)
    said += f"; labelled {labels[1]} here and {labels[0]} there" if labels[0] != labels[1] else ""
    row = fault_row(data, b, kind, twin.score, said)
    return replace(
        row,
        other=data.keys[a],
        other_name=data.names[a],
        other_half=HALVES[data.half[a]],
        other_index=int(data.index[a]),
        other_label=labels[0],
    )


def label_rows(data: WholeData, found: LabelCandidates, probabilities: np.ndarray, how: str) -> list[Fault]:
    rows = []
    for place, suggestion, score in zip(found.places, found.suggestions, found.scores, strict=True):
        name, own = data.vocab[suggestion], data.label_text(place)
        sure, now = probabilities[place, suggestion], probabilities[place, data.labels[place]]  # type: ignore[index]
        said = f"{how} says {name} ({sure:.0%}) rather than {own} ({now:.1%})"
        rows.append(fault_row(data, int(place), "label", score, said, name))
    return rows


def outlier_rows(data: WholeData, found: Sequence[Outlier], by: str) -> list[Fault]:
    rows = []
    for o in found:
        among = f"class {data.label_text(o.place)}" if o.in_class else "all samples"
        said = f"{o.distance:.2f} from its nearest of {among}, by {by}; a usual one is {o.usual:.2f} from them"
        rows.append(fault_row(data, o.place, "outlier", 1 - 0.5 * 6.0 / o.deviations, said))
    return rows


def odd_rows(data: WholeData, found: Sequence[OddPicture]) -> list[Fault]:
    return [fault_row(data, o.place, "odd", o.score, o.reason) for o in found]


def imbalance_rows(data: WholeData) -> list[Fault]:
    """A row for each class with few training samples."""
    assert data.labels is not None
    rows = []
    for small in small_classes(data.labels[data.half == 0], data.vocab):
        samples = "1 training sample" if small.count == 1 else f"{small.count} training samples"
        said = f"{samples}; the median class has {small.median:.0f}"
        rows.append(
            Fault(
                kind="imbalance",
                key="",
                name=small.name,
                half="train",
                score=small.score,
                reason=said,
                label=small.name,
            )
        )
    return rows
