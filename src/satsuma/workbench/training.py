"""Training again from the workbench: the `satsuma train` command in a process of its own, one at a time."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from satsuma.errors import UserError

COMMAND = (sys.executable, "-m", "satsuma")
TAIL = 6000  # bytes of the log that are looked at
LINES = 12
NUMBERED = re.compile(r"-\d+$")


def early_thread() -> ThreadPoolExecutor:
    """A thread that there is from now on: what it starts does not inherit that the server gives way to others later."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="workbench-training")
    pool.submit(threading.current_thread).result()
    return pool


@dataclass(slots=True)
class Training:
    """The process that trains, if there is one. `folder`: the run that it writes, `log`: what it says."""

    process: "subprocess.Popen[bytes] | None" = None
    folder: Path = Path()
    log: Path = Path()
    lock: threading.Lock = field(default_factory=threading.Lock)
    starter: ThreadPoolExecutor = field(default_factory=early_thread)

    def start(self, arguments: list[str], runs_dir: Path, base: str) -> Path:
        """Begin to train by `satsuma ARGUMENTS`; gives the run's folder, which is there once the data are read.

        Raises `UserError` while another training that was begun here goes on, or where the process cannot begin.
        """
        with self.lock:
            if self.process is not None and self.process.poll() is None:
                raise UserError(f"{self.folder.name} is being trained; wait for its end, or stop it on its page")
            name = free_name(runs_dir, base)
            command = [*COMMAND, *arguments, "--name", name]
            if "--runs-dir" not in arguments:
                command += ["--runs-dir", str(runs_dir)]
            self.folder, self.log = runs_dir / name, runs_dir / f"{name}.log"
            quiet = {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb"}
            try:
                runs_dir.mkdir(parents=True, exist_ok=True)
                with self.log.open("wb") as said:
                    self.process = self.starter.submit(
                        subprocess.Popen,
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=said,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # Ctrl-C that ends the workbench is not for the training
                        env={**os.environ, **quiet},
                    ).result()
            except OSError as error:
                raise UserError(f"training could not begin: {error}") from error
            return self.folder

    def state(self) -> dict[str, object]:
        """`state` ("none", "runs", "done" or "failed"), `begun` (the run's page has something to show), `said`."""
        process = self.process
        if process is None:
            return {"state": "none", "begun": False, "said": ""}
        code = process.poll()
        state = "runs" if code is None else "failed" if code else "done"
        begun = (self.folder / "recipe.json").is_file()
        return {"state": state, "begun": begun, "said": last_lines(self.log), "log": str(self.log)}


def free_name(runs_dir: Path, base: str) -> str:
    """`base` with the first number that no run there has.

    >>> free_name(Path("no-such-folder"), "pets-3")
    'pets-1'
    """
    stem = NUMBERED.sub("", base)
    number = 1
    while (runs_dir / f"{stem}-{number}").exists() or (runs_dir / f"{stem}-{number}.log").exists():
        number += 1
    return f"{stem}-{number}"


def last_lines(log: Path) -> str:
    """What a process said last; of a line that it wrote over again and again, what stands there now."""
    try:
        with log.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - TAIL))
            text = opened.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join([line for line in lines if line.strip()][-LINES:])
