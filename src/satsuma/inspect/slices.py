"""Results by slice: of which samples is the model worse? N samples."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from satsuma.data.getters import column_value, is_missing
from satsuma.errors import nearest
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.scores import precision_recall_f1, wilson_interval
from satsuma.inspect.tables import ShownTable

MOST_VALUES = 20  # different numbers that are slices of their own; more are put into bins
NOTHING = "(none)"  # the slice of what has no value
SLICE_HEADERS = {
    "category": ("samples", "accuracy", "95% from", "to", "loss"),
    "multi": ("samples", "f1", "all labels right", "loss"),
    "regression": ("samples", "mean residual", "mean absolute"),
}
SliceBy = str | Callable[[Any], Any] | Sequence[Any] | np.ndarray


def slice_values(by: Any, found: Predictions, items: Sequence[Any] | None) -> tuple[str, list[Any]]:
    """A name, and each sample's value [N].

    `by`: a column of the items' table; "folder", of each sample's file; a function of an item; or N values. Raises
    `ValueError` for anything else, for a column that there is not, and where the items are not known.
    """
    n = len(found)
    if isinstance(by, str):
        if items is not None and by in item_columns(items):
            return by, [column_value(item, by) for item in items]
        if by == "folder":
            return by, [os.path.basename(os.path.dirname(name)) or NOTHING for name in found.names]
        known = item_columns(items)
        hint = nearest(by, [*known, "folder"]) if known else 'the items are no rows of a table; use "folder"'
        raise ValueError(f"by_slice: there is no column {by!r}: {hint} (or give a function of an item, or {n} values)")
    if callable(by):
        if items is None:
            raise ValueError(f"by_slice: a function needs the items, which are not known here; give {n} values")
        name = getattr(by, "__name__", "slice")
        return "slice" if name == "<lambda>" else name, [by(item) for item in items]
    values = by.tolist() if hasattr(by, "tolist") else list(by)
    if len(values) != n:
        raise ValueError(f"by_slice: {len(values)} values for {n} samples of {found.half}; give one for each, in order")
    return str(getattr(by, "name", None) or "slice"), values


def item_columns(items: Sequence[Any] | None) -> list[str]:
    """The names of the columns of items that are rows."""
    first = items[0] if items else None
    if isinstance(first, dict) or hasattr(first, "keys"):
        return [str(key) for key in first.keys()]  # type: ignore[union-attr]  # noqa: SIM118
    return [str(name) for name in getattr(first, "_fields", ())]


def sliced(values: Sequence[Any], bins: int) -> list[tuple[str, np.ndarray]]:
    """The slices: what each is called, and which samples [N] are in it; many different numbers as `bins` ranges."""
    numbers = as_floats(values)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_VALUES:
        return binned_slices(numbers, bins)
    texts = np.array([NOTHING if is_missing(value) else " ".join(str(value).split()) or NOTHING for value in values])
    names, places = np.unique(texts, return_inverse=True)
    return [(str(text), places == i) for i, text in enumerate(names)]


def binned_slices(numbers: np.ndarray, bins: int) -> list[tuple[str, np.ndarray]]:
    """Ranges that hold about equally many of the numbers [N]; those that are none are a slice of their own."""
    there = ~np.isnan(numbers)
    edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, bins + 1)))
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    found = [(f"{edges[i]:.4g} to {edges[i + 1]:.4g}", there & (places == i)) for i in range(len(edges) - 1)]
    return [*found, (NOTHING, ~there)] if not there.all() else found


def as_floats(values: Sequence[Any]) -> np.ndarray | None:
    """Values as float64, NaN for what is missing; None where one is no number."""
    if any(isinstance(value, str | bool | bytes) for value in values):
        return None
    try:
        return np.array([np.nan if is_missing(value) else float(value) for value in values])
    except (TypeError, ValueError):
        return None


def slice_table(found: Predictions, by: Any, items: Sequence[Any] | None, bins: int, least: int) -> ShownTable:
    """A row for each slice of `least` samples or more, the worst first, and one for all samples."""
    if bins < 2:
        raise ValueError(f"by_slice: bins is 2 or more, got {bins}")
    name, values = slice_values(by, found, items)
    parts = [(text, mask) for text, mask in sliced(values, bins) if int(mask.sum()) >= max(least, 1)]
    rows = [slice_row(found, text, mask) for text, mask in parts]
    regression = found.kind == "regression"
    rows.sort(key=lambda row: -row[3] if regression else row[2])
    rows.append(slice_row(found, "all", np.ones(len(found), dtype=bool)))
    return ShownTable(f"Results by {name}", (name, *SLICE_HEADERS[found.kind]), tuple(rows), totals=1)


def slice_row(found: Predictions, text: str, mask: np.ndarray) -> tuple[Any, ...]:
    """The results of the samples where `mask` [N]."""
    n = int(mask.sum())
    if found.kind == "regression":
        left = found.targets[mask].astype(np.float64) - found.outputs[mask]
        return (text, n, float(left.mean()) if n else None, float(np.abs(left).mean()) if n else None)
    hits = int(found.right[mask].sum())
    loss = float(found.losses[mask].mean(dtype=np.float64)) if n else None
    if found.kind == "multi":
        targets, decided = found.targets[mask], found.decided[mask]
        f1 = precision_recall_f1((targets & decided).sum(), decided.sum(), targets.sum())[2]
        return (text, n, float(f1), hits / max(n, 1), loss)
    return (text, n, hits / max(n, 1), *wilson_interval(hits, n), loss)
