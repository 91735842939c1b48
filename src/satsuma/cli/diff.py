"""`satsuma diff`: what is different between two runs."""

import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from satsuma.errors import UserError
from satsuma.peel.diff import RunDifference, compare_runs, diff_table

# a table that goes into a file or a pipe is not cut at 80 columns
console = Console(highlight=False, width=None if sys.stdout.isatty() else 250)
WIDE = 160  # columns from which on scripts stand side by side


def run_diff(run_a: Path, run_b: Path, *, code: bool, settings: bool) -> None:
    """Print the settings that differ, the results, and the scripts' diff; or one part of it."""
    if code and settings:
        raise UserError("--code and --settings each show one part: give one of them, or none for all")
    found = compare_runs(run_a, run_b)
    if not code:
        if found.settings:
            show_table(found, "setting", ((s.path, s.a, s.b) for s in found.settings))
        else:
            console.print("the settings are the same", markup=False)
    if not code and not settings:
        console.print()
        show_table(found, "result", found.results())
        console.print(f"\n{found.losses_text}\n", markup=False)
    if not settings:
        show_code(found, run_a, run_b, alone=code)


def show_table(found: RunDifference, title: str, rows: Iterable[tuple[str, str, str]]) -> None:
    table = Table(title, escape(found.name_a), escape(found.name_b), box=None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def show_code(found: RunDifference, run_a: Path, run_b: Path, *, alone: bool) -> None:
    """The scripts' diff: side by side in a wide terminal, else as a patch."""
    if found.without_script:
        told = f"no train.py in {' and '.join(found.without_script)}: satsuma peel RUN -o FILE writes the script"
        if alone:
            raise UserError(told)
        console.print(told, markup=False)
    elif not found.code:
        console.print("the scripts are the same", markup=False)
    elif sys.stdout.isatty() and console.width >= WIDE:
        texts = [(run / "train.py").read_text(encoding="utf-8") for run in (run_a, run_b)]
        console.print(diff_table(texts[0], texts[1], found.name_a, found.name_b))
    else:
        for line in found.code.splitlines():
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)
