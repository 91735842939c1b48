"""The order of the rooms: each imports only rooms below it, and those meant for peeling keep its rules."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import satsuma

ROOT = Path(satsuma.__file__).parent
TOP_TO_BOTTOM = [
    "cli",
    "workbench",
    "learner",
    "peel",
    "ship",
    "inspect",
    "vision",
    "hooks",
    "train",
    "data",
    "optim",
    "nn",
]
# the ladder is beside the others rather than below them: it needs none, and only peel and tests read it
TOP_TO_BOTTOM += ["functional", "plots", "ladder"]
LIFTABLE = ["train", "data", "vision", "optim", "nn", "functional", "ladder"]
FILES = sorted(f for f in ROOT.rglob("*.py") if f.parent != ROOT)
LIFTABLE_FILES = [f for f in FILES if f.relative_to(ROOT).parts[0] in LIFTABLE]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from running_nodes(node)


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in running_nodes(ast.parse(file.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        rooms |= {m.split(".")[1] for m in modules if m.startswith("satsuma.")}
    return rooms - {"errors", "version"}


def test_every_folder_is_a_room_of_the_plan() -> None:
    assert {f.relative_to(ROOT).parts[0] for f in FILES} == set(TOP_TO_BOTTOM)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_room_imports_only_rooms_below_it(file: Path) -> None:
    own = file.relative_to(ROOT).parts[0]
    allowed = set(TOP_TO_BOTTOM[TOP_TO_BOTTOM.index(own) :])
    assert imported_rooms(file) <= allowed


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_peel_reads_the_ladder(file: Path) -> None:
    own = file.relative_to(ROOT).parts[0]
    assert own in ("peel", "ladder") or "ladder" not in imported_rooms(file)


def test_errors_and_version_import_nothing_of_the_house() -> None:
    for name in ("errors.py", "version.py"):
        assert "satsuma" not in [
            n.module for n in ast.walk(ast.parse((ROOT / name).read_text())) if hasattr(n, "module")
        ]
        assert imported_rooms(ROOT / name) == set()


@pytest.mark.parametrize("file", LIFTABLE_FILES, ids=name_of)
def test_liftable_code_can_be_copied_into_a_script(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        place = f"{name_of(file)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Lambda), f"{place}: a lambda has no source of its own"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("satsuma"):
            assert node.level == 0, f"{place}: a relative import"
            assert all(a.asname is None and a.name != "*" for a in node.names), f"{place}: aliased or starred"
        if isinstance(node, ast.Import):
            assert not any(a.name.startswith("satsuma") for a in node.names), f"{place}: import names, not modules"
        if isinstance(node, ast.FunctionDef):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n is not node]
            assert not inner, f"{place}: {node.name} holds a nested definition"
        if isinstance(node, ast.Call):
            starred = [
                k for k in node.keywords if k.arg is None and isinstance(k.value, ast.Name) and k.value.id == "kwargs"
            ]
            assert not starred, f"{place}: **kwargs passed along"


def test_top_level_names_are_unique_in_the_package() -> None:
    """In the package, and within each rung of the ladder: a twin bears its production twin's name."""
    names: Counter[tuple[str, str]] = Counter()
    for file in FILES:
        if file.relative_to(ROOT).parts[0] in ("cli", "workbench"):  # verbs and pages bear the names of what they call
            continue
        in_ladder = file.relative_to(ROOT).parts[0] == "ladder"
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names[file.parent.name if in_ladder else "package", node.name] += 1
    assert [name for name, n in names.items() if n > 1] == []


def test_the_loop_is_short_enough_to_read_in_a_minute() -> None:
    tree = ast.parse((ROOT / "train" / "loop.py").read_text())
    (loop,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "train"]
    assert loop.end_lineno is not None
    assert loop.end_lineno - loop.lineno < 60
