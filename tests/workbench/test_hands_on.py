"""*Try* and *Augment* in a browser: what is dropped or pasted is answered, what is set is seen, by keyboard too."""

import base64
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the workbench needs satsuma[workbench]")
sync_api = pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]
WAIT_MS = 60_000
GIVE = """([kind, base64, name]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.querySelector("main").dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def origin(trained: Path) -> Iterator[str]:
    """Where the run is served by a thread of this process; the token is in its address."""
    from satsuma.cli.open import bench_of
    from satsuma.workbench.app import make_app
    from satsuma.workbench.server import bound_socket

    listening = bound_socket(0)
    port = listening.getsockname()[1]
    app = make_app(bench_of(trained), token="t0ken", port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture
def page(origin: str) -> Iterator[Any]:
    """A page of a browser that holds the token; no error may have come up in it."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = chromium.new_context(locale="en-US").new_page()
        shown.set_default_timeout(WAIT_MS)
        wrong: list[str] = []
        shown.on("console", lambda message: wrong.append(message.text))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.goto(f"{origin}/?token=t0ken")
        yield shown
        chromium.close()
        assert wrong == []


def wait_for(page: Any, what: str, count: int) -> None:
    """Until so many of `what` are on the page: its policy forbids the waiting by script."""
    end = time.monotonic() + WAIT_MS / 1000
    while page.locator(what).count() < count and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert page.locator(what).count() >= count


def kept(page: Any, name: str) -> None:
    """A picture of the page for those who look at it later."""
    if folder := os.environ.get("SATSUMA_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_images_are_dropped_pasted_and_chosen(page: Any, origin: str, pictures: Path) -> None:
    page.goto(f"{origin}/open/shapes-1/try")
    page.wait_for_selector("#files")
    file = pictures / "pole" / "04.png"
    given = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(GIVE, ["drop", given, "<b>dropped.png"])
    wait_for(page, ".result", 1)
    page.evaluate(GIVE, ["paste", given, "pasted.png"])
    wait_for(page, ".result", 2)
    page.set_input_files("#files", [file, pictures / "bar" / "05.png"])
    wait_for(page, ".result", 4)
    names = [text.split(" · ")[0] for text in page.locator(".result .source").all_inner_texts()]
    assert names == ["05.png", "04.png", "pasted.png", "<b>dropped.png"]  # the newest first, in the order given
    answers = page.locator(".result h2").all_inner_texts()
    assert answers[1] == answers[2] == answers[3]
    labels = page.locator(".result").first.locator(".name").all_inner_texts()
    assert {label.removeprefix("→ ") for label in labels} == {"<b>box", "bar", "pole"}
    wait_for(page, ".near img", 4 * 8)
    first = page.locator(".result").first
    assert first.locator("figure img").first.is_hidden()
    first.get_by_role("checkbox").uncheck()
    assert first.locator("figure img").first.is_visible()
    assert page.locator("b").count() == 0
    kept(page, "try-several")


def test_what_is_set_is_seen_at_once(page: Any, origin: str) -> None:
    page.goto(f"{origin}/open/shapes-1/augment")
    wait_for(page, "#pictures img", 12)
    assert page.get_by_label("Training image (1 to 45)").input_value() == "1"
    page.select_option("#add", "RandomBlur")
    page.click("#add-form button")
    blur = page.locator("fieldset.step", has_text="RandomBlur")
    blur.locator("input[id$=-p]").focus()
    page.keyboard.press("End")
    shown_when(page, "sm.RandomBlur(p=1.0)")
    before = page.locator("#pictures img").nth(5).get_attribute("src")
    blur.locator("input[id$=min_sigma]").focus()
    page.keyboard.press("End")  # beyond the largest, which goes along
    shown_when(page, "sm.RandomBlur(max_sigma=10.0, min_sigma=10.0, p=1.0)")
    assert page.locator("#pictures img").nth(5).get_attribute("src") != before
    assert blur.locator("input[id$=max_sigma]").input_value() == "10"
    kept(page, "augment-blurred")
    blur.get_by_role("checkbox", name="Blur").uncheck()
    gone_when(page, "RandomBlur")
    blur.get_by_role("checkbox", name="Blur").check()
    shown_when(page, "RandomBlur")
    page.click("#reset")
    gone_when(page, "RandomBlur")
    assert blur.count() == 0


def shown_when(page: Any, text: str) -> None:
    """Until the code holds `text`."""
    page.locator("#code", has_text=text).wait_for()


def gone_when(page: Any, text: str) -> None:
    """Until the code does not hold `text` any more."""
    end = time.monotonic() + WAIT_MS / 1000
    while text in page.inner_text("#code") and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert text not in page.inner_text("#code")
