"""Pictures that were made lately, as many as fit a bound of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class PictureCache:
    """Keeps `limit` bytes of pictures; those that nobody asked for longest go first. Safe for several threads."""

    def __init__(self, limit: int = 2**26) -> None:
        self.limit, self.size = limit, 0
        self.kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """The picture of `key`; None if it is not kept."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
            return self.kept.get(key)

    def made(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The picture of `key`, made if it is not kept."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def put(self, key: Hashable, picture: bytes) -> None:
        with self.lock:
            self.size += len(picture) - len(self.kept.pop(key, b""))
            self.kept[key] = picture
            while self.size > self.limit:
                _, gone = self.kept.popitem(last=False)
                self.size -= len(gone)
