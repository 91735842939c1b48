"""A person at the workbench, in a browser: cleans two wrong labels by keyboard, trains again, and sees the error fall.

Needs Debian's chromium and the packages of the `dev` extra. Screenshots of every page go to $SATSUMA_SCREENSHOTS.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="the digits come with scikit-learn: satsuma[demo]")
pytest.importorskip("uvicorn", reason="the workbench needs satsuma[workbench]")
sync_api = pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the browser test needs axe")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

CLASSES = "1378"
EACH = {"train": 40, "valid": 12}  # digits of a class
PLANTED = {("3", "8"): "a", ("7", "1"): "b"}  # (what it is, what it is labelled) → how its file begins
COMMAND = [sys.executable, "-m", "satsuma"]
OPTIONS = ["--epochs", "12", "--lr", "0.01", "--batch-size", "16", "--device", "cpu", "--workers", "0"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
PAGES = ("run", "data", "data?show=faults", "clean", "errors", "augment", "try", "rates")
WIDTHS = ((1280, 900), (390, 844))
WAIT_MS = 240_000  # the search for faults takes long where many processes share the cores


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits of four classes as image files, two of the training half in the folder of another class."""
    from satsuma.cli.demo import write_digits

    folder = tmp_path_factory.mktemp("person")
    write_digits(folder / "all")
    for half, n in EACH.items():
        for name in CLASSES:
            there = folder / "digits" / half / name
            there.mkdir(parents=True)
            for file in sorted((folder / "all" / half / name).iterdir())[:n]:
                shutil.copy(file, there / file.name)
    for (is_, labelled), begins in PLANTED.items():
        file = sorted((folder / "digits" / "train" / is_).iterdir())[5]
        file.rename(folder / "digits" / "train" / labelled / f"{begins}-wrong.png")
    return folder / "digits"


@pytest.fixture(scope="module")
def address(digits: Path) -> Iterator[str]:
    """Where `satsuma open` shows the run that `satsuma train` made; both are processes of their own."""
    runs = digits.parent / "runs"
    train = [*COMMAND, "train", str(digits), *OPTIONS, "--runs-dir", str(runs), "--name", "digits-1"]
    subprocess.run(train, check=True, capture_output=True, env=QUIET, timeout=300)
    opened = [*COMMAND, "open", str(runs / "digits-1"), "--no-browser"]
    server = subprocess.Popen(opened, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=QUIET, text=True)
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "http://" in line)
        yield re.findall(r"http://\S+", line)[0]
    finally:
        server.terminate()
        server.wait(30)


class Person:
    """Looks at one page after another, and notes what goes wrong in the browser."""

    def __init__(self, browser: Any, address: str, *, width: int = 1280, height: int = 900) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.origin = re.findall(r"http://[^/]+", address)[0]
        self.wrong: list[str] = []
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("response", self.answered)
        self.page.goto(address)

    def heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{self.page.url}: {message.text}")

    def answered(self, answer: Any) -> None:
        if answer.status >= 400:
            self.wrong.append(f"{answer.status} {answer.url}")

    def see(self, where: str) -> Any:
        """Go to a page, and wait until it shows what it is for."""
        self.page.goto(f"{self.origin}{where}")
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_function("() => !document.querySelector('meta[http-equiv=refresh]')")
        self.page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def planted_among_worst(person: Person, run: str, k: int = 4) -> set[str]:
    """Which of the planted errors are among the `k` highest losses of the training half, and labelled wrongly still."""
    person.see(f"/open/{run}/errors?half=0")
    worst = person.page.eval_on_selector_all("#samples [data-name]", "all => all.map(one => one.dataset.name)")[:k]
    return {name for name in worst if name.endswith("-wrong.png")}


def training_loss(person: Person) -> float:
    return float(person.page.locator(".numbers div", has_text="mean loss").locator("dd").inner_text())


