"""`satsuma report`: a run as one HTML page."""

from pathlib import Path

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


def run_report(run: Path, output: Path | None) -> None:
    """Write the report of a run, `report.html` in its folder unless told otherwise."""
    from satsuma.learner.reporting import write_run_report

    path = run / "report.html" if output is None else output / "report.html" if output.is_dir() else output
    write_run_report(run, path)
    console.print(f"wrote {path}", markup=False)
