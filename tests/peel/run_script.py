"""Runs peeled scripts where Satsuma cannot be imported: each in a process of its own, forked from one that waits.

The interpreter that waits has read torch already, so that a script costs milliseconds instead of seconds. It finds no
package in `block`, and no script sees what another has done.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

DRIVER = '''
import contextlib, importlib.util, io, json, os, sys, traceback

BLOCKED, READ = set(sys.argv[1].split(",")), sys.argv[2].split(",")


class Blocked:
    """Finds nothing of the blocked packages, and says so."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"no module named {name!r}: it is blocked here", name=name)
        return None


sys.meta_path.insert(0, Blocked())
for name in READ:
    importlib.import_module(name)
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)


def ran(script, arguments):
    """What the script's main gives back, and what it prints."""
    sys.argv = [script, *arguments]
    spec = importlib.util.spec_from_file_location("peeled", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules["peeled"] = module
    printed = io.StringIO()
    answer = {}
    try:
        with contextlib.redirect_stdout(printed):
            spec.loader.exec_module(module)
            answer["losses"] = module.main(arguments)
        json.dumps(answer)
    except BaseException as error:
        answer = {"error": traceback.format_exc(), "kind": type(error).__name__}
    return answer | {"stdout": printed.getvalue()}


out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a script prints past Python's own stdout is no answer
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(asked["folder"])
        with open(asked["answer"], "w") as file:
            json.dump(ran(asked["script"], asked["arguments"]), file)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=out, flush=True)
'''

READ = {  # what is read before any script is; torch reads _dynamo, which takes a second, with the first optimiser
    "loop": ("torch._dynamo", "satsuma", "satsuma.learner.learner", "satsuma.learner.vision", "safetensors.torch"),
    "torch": (
        "torch",
        "torch._dynamo",
        "torch.optim",
        "torch.utils.data",
        "numpy",
        "safetensors.torch",
        "PIL.Image",
        "cv2",
    ),
    "numpy": ("numpy",),
}
READ["tensors"] = READ["torch"]
BLOCK = {
    "loop": ("tests",),
    "torch": ("satsuma", "tests"),
    "tensors": ("satsuma", "tests"),
    "numpy": ("satsuma", "tests", "torch", "torchvision", "safetensors"),
}


@dataclass(frozen=True)
class Result:
    """What came of a script. `losses`: one a step. `weights`: by name, read from the file it wrote."""

    losses: list[float]
    stdout: str
    weights: dict[str, np.ndarray] = field(repr=False)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the epoch table without the time; headers left out."""
        cells = [line.split() for line in self.stdout.splitlines()]
        return [row[:-1] for row in cells if len(row) > 2 and row[0].isdigit()]

    @property
    def header(self) -> list[str]:
        """The names of the table's columns."""
        return next(line.split() for line in self.stdout.splitlines() if line.split()[:1] == ["epoch"])


class ScriptError(Exception):
    """A script ended by an error; the message is its traceback."""


@dataclass
class Runner:
    """An interpreter that waits for scripts, and finds none of the packages in `block`."""

    block: tuple[str, ...]
    read: tuple[str, ...]
    process: Any = None

    def run(self, script: Path, arguments: Sequence[str], folder: Path, answer: Path) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, ",".join(self.block), ",".join(self.read)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            )
        asked = {"script": str(script), "arguments": list(arguments), "folder": str(folder), "answer": str(answer)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        code = self.process.stdout.readline().strip()
        if code != "0":
            raise ScriptError(f"the interpreter that ran the script died: {code or 'no answer'}")
        given: dict[str, Any] = json.loads(answer.read_text())
        return given

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.process = None


RUNNERS = {depth: Runner(BLOCK[depth], READ[depth]) for depth in ("loop", "torch", "numpy")}
RUNNERS["tensors"] = RUNNERS["torch"]


def run_script(script: Path, *arguments: str, depth: str = "torch") -> Result:
    """Run a script in its own folder, which holds nothing but it and its data, as `python SCRIPT ARGUMENTS`.

    At "loop" it finds Satsuma; elsewhere not, and at "numpy" no torch either. Raises `ScriptError`.
    """
    out = script.with_name(f"{script.stem}_out.{'npz' if depth == 'numpy' else 'safetensors'}")
    given = RUNNERS[depth].run(
        script, (*arguments, "--out", str(out)), script.parent, script.with_name(f"{script.stem}_answer.json")
    )
    if "error" in given:
        raise ScriptError(f"{given['error']}\nprinted:\n{given['stdout'][-2000:]}")
    if depth == "numpy":
        with np.load(out) as file:
            weights = dict(file)
    else:
        weights = load_file(out)
    return Result(given["losses"], given["stdout"], weights)


def close_runners() -> None:
    for runner in RUNNERS.values():
        runner.close()
