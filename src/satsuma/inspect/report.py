"""The report of a run: one HTML file that needs nothing else."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report shows: a title, a result in words, the epoch table, figures by caption, facts, and code."""

    title: str
    headline: str
    result: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Sequence[tuple[str, "Figure"]]
    notes: Sequence[str] = ()
    code: str = ""


def write_report(path: Path, report: Report) -> Path:
    """Write `report` as one HTML file: no scripts, no network, pictures inside."""
    page = Environment(loader=PackageLoader("satsuma.inspect"), autoescape=True).get_template("report.html")
    figures = [(caption, svg_data(figure)) for caption, figure in report.figures]
    write_whole(path, page.render(report=report, figures=figures).encode())
    return path


def svg_data(figure: "Figure") -> str:
    """A figure as a data URI of an SVG picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
