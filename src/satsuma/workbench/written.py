"""Numbers, times and sizes as the pages write them."""

import time
from typing import Any

from satsuma.workbench.histories import NO_FIGURES, number

LOWER_IS_BETTER = ("train_loss", "valid_loss")


def figure_text(value: Any) -> str:
    """A result: four places, fewer where it is large.

    >>> figure_text(0.93333333), figure_text(1234.5), figure_text(None), figure_text(0.00001234)
    ('0.9333', '1,234.5', '-', '1.234e-05')
    """
    found = number(value)
    if found is None:
        return "-"
    if found and abs(found) < 0.0005:
        return f"{found:.4g}"
    return f"{found:.4f}" if abs(found) < 100 else f"{found:,.1f}"


def time_text(seconds: float | None) -> str:
    """
    >>> time_text(0.05), time_text(12.34), time_text(83), time_text(7384), time_text(None)
    ('0.05 s', '12.3 s', '1:23', '2:03:04', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rough_time_text(seconds: float) -> str:
    """
    >>> rough_time_text(0.2), rough_time_text(35.7), rough_time_text(194.0)
    ('1 s', '36 s', '3:14')
    """
    return f"{max(1, round(seconds))} s" if seconds < 59.5 else time_text(seconds)


def date_text(when: float) -> str:
    """A time on this machine's clock, as "2026-11-21 18:30"."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def size_text(size: int) -> str:
    """
    >>> size_text(512), size_text(40_000), size_text(3_500_000)
    ('512 B', '40 kB', '3.5 MB')
    """
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def result_names(rows: "list[dict[str, Any]]") -> list[str]:
    """The results that rows have, the metrics first, then the losses."""
    names = dict.fromkeys(name for row in rows for name in row if name not in NO_FIGURES)
    metrics = [name for name in names if name not in LOWER_IS_BETTER]
    return [*metrics, *(name for name in ("valid_loss", "train_loss") if name in names)]


def epoch_table(epochs: "list[dict[str, Any]]", kept: "dict[str, Any] | None") -> dict[str, Any]:
    """The table of a run's epochs: its columns, its rows as text, and which row the weights are of."""
    names = [name for name in ("train_loss", "valid_loss") if any(row.get(name) is not None for row in epochs)]
    names += [name for name in result_names(epochs) if name not in LOWER_IS_BETTER]
    rows = [
        [
            str(row.get("epoch", "-")),
            *(figure_text(row.get(name)) for name in names),
            time_text(number(row.get("time_s"))),
            f"{number(row.get('samples_per_s')) or 0:,.0f}",
        ]
        for row in epochs
    ]
    place = next((i for i, row in enumerate(epochs) if row is kept), -1)
    return {"names": names, "rows": rows, "kept": place}
