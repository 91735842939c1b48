"""*Clean*: look at sample after sample, and edit labels, halves and what is left out by single keys."""

import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from satsuma.data.edits import HALVES
from satsuma.errors import UserError
from satsuma.inspect.export import edited_loaders, labels_csv
from satsuma.inspect.predictions import Predictions
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.edited import change_of, label_list, listed, relabel, states_of
from satsuma.workbench.listing import Index, in_class, index_of, order_of, suggestions_of
from satsuma.workbench.subjects import Subject, Workbench
from satsuma.workbench.texts import texts_for
from satsuma.workbench.traits import Traits, traits_of

router = APIRouter()
LARGEST_PAGE = 500
# how texts for the page's script begin
SCRIPT_WORDS = ("clean_", "told_", "again_", "half_", "wait", "order_", "view_")


class EditAsked(BaseModel):
    """An edit of samples, named by half and place."""

    action: Literal["relabel", "exclude", "include", "move"]
    samples: list[tuple[int, int]] = Field(min_length=1, max_length=LARGEST_PAGE)
    labels: list[str] = Field(default=[], max_length=1000)
    half: int | None = None
    why: str = Field(default="", max_length=1000)


class LineAsked(BaseModel):
    """An edit to undo or redo by its id; the last one without."""

    of: int | None = None


@router.get("/open/{name}/clean")
def clean(request: Request, name: str) -> Response:
    """The page; its samples are fetched by `items`."""
    subject = subject_of(request, name)
    traits, index = traits_of(subject), index_of(subject)
    counts = [(label, len(index.members[label])) for label in index.classes]
    return page(
        request,
        "clean.html",
        subject=subject,
        traits=traits,
        index=index,
        counts=counts,
        halves=[(half.half, HALVES[half.half], len(half)) for half in index.items],
        ranked=subject.has_weights,
        command=train_command(request, subject),
        words=texts_for(language_of(request), SCRIPT_WORDS),
    )


@router.get("/open/{name}/clean/items")
def items(
    request: Request,
    name: str,
    order: str = "name",
    half: int | None = None,
    label: str = "",
    page: int | None = None,
    size: int = 48,
    at: int = -1,
) -> Response:
    """One page of samples in an order: of a half (all without), of a class (all without).

    `page`: its number; without it, that of the sample with the number `at`.
    """
    subject = subject_of(request, name)
    index, traits = index_of(subject), traits_of(subject)
    if (half is not None and half not in subject.halves()) or not 1 <= size <= LARGEST_PAGE or (page or 0) < 0:
        raise HTTPException(404, "no_such_page")
    states = states_of(subject)
    numbers = order_of(subject, index, order, half)
    if label:
        numbers = numbers[in_class(index, label, states)[numbers]]
    if page is None:
        page = int(np.flatnonzero(numbers == at)[0]) // size if at in numbers else 0
    shown = numbers[page * size : (page + 1) * size].tolist()
    said = known_predictions(subject)
    hints = suggestions_of(subject, index) if order == "suggested" else {}
    found = {
        "total": len(numbers),
        "page": page,
        "items": [row_of(index, n, states, said, hints, traits) for n in shown],
        "edits": summary(subject, index),
    }
    return Json(found)


def row_of(
    index: Index,
    number: int,
    states: dict[str, Any],
    said: dict[int, Predictions],
    hints: dict[int, tuple[str, str]],
    traits: Traits,
) -> dict[str, Any]:
    """A sample as the page's script takes it."""
    half, i = index.place(number)
    key, labels = index.items[half].keys[i], index.labels[number]
    row: dict[str, Any] = {"half": half, "i": i, "number": number, "name": index.items[half].names[i], "labels": labels}
    row["change"] = change_of(states.get(key), labels, half)
    if half in said:
        found = said[half]
        row |= {"loss": round(min(float(found.losses[i]), 1e9), 4), "said": found.answer(i)}
        if traits.kind == "category":
            row["sure"] = round(float(found.outputs[i].max()), 4)
            row["wrong"] = bool(found.decided[i] != found.targets[i])
    if number in hints:
        row["hint"], row["why"] = hints[number]
    return row


def known_predictions(subject: Subject) -> dict[int, Predictions]:
    """What the model says, of the halves of which that is known already; asking here begins no work."""
    found = {}
    if subject.has_weights:
        stamp = subject.weights_time()
        for half in subject.halves():
            if subject.jobs.state((subject.name, "predictions", half), version=stamp) == "done":
                found[half] = subject.predictions(half)
    return found


def summary(subject: Subject, index: Index) -> dict[str, Any]:
    """The edits, newest first, and how many are in force."""
    journal = subject.journal
    rows = listed(journal, index.number_of)
    for row in rows:
        if row["number"] >= 0:
            row["half"], row["i"] = index.place(row["number"])
    undoable, redoable = journal.undoable(), journal.redoable()
    return {
        "count": len(journal),
        "last": journal.history()[-1].id if journal.history() else 0,
        "undo": undoable.id if undoable else None,
        "redo": redoable.id if redoable else None,
        "rows": rows,
    }


