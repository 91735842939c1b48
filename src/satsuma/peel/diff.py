"""What is different between two runs: their settings, their results, their scripts."""

import difflib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satsuma.errors import UserError
from satsuma.ship.code import to_code

if TYPE_CHECKING:
    from rich.table import Table

LEFT_OUT = (
    "first_digest",
    "last_digest",
    "first_weights",
    "ends",
    "weights_epoch",
)  # not settings: what came of them, or where it is
ABSENT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDifference:
    """One setting, `path` with dots ("settings.lr"), as code in the one run and in the other; "-" where it is not."""

    path: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A run's rows: one dictionary an epoch, and the loss of every step; None for one that was not finite."""

    epochs: tuple[dict[str, Any], ...]
    losses: tuple[float | None, ...]

    @property
    def best(self) -> dict[str, Any] | None:
        """The epoch with the lowest validation loss, or training loss where there is none; None without epochs."""
        name = "valid_loss" if any(row.get("valid_loss") is not None for row in self.epochs) else "train_loss"
        judged = [row for row in self.epochs if row.get(name) is not None]
        return min(judged, key=lambda row: float(row[name])) if judged else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifference:
    """Two runs beside each other. `code`: the scripts' unified diff, "" if they are equal or one has none."""

    name_a: str
    name_b: str
    settings: tuple[SettingDifference, ...]
    a: History
    b: History
    code: str
    without_script: tuple[str, ...] = ()  # names of the runs that hold none

    @property
    def parted(self) -> int | None:
        """The first step, counted from 1, whose losses are not equal; None if they are as far as both go."""
        pairs = zip(self.a.losses, self.b.losses, strict=False)
        return next((i for i, (one, other) in enumerate(pairs, 1) if one != other), None)

    @property
    def losses_text(self) -> str:
        """Where the losses of the steps part, as a sentence."""
        n_a, n_b = len(self.a.losses), len(self.b.losses)
        if not n_a or not n_b:
            return f"{self.name_b if n_a else self.name_a} has made no step"
        if self.parted == 1:
            return "the losses differ from the first step on"
        if self.parted is not None:
            return f"the losses are equal up to step {self.parted - 1}"
        if n_a == n_b:
            return f"all {n_a} losses are equal"
        longer, shorter = (self.name_a, self.name_b) if n_a > n_b else (self.name_b, self.name_a)
        return f"the losses are equal up to step {min(n_a, n_b)}, where {shorter} ends; {longer} has {max(n_a, n_b)}"

    def results(self) -> Iterator[tuple[str, str, str]]:
        """Rows of a table: a result's name, its value in the one run and in the other."""
        yield "epochs", str(len(self.a.epochs)), str(len(self.b.epochs))
        yield "steps", str(len(self.a.losses)), str(len(self.b.losses))
        for kind, one, other in (
            ("last", self.a.epochs[-1] if self.a.epochs else None, self.b.epochs[-1] if self.b.epochs else None),
            ("best", self.a.best, self.b.best),
        ):
            names = dict.fromkeys([*(one or {}), *(other or {})])
            for name in names:
                if name not in ("kind", "time_s", "samples_per_s"):
                    yield f"{kind} {name}", number_text((one or {}).get(name)), number_text((other or {}).get(name))
        yield "time", time_text(self.a), time_text(self.b)


def compare_runs(run_a: Path, run_b: Path) -> RunDifference:
    """Read two run folders. Raises `UserError` for one that is no run, or whose files are damaged."""
    name_a, name_b = run_names(run_a, run_b)
    recipes = [dict(leaves(read_recipe_file(run))) for run in (run_a, run_b)]
    paths = dict.fromkeys([*recipes[0], *recipes[1]])
    settings = tuple(
        SettingDifference(path=path, a=recipes[0].get(path, ABSENT), b=recipes[1].get(path, ABSENT))
        for path in paths
        if recipes[0].get(path) != recipes[1].get(path)
    )
    scripts = [run / "train.py" for run in (run_a, run_b)]
    texts = [script.read_text(encoding="utf-8") if script.is_file() else None for script in scripts]
    return RunDifference(
        name_a=name_a,
        name_b=name_b,
        settings=settings,
        a=read_steps(run_a),
        b=read_steps(run_b),
        code="" if texts[0] is None or texts[1] is None else diff_texts(texts[0], texts[1], name_a, name_b),
        without_script=tuple(n for n, text in zip((name_a, name_b), texts, strict=True) if text is None),
    )


