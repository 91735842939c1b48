"""*Augment*: one image many ways, as training sees it, and what each setting of each transform does to it."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, FiniteFloat, StrictBool, StrictInt, StrictStr
from starlette.exceptions import HTTPException

from satsuma.inspect.samples import thumbnail
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.items import OutsideError, refuse_outside
from satsuma.workbench.pipelines import (
    KINDS,
    Step,
    code_of,
    many_ways,
    setting_of,
    steps_of,
    transforms_of,
    usual_values,
)
from satsuma.workbench.texts import texts_for, translate

router = APIRouter()
WAYS = 11  # pictures beside the plain one
SIDE = 256  # pixels of the longer side
MOST_EPOCH = 10**6
BOUNDS = Field(ge=-(10**9), le=10**9)
Value = (
    StrictBool
    | Annotated[StrictInt, BOUNDS]
    | Annotated[FiniteFloat, BOUNDS]
    | Annotated[StrictStr, Field(max_length=60)]
)


class StepGiven(BaseModel):
    where: Literal["item", "batch"]
    kind: str = Field(max_length=40)
    on: bool = True
    own: int | None = Field(default=None, ge=0, le=1000)
    values: dict[str, Value | list[Value]] = Field(default_factory=dict, max_length=20)


class PipelineGiven(BaseModel):
    place: int = Field(ge=0, le=2**40)
    first: int = Field(default=0, ge=0, le=MOST_EPOCH)
    steps: list[StepGiven] = Field(max_length=60)


@router.get("/open/{name}/augment")
def augment_page(request: Request, name: str, i: int = 0) -> Response:
    subject = subject_of(request, name)
    dls = subject.dls()
    words = texts_for(language_of(request), ("aug_", "tfm_", "set_"))
    try:
        steps = steps_of(dls)
    except ValueError:
        return page(request, "augment.html", subject=subject, steps=None, texts=words, forms={}, total=0, place=0)
    total = len(dls.train.dataset)
    return page(
        request,
        "augment.html",
        subject=subject,
        steps=[shown_step(step) for step in steps],
        forms={kind: forms_of(kind, steps) for kind in KINDS},
        texts=words,
        total=total,
        place=min(max(i, 0), total - 1),
    )


@router.post("/open/{name}/augment")
def augment(request: Request, name: str, given: PipelineGiven) -> Response:
    """The pictures of one sample under a pipeline, and its code."""
    subject = subject_of(request, name)
    dls = subject.dls()
    if given.place >= len(dls.train.dataset):
        raise HTTPException(404, "no_such_page")
    try:
        refuse_outside(dls, subject.items(0), given.place)
        steps = [Step(**step.model_dump()) for step in given.steps]
        item_tfms, batch_tfms = transforms_of(steps, dls)
        epochs = range(given.first, given.first + WAYS)
        pictures = many_ways(dls, item_tfms, batch_tfms, given.place, epochs)
    except OutsideError:
        raise
    except (ValueError, TypeError, OSError) as error:
        reason = translate(language_of(request), "aug_failed", reason=str(error)[:400])
        return Json({"error": reason}, 422)
    items = subject.items(0)
    return Json(
        {
            "pictures": [base64.b64encode(thumbnail(picture, SIDE)).decode() for picture in pictures],
            "sizes": [f"{picture.shape[1]} × {picture.shape[0]}" for picture in pictures],
            "code": code_of(item_tfms, batch_tfms),
            "name": items.names[given.place],
            "label": items.labels[given.place],
        }
    )


def shown_step(step: Step) -> dict[str, Any]:
    return {
        "where": step.where,
        "kind": step.kind,
        "on": True,
        "own": step.own,
        "values": step.values,
        "label": step.label,
        "fixed": step.fixed,
    }


def forms_of(kind: str, steps: list[Step]) -> dict[str, Any]:
    """For the script: the fields of a transform with their bounds, and the values that a new one begins with."""
    usual = usual_values(kind)
    fields = []
    for name, value in usual.items():
        used = [step.values[name] for step in steps if step.kind == kind] or [value]
        setting = setting_of(kind, name, used[0])
        fields.append(
            {
                "name": name,
                "form": setting.form,
                "low": setting.low,
                "high": setting.high,
                "step": setting.step,
                "choices": list(setting.choices),
            }
        )
    return {"fields": fields, "usual": usual}
