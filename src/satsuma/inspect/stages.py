"""What a long search tells of itself: which stage it is at, and how far."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stages:
    """Bars for stages, one after the other, where a terminal shows them; elsewhere, or not `shown`, silence."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.bar: Any = None

    def __enter__(self) -> "Stages":
        try:
            self.shown = self.shown and sys.stderr.isatty()
        except (AttributeError, ValueError):  # there is none, or it is closed
            self.shown = False
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar = None

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A function `told(done, all)` to be called as the stage goes on."""
        if not self.shown:
            yield silent
            return
        from rich import progress
        from rich.console import Console

        columns = (progress.TextColumn(title), progress.BarColumn(), progress.TimeRemainingColumn())
        with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield Told(bar, bar.add_task(title, total=None))


class Told:
    """Moves a bar."""

    def __init__(self, bar: Any, task: Any) -> None:
        self.bar, self.task = bar, task

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)


def silent(done: int, total: int) -> None:
    """Tells nobody."""
