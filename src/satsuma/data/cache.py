"""What is kept in memory between epochs, so that files are read or decoded once."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from satsuma.data.samples import Samples
from satsuma.errors import nearest

CACHES = ("bytes", "pixels")


class SourceCache:
    """Values by key, made when they are first asked for. `kind`: "bytes" (of files) or "pixels" (decoded).

    It grows until all data is in it. Threads share one; a copy sent to another process starts empty.
    """

    def __init__(self, kind: str) -> None:
        if kind not in CACHES:
            raise ValueError(f"cache={kind!r}: {nearest(str(kind), CACHES)}, or None")
        self.kind = kind
        self.kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[..., Any], *arguments: Any) -> Any:
        """The value of `key`, made by `make(*arguments)` the first time."""
        value = self.kept.get(key)
        if value is None:  # two threads may both make it: either will do
            value = self.kept[key] = make(*arguments)
        return value

    def __reduce__(self) -> Any:
        return SourceCache, (self.kind,)


def with_cache(samples: Samples, kind: str | None) -> Samples:
    """`samples` whose paths keep what they read in a new cache, where they can."""
    if kind is None:
        return samples
    return with_source_cache(samples, SourceCache(kind))


def with_source_cache(samples: Samples, cache: SourceCache | None) -> Samples:
    paths = tuple(replace(p, cache=cache) if hasattr(p, "cache") else p for p in samples.paths)  # type: ignore[type-var]
    return replace(samples, paths=paths)


def shared_cache(samples: Samples, old: Samples) -> Samples:
    """`samples` with the cache that `old` uses, if it has one."""
    return with_source_cache(samples, next((p.cache for p in old.paths if hasattr(p, "cache")), None))
