"""One process at a time trains in a run's folder: a lock that the system lifts when the process ends."""

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

TRIES, PAUSE_S = 5, 0.02  # `trains_now` of another process holds the lock for a moment


def locked_folder(folder: Path) -> int | None:
    """A handle that holds the lock of a run's folder until `os.close`; None where the system has none.

    The folder itself is locked, so no file is left. Raises `ValueError` if another fit is training in the folder.
    """
    if sys.platform == "win32":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)
        except OSError:  # a network's file system without locks
            os.close(handle)
            return None
        else:
            return handle
    os.close(handle)
    raise ValueError(
        f"{folder}: another process is training in this folder now; wait for its end, stop it, or give another run_dir"
    )


def trains_now(folder: Path) -> bool:
    """Whether a process is training in a run's folder at this moment, as far as the system can tell."""
    if sys.platform == "win32" or not folder.is_dir():
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several that ask do not see each other
    except BlockingIOError:
        return True
    except OSError:  # a network's file system without locks
        return False
    finally:
        os.close(handle)
    return False
