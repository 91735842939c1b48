"""*Runs*: the table of all runs."""

from fastapi import APIRouter, Request, Response

from satsuma.workbench.answers import page
from satsuma.workbench.subjects import Workbench

router = APIRouter()


@router.get("/runs")
def runs(request: Request) -> Response:
    """All runs, the newest first."""
    bench: Workbench = request.app.state.bench
    return page(request, "runs.html", runs=bench.runs())
