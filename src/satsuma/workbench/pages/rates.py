"""*Rate finder*: a sweep over learning rates on the run's data and model, as they were before its first step."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from satsuma.peel.diff import as_code
from satsuma.train.checkpoint import write_whole
from satsuma.train.lr_find import RateFinder
from satsuma.workbench.answers import Json, page
from satsuma.workbench.jobs import JobError, Waiting
from satsuma.workbench.pages.run import run_of, say, watch_of
from satsuma.workbench.subjects import Subject

router = APIRouter()
KEPT = "inspect/rates.json"  # in the run's folder
SUGGESTED = ("valley", "steepest", "minimum")
NO_CHOICES = ("freeze", "freeze_to", "unfreeze", "dls", "load", "changed")


@dataclass(frozen=True, slots=True)
class Rates:
    """What a sweep found, and its picture as HTML."""

    found: RateFinder
    svg: str


@router.get("/open/{name}/rates")
def rates(request: Request, name: str) -> Response:
    """What the sweep found; before it, what it is and a button."""
    subject, folder = run_of(request, name)
    result, failed = None, ""
    if subject.jobs.state((subject.name, "rates")) or (folder / KEPT).is_file():
        try:
            result = subject.part("rates", lambda: rates_of(subject, folder))
        except JobError as error:
            failed = str(error)
    recipe, _ = watch_of(request).recipe(folder)
    return page(
        request,
        "rates.html",
        subject=subject,
        trains=subject.trains,
        failed=failed,
        svg="" if result is None else result.svg,
        suggestions=[] if result is None else suggestions(result.found),
        given=rates_given(recipe),
        texts={"base": f"/open/{subject.name}/rates", "copied": say(request, "copied"),
               "copy_failed": say(request, "copy_failed")},
    )  # fmt: skip


@router.post("/open/{name}/rates")
def find_rates(request: Request, name: str) -> Response:
    """Begin a sweep, in the place of the one that is known."""
    subject, folder = run_of(request, name)
    if subject.jobs.state((subject.name, "rates")) in ("waits", "runs"):
        return Json({"begun": True})
    (folder / KEPT).unlink(missing_ok=True)
    begin(subject, folder)
    return Json({"begun": True})


def begin(subject: Subject, folder: Path) -> None:
    """Have the sweep made; the page waits for it."""
    subject.jobs.forget((subject.name, "rates"))
    with suppress(Waiting):
        subject.part("rates", lambda: rates_of(subject, folder))


def rates_of(subject: Subject, folder: Path) -> Rates:
    """The sweep that is kept in the run's folder, else a new one, which is kept there."""
    found = read_rates(folder / KEPT)
    if found is None:
        learn = subject.untrained()
        learn.progress, learn.epochs_done = False, 0  # the batches come as they did in the run's first epoch
        found = learn.lr_find()
        (folder / KEPT).parent.mkdir(exist_ok=True)
        write_whole(folder / KEPT, json.dumps(asdict(found)).encode())
    return Rates(found, found.plot().svg())  # type: ignore[attr-defined]


def read_rates(file: Path) -> RateFinder | None:
    """A sweep from its file; None where there is none that is whole."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        lrs, losses, smoothed = ([float(value) for value in kept[name]] for name in ("lrs", "losses", "smoothed"))
        minimum, steepest, valley = (float(kept[name]) for name in ("minimum", "steepest", "valley"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not lrs or not len(lrs) == len(losses) == len(smoothed):
        return None
    return RateFinder(tuple(lrs), tuple(losses), tuple(smoothed), minimum, steepest, valley)


def suggestions(found: RateFinder) -> list[dict[str, str]]:
    """The rates that a sweep suggests, the usual choice first, as text and as they are typed."""
    return [{"name": name, "rate": f"{found.suggestions[name]:.2g}"} for name in SUGGESTED]


def rates_given(recipe: dict[str, Any]) -> list[str]:
    """The calls that the run trained by, which name its rates."""
    try:
        return [as_code(call) or "" for call in recipe["fits"] if call["method"] not in NO_CHOICES]
    except (KeyError, TypeError):
        return []
