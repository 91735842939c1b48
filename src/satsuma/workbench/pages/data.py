"""*Data*: the samples by class and half, how many there are of each, and what seems wrong with them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from satsuma.data.edits import HALVES
from satsuma.inspect.faults import KINDS
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.edited import states_of
from satsuma.workbench.listing import Index, in_class, index_of, order_of
from satsuma.workbench.mending import fault_id, fault_rows, ignore, read_ignored
from satsuma.workbench.shown import leaf_of, shown_samples
from satsuma.workbench.subjects import Subject
from satsuma.workbench.texts import texts_for
from satsuma.workbench.traits import Traits, traits_of

router = APIRouter()
A_PAGE, A_PAGE_OF_FAULTS = 60, 30


class IgnoreAsked(BaseModel):
    """A fault to let stand, or to look at again."""

    kind: str = Field(max_length=20)
    key: str = Field(max_length=5000)
    other: str = Field(default="", max_length=5000)
    ignored: bool = True


@router.get("/open/{name}/data")
def data(
    request: Request,
    name: str,
    half: str = "",
    label: str = "",
    leaf: int = 0,
    show: str = "samples",
    kind: str = "",
) -> Response:
    """The samples of a half (all without) and a class (all without), or with `show=faults` the faults of a `kind`."""
    subject = subject_of(request, name)
    traits, index = traits_of(subject), index_of(subject)
    if show == "faults":
        return faults_page(request, subject, traits, index, kind, leaf)
    one = int(half) if half in ("0", "1") and int(half) in subject.halves() else None
    numbers = order_of(subject, index, "name", one)
    if label:
        numbers = numbers[in_class(index, label, states_of(subject))[numbers]]
    here = leaf_of(len(numbers), leaf, A_PAGE)
    return page(
        request,
        "data.html",
        subject=subject,
        show="samples",
        traits=traits,
        total=len(index),
        halves=[(items.half, HALVES[items.half], len(items)) for items in index.items],
        bars=class_bars(index),
        chosen_half="" if one is None else one,
        chosen_label=label,
        samples=shown_samples(subject, index, traits, numbers[here.first - 1 : here.last] if here.total else ()),
        leaf=here,
        edited=len(subject.journal),
        words=viewer_words(request),
    )


def class_bars(index: Index) -> list[dict[str, Any]]:
    """Of each class how many samples each half has, and these as shares of the largest class in hundredths."""
    start = index.number(1, 0) if len(index.items) > 1 else len(index)
    most = max((len(numbers) for numbers in index.members.values()), default=1) or 1
    found = []
    for name, numbers in index.members.items():
        train = int((numbers < start).sum())
        valid = len(numbers) - train
        widths = {"train_width": round(100 * train / most, 2), "valid_width": round(100 * valid / most, 2)}
        found.append({"name": name, "train": train, "valid": valid, **widths})
    return found


def faults_page(request: Request, subject: Subject, traits: Traits, index: Index, kind: str, leaf: int) -> Response:
    """The faults of one kind as a table; the first kind that has any unless one is named."""
    faults = subject.faults()
    counts = faults.counts
    chosen = kind if kind in KINDS else next((name for name, n in counts.items() if n), next(iter(KINDS)))
    ignored = read_ignored(subject)
    ranked = sorted(faults.of(chosen), key=lambda fault: fault_id(fault) in ignored)
    here = leaf_of(len(ranked), leaf, A_PAGE_OF_FAULTS)
    return page(
        request,
        "faults.html",
        subject=subject,
        show="faults",
        traits=traits,
        kinds=[(name, counts.get(name)) for name in KINDS],
        kind=chosen,
        rows=fault_rows(subject, index, traits, tuple(ranked[max(0, here.first - 1) : here.last])),
        leaf=here,
        notes=faults.notes,
        edited=len(subject.journal),
        words=viewer_words(request),
    )


def viewer_words(request: Request) -> dict[str, str]:
    return texts_for(language_of(request), ("view_", "fault_done_", "half_"))


@router.post("/open/{name}/data/ignore")
def ignore_fault(request: Request, name: str, asked: IgnoreAsked) -> Response:
    """Let a fault stand; it goes to the end of its table."""
    subject = subject_of(request, name)
    if asked.kind not in KINDS:
        raise HTTPException(400, f"kind is one of {', '.join(KINDS)}")
    try:
        ignore(subject, (asked.kind, asked.key, asked.other), asked.ignored)
    except OSError as error:
        raise HTTPException(400, str(error)) from error
    return Json({"ignored": asked.ignored})
