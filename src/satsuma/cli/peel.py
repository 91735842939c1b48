"""`satsuma peel`: a run as one Python file."""

import sys
from pathlib import Path

from rich.console import Console


def run_peel(run: Path, *, depth: str, output: Path | None) -> None:
    """Print the script of a run, with colours in a terminal; or write it, and what it needs, to `output`."""
    from satsuma.learner.peeling import peel_run

    script = peel_run(run, depth)
    if output is not None:
        path = script.save(output)
        data = f" and {path.with_suffix('.npz')}" if script.arrays else ""
        print(f"wrote {path}{data}")
    elif sys.stdout.isatty():
        Console(soft_wrap=True).print(script)
    else:
        sys.stdout.write(script.text)
    if output is None and script.arrays:
        print("(needs the data of the run beside it: -o FILE writes both)", file=sys.stderr)
