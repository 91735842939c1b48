"""`ShownTable`: a small table that prints itself, shows itself in a notebook, and saves as text or picture."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.data.checks import on_one_line
from satsuma.errors import nearest
from satsuma.inspect.gallery import shown_fragment
from satsuma.plots.theme import escaped
from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = 60  # rows of a table that is saved as a picture


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows of text and numbers under a header; the first column names the row.

    `totals`: how many of the last rows sum up the others. `note`: what a reader must know.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    totals: int = 0
    note: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[Any]:
        """The values of a column, from the first row to the last. `ValueError` for a name that there is not."""
        return [row[self.place(name)] for row in self.rows]

    def row(self, name: Any) -> dict[str, Any]:
        """The row that is called `name`, by column. `ValueError` for one that there is not."""
        for row in self.rows:
            if row[0] == name:
                return dict(zip(self.header, row, strict=True))
        known = [str(row[0]) for row in self.rows]
        raise ValueError(f"{self.title}: there is no row {name!r}: {nearest(str(name), known)}")

    def place(self, name: str) -> int:
        if name not in self.header:
            raise ValueError(f"{self.title}: there is no column {name!r}: {nearest(name, self.header)}")
        return self.header.index(name)

    def texts(self) -> list[tuple[str, ...]]:
        """The cells as people read them."""
        return [tuple(cell_text(cell) for cell in row) for row in self.rows]

    def is_number(self, place: int) -> bool:
        """Whether a column is of numbers, which stand to the right."""
        return place > 0 and all(isinstance(row[place], int | float | None) for row in self.rows)

    def __repr__(self) -> str:
        lines = [self.header, *self.texts()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        right = [self.is_number(i) for i in range(len(self.header))]
        text = [
            "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*text, *([self.note] if self.note else [])])

    def html(self) -> str:
        """A piece of HTML without styles of its own: a page around it holds `fragment_css()`."""
        numbers = [i for i in range(len(self.header)) if self.is_number(i)]
        return html_table(
            self.header, self.texts(), numbers=numbers, caption=self.title, totals=self.totals, note=self.note
        )

    def _repr_html_(self) -> str:
        return shown_fragment(self.html())

    def save(self, file: str | Path) -> Path:
        """Write the table: `.csv` with all digits, `.html`, or a picture, `.png` or `.svg`, of the first rows."""
        path = Path(file)
        if path.suffix.lower() == ".csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
            write_whole(path, text.getvalue().encode("utf-8", "surrogatepass"))
        elif path.suffix.lower() == ".html":
            page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escaped(self.title)}</title>'
            write_whole(path, f"{page}{self._repr_html_()}</html>".encode())
        else:
            self.drawn().savefig(path)
        return path

    def drawn(self) -> "Figure":
        """The title and the first rows as a figure."""
        from satsuma.plots.text_table import plot_table

        right = [self.is_number(i) for i in range(len(self.header))]
        return plot_table(self.title, self.header, self.texts()[:MOST_DRAWN], right)


def html_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    caption: str = "",
    label: str = "",
    totals: int = 0,
    note: str = "",
) -> str:
    """A table as a piece of HTML, all text escaped; the first column names the row.

    Columns numbered in `numbers` stand to the right. `label`: what it is called where no `caption` says so. `totals`,
    `note`: as in `ShownTable`.
    """
    kinds = [' class="number"' if i in numbers else "" for i in range(len(header))]
    head = "".join(f'<th scope="col"{k}>{escaped(h)}</th>' for h, k in zip(header, kinds, strict=True))
    body = []
    for i, (first, *cells) in enumerate(rows):
        total = ' class="total"' if i == len(rows) - totals else ""
        rest = "".join(f"<td{k}>{escaped(c)}</td>" for c, k in zip(cells, kinds[1:], strict=True))
        body.append(f'<tr{total}><th scope="row"{kinds[0]}>{escaped(first)}</th>{rest}</tr>\n')
    named = f"<caption>{escaped(caption)}</caption>" if caption else ""
    below = f'<p class="fragment-note">{escaped(note)}</p>' if note else ""
    return (
        f'<div class="table-wrap" tabindex="0" role="group" aria-label="{escaped(label or caption)}">'
        f'<table class="ranked">{named}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(body)}</tbody></table>{below}</div>"
    )


def cell_text(value: Any) -> str:
    """A cell for people: three digits after the point, or three that count; "-" for what there is not."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"
    return on_one_line(" ".join(str(value).split()))  # the name of a class or a file may hold what steers a terminal


def plain_row(cells: Sequence[Any]) -> tuple[Any, ...]:
    """A row of NumPy's numbers as Python's."""
    return tuple(cell.item() if hasattr(cell, "item") else cell for cell in cells)
