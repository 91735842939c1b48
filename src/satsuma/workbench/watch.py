"""What the pages of all runs share: what was read of them, and the pictures drawn from that."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from satsuma.hooks.curves import plot_curves, plot_line, usual_smoothing
from satsuma.plots.curves import Curve, plot_overlaid, thinned
from satsuma.workbench.course import Course, course_of, read_recipe_of
from satsuma.workbench.histories import History, Summaries, Summary, number, results_of
from satsuma.workbench.rationed import LEAST_S, Made, Rationed
from satsuma.workbench.subjects import Subject

FIGURES = ("loss", "metrics", "rate")


@dataclass(slots=True)
class Watched:
    """A run's history, with the lock under which it is read."""

    history: History
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as the tables show it. `state`: "trains", "done", "interrupted", "cut_off", "failed" or "empty"."""

    subject: Subject
    state: str
    summary: Summary
    course: Course
    results: dict[str, float]


class Watch:
    """Reads runs while they train, each file only when it changed, and draws each picture only now and then."""

    def __init__(self) -> None:
        self.summaries = Summaries()
        self.recipes: dict[Path, tuple[int, dict[str, Any], Course]] = {}
        self.watched: dict[Path, Watched] = {}
        self.lock = threading.Lock()
        self.figures, self.batches = Rationed(), Rationed()

    def recipe(self, folder: Path) -> tuple[dict[str, Any], Course]:
        """A run's recipe and what it comes to, read anew when it was written anew."""
        try:
            stamp = (folder / "recipe.json").stat().st_mtime_ns
        except OSError:
            return {}, course_of({})
        known = self.recipes.get(folder)
        if known is None or known[0] != stamp:
            recipe = read_recipe_of(folder)
            known = (stamp, recipe, course_of(recipe))
            if recipe:
                self.recipes[folder] = known
        return known[1], known[2]

    def line(self, subject: Subject) -> RunLine:
        """A run for a table."""
        assert subject.folder is not None
        summary = self.summaries.of(subject.folder)
        recipe, course = self.recipe(subject.folder)
        state = state_of(subject.trains, course, bool(summary.epochs))
        return RunLine(subject, state, summary, course, kept_results(summary.epochs, recipe))

    def history(self, folder: Path) -> Watched:
        """The history of one run; to be refreshed and read under its lock."""
        with self.lock:
            if folder not in self.watched:
                self.watched[folder] = Watched(History(folder / "history.jsonl"))
            return self.watched[folder]

    def figure(self, folder: Path, kind: str, *, trains: bool) -> Made:
        """One of `FIGURES` of a run as HTML, while it trains as new as the ration allows; "" for nothing to draw."""
        import satsuma.plots.figure  # noqa: F401  loading it is not part of what a figure costs

        watched = self.history(folder)
        with watched.lock:
            watched.history.refresh()
            version = figure_versions(watched.history)[kind]
        least_s = LEAST_S if trains else 0.0
        return self.figures.get((folder, kind), version, lambda: drawn(watched, kind), least_s=least_s)

    def overlaid(self, subjects: Sequence[Subject], kind: str) -> str:
        """The curves of several runs in one picture: `kind` is "loss" or a metric's name."""
        runs, versions = {}, []
        for subject in subjects:
            assert subject.folder is not None
            watched = self.history(subject.folder)
            with watched.lock:
                watched.history.refresh()
                versions.append(watched.history.version)
                runs[subject.title] = (watched, subject)

        def draw() -> str:
            lines = {title: run_lines(watched, kind) for title, (watched, _) in runs.items()}
            top = None if kind != "loss" else shown_top(lines)
            return plot_overlaid(lines, xlabel="epochs trained", ylabel=kind, top=top).svg()

        key = ("overlaid", kind, *(subject.name for subject in subjects))
        return str(self.figures.get(key, tuple(versions), draw).value)


