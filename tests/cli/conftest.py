import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from satsuma.cli.main import main
from satsuma.hooks.recorder import Recorder
from satsuma.learner.learner import Learner

COLORS = {"red": (190, 10, 10), "blue": (10, 10, 190)}


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def satsuma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command as a person does, in an empty folder."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["satsuma", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


class NoFigure:
    """A figure that is saved nowhere."""

    def savefig(self, *_: object, **__: object) -> None:
        pass


def no_figure(*_: object) -> NoFigure:
    return NoFigure()


@pytest.fixture
def model_only(monkeypatch: pytest.MonkeyPatch, no_scripts: None) -> None:
    """A run writes no script, plots or report: that takes longer than training, and few tests look at them."""
    monkeypatch.setattr(Learner, "report", lambda learn, path: path)
    for name in ("plot_loss", "plot_lr", "plot_metrics"):
        monkeypatch.setattr(Recorder, name, no_figure)


Painter = Callable[..., Image.Image]


@pytest.fixture
def picture() -> Painter:
    """A noisy picture of one colour."""

    def paint(name: str, seed: int, size: tuple[int, int] = (20, 20)) -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, 60, (size[1], size[0], 3))
        return Image.fromarray((np.array(COLORS[name]) + noise).clip(0, 255).astype(np.uint8))

    return paint


@pytest.fixture
def colors(tmp_path: Path, picture: Painter) -> Path:
    """Two class folders of 15 pictures each, easily told apart."""
    folder = tmp_path / "colors"
    for name in COLORS:
        (folder / name).mkdir(parents=True)
        for i in range(15):
            picture(name, seed=i + 100 * (name == "red")).save(folder / name / f"{i}.png")
    return folder
