"""Values that follow a run as it trains, made anew only so often that making them takes a small share of the time."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

LEAST_S = 2.0  # between two pictures of the same thing
LONGEST_S = 20.0
SHARE = 0.02  # of a core's time, at most, that goes into making one of them


@dataclass(slots=True)
class Made:
    """A value, what it was made from, and what that cost."""

    value: Any
    version: Any
    at: float
    cost_s: float


class Rationed:
    """Values by key: `get` gives the last one for a while, even where there is something newer to make one from.

    One is made at a time. Meanwhile others are given the one before; only who finds none waits.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self.clock, self.spent = clock, spent  # what passes, and what this thread has worked: others work as well
        self.made: dict[Hashable, Made] = {}
        self.lock = threading.Lock()

    def get(self, key: Hashable, version: Hashable, make: Callable[[], Any], *, least_s: float = LEAST_S) -> Made:
        """The value of `key`, by `make()` if `version` is new and the last one is old enough.

        Old enough: `least_s` seconds, or so many that the work on it was at most `SHARE` of them, up to `LONGEST_S`;
        with `least_s=0` always.
        """
        known = self.made.get(key)
        if known is not None and not self.is_due(known, version, least_s):
            return known
        if not self.lock.acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            known = self.made.get(key)  # another thread may have made it meanwhile
            if known is not None and not self.is_due(known, version, least_s):
                return known
            begun = self.spent()
            value = make()
            self.made[key] = Made(value, version, self.clock(), self.spent() - begun)
            return self.made[key]
        finally:
            self.lock.release()

    def is_due(self, known: Made, version: Hashable, least_s: float) -> bool:
        pause = min(max(least_s, known.cost_s / SHARE), LONGEST_S) if least_s else 0.0
        return bool(known.version != version and self.clock() - known.at >= pause)
