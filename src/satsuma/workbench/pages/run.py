"""*Run*: a run's course while it trains, its result, its recipe, its files and its scripts."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from satsuma.hooks.stop_request import STOP_FILE
from satsuma.learner.peeling import DEPTHS, peel_run
from satsuma.workbench.answers import Json, language_of, page, subject_of
from satsuma.workbench.batch_pictures import batch_pictures
from satsuma.workbench.course import Course
from satsuma.workbench.histories import History, number
from satsuma.workbench.jobs import JobError
from satsuma.workbench.recipe_facts import facts_of
from satsuma.workbench.subjects import Subject
from satsuma.workbench.texts import translate
from satsuma.workbench.watch import FIGURES, Watch, figure_versions, kept_results, kept_row, state_of
from satsuma.workbench.written import (
    LOWER_IS_BETTER,
    date_text,
    epoch_table,
    figure_text,
    result_names,
    rough_time_text,
    size_text,
)

router = APIRouter()
GIVEN_OUT = (  # files of a run that may be downloaded
    *("model.safetensors", "report.html", "train.py", "recipe.py", "recipe.json", "history.jsonl", "edits.jsonl"),
    *("loss.png", "metrics.png", "learning_rate.png"),
)
LONGEST_RECIPE = 400_000  # characters of recipe.py that are shown
SCRIPT_TEXTS = (
    *("run_ended", "run_lost", "run_epoch", "run_time", "run_images_s", "run_kept", "wait_peel", "run_peel_made"),
    *("run_peel_refused", "copied", "copy_failed", "run_epoch_ended"),
)
BATCH_S = 4.0  # seconds, at least, between two looks at the batch


@router.get("/open/{name}/run")
def run(request: Request, name: str) -> Response:
    """The page, as the run stands now; its script asks for the rest."""
    subject, folder = run_of(request, name)
    recipe, course = watch_of(request).recipe(folder)
    now = now_of(request, subject, folder)
    texts = {text: say(request, text) for text in SCRIPT_TEXTS}
    named = {loss: say(request, loss) for loss in LOWER_IS_BETTER}
    return page(
        request,
        "run.html",
        subject=subject,
        now=now,
        facts=facts_of(recipe),
        recipe_code=recipe_text(folder),
        files=files_of(folder),
        depths=DEPTHS,
        figures=FIGURES,
        mixes=bool(recipe.get("settings", {}).get("mixup")),
        cause=course.cause,
        has_command=(folder / "command.json").is_file(),
        resume=f"satsuma train --resume {shlex.quote(str(folder))}",
        texts={**texts, "named": named, "base": f"/open/{subject.name}/run", "now": now},
    )


@router.get("/open/{name}/run/now")
def run_now(request: Request, name: str, epochs: int = -1) -> Response:
    """How the run stands, in words; the table only if it has not `epochs` rows."""
    subject, folder = run_of(request, name)
    found = now_of(request, subject, folder)
    if len(found["table"]["rows"]) == epochs:
        del found["table"], found["results"]
    return Json(found)


@router.get("/open/{name}/run/figure/{kind}")
def run_figure(request: Request, name: str, kind: str) -> Response:
    """A figure as a piece of HTML; the header `X-Version` says what it was drawn from."""
    subject, folder = run_of(request, name)
    if kind not in FIGURES:
        raise HTTPException(404, "no_such_page")
    made = watch_of(request).figure(folder, kind, trains=subject.trains)
    return HTMLResponse(made.value, headers={"X-Version": made.version})


@router.get("/open/{name}/run/batch")
def run_batch(request: Request, name: str) -> Response:
    """Some pictures of the batch that is being trained now, by the same random draws."""
    subject, folder = run_of(request, name)
    watch = watch_of(request)
    watched = watch.history(folder)
    with watched.lock:
        watched.history.refresh()
        steps = len(watched.history.losses)
    place = watch.recipe(folder)[1].place(steps)
    if place is None or not subject.trains:
        return Json({"pictures": []})
    try:
        dls = subject.dls()
    except JobError as error:  # of data that lies in the memory of the process that trains, say
        return Json({"refused": str(error), "pictures": []})
    loaders = sum(call["method"] == "dls" for call in watch.recipe(folder)[0].get("fits", ()))
    if place.stretch.loaders != loaders:
        return Json({"pictures": []})
    items = subject.items(0)
    made = watch.batches.get(
        folder,
        (place.epoch, place.batch),
        lambda: batch_pictures(dls, place.epoch, place.batch, items),
        least_s=BATCH_S,
    )
    epoch, batch = made.version
    found = made.value
    text = say(request, "run_batch_of", epoch=epoch, batch=batch + 1, batches=place.stretch.steps_per_epoch)
    if found.total > len(found.pictures):
        text += " " + say(request, "run_batch_some", shown=len(found.pictures), total=found.total)
    return Json({"place": f"{epoch}-{batch}", "text": text, "pictures": found.pictures})


@router.post("/open/{name}/run/stop")
def run_stop(request: Request, name: str) -> Response:
    """Ask the process that trains to stop after the epoch."""
    subject, folder = run_of(request, name)
    if not subject.trains:
        return Json({"error": say(request, "run_not_training")}, 409)
    with suppress(FileExistsError):  # asked before
        os.close(os.open(folder / STOP_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))  # follows no link
    return Json({"stop": stop_of(request, folder, may=True)})


@router.post("/open/{name}/run/go-on")
def run_go_on(request: Request, name: str) -> Response:
    """Take the request to stop back."""
    _, folder = run_of(request, name)
    (folder / STOP_FILE).unlink(missing_ok=True)
    return Json({"stop": stop_of(request, folder, may=True)})


@router.get("/open/{name}/run/peel/{depth}")
def run_peel(request: Request, name: str, depth: str) -> Response:
    """The run as a script of one depth; `refused` says why there is none."""
    subject, folder = run_of(request, name)
    if depth not in DEPTHS:
        raise HTTPException(404, "no_such_page")
    _, course = watch_of(request).recipe(folder)
    stamp = subject.weights_time()
    try:
        text, has_arrays = subject.part("peel", lambda: peeled_text(folder, depth), depth, version=(stamp, course))
    except JobError as error:
        return Json({"refused": str(error)})
    note = say(request, "run_peel_arrays", command=f"satsuma peel RUN --to {depth} -o FILE.py") if has_arrays else ""
    return Json({"text": text, "note": note, "lines": text.count("\n")})


@router.get("/open/{name}/run/file/{file}")
def run_file(request: Request, name: str, file: str) -> Response:
    """One of the run's own files, to keep; nothing else of its folder, and no link out of it."""
    _, folder = run_of(request, name)
    path = folder / file
    if file not in GIVEN_OUT or path.is_symlink() or not path.is_file():
        raise HTTPException(404, "no_such_page")
    return FileResponse(path, media_type="application/octet-stream", filename=f"{folder.absolute().name}-{file}")


