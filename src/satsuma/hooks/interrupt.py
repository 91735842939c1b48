"""`StopOnInterrupt`: the first Ctrl-C ends the fit after the current step, the second at once."""

import signal
import threading
from types import FrameType
from typing import Any

from satsuma.hooks.base import Hook
from satsuma.train.fit import Plan
from satsuma.train.run import Run

INTERRUPTED = "interrupted"


class StopOnInterrupt(Hook):
    """While a fit runs in the main thread, Ctrl-C sets `run.stop`: the epoch is evaluated, told and saved as usual."""

    def __init__(self) -> None:
        self.previous: Any = None
        self.run: Run | None = None

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        if threading.current_thread() is threading.main_thread():
            self.run = run
            self.previous = signal.signal(signal.SIGINT, self.on_signal)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.run is None or self.run.stop == INTERRUPTED:
            raise KeyboardInterrupt
        self.run.stop = INTERRUPTED

    def on_fit_end(self, run: Run) -> None:
        if self.run is not None:
            # a handler that was not set from Python is None here, and cannot be set again from Python
            signal.signal(signal.SIGINT, signal.default_int_handler if self.previous is None else self.previous)
            self.run = None
