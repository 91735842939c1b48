"""`Script`: shown, saved, run."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from satsuma.peel.script import Script

TEXT = '''"""Adds."""

import argparse
from pathlib import Path

import numpy as np


def main(arguments: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).with_suffix(".npz"))
    parser.add_argument("--by", type=float, default=0.5)
    args = parser.parse_args(arguments)
    print("epoch 1")
    return [float(v) + args.by for v in np.load(args.data)["train_0"]]


if __name__ == "__main__":
    main()
'''


def script(text: str = TEXT) -> Script:
    return Script(text=text, depth="torch", arrays={"train_0": np.array([2.0, 3.0], np.float32)}, name="adder")


def test_a_script_shows_itself_at_every_prompt() -> None:
    shown = script()
    assert str(shown) == repr(shown) == TEXT
    html = shown._repr_html_()
    assert "<pre" in html
    assert "color: #" in html
    terminal = io.StringIO()
    Console(file=terminal, force_terminal=True, width=120).print(shown)
    assert "\x1b[" in terminal.getvalue()
    assert "argparse" in terminal.getvalue()


def test_it_is_saved_with_its_arrays_beside_it(tmp_path: Path) -> None:
    path = script().save(str(tmp_path / "new" / "adder.py"))
    assert path.read_text() == TEXT
    assert sorted(p.name for p in path.parent.iterdir()) == ["adder.npz", "adder.py"]
    assert np.load(path.with_suffix(".npz"))["train_0"].tolist() == [2.0, 3.0]
    Script(text=TEXT, depth="numpy").save(tmp_path / "bare.py")
    assert not (tmp_path / "bare.npz").exists()


def test_folders_and_data_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; give the name of a file in it, such as .*train\.py"):
        script().save(tmp_path)
    with pytest.raises(ValueError, match=r"name the script .*a\.py"):
        script().save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_it_runs_in_an_interpreter_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script().run() == [2.5, 3.5]
    assert capsys.readouterr().out == "epoch 1\n"
    assert script().run("--by", "1", folder=tmp_path / "here") == [3.0, 4.0]
    assert sorted(p.name for p in (tmp_path / "here").iterdir() if p.is_file()) == ["train.npz", "train.py"]


def test_a_script_that_fails_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    broken = script(TEXT.replace('print("epoch 1")', 'raise ValueError("no such luck")'))
    with pytest.raises(RuntimeError, match=r"exit code 1:\n(.|\n)*ValueError: no such luck"):
        broken.run()
    assert "no such luck" in capsys.readouterr().err