# --- how a run stands -------------------------------------------------------------------------------------------------


def run_of(request: Request, name: str) -> tuple[Subject, Path]:
    """The open run of that name and its folder; 404 for what is no run."""
    subject = subject_of(request, name)
    if subject.folder is None:
        raise HTTPException(404, "no_such_page")
    return subject, subject.folder


def watch_of(request: Request) -> Watch:
    found: Watch = request.app.state.watch
    return found


def say(request: Request, name: str, **values: object) -> str:
    """A text in the reader's language."""
    return translate(language_of(request), name, **values)


def now_of(request: Request, subject: Subject, folder: Path) -> dict[str, Any]:
    """How the run stands, in the reader's words: state, progress, table, results."""
    watch = watch_of(request)
    recipe, course = watch.recipe(folder)
    watched = watch.history(folder)
    with watched.lock:
        watched.history.refresh()
        history = watched.history
        epochs, versions = list(history.epochs), figure_versions(history)
        trains = subject.trains
        progress = progress_of(request, history, course) if trains else None
    state = state_of(trains, course, bool(epochs))
    processes = recipe.get("hardware", {}).get("processes", 1)
    results = {} if trains else kept_results(epochs, recipe)
    return {
        "versions": versions,
        "state": state,
        "state_text": say(request, f"state_{state}"),
        "progress": progress,
        "stop": stop_of(request, folder, may=trains and processes == 1),
        "table": epoch_table(epochs, None if trains else kept_row(epochs, recipe)),
        "results": [[name, figure_text(results[name])] for name in result_names([results])],
    }


def progress_of(request: Request, history: History, course: Course) -> dict[str, Any]:
    """How far it is: the share that is done, and the same in words."""
    steps, total = len(history.losses), course.steps
    place = course.place(steps)
    if place is None or not total:
        return {"value": 0, "max": 1, "text": say(request, "run_begins")}
    parts = [
        say(request, "run_epochs_done", done=len(history.epochs), epochs=course.epochs),
        say(request, "run_step", step=f"{steps:,}", steps=f"{total:,}"),
    ]
    speed = history.steps_per_s()
    images = speed * place.stretch.batch_size if speed else None
    if images is None and history.epochs:
        images = number(history.epochs[-1].get("samples_per_s"))
    if images is not None:
        parts.append(say(request, "run_speed", speed=f"{images:,.0f}"))
    left = seconds_left(history, total - steps, place.stretch.steps_per_epoch, speed)
    if left is not None and steps < total:
        parts.append(say(request, "run_left", time=rough_time_text(left)))
    return {"value": steps, "max": total, "text": " · ".join(parts)}


def seconds_left(history: History, steps: int, steps_per_epoch: int, speed: float | None) -> float | None:
    """How long so many steps will take: by the last epoch, which counts its evaluation, else by the present speed."""
    last = number(history.epochs[-1].get("time_s")) if history.epochs else None
    if last is not None:
        return steps * last / steps_per_epoch
    return steps / speed if speed else None


def stop_of(request: Request, folder: Path, *, may: bool) -> dict[str, Any] | None:
    """Whether the run was asked to stop, and what the button will do; None where it cannot be asked."""
    if not may:
        return None
    asked = (folder / STOP_FILE).exists()
    return {"asked": asked, "text": say(request, "run_stop_asked" if asked else "run_stop_help")}


def peeled_text(folder: Path, depth: str) -> tuple[str, bool]:
    """A script's text, and whether it needs a file of arrays beside it."""
    script = peel_run(folder, depth)
    return script.text, bool(script.arrays)


# --- what a run is ----------------------------------------------------------------------------------------------------


def recipe_text(folder: Path) -> str:
    """`recipe.py`; "" where there is none."""
    try:
        return (folder / "recipe.py").read_text(encoding="utf-8", errors="replace")[:LONGEST_RECIPE]
    except OSError:
        return ""


def files_of(folder: Path) -> list[dict[str, str]]:
    """The files in a run's folder, the folders in it as one each; those that may be downloaded say so."""
    found = []
    for path in sorted(folder.iterdir()):
        inner = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        facts = [file.lstat() for file in inner]
        found.append(
            {
                "name": path.name + ("" if path.is_file() else "/"),
                "size": size_text(sum(fact.st_size for fact in facts)),
                "when": date_text(max((fact.st_mtime for fact in facts), default=path.lstat().st_mtime)),
                "given": path.name if path.name in GIVEN_OUT and path.is_file() and not path.is_symlink() else "",
            }
        )
    return found
