"""`satsuma edits`."""

import os
import warnings
from pathlib import Path

from rich.console import Console
from rich.table import Table

from satsuma.cli.guess import guess_data
from satsuma.cli.kept_edits import edit_lines
from satsuma.cli.train import in_command_words
from satsuma.data.checks import on_one_line
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.edit_log import EditLine, edits_in_force, edits_left
from satsuma.data.edits import Edits
from satsuma.data.multi_category import label_text
from satsuma.errors import UserError
from satsuma.inspect.export import copy_edited, labels_csv

console = Console(highlight=False, soft_wrap=True)


def run_edits(
    file: Path,
    data: Path | None,
    *,
    label: str | None,
    label_delim: str,
    valid_pct: float,
    seed: int,
    csv: Path | None,
    copy: Path | None,
) -> None:
    """List the edits in force; or write the labels, or a copy of the data, as they are with the edits."""
    lines = edit_lines(file)
    edits = edits_in_force(lines)
    wanted = [name for name, given in (("--csv", csv), ("--apply", copy)) if given is not None]
    if wanted and data is None:
        raise UserError(f"{' and '.join(wanted)}: of which data? Give --data, the folder or csv file of the edits")
    for what, read in (("the file of edits", file), ("a file of the data", data)):
        if csv is not None and read is not None and read.is_file() and os.path.realpath(csv) == os.path.realpath(read):
            raise UserError(f"--csv {csv}: is {what}, which stays as it is; give another name")
    if not wanted:
        print_edits(file, lines)
    if data is None:
        return
    dls = edited_data(data, edits, label, label_delim, valid_pct, seed)
    try:
        if csv is not None:
            console.print(f"wrote {csv}: {labels_csv(dls, csv):,} labels", markup=False)
        if copy is not None:
            copied = copy_edited(dls, copy)
            warn(list(copied.told))
            console.print(f"wrote {copied}", markup=False)
    except ValueError as error:
        raise UserError(str(error)) from error


def edited_data(
    data: Path, edits: Edits, label: str | None, label_delim: str, valid_pct: float, seed: int
) -> DataLoaders:
    """The loaders of what lies at `data`, with the edits; says what is wrong with them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            dls = guess_data(
                data,
                label=label,
                label_delim=label_delim,
                valid_pct=valid_pct,
                seed=seed,
                augment=False,
                skip_unreadable=True,
                workers=0,
                edits=edits,
            ).data
        except ValueError as error:
            raise UserError(in_command_words(str(error))) from error
    warn([str(warning.message) for warning in caught])
    return dls


def warn(texts: list[str]) -> None:
    for text in texts:
        console.print(f"warning: {text}", style="yellow", markup=False)


def print_edits(file: Path, lines: list[EditLine]) -> None:
    """A table of the edits in force."""
    found = edits_left(lines)
    undone = sum(not line.of for line in lines) - len(found)
    table = Table(box=None, pad_edge=False)
    for name in ("id", "when", "who", "item", "edit", "why"):
        table.add_column(name, overflow="fold")
    for line in found:
        when = line.when[:16].replace("T", " ")
        cells = (str(line.id), when, line.who, line.key, told_edit(line), line.why)
        table.add_row(*(on_one_line(cell).replace("[", r"\[") for cell in cells))
    if found:
        console.print(table)
    rest = f", {undone} undone" if undone else ""
    console.print(f"{file}: {len(found)} edit{'s' * (len(found) != 1)} in force{rest}", markup=False)


def told_edit(line: EditLine) -> str:
    """What one edit does, in a few words."""
    if line.action == "exclude":
        return "left out"
    before = "" if line.was is None else f"{shown(line.was)} → "
    return f"{before}{shown(line.to)}" if line.action == "relabel" else f"to {line.to}"


def shown(label: object) -> str:
    return label_text(list(label) if isinstance(label, tuple) else label)
