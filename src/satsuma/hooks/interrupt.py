"""`StopOnInterrupt`: the first Ctrl-C ends the fit after the current step, the second at once; SIGTERM likewise."""

import signal
import threading
from types import FrameType
from typing import Any

from satsuma.hooks.base import Hook
from satsuma.train.fit import INTERRUPTED, TERMINATED, Plan
from satsuma.train.run import Run


class StopOnInterrupt(Hook):
    """While a fit runs in the main thread, Ctrl-C sets `run.stop`: the epoch is evaluated, told and saved as usual.

    `terminate`: SIGTERM, which machines that are about to be taken away send, ends the fit too: after the step, without
    evaluation, since there may be seconds left.
    """

    def __init__(self, *, terminate: bool = False) -> None:
        self.reasons = {signal.SIGINT: INTERRUPTED, **({signal.SIGTERM: TERMINATED} if terminate else {})}
        self.previous: dict[int, Any] = {}
        self.run: Run | None = None
        self.wanted = ""  # the reason that a signal gave

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.wanted = ""
        if threading.current_thread() is threading.main_thread():
            self.run = run
            self.previous = {number: signal.signal(number, self.on_signal) for number in self.reasons}

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        reason = self.reasons[signal.Signals(number)]
        if self.run is None or self.wanted == reason:
            raise KeyboardInterrupt if reason == INTERRUPTED else SystemExit(128 + number)
        self.wanted = reason
        self.stop(self.run)

    def stop(self, run: Run) -> None:
        run.stop = self.wanted

    def on_fit_end(self, run: Run) -> None:
        if self.run is not None:
            usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, handler in self.previous.items():
                # a handler that was not set from Python is None here, and cannot be set again from Python
                signal.signal(number, usual[number] if handler is None else handler)
            self.run = None
