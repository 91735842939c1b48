"""What the settings of transforms must be."""

import math
from typing import Any


def check_share(value: Any, name: str, *, below_one: bool = False) -> None:
    """`ValueError` unless the field `name` of a transform is a number from 0 to 1, or to below 1."""
    given = getattr(value, name)
    if not isinstance(given, int | float) or not 0 <= given <= 1 or (below_one and given == 1):
        wanted = "from 0 to below 1" if below_one else "a probability, 0 to 1" if name == "p" else "a share, 0 to 1"
        raise ValueError(f"{type(value).__name__}: {name} is {wanted}, got {given!r}")


def check_number(value: Any, name: str, *, least: float = 0.0, below: float = math.inf, what: str = "a number") -> None:
    """`ValueError` unless the field `name` of a transform is a number from `least` to below `below`."""
    given = getattr(value, name)
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given < below:
        limits = f"{least:g} or more" if below == math.inf else f"{least:g} to below {below:g}"
        raise ValueError(f"{type(value).__name__}: {name} is {what}, {limits}, got {given!r}")
