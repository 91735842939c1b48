"""`Script`: what `learn.peel()` gives, to be looked at, saved, or run."""

import io
import json
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from satsuma.errors import SatsumaError
from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from rich.console import Console
    from rich.syntax import Syntax

SHOWN = 15  # of the last lines that a failing script wrote

DRIVER = """\
import importlib.util, json, sys
path, answer, *arguments = sys.argv[1:]
sys.argv = [path, *arguments]
spec = importlib.util.spec_from_file_location("peeled", path)
script = importlib.util.module_from_spec(spec)
sys.modules["peeled"] = script
spec.loader.exec_module(script)
losses = script.main(arguments)
with open(answer, "w") as file:
    json.dump([float(loss) for loss in losses], file)
"""


class ScriptFailedError(SatsumaError, RuntimeError):
    """A script ended by an error; the message holds the last lines that it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Script:
    """A training run as the text of one Python file. At a prompt it shows itself; `print(script)` is the bare text.

    depth: "loop", "torch", "tensors" or "numpy". arrays: what an .npz file beside it has to hold, none if empty.
    name: of the run, "" if it has none.
    """

    text: str
    depth: str
    arrays: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def __rich__(self) -> "Syntax":
        from rich.syntax import Syntax

        return Syntax(self.text, "python", background_color="default")

    def _repr_html_(self) -> str:
        page = '<pre style="line-height: 1.3"><code>{code}</code></pre>'
        return self.console(record=True).export_html(inline_styles=True, code_format=page)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """IPython's prompt in a terminal: with colours."""
        shown = self.console(force_terminal=sys.stdout.isatty()).file
        assert isinstance(shown, io.StringIO)
        printer.text(shown.getvalue().rstrip("\n"))

    def console(self, *, record: bool = False, force_terminal: bool = True) -> "Console":
        """A console on which the script was shown, as wide as it is."""
        from rich.console import Console

        width = max(len(line) for line in [*self.text.splitlines(), " "])
        console = Console(file=io.StringIO(), record=record, force_terminal=force_terminal, width=width)
        console.print(self)
        return console

    def save(self, path: str | Path) -> Path:
        """Write the script, and what it needs as an .npz file of the same name; each whole or not at all.

        Raises `IsADirectoryError` for a folder.
        """
        path = Path(path)
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; give the name of a file in it, such as {path / 'train.py'}")
        if path.suffix == ".npz":
            raise ValueError(f"{path}: .npz is for the data beside a script; name the script {path.with_suffix('.py')}")
        if self.arrays:
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **{name: np.asarray(a) for name, a in self.arrays.items()})
            write_whole(path.with_suffix(".npz"), content.getvalue())
        write_whole(path, self.text.encode())
        return path

    def run(self, *arguments: str, folder: str | Path | None = None) -> list[float]:
        """Run it in a fresh interpreter, its output shown as it comes; returns the loss of every step.

        arguments: as on the command line, `script.run("--epochs", "2")`. folder: where it is written and run, by
        default one that is deleted afterwards. Raises `ScriptFailedError`.
        """
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="satsuma-") as made:
                return self.run(*arguments, folder=made)
        place = Path(folder).absolute()
        path = self.save(place / "train.py")
        with tempfile.TemporaryDirectory(prefix="satsuma-") as made:
            answer = Path(made) / "losses.json"
            command = [sys.executable, "-u", "-c", DRIVER, str(path), str(answer), *map(str, arguments)]
            code, told = run_shown(command, place)
            if code != 0:
                raise ScriptFailedError(f"the script ended with exit code {code}:\n" + "".join(told).rstrip())
            return [float(loss) for loss in json.loads(answer.read_text())]


def run_shown(command: list[str], folder: Path) -> tuple[int, list[str]]:
    """Run a command with both its outputs shown; returns its exit code and the last lines of its errors."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        last: deque[str] = deque(maxlen=SHOWN)
        errors = threading.Thread(target=show_lines, args=(process.stderr, sys.stderr, last))
        errors.start()
        try:
            show_lines(process.stdout, sys.stdout, deque(maxlen=1))
        except BaseException:
            process.kill()
            raise
        finally:
            errors.join()
    return process.returncode, list(last)


def show_lines(lines: TextIO | Any, shown: TextIO, last: deque[str]) -> None:
    for line in lines:
        last.append(line)
        shown.write(line)
        shown.flush()
