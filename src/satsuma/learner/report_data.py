"""What a report says of a learner's data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from satsuma.inspect.faults import Fault, Faults, ranked
from satsuma.inspect.interpretation import Interpretation
from satsuma.inspect.label_faults import label_candidates
from satsuma.inspect.report_sections import notes_html, rows_html
from satsuma.learner.data_faults import find_faults

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

SHOWN_FAULTS = 12  # of each kind
MOST_LOOKED_AT = 3_000  # pictures that are compared for a report; `satsuma check` looks at any number
CHEAP = ("leak", "twin", "odd", "imbalance")  # faults that need no model


def data_html(learn: "Learner", seen: Interpretation | None) -> str:
    """How much there is of what, what was noticed, and the faults that are found in passing."""
    dls = learn.dls
    rows = [("training samples", f"{len(dls.train.dataset):,}")]
    if dls.valid is not None:
        rows.append(("validation samples", f"{len(dls.valid.dataset):,}"))
    if dls.vocab:
        rows.append((f"{len(dls.vocab)} classes", some_names([str(name) for name in dls.vocab])))
    if isinstance(dls.source, str | Path):
        rows.append(("from", str(dls.source)))
    notes = [*dls.report.warnings]
    skipped = getattr(dls.report, "unreadable", ())
    if skipped:
        notes.append(f"{len(skipped)} files could not be read and were left out")
    return f"{rows_html(rows)}{notes_html(notes)}{faults_html(learn, seen)}"


def some_names(names: Sequence[str], most: int = 12) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def faults_html(learn: "Learner", seen: Interpretation | None) -> str:
    """Tables of faults; of too many pictures to compare in passing, how to have them looked for."""
    n = sum(len(loader.dataset) for loader in learn.dls.loaders[:2])
    if n > MOST_LOOKED_AT:
        labels = Faults(label_doubts(seen), ("label",), dls=learn.dls).html(SHOWN_FAULTS) if doubts(seen) else ""
        return (
            f"{labels}<p>{n:,} samples are too many to look through for a report; <code>satsuma check</code> finds "
            f"twins, leaks across the split, odd pictures and labels that may be wrong.</p>"
        )
    found = find_faults(learn.dls, kinds=CHEAP, progress=False)
    if doubts(seen):
        note = "Labels: only those of the validation data were judged, by this model; satsuma check judges all of them"
        rows = ranked([*found.rows, *label_doubts(seen)])
        found = replace(found, rows=rows, looked=(*found.looked, "label"), notes=(*found.notes, note))
    return found.html(SHOWN_FAULTS)


def doubts(seen: Interpretation | None) -> bool:
    """Whether labels can be judged by what is said of samples that the model did not learn from."""
    return seen is not None and seen.ds_idx == 1 and seen.predictions.kind == "category"


def label_doubts(seen: Interpretation | None) -> tuple[Fault, ...]:
    """Labels of the validation data that may be wrong, by confident learning on what the model says of them."""
    assert seen is not None
    found = seen.predictions
    doubted = label_candidates(found.outputs, found.targets)
    rows = []
    for i, other, score in zip(doubted.places, doubted.suggestions, doubted.scores, strict=True):
        sure, now = found.outputs[i, other], found.outputs[i, found.targets[i]]
        said = f"the model says {found.vocab[other]} ({sure:.0%}) rather than {found.label(i)} ({now:.1%})"
        rows.append(
            Fault(
                kind="label",
                key=found.keys[i],
                name=found.names[i],
                half="valid",
                score=float(score),
                reason=said,
                label=found.label(i),
                suggestion=found.vocab[other],
                index=int(i),
            )
        )
    return tuple(rows)
