"""What stands in a run's folder once a fit has ended: the recipe with its end, and the run as scripts.

`train.py` is in plain torch. A recipe can only name parts of the user's own, and data that lay in memory: a run with
such is written at the other depths too, in `peel/`, since that cannot be done later. Any other run is peeled to them
from its recipe when someone asks. What cannot be a script is a text that says why, `train.txt`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.data.checks import warn_user
from satsuma.errors import PeelError
from satsuma.hooks.progress import say
from satsuma.learner.peeling import DEPTHS, beyond_recipe, peel_learner, script_path
from satsuma.learner.recording import learner_recipe, write_recipe
from satsuma.train.checkpoint import write_whole

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

LARGE = 2**28  # bytes of arrays that are not copied into the run's folder


def write_end(learn: "Learner", folder: Path) -> None:
    """Write the recipe again, and the scripts unless the fit failed; what goes wrong is warned of and loses nothing."""
    faults = []
    try:
        write_recipe(learn, folder)
    except OSError as error:
        faults.append(fault("recipe", error))
    if learn.past.ends[-1].cause in ("", "interrupted"):
        for depth in depths_to_write(learn):
            try:
                write_script(learn, folder, depth)
            except Exception as error:
                faults.append(fault(depth, error))
    if faults:
        warn_user(f"{folder}: the run as a script could not be written: {'; '.join(faults)}")


def depths_to_write(learn: "Learner") -> list[str]:
    """`torch` first, then those that could not be made later: none where the recipe holds the whole run."""
    return sorted(DEPTHS, key="torch".__ne__) if beyond_recipe(learner_recipe(learn)) else ["torch"]


def fault(what: str, error: Exception) -> str:
    """An error in one line."""
    return f"{what}: {type(error).__name__}: {' '.join(str(error).split())}"


def write_script(learn: "Learner", folder: Path, depth: str) -> None:
    """One script, or why there is none, in the place of an earlier one."""
    path = script_path(folder, depth)
    reason = path.with_suffix(".txt")
    try:
        script = peel_learner(learn, depth)
    except PeelError as error:
        path.unlink(missing_ok=True)
        write_whole(reason, f"{error}\n".encode())
        if depth == "torch":
            tell_once(learn, f"no script of this run ({reason.name}): {error}")
        return
    reason.unlink(missing_ok=True)
    if depth != "torch":  # their arrays are those beside train.py
        write_whole(path, script.text.encode())
    elif size_of(script.arrays) > LARGE:
        write_whole(path, script.text.encode())
        tell_once(
            learn,
            f"{path.name} does not bring its data, {size_of(script.arrays) / 2**20:,.0f} MiB that lay in memory; "
            f'learn.peel("torch").save(...) writes both',
        )
    else:
        script.save(path)


def size_of(arrays: Mapping[str, Any]) -> int:
    """The bytes of all arrays."""
    return sum(np.asarray(array).nbytes for array in arrays.values())


def tell_once(learn: "Learner", line: str) -> None:
    if learn.progress and not learn.past.told:
        say(line)
    learn.past.told = True