@router.get("/open/{name}/clean/edits")
def edits(request: Request, name: str, since: int = -1) -> Response:
    """The edits; only the last one's id if that is `since`. Another tab looks for what this one did."""
    subject = subject_of(request, name)
    history = subject.journal.history()
    last = history[-1].id if history else 0
    return Json({"last": last} if last == since else summary(subject, index_of(subject)))


@router.get("/open/{name}/clean/labels.csv")
def labels(request: Request, name: str) -> Response:
    """The labels after the edits, as a csv file to keep."""
    subject = subject_of(request, name)
    dls = subject.dls()
    try:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "labels.csv"
            labels_csv(edited_loaders(dls, subject.journal.edits()), file)
            table = file.read_bytes()
    except (ValueError, OSError) as error:
        raise HTTPException(409, str(error)) from error
    named = {"Content-Disposition": f'attachment; filename="{subject.name}-labels.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=named)


@router.post("/open/{name}/clean/edit")
def edit(request: Request, name: str, asked: EditAsked) -> Response:
    """Add edits to the journal; they are on the disk when this answers."""
    subject = subject_of(request, name)
    index, traits = index_of(subject), traits_of(subject)
    for half, i in asked.samples:
        if half not in subject.halves() or not 0 <= i < len(index.items[half]):
            raise HTTPException(404, f"there is no sample {i} in half {half}")
    try:
        for half, i in asked.samples:
            edit_one(subject, index, traits, asked, half, i)
    except (ValueError, OSError) as error:
        raise HTTPException(400, str(error)) from error
    return Json(changed(subject, index, asked.samples))


def edit_one(subject: Subject, index: Index, traits: Traits, asked: EditAsked, half: int, i: int) -> None:
    journal, key = subject.journal, index.items[half].keys[i]
    own = index.labels[index.number(half, i)]
    if asked.action == "exclude":
        journal.exclude(key, was=own if traits.kind == "multi" else own[0], why=asked.why)
    elif asked.action == "include":
        journal.include(key)
    elif asked.action == "move":
        now = states_of(subject).get(key)
        there = half if now is None or now.half is None else now.half
        to = asked.half if asked.half in (0, 1) else 1 - there
        if to != there:
            journal.move(key, HALVES[to], was=HALVES[there], why=asked.why)
    else:
        relabel(subject, key, checked_labels(asked.labels, traits), own, several=traits.kind == "multi", why=asked.why)


def checked_labels(labels: list[str], traits: Traits) -> tuple[str, ...]:
    """Labels of the kind that the data have. `ValueError` otherwise."""
    if traits.kind == "none":
        raise ValueError("the targets of these data are no labels; samples can be moved and left out")
    if traits.kind != "multi" and (len(labels) != 1 or not labels[0].strip()):
        raise ValueError(f"a sample has one label here, got {labels}")
    if traits.kind == "regression":
        float(labels[0])
    return label_list([name.strip() for name in labels])


def changed(subject: Subject, index: Index, samples: list[tuple[int, int]]) -> dict[str, Any]:
    """What became of samples, and the edits."""
    states = states_of(subject)
    rows = []
    for half, i in samples:
        number = index.number(half, i)
        rows.append({"number": number, "change": change_of(states.get(index.key(number)), index.labels[number], half)})
    return {"changed": rows, "edits": summary(subject, index)}


@router.post("/open/{name}/clean/{action}")
def turn(request: Request, name: str, action: Literal["undo", "redo"], asked: LineAsked) -> Response:
    """Undo or redo the last edit, or the one that is asked for."""
    subject = subject_of(request, name)
    index = index_of(subject)
    try:
        line = subject.journal.undo(asked.of) if action == "undo" else subject.journal.redo(asked.of)
    except (ValueError, OSError) as error:
        raise HTTPException(400, str(error)) from error
    number = -1 if line is None else index.number_of.get(line.key, -1)
    return Json(changed(subject, index, [index.place(number)] if number >= 0 else []) | {"any": line is not None})


def train_command(request: Request, subject: Subject) -> dict[str, str]:
    """`line`: the command that trains with the edits; else `problem`: why there is none."""
    try:
        return {"line": shlex.join(["satsuma", *train_arguments(request, subject)]), "problem": ""}
    except UserError as error:
        return {"line": "", "problem": str(error)}


def train_arguments(request: Request, subject: Subject) -> list[str]:
    """The arguments of the command that trains on a subject's data with its edits; `UserError` if there is none."""
    bench: Workbench = request.app.state.bench
    if subject.folder is None:
        if subject.train is None:
            raise UserError("how to train on these data is not known here")
        return subject.train
    if bench.again is None:
        raise UserError("a run made in Python is trained again there: give its DataBlock the edits")
    return bench.again(subject.folder, subject.edits_file)
