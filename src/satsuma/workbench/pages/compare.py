"""*Comparison* of runs: their curves in one figure, their results, and what is different in recipe and code."""

import difflib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from satsuma.errors import ModelFileError
from satsuma.functional.links import better_direction
from satsuma.peel.diff import ABSENT, leaves
from satsuma.ship.recipe import from_recipe
from satsuma.train.evaluate import named_metrics
from satsuma.workbench.answers import page, subject_of
from satsuma.workbench.pages.run import say, watch_of
from satsuma.workbench.pages.runs import MOST_COMPARED
from satsuma.workbench.subjects import Subject, last_change
from satsuma.workbench.watch import RunLine
from satsuma.workbench.written import LOWER_IS_BETTER, figure_text, result_names, time_text

router = APIRouter()
CONTEXT = 3  # equal lines around those that differ
LONGEST_DIFF = 2000  # lines

Runs = Annotated[list[str], Query(alias="run")]


@router.get("/compare")
def compare(request: Request, run: Runs = []) -> Response:  # noqa: B006  FastAPI copies it
    """Two or more runs beside each other."""
    subjects = chosen(request, run)
    lines = [watch_of(request).line(subject) for subject in subjects]
    names = result_names([line.results for line in lines])
    settings, damaged = settings_of(request, subjects)
    query = "&".join(f"run={subject.name}" for subject in subjects)
    metrics = [name for name in names if name not in LOWER_IS_BETTER]
    return page(
        request,
        "compare.html",
        subjects=subjects,
        lines=lines,
        results=[result_row(request, lines, name) for name in names],
        times=[time_text(line.summary.time_s) for line in lines],
        figures=[f"/compare/figure/{kind}?{query}" for kind in range(1 + len(metrics))],
        settings=settings,
        damaged=damaged,
        code=code_of(subjects) if len(subjects) == 2 else None,
    )


@router.get("/compare/figure/{place}")
def compare_figure(request: Request, place: int, run: Runs = []) -> Response:  # noqa: B006
    """The runs' curves in one figure: 0 is the loss, then the metrics in the order of the table."""
    subjects = chosen(request, run)
    names = result_names([watch_of(request).line(subject).results for subject in subjects])
    kinds = ["loss", *(name for name in names if name not in LOWER_IS_BETTER)]
    if not 0 <= place < len(kinds):
        raise HTTPException(404, "no_such_page")
    return HTMLResponse(watch_of(request).overlaid(subjects, kinds[place]))


def chosen(request: Request, names: list[str]) -> list[Subject]:
    """The runs of those names, each once, the oldest first: what is new in a later one reads as an addition."""
    subjects = [subject_of(request, name) for name in dict.fromkeys(names)]
    if not 2 <= len(subjects) <= MOST_COMPARED or any(subject.folder is None for subject in subjects):
        raise HTTPException(400, say(request, "compare_few", most=MOST_COMPARED))
    return sorted(subjects, key=lambda subject: last_change(subject.folder or Path()))


def result_row(request: Request, lines: list[RunLine], name: str) -> dict[str, Any]:
    """One result of all runs as text, and which of them are the best of it, where it is known what better means."""
    values = [line.results.get(name) for line in lines]
    known = [value for value in values if value is not None]
    direction = next((found for line in lines if (found := direction_of(request, line, name))), None)
    best = None
    if len(known) > 1 and direction is not None and min(known) != max(known):
        best = max(known) if direction == "higher" else min(known)
    cells = [(figure_text(value), value is not None and value == best) for value in values]
    return {"name": name, "cells": cells}


def direction_of(request: Request, line: RunLine, name: str) -> str | None:
    """ "lower" or "higher" is better; None where that is not known of a metric."""
    if name in LOWER_IS_BETTER:
        return "lower"
    assert line.subject.folder is not None
    recipe, _ = watch_of(request).recipe(line.subject.folder)
    try:
        metrics = named_metrics(from_recipe(recipe["settings"]["metrics"]))
    except (ModelFileError, KeyError, TypeError, ValueError):
        return None
    return better_direction(metrics[name]) if name in metrics else None


def settings_of(request: Request, subjects: list[Subject]) -> tuple[list[dict[str, Any]], list[str]]:
    """The settings that are not the same in all runs, as code, and the titles of runs whose recipe is not readable."""
    found: list[dict[str, str]] = []
    damaged = []
    for subject in subjects:
        assert subject.folder is not None
        try:
            found.append(dict(leaves(watch_of(request).recipe(subject.folder)[0])))
        except (KeyError, TypeError, ValueError, AttributeError):
            found.append({})
        if not found[-1]:
            damaged.append(subject.title)
    paths = dict.fromkeys(path for recipe in found for path in recipe)
    rows = [{"path": path, "cells": [recipe.get(path, ABSENT) for recipe in found]} for path in paths]
    return [row for row in rows if len(set(row["cells"])) > 1], damaged


def code_of(subjects: list[Subject]) -> dict[str, Any]:
    """The scripts' diff of two runs: lines with their kind, "+", "-", " " or "@"."""
    texts = [script_text(subject.folder) for subject in subjects if subject.folder is not None]
    missing = [subject.title for subject, text in zip(subjects, texts, strict=True) if text is None]
    if missing:
        return {"missing": ", ".join(missing), "lines": []}
    a, b = (str(text).splitlines() for text in texts)
    diff = list(difflib.unified_diff(a, b, lineterm="", n=CONTEXT))[2:]
    lines = [(line[:1], line) for line in diff[:LONGEST_DIFF]]
    return {"missing": "", "lines": lines}


def script_text(folder: Path) -> str | None:
    """A run's `train.py`; None where there is none."""
    try:
        return (folder / "train.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