def run_names(run_a: Path, run_b: Path) -> tuple[str, str]:
    """The folders' names, or the paths where those are the same."""
    names = run_a.absolute().name, run_b.absolute().name
    return names if names[0] != names[1] else (str(run_a), str(run_b))


def read_recipe_file(run: Path) -> dict[str, Any]:
    file = run / "recipe.json"
    if not file.is_file():
        kind = "there is no such folder" if not run.exists() else "it holds no recipe.json"
        raise UserError(f"{run}: no run: {kind}. Give the folder that satsuma train wrote, such as runs/NAME")
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: not whole, or not written by Satsuma: {error}") from error
    if not isinstance(recipe, dict):
        raise UserError(f"{file}: not a recipe of Satsuma's: expected an object, got {type(recipe).__name__}")
    return recipe


def read_steps(run: Path) -> History:
    """`history.jsonl`; a last line that a crash left unfinished is passed over. Raises `UserError`."""
    file = run / "history.jsonl"
    if not file.is_file():
        raise UserError(f"{run}: it holds no history.jsonl: no step of this run was written")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                continue
            raise UserError(f"{file}: line {number} is damaged: {error}") from error
        if not isinstance(row, dict) or row.get("kind") not in ("step", "epoch"):
            raise UserError(f"{file}: line {number} is neither a step nor an epoch: {line[:60]}")
        rows.append(row)
    losses = tuple(finite(row.get("loss")) for row in rows if row["kind"] == "step")
    return History(epochs=tuple(row for row in rows if row["kind"] == "epoch"), losses=losses)


def finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The parts of a recipe that can be compared, by dotted path, as code."""
    code = as_code(value) if path else None
    if code is not None and not is_call_list(value):
        yield path, code
    elif isinstance(value, dict):
        for name, inner in value.items():
            if path or name not in LEFT_OUT:
                yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{number}")


def as_code(value: Any) -> str | None:
    """The Python of a part of a recipe; None for a dictionary of parts. What only has a description is that."""
    if isinstance(value, dict) and isinstance(value.get("opaque"), str):
        return str(value["opaque"])
    if isinstance(value, dict) and set(value) == {"method", "arguments"} and value["method"] != "dls":
        inner = ", ".join(f"{name}={as_code(v)}" for name, v in value["arguments"].items())
        return f"{value['method']}({inner})"
    if isinstance(value, dict) and isinstance(value.get("new"), str) and value["new"].endswith(".DataBlock"):
        return None  # told part by part
    try:
        return to_code(value, set())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_call_list(value: Any) -> bool:
    """Whether it is the list of a run's calls, which are told one by one."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "method" in v for v in value)


def number_text(value: Any) -> str:
    return ABSENT if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)


def time_text(history: History) -> str:
    """Seconds of all epochs together."""
    return f"{sum(finite(row.get('time_s')) or 0.0 for row in history.epochs):.1f}s"


def diff_texts(a: str, b: str, name_a: str, name_b: str) -> str:
    """The unified diff of two scripts; "" if they are equal."""
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), name_a, name_b, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def diff_table(a: str, b: str, name_a: str, name_b: str, *, context: int = 3) -> "Table":
    """Two scripts side by side where they differ, for a terminal; `context`: equal lines shown around."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table("", escape(name_a), "", escape(name_b), box=None, padding=(0, 1), expand=True)
    table.columns[1].ratio = table.columns[3].ratio = 1
    one, other = a.splitlines(), b.splitlines()
    for number, group in enumerate(
        difflib.SequenceMatcher(None, one, other, autojunk=False).get_grouped_opcodes(context)
    ):
        if number:
            table.add_row("", Text("...", style="dim"), "", Text("...", style="dim"))
        for kind, a0, a1, b0, b1 in group:
            equal = kind == "equal"
            for i in range(max(a1 - a0, b1 - b0)):
                left = side(one, a0 + i, a1, "dim" if equal else "red")
                table.add_row(*left, *side(other, b0 + i, b1, "dim" if equal else "green"))
    return table


def side(lines: Sequence[str], index: int, end: int, style: str) -> tuple[Any, Any]:
    """A line's number and its text; nothing beyond `end`."""
    from rich.text import Text

    return (Text(str(index + 1), style="dim"), Text(lines[index], style=style)) if index < end else ("", "")
