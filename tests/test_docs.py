"""What README, CHANGELOG, CONTRIBUTING and the manual promise about each other. The manual's code runs in docs/."""

import re
from pathlib import Path

import pytest

import satsuma

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_changelog_and_version_agree() -> None:
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == satsuma.__version__


def test_contributing_fits_on_a_page() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()) <= 45


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    assert [t for t in targets if t and not (page.parent / t).exists()] == []


def test_readme_shows_every_room_and_no_other() -> None:
    shown = set(re.findall(r"[├└]── ([\w.]+?)/? ", (ROOT / "README.md").read_text("utf-8")))
    rooms = {p.parent.name for p in (ROOT / "src" / "satsuma").glob("*/__init__.py")}
    assert shown == rooms | {"errors.py"}


@pytest.mark.parametrize("page", ["README.md", "docs/command_line.md"])
def test_every_verb_is_explained(page: str) -> None:
    from satsuma.cli.main import app

    text = (ROOT / page).read_text("utf-8")
    verbs = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None]
    assert [v for v in verbs if f"satsuma {v}" not in text] == []
