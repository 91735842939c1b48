"""One tiny trained run that the tests of all pages look at, and a browser's place in the application.

The pictures are drawn: 60 of 16 by 16 pixels in 3 classes. A class and a file have names that are markup, so that each
page's test also shows that names are text.
"""

import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PORT, TOKEN = 8123, "a-token-of-the-tests"
ORIGIN = f"http://127.0.0.1:{PORT}"
CLASSES = ("<b>box", "bar", "pole")
EACH, SIDE = 20, 16
HOSTILE_FILE = "<img src=x onerror=alert(1)>.png"
LONGEST_S = 60.0


class Browser:
    """Holds the token, asks for pages as a person's browser does, and waits for what is being made."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this client will want another package one day
            from starlette.testclient import TestClient

        from satsuma.cli.open import bench_of
        from satsuma.workbench.app import make_app

        self.bench = bench_of(path)
        app = make_app(self.bench, token=TOKEN, port=PORT)
        self.client = TestClient(app, base_url=ORIGIN, follow_redirects=False)
        self.client.cookies.set(f"satsuma-{PORT}", TOKEN)

    def get(self, address: str, **headers: str) -> Any:
        """The answer as it is, whatever its status."""
        return self.client.get(address, headers=headers)

    def page(self, address: str) -> str:
        """The HTML of a page, once everything that it waits for is made; it must be there."""
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            answer = self.get(address, accept="text/html")
            if 'http-equiv="refresh"' not in answer.text:
                assert answer.status_code == 200, answer.text
                return answer.text
            time.sleep(0.02)
        raise AssertionError(f"{address} was still waiting after {LONGEST_S} s")

    def json(self, address: str) -> Any:
        """The answer to a script, once it is made; it must be there."""
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            answer = self.get(address, accept="application/json")
            if answer.status_code != 202:
                assert answer.status_code == 200, answer.text
                return answer.json()
            time.sleep(0.02)
        raise AssertionError(f"{address} was still waiting after {LONGEST_S} s")

    def send(self, address: str, value: Any = None, *, origin: str = ORIGIN) -> Any:
        """POST JSON as the pages' own scripts do; the answer as it is."""
        headers = {"Origin": origin, "Accept": "application/json"}
        return self.client.post(address, json={} if value is None else value, headers=headers)

    def sent(self, address: str, value: Any = None) -> Any:
        """As `send`, once what it needs is made."""
        end = time.monotonic() + LONGEST_S
        while (answer := self.send(address, value)).status_code == 202 and time.monotonic() < end:
            time.sleep(0.02)
        return answer


def draw(kind: int, rng: np.random.Generator) -> Image.Image:
    """A box, a lying bar or a standing pole, on noise. [16 16 3]"""
    pixels = rng.integers(0, 60, (SIDE, SIDE, 3))
    top, left = rng.integers(1, 6, 2)
    height, width = ((8, 8), (3, 10), (10, 3))[kind]
    pixels[top : top + height, left : left + width] += 150
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, a folder a class. Not to be changed: copy it."""
    folder, rng = tmp_path_factory.mktemp("workbench") / "shapes", np.random.default_rng(0)
    for kind, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(EACH):
            file = HOSTILE_FILE if (kind, i) == (1, 0) else f"{i:02}.png"
            draw(kind, rng).save(folder / name / file)
    return folder


@pytest.fixture(scope="session")
def trained(pictures: Path) -> Path:
    """A run's folder: `satsuma train` on the pictures, two epochs. Not to be changed: take `a_run`."""
    from satsuma.cli.train import TrainOptions, run_train

    options = TrainOptions(epochs=2, batch_size=16, lr="0.01", device="cpu", workers=0, valid_pct=0.25)
    learn = run_train(pictures, options, name="shapes-1", runs_dir=pictures.parent / "runs")
    assert learn.run_dir is not None
    return learn.run_dir


@pytest.fixture
def a_run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, for tests that change it."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / trained.name))


@pytest.fixture(scope="session")
def open_in_browser() -> Callable[[Path], Browser]:
    """`open_in_browser(PATH)`: a browser on what `satsuma open PATH` serves."""
    for extra in ("fastapi", "httpx", "python_multipart"):
        pytest.importorskip(extra, reason="the workbench needs satsuma[workbench]")
    return Browser


@pytest.fixture(scope="session")
def browser(trained: Path, open_in_browser: Callable[[Path], Browser]) -> Browser:
    """A browser on the run, shared by all tests: what they ask for is made once. They change nothing."""
    return open_in_browser(trained)
