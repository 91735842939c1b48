"""Train again with the edits: begin the command in a process of its own, and say how far it is."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from satsuma.errors import UserError
from satsuma.workbench.answers import Json, subject_of
from satsuma.workbench.pages.clean import train_arguments
from satsuma.workbench.subjects import Subject, Workbench
from satsuma.workbench.training import Training

router = APIRouter()


@router.post("/open/{name}/again")
def begin(request: Request, name: str) -> Response:
    """Begin to train with the subject's edits; one training at a time."""
    subject = subject_of(request, name)
    try:
        arguments = train_arguments(request, subject)
        if not subject.edits_file.exists():
            raise UserError("there are no edits yet")
        training_of(request).start(arguments, runs_dir_of(request, subject), subject.name)
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return Json(state_of(request))


@router.get("/open/{name}/again")
def how_far(request: Request, name: str) -> Response:
    """`state`: "none", "runs", "done" or "failed"; `said`: its last lines; `address`: its page, once there is one."""
    subject_of(request, name)
    return Json(state_of(request))


def state_of(request: Request) -> dict[str, Any]:
    bench: Workbench = request.app.state.bench
    training = training_of(request)
    found = training.state()
    address = (
        f"/open/{bench.of_run(training.folder).name}/run" if found["begun"] and found["state"] != "failed" else None
    )
    return found | {"address": address}


def training_of(request: Request) -> Training:
    found: Training = request.app.state.training
    return found


def runs_dir_of(request: Request, subject: Subject) -> Path:
    """Where the new run goes: beside the run, or into the folder of runs, which is then listed too."""
    bench: Workbench = request.app.state.bench
    if subject.folder is not None:
        return subject.folder.absolute().parent
    if bench.runs_dir is None:
        bench.runs_dir = Path("runs")
    return bench.runs_dir
