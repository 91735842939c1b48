"""One process at a time trains in a run's folder: a lock that the system lifts when the process ends."""

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def locked_folder(folder: Path) -> int | None:
    """A handle that holds the lock of a run's folder until `os.close`; None where the system has none.

    The folder itself is locked, so no file is left. Raises `ValueError` if another fit is training in the folder.
    """
    if sys.platform == "win32":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ValueError(
            f"{folder}: another process is training in this folder now; wait for its end, stop it, or give another "
            f"run_dir"
        ) from None
    except OSError:  # a network's file system without locks
        os.close(handle)
        return None
    return handle
