"""*Try*: what the model says of an image, or of a row of numbers, that a person gives."""

import base64
import io
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from PIL import Image
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from satsuma.inspect.answers import Answers
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.items import refuse_outside
from satsuma.workbench.jobs import JobError
from satsuma.workbench.subjects import Subject
from satsuma.workbench.texts import texts_for, translate
from satsuma.workbench.trials import Trial, Trials, nearest_samples, numbers_in, trials_of_file, trials_of_learner
from satsuma.workbench.uploads import MOST_BYTES, MOST_PIXELS, UploadError, body_bytes, checked_upload

router = APIRouter()
MOST_BARS = 10
MOST_NEAREST = 8
SURE = 0.5  # below, the runner-up is named too


class Row(BaseModel):
    text: str = Field(max_length=2_000_000)


class Place(BaseModel):
    half: int = Field(ge=0, le=1)
    place: int = Field(ge=0, le=2**40)


class Features(BaseModel):
    features: list[Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]] = Field(max_length=100_000)


def trials_of(request: Request, name: str) -> tuple[Subject, Trials]:
    subject = subject_of(request, name)
    if not subject.is_run:
        raise HTTPException(404, "no_such_page")
    stamp = subject.weights_time()
    try:
        learn = subject.learner()
    except JobError:  # its data cannot be had again; the model may be all the same
        file = None if subject.folder is None else subject.folder / "model.safetensors"
        if file is None or not file.is_file():
            raise
        alone: Trials = subject.part("trials", lambda: trials_of_file(file), "alone", version=stamp)
        return subject, alone
    trials: Trials = subject.part("trials", lambda: trials_of_learner(learn), version=stamp)
    return subject, trials


@router.get("/open/{name}/try")
def try_page(request: Request, name: str) -> Response:
    subject, trials = trials_of(request, name)
    dls = trials.dls
    held = 1 if dls is not None and dls.valid is not None else 0
    return page(
        request,
        "try.html",
        subject=subject,
        kind=trials.kind,
        shape=" × ".join(map(str, trials.shape or ())),
        size=int(np.prod(trials.shape)) if trials.shape else 0,
        half=held,
        total=0 if dls is None else len(dls[held].dataset),
        texts=texts_for(language_of(request), ("try_", "upload_")),
        most_bytes=MOST_BYTES,
        most_mb=MOST_BYTES // 2**20,
        most_pixels=MOST_PIXELS // 10**6,
    )


@router.post("/open/{name}/try/image")
def try_image(request: Request, name: str, raw: Annotated[bytes, Depends(body_bytes)]) -> Response:
    """The answer for an image, whose file is the request's body."""
    _, trials = trials_of(request, name)
    if trials.kind != "image":
        raise HTTPException(404, "no_such_page")
    try:
        upload = checked_upload(raw)
    except UploadError as error:
        return refused(request, error.name, **error.values)
    note = translate(language_of(request), "try_animated") if upload.animated else ""
    return told(request, lambda: trials.of_item(upload.raw), size=f"{upload.width} × {upload.height}", note=note)


@router.post("/open/{name}/try/row")
def try_row(request: Request, name: str, row: Row) -> Response:
    """The answer for numbers that were typed."""
    _, trials = trials_of(request, name)
    if trials.kind != "row" or trials.shape is None:
        raise HTTPException(404, "no_such_page")
    wanted = int(np.prod(trials.shape))
    try:
        numbers = numbers_in(row.text)
    except ValueError as error:
        return refused(request, "try_no_number", given=str(error))
    if len(numbers) != wanted:
        return refused(request, "try_count", got=len(numbers), wanted=wanted)
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > np.finfo(np.float32).max:
        return refused(request, "try_not_finite")
    if trials.dtype.kind in "iub":
        held = np.iinfo(trials.dtype) if trials.dtype.kind != "b" else None
        low, high = (0, 1) if held is None else (held.min, held.max)
        if (numbers < low).any() or (numbers > high).any() or (numbers != np.round(numbers)).any():
            return refused(request, "try_whole", low=low, high=high)
    return told(request, lambda: trials.of_row(numbers))


