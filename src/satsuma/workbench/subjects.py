"""What is open in the workbench: runs, and data without a run. Each gives its parts when they are asked for."""

import hashlib
import os
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.data.edits import HALVES
from satsuma.errors import UserError
from satsuma.inspect.journal import Journal
from satsuma.inspect.predictions import Predictions, predictions_of
from satsuma.learner.learner import Learner
from satsuma.learner.rebuilt import rebuilt_learner
from satsuma.learner.run_lock import trains_now
from satsuma.learner.trained import trained_learner, weights_file
from satsuma.workbench.items import Items, items_of
from satsuma.workbench.jobs import Jobs

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders
    from satsuma.inspect.faults import Faults

SAFE_NAME = re.compile(r"[^\w.-]+")


class Subject:
    """A run (`folder`), or data (`make_data`). `name` stands in addresses, `title` is what people call it.

    Its parts take long the first time: they raise `Waiting` until they are there, `JobError` if they cannot be had.
    """

    def __init__(
        self,
        name: str,
        jobs: Jobs,
        *,
        folder: Path | None = None,
        make_data: "Callable[[], DataLoaders] | None" = None,
        title: str = "",
        edits: Path | None = None,
        train: list[str] | None = None,
        remake: Callable[[Path], Learner | None] | None = None,
    ) -> None:
        self.name, self.jobs, self.folder, self.make_data = name, jobs, folder, make_data
        self.title = title or name
        self.edits_file = edits or (folder / "edits.jsonl" if folder is not None else Path(f"{name}-edits.jsonl"))
        self.train = train  # the arguments of the command that trains on the data with the edits
        self.remake = remake  # a run's learner by the command that trained it, where the recipe cannot hold its data

    @property
    def is_run(self) -> bool:
        return self.folder is not None

    @cached_property
    def journal(self) -> Journal:
        """The edits of this subject's data."""
        return Journal(self.edits_file)

    @property
    def trains(self) -> bool:
        """Whether a process is training this run now."""
        return self.folder is not None and trains_now(self.folder)

    @property
    def has_weights(self) -> bool:
        return self.folder is not None and weights_file(self.folder) is not None

    def part(self, kind: str, make: Callable[[], Any], *more: Any, version: Any = None) -> Any:
        """The part called `kind` (also the name of the text that says what is waited for), of that version alone."""
        return self.jobs.get((self.name, kind, *more), f"wait_{kind}", make, version=version)

    def weights_time(self) -> int:
        """When the weights were written, in nanoseconds: parts that follow from them are made anew for other ones."""
        file = None if self.folder is None else weights_file(self.folder)
        return 0 if file is None else file.stat().st_mtime_ns

    # --- parts ----------------------------------------------------------------------------------------------------

    def learner(self) -> Learner:
        """The run's learner with its weights."""
        found: Learner = self.part("learner", self.read_learner, version=self.weights_time())
        return found

    def read_learner(self) -> Learner:
        assert self.folder is not None, "data without a run has no learner"
        return trained_learner(self.folder, self.untrained())

    def untrained(self) -> Learner:
        """The run's learner as it was before its first step."""
        assert self.folder is not None, "data without a run has no learner"
        try:
            return rebuilt_learner(self.folder)
        except UserError:
            found = None if self.remake is None else self.remake(self.folder)
            if found is None:
                raise
            return found

    def dls(self) -> "DataLoaders":
        """The loaders, of a run or of data alone; a run that has no weights yet has its data all the same."""
        found: DataLoaders = self.part("dls", self.read_data)
        return found

    def read_data(self) -> "DataLoaders":
        if self.make_data is not None:
            return self.make_data()
        return self.untrained().dls

    def items(self, half: int) -> Items:
        """What lies in a half: 0 training, 1 validation."""
        dls = self.dls()
        found: Items = self.part("items", lambda: items_of(dls, half), half)
        return found

    def predictions(self, half: int = 1) -> Predictions:
        """What the run's model says of a half."""
        learn = self.learner()
        stamp = self.weights_time()
        found: Predictions = self.part("predictions", lambda: predictions_of(learn, half), half, version=stamp)
        return found

    def faults(self) -> "Faults":
        """What is wrong with the data; with the run's model where there is one."""
        from satsuma.learner.data_faults import find_faults

        learn = self.learner() if self.has_weights else None
        dls = self.dls()
        found: Faults = self.part("faults", lambda: find_faults(dls, learn=learn))
        return found

    def halves(self) -> tuple[int, ...]:
        return tuple(range(len(self.dls().loaders)))[: len(HALVES)]


