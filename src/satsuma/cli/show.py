"""`satsuma show` and `satsuma runs`."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from satsuma.errors import UserError

# a table that goes into a file or a pipe is not cut at 80 columns
console = Console(highlight=False, width=None if sys.stdout.isatty() else 250)


def run_show(path: Path, *, label: str | None, label_delim: str, size: int | None, output: Path) -> None:
    """Show a run, a model file, or data."""
    if (path / "history.jsonl").is_file():
        show_run(path)
    elif path.suffix == ".safetensors":
        from satsuma.cli.doctor_files import show_model

        show_model(path)
    else:
        show_data(path, label, label_delim, size, output)


def show_run(path: Path) -> None:
    """The epoch table of a run, and what lies in its folder."""
    epochs, steps = read_history(path)
    if not epochs:
        console.print(f"{path}: {steps} steps, no epoch finished", markup=False)
        return
    names = [k for k in epochs[-1] if k not in ("kind", "samples_per_s")]
    table = Table(*names, box=None, title=str(path), title_justify="left")
    for row in epochs:
        table.add_row(*(cell(row.get(name)) for name in names))
    console.print(table)
    console.print("files: " + ", ".join(sorted(p.name for p in path.iterdir())), markup=False, soft_wrap=True)


def cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value)


def seconds(row: dict[str, Any]) -> float:
    time = row.get("time_s")
    return float(time) if isinstance(time, int | float) else 0.0


def read_history(path: Path) -> tuple[list[dict[str, Any]], int]:
    """A run's epoch rows, and how many steps it took; a line that is torn or foreign is passed over."""
    epochs, steps = [], 0
    for line in (path / "history.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict):
            continue
        if row.get("kind") == "epoch":
            epochs.append(row)
        steps += row.get("kind") == "step"
    return epochs, steps


def show_data(path: Path, label: str | None, label_delim: str, size: int | None, output: Path) -> None:
    """What was guessed about the data, how one sample goes through, and a picture of a batch."""
    from satsuma.cli.train import TrainOptions, told_data

    data = told_data(path, TrainOptions(label=label, label_delim=label_delim, size=size))
    assert data.block is not None
    data.block.summary(data.source)
    output.parent.mkdir(parents=True, exist_ok=True)
    data.show_batch().savefig(output, dpi=120)
    console.print(f"wrote {output}", markup=False)


def run_runs(runs_dir: Path) -> None:
    """A table of the runs in a folder, the newest first."""
    if not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: there is no such folder; satsuma train makes it")
    found = sorted(runs_dir.glob("*/history.jsonl"), key=lambda f: f.stat().st_mtime, reverse=True)
    if not found:
        raise UserError(f"{runs_dir}: no runs in it")
    rows = [(file.parent, read_history(file.parent)) for file in found]
    metrics = list(dict.fromkeys(k for _, (epochs, _) in rows for row in epochs for k in row))
    names = [k for k in metrics if k not in ("kind", "epoch", "time_s", "samples_per_s")]
    table = Table(box=None)
    for name in ("run", "when", "epochs", "steps", *names, "time"):
        table.add_column(name, no_wrap=True)
    for folder, (epochs, steps) in rows:
        when = datetime.fromtimestamp((folder / "history.jsonl").stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        last = epochs[-1] if epochs else {}
        time = f"{sum(seconds(row) for row in epochs):.1f}s"
        cells = [cell(last.get(name)) for name in names]
        table.add_row(folder.name, when, str(len(epochs)), str(steps), *cells, time)
    console.print(table)