@router.post("/open/{name}/try/sample")
def try_sample(request: Request, name: str, sample: Place) -> Response:
    """The answer for a sample of the data, and what it is labelled."""
    subject, trials = trials_of(request, name)
    dls = trials.dls
    if dls is None or sample.half >= len(dls.loaders) or sample.place >= len(dls[sample.half].dataset):
        raise HTTPException(404, "no_such_page")
    items = subject.items(sample.half)
    refuse_outside(dls, items, sample.place)
    more: dict[str, Any] = {"name": items.names[sample.place], "label": items.labels[sample.place]}
    if trials.kind == "row":
        more["text"] = trials.row_text(sample.half, sample.place)
    return told(request, lambda: trials.of_sample(sample.half, sample.place), **more)


@router.post("/open/{name}/try/nearest")
def nearest(request: Request, name: str, given: Features) -> Response:
    """The training samples whose features are most like those of an item that was tried."""
    subject, _ = trials_of(request, name)
    found = nearest_samples(np.array(given.features, np.float32), subject.predictions(0), MOST_NEAREST)
    items = subject.items(0)
    rows = [
        {"place": i, "label": items.labels[i], "name": items.names[i], "alike": round(max(cosine, 0.0), 3)}
        for i, cosine in found
    ]
    return Json({"nearest": rows})


def told(request: Request, make: Any, **more: Any) -> Response:
    """A trial as JSON, with the words for it; what fails in it is said."""
    try:
        trial: Trial = make()
    except (ValueError, TypeError, OSError) as error:
        return refused(request, "try_failed", reason=str(error)[:500])
    answers = trial.answers
    language = language_of(request)
    return Json(
        {
            "kind": answers.kind,
            "words": words_of(language, answers),
            "bars": bars_of(answers),
            "others": others_of(answers),
            "picture": encoded(trial.picture),
            "heat": encoded(trial.heat),
            "features": None if trial.features is None else [round(float(v), 5) for v in trial.features],
            "ms": f"{trial.seconds * 1000:.3g}" if trial.seconds < 1 else f"{trial.seconds * 1000:,.0f}",
            **more,
        }
    )


def refused(request: Request, text: str, /, **values: object) -> Response:
    return Json({"error": translate(language_of(request), text, **values)}, 422)


def words_of(language: str, answers: Answers) -> str:
    """The answer as a sentence."""
    said = answers.outputs[0]
    if answers.kind == "regression":
        return translate(language, "try_says_value", value=", ".join(f"{v:.4g}" for v in said))
    if answers.kind == "multi":
        labels = [answers.vocab[k] for k in np.flatnonzero(answers.decided[0])]
        name = "try_says_labels" if labels else "try_none"
        return translate(language, name, labels=", ".join(labels))
    first, second = (*np.argsort(-said)[:2].tolist(), 0)[:2]
    filled = {"label": answers.vocab[first], "share": f"{said[first]:.1%}"}
    if said[first] >= SURE or len(said) == 1:
        return translate(language, "try_says", **filled)
    return translate(language, "try_unsure", **filled, second=answers.vocab[second], second_share=f"{said[second]:.1%}")


def bars_of(answers: Answers) -> list[dict[str, Any]]:
    """The largest probabilities, the first the largest; none for a regression. `decided`: whether it is the answer."""
    if answers.kind == "regression":
        return []
    said = answers.outputs[0]
    chosen = answers.decided[0] if answers.kind == "multi" else np.arange(len(said)) == int(answers.decided[0])
    return [
        {"label": answers.vocab[k], "share": round(float(said[k]), 4), "decided": bool(chosen[k])}
        for k in np.argsort(-said, kind="stable")[:MOST_BARS].tolist()
    ]


def others_of(answers: Answers) -> dict[str, Any]:
    """How many classes have no bar, and what they come to together."""
    if answers.kind != "category" or len(answers.vocab) <= MOST_BARS:
        return {"count": max(0, len(answers.vocab) - MOST_BARS) if answers.kind == "multi" else 0, "share": 0.0}
    rest = np.sort(answers.outputs[0])[:-MOST_BARS]
    return {"count": len(rest), "share": round(float(rest.sum()), 4)}


def encoded(picture: np.ndarray | None) -> str | None:
    """A JPEG as base64: it comes with the answer, so that no second request must find it again."""
    if picture is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode()
