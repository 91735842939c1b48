"""One process at a time trains in a run's folder: a lock that the system lifts when the process ends."""

from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: no such lock, and no check
    fcntl = None  # type: ignore[assignment]

LOCK = ".training"  # below the run's folder


def locked_folder(folder: Path) -> IO[str] | None:
    """The open file that holds the lock of a run's folder, until it is closed; None where there are no such locks.

    Raises `ValueError` if another fit is training in the folder.
    """
    if fcntl is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(
            f"{folder}: another process is training in this folder now; wait for its end, stop it, or give another "
            f"run_dir"
        ) from None
    except OSError:  # a network's file system without locks
        file.close()
        return None
    return file
