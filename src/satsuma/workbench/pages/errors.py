"""*Errors*: what the model confuses, and the samples that it gets wrong, worst first."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from satsuma.data.edits import HALVES
from satsuma.inspect.certainty import calibrated, threshold_table
from satsuma.inspect.picks import percent
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.ranking import rank_correct, rank_incorrect, rank_losses, rank_uncertain
from satsuma.inspect.residuals import residuals_of
from satsuma.inspect.scores import confused_pairs, confusion_counts, report_table
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.confusions import matrix_of
from satsuma.workbench.listing import Index, index_of
from satsuma.workbench.shown import leaf_of, shown_samples
from satsuma.workbench.subjects import Subject
from satsuma.workbench.texts import texts_for, translate
from satsuma.workbench.traits import Traits, traits_of

router = APIRouter()
A_PAGE = 36
VIEWS = {"losses": None, "incorrect": rank_incorrect, "uncertain": rank_uncertain, "correct": rank_correct}
MOST_PAIRS = 12


@router.get("/open/{name}/errors")
def errors(
    request: Request,
    name: str,
    half: int | None = None,
    by: str = "count",
    view: str = "losses",
    label: str = "",
    true: int | None = None,
    said: int | None = None,
    leaf: int = 0,
) -> Response:
    """The matrix `by` count or share; below it the samples of a cell (`true`, `said`), or of a view of a class."""
    subject = subject_of(request, name)
    if not subject.is_run:
        raise HTTPException(404, "no_such_page")
    halves = subject.halves()
    half = half if half in halves else halves[-1]
    traits, index, found = traits_of(subject), index_of(subject), subject.predictions(half)
    view = view if view in views_of(found) else "losses"
    label = label if label in found.vocab else ""
    cell = (true, said) if is_cell(found, true, said) else None
    places = in_cell(found, *cell) if cell is not None else ranked_places(found, view, label)
    here = leaf_of(len(places), leaf, A_PAGE)
    chosen = places[here.first - 1 : here.last] if here.total else places[:0]
    query: dict[str, Any] = {"half": half, "by": by, "view": view, "label": label}
    return page(
        request,
        "errors.html",
        subject=subject,
        traits=traits,
        found=found,
        half=half,
        halves=[(h, HALVES[h]) for h in halves],
        by=by if by in ("count", "share") else "count",
        view=view,
        views=views_of(found),
        label=label,
        cell=cell,
        query=query,
        leaf=here,
        cards=cards(request, subject, index, traits, found, half, chosen),
        numbers=headline(found),
        tables=tables_of(found),
        figure="residuals" if found.kind == "regression" else "calibration",
        words=texts_for(language_of(request), ("view_", "half_", "errors_script_")),
        **matrix_parts(found, by),
    )


def views_of(found: Predictions) -> list[str]:
    return ["losses"] if found.kind == "regression" else list(VIEWS)


def is_cell(found: Predictions, true: int | None, said: int | None) -> bool:
    classes = range(len(found.vocab))
    return found.kind == "category" and true in classes and said in classes


def in_cell(found: Predictions, true: int | None, said: int | None) -> np.ndarray:
    """The places of one class that were said to be another, the surest first."""
    places = np.flatnonzero((found.targets == true) & (found.decided == said))
    return places[np.argsort(-found.outputs[places, said], kind="stable")]


def ranked_places(found: Predictions, view: str, label: str) -> np.ndarray:
    """The places of a view, of one class or all."""
    rank = VIEWS[view]
    if rank is not None:
        chosen: np.ndarray = rank(found, label or None, len(found))
        return chosen
    places = rank_losses(found, len(found))
    if not label:
        return places
    column = found.vocab.index(label)
    there = found.targets == column if found.kind == "category" else found.targets[:, column]
    kept: np.ndarray = places[there[places]]
    return kept


def cards(
    request: Request,
    subject: Subject,
    index: Index,
    traits: Traits,
    found: Predictions,
    half: int,
    places: np.ndarray,
) -> list[dict[str, Any]]:
    """The samples with what the model says of them."""
    start = index.number(half, 0)
    shown = shown_samples(subject, index, traits, (start + places).tolist())
    language = language_of(request)
    rows = []
    for sample, i in zip(shown, places.tolist(), strict=True):
        wrong = found.kind != "regression" and bool(np.any(found.decided[i] != found.targets[i]))
        said = found.answer(i)
        if found.kind == "category":
            said += f" · {percent(float(found.outputs[i].max()))}"
        detail = translate(language, "errors_detail", said=said, loss=f"{float(found.losses[i]):.3f}")
        rows.append({"sample": sample, "said": said, "wrong": wrong, "detail": detail})
    return rows


def headline(found: Predictions) -> list[tuple[str, str]]:
    """The results in a few numbers: name of the text, and the number."""
    n = len(found)
    rows = [("errors_samples", f"{n:,}"), ("errors_loss", f"{found.loss:.4g}")]
    if found.kind == "regression":
        mean = float(np.abs(residuals_of(found).values).mean()) if n else float("nan")
        return [*rows, ("errors_mae", f"{mean:.4g}")]
    wrong = n - int(found.right.sum())
    error = calibrated(found, 15).error
    first = ("errors_right", percent((n - wrong) / n) if n else "-")
    return [first, ("errors_wrong", f"{wrong:,}"), *rows, ("errors_calibration", f"{error:.3f}")]


def tables_of(found: Predictions) -> list[str]:
    """The tables of scores, as HTML of `ShownTable`, whose texts are escaped."""
    if found.kind == "regression":
        return [residuals_of(found).table().html()]
    tables = [report_table(found).html()]
    if found.kind == "multi" or len(found.vocab) == 2:
        tables.append(threshold_table(found, 1.0, None).html())
    return tables


def matrix_parts(found: Predictions, by: str) -> dict[str, Any]:
    """The confusion matrix and the pairs that are confused most; none of a regression or of several labels."""
    if found.kind != "category":
        return {"matrix": None, "pairs": []}
    counts = confusion_counts(found.targets, found.decided, len(found.vocab))
    pairs = confused_pairs(counts, found.vocab, 1)[:MOST_PAIRS]
    place = {name: k for k, name in enumerate(found.vocab)}
    return {
        "matrix": matrix_of(counts, shares=by == "share"),
        "pairs": [(true, said, n, place[true], place[said]) for true, said, n in pairs],
    }


@router.get("/open/{name}/errors/figure")
def figure(request: Request, name: str, half: int) -> Response:
    """The calibration curve, or a regression's residuals, as a piece of HTML: `{svg}`."""
    subject = subject_of(request, name)
    if not subject.is_run or half not in subject.halves():
        raise HTTPException(404, "no_such_page")
    found = subject.predictions(half)
    svg = subject.part("figure", lambda: drawn(found), half, version=subject.weights_time())
    return Json({"svg": svg})


def drawn(found: Predictions) -> str:
    shown: Any = residuals_of(found).plot() if found.kind == "regression" else calibrated(found, 15).plot()
    return str(shown.svg())
