"""*Runs*: the table of all runs."""

from typing import Any

from fastapi import APIRouter, Request, Response

from satsuma.workbench.answers import Json, page
from satsuma.workbench.pages.run import say, watch_of
from satsuma.workbench.subjects import Workbench
from satsuma.workbench.watch import RunLine
from satsuma.workbench.written import LOWER_IS_BETTER, date_text, figure_text, result_names, time_text

router = APIRouter()
MANY = 8  # runs from which on there is a search
MOST_COMPARED = 8


@router.get("/runs")
def runs(request: Request) -> Response:
    """All runs, the newest first."""
    found = table_of(request)
    named = {loss: say(request, loss) for loss in LOWER_IS_BETTER}
    texts = {"runs_new": say(request, "runs_new"), "run_lost": say(request, "run_lost"), "most": MOST_COMPARED}
    return page(request, "runs.html", **found, named=named, many=MANY, texts=texts)


@router.get("/runs/now")
def runs_now(request: Request) -> Response:
    """The table as it stands now."""
    return Json(table_of(request))


def table_of(request: Request) -> dict[str, Any]:
    """The names of the results that any run has, and the runs' cells: as text, and as what they are sorted by."""
    bench: Workbench = request.app.state.bench
    lines = [watch_of(request).line(subject) for subject in bench.runs()]
    names = result_names([line.results for line in lines])
    return {"names": names, "runs": [cells_of(request, line, names) for line in lines]}


def cells_of(request: Request, line: RunLine, names: list[str]) -> dict[str, Any]:
    done, planned = len(line.summary.epochs), line.course.epochs
    return {
        "name": line.subject.name,
        "title": line.subject.title,
        "state": line.state,
        "state_text": say(request, f"state_{line.state}"),
        "epochs": f"{done}/{planned}" if planned > done else str(done),
        "done": done,
        "results": [[figure_text(line.results.get(name)), line.results.get(name)] for name in names],
        "time": time_text(line.summary.time_s),
        "time_s": line.summary.time_s,
        "when": date_text(line.summary.when),
        "at": line.summary.when,
    }
