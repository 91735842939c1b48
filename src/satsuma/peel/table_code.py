"""The code of the epoch table: its header, and a row an epoch, as the library prints them."""

from typing import TYPE_CHECKING

from satsuma.hooks.progress import WIDTH, number, table_line
from satsuma.peel.words import Words
from satsuma.train.evaluate import named_metrics

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

LONGEST = 100  # columns of a header that still fits a line of code


def column_names(learn: "Learner") -> list[str]:
    """The names of the table's columns."""
    metrics = list(named_metrics(learn.metrics)) if learn.dls.valid else []
    return ["epoch", "train_loss", *(["valid_loss"] if learn.dls.valid else []), *metrics, "time"]


def header_code(learn: "Learner", words: Words) -> str:
    """Prints the table's header."""
    names = column_names(learn)
    line = table_line(names, names)
    if len(line) <= LONGEST:
        return f"print({words.value(line)})"
    cells = ", ".join(words.value(name.rjust(width)) for name, width in zip(names, widths_of(names), strict=True))
    return f'print("  ".join([{cells}]))'


def row_code(names: list[str], epoch: str, words: Words) -> str:
    """Prints a row: the expression `epoch`, the list `values`, the time in `seconds`."""
    words.name(number)
    widths = widths_of(names)[1:-1]
    if set(widths) == {WIDTH}:
        values = f'"".join(f"  {{number(value):>{WIDTH}}}" for value in values)'
    else:
        given = ", ".join(map(str, widths))
        values = f'"".join("  " + number(value).rjust(width) for value, width in zip(values, [{given}], strict=True))'
    return f'print(f"{{{epoch}:5}}" + {values} + f"  {{seconds:{WIDTH - 1}.2f}}s", flush=True)'


def widths_of(names: list[str]) -> list[int]:
    """The columns that each cell takes, right-aligned."""
    return [5, *(max(len(name), WIDTH) for name in names[1:])]
