"""`satsuma peel`: the script of a run, printed or written."""

from pathlib import Path

import numpy as np
import pytest

from satsuma.errors import PeelError
from satsuma.learner import peeling
from satsuma.peel.script import Script

TEXT = '"""A script with [brackets]."""\n\nprint("x" * 300)\n'


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """Runs that were asked for; each is answered with one script, "odd" refused."""
    found: list[tuple[Path, str]] = []

    def peel_run(folder: Path, depth: str) -> Script:
        found.append((folder, depth))
        if folder.name == "odd":
            raise PeelError("the loss is a lambda, which no script can hold")
        return Script(text=TEXT, depth=depth, arrays={"a": np.arange(3)} if depth == "numpy" else {}, name="run")

    monkeypatch.setattr(peeling, "peel_run", peel_run)
    return found


def test_the_bare_script_goes_into_a_pipe(satsuma, asked) -> None:
    result = satsuma("peel", "runs/a")
    assert (result.code, result.out, result.err) == (0, TEXT, "")
    assert asked == [(Path("runs/a"), "torch")]
    assert "needs the data" in satsuma("peel", "runs/a", "--to", "numpy").err


def test_it_is_written_with_its_data(satsuma, asked, tmp_path: Path) -> None:
    result = satsuma("peel", "runs/a", "--to", "numpy", "-o", "out/mine.py")
    assert result.code == 0
    assert result.out == f"wrote {Path('out/mine.py')} and {Path('out/mine.npz')}\n"
    assert (tmp_path / "out" / "mine.py").read_text() == TEXT
    assert np.load(tmp_path / "out" / "mine.npz")["a"].tolist() == [0, 1, 2]
    assert satsuma("peel", "runs/a", "-o", "b.py").out == "wrote b.py\n"


def test_what_cannot_be_peeled_is_one_message(satsuma, asked, tmp_path: Path) -> None:
    odd = satsuma("peel", "runs/odd")
    assert (odd.code, odd.out) == (1, "")
    assert "the loss is a lambda, which no script can hold" in odd.err
    assert "is a folder" in satsuma("peel", "runs/a", "-o", tmp_path).err


def test_a_folder_without_a_run_is_said(satsuma, tmp_path: Path) -> None:
    result = satsuma("peel", tmp_path)
    assert result.code == 1
    assert "no run" in result.err