class Workbench:
    """All subjects: the runs in a folder (looked for anew each time), or one run, or data.

    `edits`: the journal of `run`, if it is not the one in its folder. `again(run's folder, journal)`: the arguments of
    the command that trains such a run again with the edits; it raises `UserError` where there is none. `remake(run's
    folder)`: its learner by the command that trained it, untrained; None where there is none.
    """

    def __init__(
        self,
        *,
        runs_dir: Path | None = None,
        run: Path | None = None,
        data: Subject | None = None,
        edits: Path | None = None,
        again: Callable[[Path, Path], list[str]] | None = None,
        remake: Callable[[Path], Learner | None] | None = None,
    ) -> None:
        self.jobs = Jobs() if data is None else data.jobs
        self.runs_dir = None if runs_dir is None else runs_dir.absolute()
        self.run = None if run is None else run.absolute()
        self.data, self.edits, self.again = data, edits, again
        self.remake = remake
        self.known: dict[str, Subject] = {} if data is None else {data.name: data}

    def run_folders(self) -> list[Path]:
        """The folders of all runs, the newest first."""
        found = set() if self.run is None else {self.run}
        if self.runs_dir is not None and self.runs_dir.is_dir():
            found |= {Path(entry.path) for entry in os.scandir(self.runs_dir) if is_run(Path(entry.path))}
        return sorted(found, key=last_change, reverse=True)

    def runs(self) -> list[Subject]:
        """All runs, the newest first."""
        return [self.of_run(folder) for folder in self.run_folders()]

    def of_run(self, folder: Path) -> Subject:
        title = folder.absolute().name
        name = SAFE_NAME.sub("-", title)
        if name != title:  # two folders must not come to one name
            name += "-" + hashlib.blake2b(title.encode("utf-8", "replace"), digest_size=3).hexdigest()
        if name not in self.known or self.known[name].folder != folder:
            edits = self.edits if folder == self.run else None
            self.known[name] = Subject(name, self.jobs, folder=folder, title=title, edits=edits, remake=self.remake)
        return self.known[name]

    def subject(self, name: str) -> Subject:
        """The subject of that name; `KeyError` if nothing of that name is open. A name is never taken as a path."""
        if self.data is not None and name == self.data.name:
            return self.data
        known = self.known.get(name)
        if known is not None and known.folder is not None and (known.folder == self.run or is_run(known.folder)):
            return known  # without a look at all the others
        found = next((subject for subject in self.runs() if subject.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def home(self) -> str:
        """Where the workbench begins: the one thing that is open, or the list of runs."""
        if self.data is not None:
            return f"/open/{self.data.name}/data"
        return f"/open/{self.of_run(self.run).name}/run" if self.run is not None else "/runs"


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run; one that is a link, or holds links, to elsewhere is not looked at."""
    try:
        if folder.is_symlink() or not folder.is_dir() or not (folder / "recipe.json").is_file():
            return False
        return not link_outside(folder)
    except OSError:  # it is gone meanwhile, or may not be read
        return False


def link_outside(folder: Path) -> str:
    """The name of something in a folder that is a link to what lies outside of it; "" if there is none."""
    with os.scandir(folder) as entries:
        links = [Path(entry.path) for entry in entries if entry.is_symlink()]
    return next((link.name for link in links if not link.resolve().is_relative_to(folder.resolve())), "")


def last_change(folder: Path) -> float:
    """When a run was last written to, in seconds."""
    for name in ("history.jsonl", "recipe.json"):
        if (folder / name).is_file():
            return (folder / name).stat().st_mtime
    return 0.0