def figure_versions(history: History) -> dict[str, str]:
    """What each of `FIGURES` is drawn from, in short: the loss changes with each step, the others with each epoch."""
    epochs = f"{history.rewritten}-{len(history.epochs)}-{bool(history.lrs)}"
    return {kind: f"{history.rewritten}-{history.version}" if kind == "loss" else epochs for kind in FIGURES}


def state_of(trains: bool, course: Course, has_epochs: bool) -> str:
    """How a run stands, as the name of a text without its "state_"."""
    if trains:
        return "trains"
    if course.cause is None:
        return "cut_off" if has_epochs or course.stretches else "empty"
    return {"": "done", "interrupted": "interrupted", "cut off": "cut_off"}.get(course.cause, "failed")


def kept_results(epochs: Sequence[dict[str, Any]], recipe: dict[str, Any]) -> dict[str, float]:
    """The results of the epoch that the run's weights are of; of the last one where the recipe names none."""
    row = kept_row(epochs, recipe)
    return {} if row is None else results_of(row)


def kept_row(epochs: Sequence[dict[str, Any]], recipe: dict[str, Any]) -> dict[str, Any] | None:
    kept = [row for row in epochs if row.get("epoch") == recipe.get("weights_epoch")]
    return kept[-1] if kept else epochs[-1] if epochs else None


def drawn(watched: Watched, kind: str) -> str:
    """A figure of one run as HTML."""
    with watched.lock:
        history = watched.history
        losses, lrs = list(history.losses), list(history.lrs)
        epochs, ends, names = list(history.epochs), list(history.epoch_ends), history.metric_names
    if kind == "rate":
        return "" if not lrs else plot_line({"learning rate": lrs}, xlabel="step", ylabel="learning rate").svg()
    if kind == "metrics":
        columns = {name: column(epochs, name) for name in names}
        return "" if not columns else plot_line(columns, xlabel="epoch", ylabel="").svg()
    judged = [(end, number(row.get("valid_loss"))) for end, row in zip(ends, epochs, strict=True)]
    valid = [(end, loss) for end, loss in judged if loss is not None]
    return "" if not losses else plot_curves(losses, [end for end, _ in valid], [loss for _, loss in valid]).svg()


def column(epochs: Sequence[dict[str, Any]], name: str) -> list[float]:
    values = (number(row.get(name)) for row in epochs)
    return [float("nan") if value is None else value for value in values]


def run_lines(watched: Watched, kind: str) -> list[Curve]:
    """The lines of one run over epochs: of the loss those of training (smoothed) and validation, else of a metric."""
    with watched.lock:
        history = watched.history
        losses, epochs, ends = list(history.losses), list(history.epochs), list(history.epoch_ends)
    values = column(epochs, "valid_loss" if kind == "loss" else kind)
    known = any(value == value for value in values)
    lines = [Curve(places=range(1, len(epochs) + 1), values=values, marked=True)] if known else []
    if kind != "loss" or not losses:
        return lines
    places, smooth = thinned(usual_smoothing(losses))
    return [Curve(places=in_epochs(places + 1, ends), values=smooth), *lines]


def in_epochs(steps: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Steps as epochs and parts of them, by the steps at which epochs ended; a first one that has not counts as 1.

    >>> in_epochs(np.array([1, 2, 4, 6]), [2, 6])
    array([0.5, 1. , 1.5, 2. ])
    """
    if not ends:
        return np.asarray(steps / max(1, steps[-1]))
    last = ends[-1] - (ends[-2] if len(ends) > 1 else 0)
    knots, values = [0, *ends, ends[-1] + last], range(len(ends) + 2)
    return np.asarray(np.interp(steps, knots, values))


def shown_top(runs: dict[str, list[Curve]]) -> float | None:
    """The highest loss worth showing: what all runs begin at, but for their spikes."""
    values = sorted(float(v) for lines in runs.values() for line in lines for v in line.values if v == v)
    return values[int((len(values) - 1) * 0.98)] * 1.05 if values else None
