"""Names of a test's cases that are the same in every process: pytest on several cores compares them."""

import re

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def plain(value: object) -> str:
    """What `repr` shows, without addresses in memory."""
    return ADDRESS.sub("", repr(value))
