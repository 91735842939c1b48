"""`Progress`: the epoch table as it grows, with a bar for the current epoch.

In a terminal a bar (samples a second, time left) runs below the table; elsewhere there are plain lines; in Jupyter an
HTML table.
"""

import html
import sys
import time
from collections.abc import Callable
from typing import Any

from satsuma.hooks.base import Hook
from satsuma.train.fit import EpochRow, Plan, StepRow
from satsuma.train.run import Run

REFRESH_S = 0.1
WIDTH = 10  # narrowest column
STYLES = ("bar", "lines", "html")


def epoch_header(plan: Plan) -> list[str]:
    """The names of the table's columns."""
    return ["epoch", "train_loss", *(["valid_loss"] if plan.has_valid else []), *plan.metrics, "time"]


def epoch_cells(row: EpochRow, plan: Plan) -> list[str]:
    """One epoch's cells, in the header's order."""
    names = ["train_loss", *(["valid_loss"] if plan.has_valid else []), *plan.metrics]
    values = [row.value(name) for name in names]
    return [str(row.epoch), *("-" if v is None else number(v) for v in values), duration(row.time_s)]


def number(value: float) -> str:
    """Six decimals, or three digits and a power of ten for what would not fit.

    >>> number(0.4333), number(123456.7), number(0.0000012)
    ('0.433300', '1.235e+05', '1.200e-06')
    """
    return f"{value:.3e}" if value and not 1e-4 <= abs(value) < 1e5 and value == value else f"{value:.6f}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours as a clock shows them.

    >>> duration(0.314), duration(75), duration(3700)
    ('0.31s', '1:15', '1:01:40')
    """
    if seconds < 60:
        return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def table_line(cells: list[str], header: list[str]) -> str:
    """The cells right-aligned under the header's names."""
    widths = [5, *(max(len(name), WIDTH) for name in header[1:])]
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def say(line: str) -> bool:
    """Print a line at once; False where nobody can read it (a closed pipe), which must not end a training."""
    try:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(line.encode(encoding, "replace").decode(encoding), flush=True)
    except (OSError, ValueError):
        return False
    return True


class Progress(Hook):
    """Shows a fit to a person. `force`: "bar", "lines" or "html" instead of what fits where the output goes."""

    def __init__(self, force: str = "") -> None:
        if force and force not in STYLES:
            raise ValueError(f"Progress: force is one of {', '.join(STYLES)}, got {force!r}")
        self.force = force
        self.plan: Plan | None = None
        self.rows: list[list[str]] = []
        self.bar: Any = None
        self.task: Any = None
        self.shown_at = self.begun = 0.0
        self.handle: Any = None
        self.silent = False  # once nobody reads

    @property
    def style(self) -> str:
        if self.force:
            return self.force
        if in_notebook():
            return "html"
        try:
            return "bar" if sys.stdout.isatty() else "lines"
        except (AttributeError, ValueError):  # there is none, or it is closed
            return "lines"

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.plan, self.rows, self.handle = plan, [], None
        self.begun = self.shown_at = time.monotonic()
        if self.style == "html":
            self.show_html("")
            return
        header = epoch_header(plan)
        self.silent = not say(table_line(header, header))
        if self.style == "bar" and not self.silent:
            self.drawn(self.start_bar, plan)

    def drawn(self, draw: Callable[..., Any], *args: Any, **options: Any) -> None:
        """Draw on the bar; where that fails, since the terminal is gone, be silent from now on."""
        try:
            draw(*args, **options)
        except (OSError, ValueError, SystemExit):  # SystemExit is what rich makes of a broken pipe
            self.bar, self.silent = None, True

    def start_bar(self, plan: Plan) -> None:
        from rich import progress
        from rich.console import Console

        self.bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]} of {task.fields[epochs]}"),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[rate]:,.0f} samples/s"),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(highlight=False),
            transient=True,
            auto_refresh=False,
        )
        total = plan.steps_per_epoch * plan.epochs
        self.task = self.bar.add_task("", total=total, epoch=1, epochs=plan.epochs, rate=0.0)
        self.bar.start()

    def on_step(self, run: Run, row: StepRow) -> None:
        now = time.monotonic()
        if now - self.shown_at < REFRESH_S or self.plan is None or self.silent:
            return
        self.shown_at = now
        rate = row.step * self.plan.batch_size / max(now - self.begun, 1e-9)
        if self.bar is not None:
            epoch = row.epoch - self.plan.first_epoch + 1
            self.drawn(self.bar.update, self.task, completed=row.step, epoch=epoch, rate=rate, refresh=True)
        elif self.style == "html":
            share = row.step / (self.plan.steps_per_epoch * self.plan.epochs)
            left = (now - self.begun) * (1 - share) / max(share, 1e-9)
            self.show_html(
                f"epoch {row.epoch - self.plan.first_epoch + 1}: {rate:,.0f} samples/s, {duration(left)} left"
            )

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        assert self.plan is not None
        cells = epoch_cells(row, self.plan)
        self.rows.append(cells)
        if self.style == "html":
            self.show_html("")
            return
        line = table_line(cells, epoch_header(self.plan))
        if self.bar is not None:
            self.drawn(self.bar.console.print, line, markup=False, soft_wrap=True)
        elif not self.silent:
            self.silent = not say(line)

    def on_fit_end(self, run: Run) -> None:
        if self.bar is not None:
            self.drawn(self.bar.stop)
            self.bar = None
        elif self.style == "html":
            self.show_html("")

    def show_html(self, status: str) -> None:
        from IPython.display import HTML, display

        shown = HTML(self.html_table(status))
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)

    def html_table(self, status: str) -> str:
        """The table so far as HTML, with a line of status below."""
        assert self.plan is not None
        head = "".join(f"<th>{html.escape(name)}</th>" for name in epoch_header(self.plan))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>" for cells in self.rows)
        below = f"<p>{html.escape(status)}</p>" if status else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"