def test_a_person_mends_two_labels_and_sees_the_error_fall(chromium: Any, address: str, digits: Path) -> None:
    person = Person(chromium, address)
    page = person.page
    assert planted_among_worst(person, "digits-1") == {"8/a-wrong.png", "1/b-wrong.png"}
    before = training_loss(person)

    # a cell of the matrix opens its samples
    page.click('#matrix a[aria-label^="8 said to be 3"]')
    page.wait_for_function("() => location.search.includes('said=')")
    assert page.locator('#samples [data-name="8/a-wrong.png"]').count() == 1

    # two labels by keyboard; one of them undone, and done again
    person.see("/open/digits-1/clean?half=0&order=loss")
    page.wait_for_selector("#samples [role=option]")
    names = page.eval_on_selector_all("#samples [role=option]", "all => all.map(one => one.ariaLabel)")[:2]
    for place, name in enumerate(names):
        if place:
            page.keyboard.press("ArrowRight")
        page.keyboard.press("3" if "8/a-wrong.png" in name else "7")
        page.wait_for_function(f"() => document.querySelectorAll('.tile.changed').length === {place + 1}")
    assert person.text("#count") == "2 edits"
    page.keyboard.press("u")
    page.wait_for_function("() => document.getElementById('count').textContent === '1 edit'")
    page.keyboard.press("r")
    page.wait_for_function("() => document.getElementById('count').textContent === '2 edits'")
    page.reload()
    page.wait_for_selector(".tile.changed")
    assert sorted(page.locator(".tile.changed .label").all_inner_texts()) == ["1 → 7", "8 → 3"]
    kept_screenshot(person, "clean-edited")

    # train again with them, and watch the curve move
    page.click("#again")
    page.wait_for_url("**/open/digits-2/run")
    loss = page.locator('[data-kind="loss"]')
    loss.locator("svg").wait_for()
    first = loss.inner_html()
    kept_screenshot(person, "run-training")
    page.wait_for_function(
        "first => document.querySelector('[data-kind=loss] svg') && "
        "document.querySelector('[data-kind=loss]').innerHTML !== first",
        arg=first,
    )
    page.wait_for_function("() => !document.getElementById('state').classList.contains('trains')")
    page.wait_for_load_state()

    # the error fell: nothing that was planted is among the worst, and they are in the classes where they belong
    assert planted_among_worst(person, "digits-2") == set()
    assert training_loss(person) < before
    assert (digits / "train" / "8" / "a-wrong.png").is_file()  # no file was touched

    # something of one's own
    person.see("/open/digits-2/try")
    page.set_input_files("#files", str(digits / "valid" / "7" / sorted(os.listdir(digits / "valid" / "7"))[0]))
    page.wait_for_selector("#results .result")
    assert page.locator("#results h2").first.inner_text().startswith("7")

    # in another language
    with page.expect_navigation():
        page.select_option("#language", "ja")
    assert page.get_attribute("html", "lang") == "ja"
    assert "間違い" in person.text("header")
    person.context.close()
    assert not person.wrong, "\n".join(person.wrong)


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_every_page_is_sound_and_readable(chromium: Any, address: str, width: int, height: int) -> None:
    person = Person(chromium, address, width=width, height=height)
    pages = {"runs": "/runs", "compare": "/compare?run=digits-1&run=digits-2"}
    pages |= {re.sub(r"\W+", "-", name): f"/open/digits-1/{name}" for name in PAGES}
    troubles = []
    for name, where in pages.items():
        person.see(where)
        person.page.wait_for_function("() => [...document.images].every(i => i.complete || i.loading === 'lazy')")
        kept_screenshot(person, f"{name}-{width}")
        found = axe.Axe().run(person.page).response["violations"]
        troubles += [
            f"{name}: {trouble['id']}: {trouble['nodes'][0]['html'][:200]}"
            for trouble in found
            if trouble["impact"] in ("serious", "critical")
        ]
        across = person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if across > 0:
            troubles.append(f"{name}: the page is {across} pixels wider than the window of {width}")
    person.context.close()
    assert not troubles + person.wrong, "\n".join(troubles + person.wrong)


def kept_screenshot(person: Person, name: str) -> None:
    """The whole page as a picture, where such pictures are wanted."""
    if folder := os.environ.get("SATSUMA_SCREENSHOTS"):
        person.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
