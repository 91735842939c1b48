"""The report of a run: one HTML file that needs nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader

from satsuma.inspect.gallery import fragment_css
from satsuma.plots.theme import PALETTE_CSS, VARIABLES, escaped
from satsuma.train.checkpoint import write_whole

MOST_BYTES = 5_000_000  # of the file: what a mail takes, and a phone opens at once
LAZY = ' loading="lazy"'  # which pictures inside the page do not need, and which would leave them out in print
SHOWN_LETTERS = 400  # of the message of a part that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """A part of a report: the name of its anchor, its heading, and a piece of HTML whose texts are escaped already."""

    key: str
    title: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report shows, in its order. `tiles`: (what, value), the numbers to see first."""

    title: str
    headline: str
    result: str
    tiles: Sequence[tuple[str, str]] = ()
    sections: Sequence[ReportSection] = ()
    foot: str = ""


def write_report(path: Path, report: Report, *, most: int = MOST_BYTES) -> Path:
    """Write `report` as one HTML file of `most` bytes or fewer: no scripts, no network, pictures inside."""
    write_whole(path, report_page(report, most).encode())
    return path


def report_page(report: Report, most: int = MOST_BYTES) -> str:
    """The page. Of sections that would make it too large the largest are left out, and the page says so."""
    template = Environment(loader=PackageLoader("satsuma.inspect"), autoescape=True).get_template("report.html")
    while True:
        page = template.render(report=report, palette=PALETTE_CSS, light=VARIABLES["light"], fragments=fragment_css())
        page = str(page).replace(LAZY, "").encode("utf-8", "replace").decode()  # file names may hold surrogates
        largest = max(report.sections, key=lambda section: len(section.html), default=None)
        if len(page.encode()) <= most or largest is None or len(largest.html) < 1000:
            return page
        size = len(largest.html.encode("utf-8", "replace")) / 1e6
        told = (
            f'<p class="told">Left out: it is {size:.1f} MB, and the report would not stay below {most / 1e6:g} MB.</p>'
        )
        cut = [replace(s, html=told) if s is largest else s for s in report.sections]
        report = replace(report, sections=cut)


def report_section(key: str, title: str, make: Callable[[], str]) -> ReportSection | None:
    """A section of what `make` gives, None for "". Where it fails, the section tells why: the report is not lost."""
    try:
        html = make()
    except Exception as error:  # whatever breaks in one part, the others are wanted
        told = " ".join(str(error).split())[:SHOWN_LETTERS] or type(error).__name__
        html = f'<p class="told">This part could not be made: {escaped(told)}</p>'
    return ReportSection(key=key, title=title, html=html) if html else None


def fold_html(summary: str, html: str, *, opened: bool = False) -> str:
    """A piece of HTML that is shown when asked for."""
    return f"<details{' open' if opened else ''}><summary>{escaped(summary)}</summary>{html}</details>"


def code_block(text: str, what: str) -> str:
    """Code or commands as they are; `what` says what it is to those who hear the page."""
    return f'<pre tabindex="0" role="group" aria-label="{escaped(what)}"><code>{escaped(text)}</code></pre>'
