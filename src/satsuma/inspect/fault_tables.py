"""Faults as ranked tables: for a terminal, and as a fragment of HTML with pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from satsuma.data.checks import on_one_line
from satsuma.data.edits import HALVES
from satsuma.inspect.faults import KINDS, Fault, Faults
from satsuma.inspect.gallery import picture_html
from satsuma.inspect.samples import picture_of
from satsuma.plots.theme import escaped

if TYPE_CHECKING:
    from rich.table import Table

    from satsuma.data.dataloaders import DataLoaders

SIDE = 64  # pixels of a picture in a table
HEADINGS = {"name": "sample", "half": "half", "label": "labelled", "suggestion": "may be", "other_name": "the other"}


def columns_of(rows: Sequence[Fault]) -> list[str]:
    """The fields that say something in at least one row."""
    return [name for name in HEADINGS if any(getattr(row, name) for row in rows)]


def fault_cell(row: Fault, name: str) -> str:
    """A field for people: files by their path below the source's folder, on one line."""
    text: str = getattr(row, name)
    key = {"name": row.key, "other_name": row.other}.get(name, "")
    return on_one_line(key if key and text.endswith(f"/{key}") else text)


def rich_table(rows: Sequence[Fault]) -> "Table":
    """A table for the terminal; names are shown as they are, without anything that steers a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    names = columns_of(rows)
    for name in names:
        table.add_column(HEADINGS[name], overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("why", overflow="fold")
    for row in rows:
        cells = [Text(fault_cell(row, name)) for name in names]
        table.add_row(*cells, f"{row.score:.3f}", Text(on_one_line(row.reason)))
    return table


def html_tables(faults: Faults, most: int) -> str:
    """A section for each kind that was looked for, with the `most` surest, and what was left out."""
    parts = [kind_section(faults, kind, most) for kind in KINDS if kind in faults.looked]
    notes = "".join(f'<p class="fragment-note">{escaped(on_one_line(note))}</p>' for note in faults.notes)
    return f'<div class="faults">{"".join(parts)}{notes}</div>'


def kind_section(faults: Faults, kind: str, most: int) -> str:
    heading, meaning = KINDS[kind]
    rows = faults.of(kind)
    if not rows:
        return f'<p class="fragment-note">{escaped(heading)}: none</p>'
    names = columns_of(rows)
    shown = pictures_of(faults.dls, rows[:most]) if kind != "imbalance" else [("", "")] * len(rows[:most])
    pairs = any(other for _, other in shown)
    head = (["picture"] if any(own for own, _ in shown) else []) + (["its twin"] if pairs else [])
    head += [HEADINGS[name] for name in names] + ["score", "why"]
    body = "".join(table_row(row, names, own, other, len(head)) for row, (own, other) in zip(rows, shown, strict=False))
    more = f", the {most} surest" if len(rows) > most else ""
    cells = "".join(f'<th scope="col">{escaped(h)}</th>' for h in head)
    return (
        f'<div class="table-wrap" tabindex="0" role="group" aria-label="{escaped(heading)}">'
        f'<table class="ranked"><caption>{escaped(heading)}: {len(rows):,}{more}</caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="fragment-note">{escaped(meaning)}</p>'
    )


def table_row(row: Fault, names: Sequence[str], own: str, other: str, width: int) -> str:
    """One fault; its pictures where the table has room for them."""
    pictures = [own, other][: max(0, width - len(names) - 2)]
    cells = [f"<td>{picture}</td>" for picture in pictures]
    for name in names:
        text = escaped(fault_cell(row, name))
        cells.append(f'<th scope="row">{text}</th>' if name == "name" else f"<td>{text}</td>")
    cells += [f'<td class="number">{row.score:.3f}</td>', f"<td>{escaped(on_one_line(row.reason))}</td>"]
    return f"<tr>{''.join(cells)}</tr>"


def pictures_of(dls: "DataLoaders | None", rows: Sequence[Fault]) -> list[tuple[str, str]]:
    """For each row its picture, and of a twin the other's: elements of HTML, "" where there is none."""
    return [
        (
            picture_element(dls, row.name, row.half, row.index),
            picture_element(dls, row.other_name, row.other_half, row.other_index) if row.other else "",
        )
        for row in rows
    ]


def picture_element(dls: "DataLoaders | None", name: str, half: str, index: int) -> str:
    try:
        return picture_html(picture_source(dls, name, half, index), SIDE, on_one_line(name))
    except (ValueError, OSError):  # unreadable, gone, or no picture: the row says enough without
        return ""


def picture_source(dls: "DataLoaders | None", name: str, half: str, index: int) -> str | np.ndarray:
    """A file as it lies there; else the sample as the model sees it."""
    if Path(name).is_file() or dls is None or index < 0:
        return name
    return picture_of(dls, HALVES.index(half), index)
