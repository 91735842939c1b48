"""What a hostile page or person tries on the workbench, on every address that there is."""

import inspect
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the workbench needs satsuma[workbench]")

from pydantic import BaseModel
from tests.workbench.raw import FROM_PAGE, HEADERS, Answer, asked

from satsuma.errors import UserError
from satsuma.workbench.guard import SAFE_HEADERS
from satsuma.workbench.training import Training

SECRET = "the-secret-outside-of-all-folders"
RUN = "shapes-1"
# what stands for each part of an address that varies; a new part must be added here
VALID = {
    "name": RUN,
    "half": "0",
    "i": "0",
    "depth": "none",
    "file": "train.py",
    "kind": "loss",
    "place": "0",
    "action": "undo",
    "code": "en",
    "cell": "0-0",
}
UP = "../" * 8
TRAVERSALS = (
    *("..", ".", "%2e%2e", "%252e%252e", "..%2f..%2f", "..%5c..%5c", "%2e%2e%2fsecret.txt", "....//....//"),
    *(f"{UP}etc/passwd", UP.replace("/", "%2f") + "etc%2fpasswd", UP.replace("/", "%252f") + "etc%252fpasswd"),
    *("/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "..\\..\\..\\etc\\passwd", "C:\\Windows\\win.ini"),
    *("%00", "train.py%00.png", "..%c0%af..%c0%afetc/passwd", "%ff%fe", "\uff0e\uff0e/", "%u002e%u002e/"),
    *("file:///etc/passwd", "\\\\host\\share", "~", "~root", "%0d%0aX-Injected:%20yes", "a" * 3000, "recipe.json/.."),
    *("..;/secret.txt", "....", "-1", "99999999999999999999", "1e9", "%20", "+", "*", "<script>alert(1)</script>"),
)
NUMBERS = (
    "-1",
    "99999999999999999999999",
    "9223372036854775808",
    "1e400",
    "NaN",
    "",
    "x",
    "%00",
    "%ff",
    "[]",
    "0.5",
    UP,
)


def routes_of(routes: Any) -> Iterator[tuple[str, str, Any]]:
    """(method, address with its gaps, what answers) of every route."""
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from routes_of(inner.routes)
        elif hasattr(route, "endpoint"):
            for method in sorted(route.methods):
                yield method, route.path, route.endpoint


def address(path: str, **given: str) -> str:
    """A route's address with its gaps filled by `VALID`, but for what is given."""
    for gap in [part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")]:
        assert gap in given or gap in VALID, f"{path}: say in VALID what {{{gap}}} is"
        path = path.replace("{" + gap + "}", given.get(gap, VALID.get(gap, "")))
    return path


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacks that ask for training do not begin it."""

    def refuse(*arguments: Any) -> None:
        raise UserError("not in a test")

    monkeypatch.setattr(Training, "start", refuse)


@pytest.fixture
def nothing_broken(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that was not foreseen happened while the test asked."""
    yield
    assert [record.getMessage()[-600:] for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.fixture(scope="module")
def app(trained: Path, open_in_browser: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The application on a copy of the run, with a secret beside it; its slow parts are made."""
    folder = tmp_path_factory.mktemp("attacked")
    shutil.copytree(trained, folder / "runs" / RUN)
    for place in (folder, folder / "runs"):
        (place / "secret.txt").write_text(SECRET)
    browser = open_in_browser(folder / "runs" / RUN)
    for page in ("try", "augment"):
        browser.page(f"/open/{RUN}/{page}")
    return browser.client.app


@pytest.fixture(scope="module")
def routes(app: Any) -> list[tuple[str, str, Any]]:
    return list(routes_of(app.routes))


def assert_safe(answer: Answer, what: str) -> None:
    """No failure of ours, no secret, all the safe headers, and no header of the attacker's."""
    assert answer.status < 500, f"{what}: {answer.body[:300]!r}"
    assert SECRET.encode() not in answer.body, what
    assert b"root:x:0" not in answer.body, what
    assert {name: answer.headers.get(name.lower()) for name in SAFE_HEADERS} == SAFE_HEADERS, what
    assert "x-injected" not in answer.headers, what
    assert "access-control-allow-origin" not in answer.headers, what


def test_there_are_the_pages(routes: list[tuple[str, str, Any]]) -> None:
    found = {path for method, path, _ in routes if method == "GET"}
    assert {f"/open/{{name}}/{page}" for page in ("run", "data", "clean", "augment", "try", "rates")} <= found


@pytest.mark.usefixtures("nothing_broken")
def test_no_part_of_an_address_is_taken_for_a_path(app: Any, routes: list[tuple[str, str, Any]]) -> None:
    for method, path, _ in routes:
        gaps = [part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")]
        for gap in gaps:
            for given in TRAVERSALS:
                answer = asked(app, address(path, **{gap: given}), method=method, headers=FROM_PAGE)
                assert_safe(answer, f"{method} {path} with {gap}={given[:60]}")
                if gap == "name":
                    assert answer.status in (307, 404, 405, 422), f"{path} with {given[:60]}"


@pytest.mark.parametrize("prefix", ["/static/", "/static", "/"])
def test_no_file_beside_our_own_is_served(app: Any, prefix: str) -> None:
    for given in (*TRAVERSALS, "../guard.py", "..%2fguard.py", "..%2f..%2f__init__.py", "%2e%2e/texts/en/base.json"):
        answer = asked(app, prefix + given)
        assert_safe(answer, prefix + given)
        assert b"class Guard" not in answer.body
        assert answer.status in (307, 400, 404, 405) or (prefix == "/" and given in (".", "", "..")), given[:60]


@pytest.mark.usefixtures("nothing_broken")
def test_questions_of_any_kind_are_answered(app: Any, routes: list[tuple[str, str, Any]]) -> None:
    for method, path, endpoint in routes:
        if method != "GET":
            continue
        names = [name for name in inspect.signature(endpoint).parameters if name != "request"]
        for given in NUMBERS:
            query = "&".join(f"{name}={given}" for name in names if "{" + name + "}" not in path)
            if query:
                assert_safe(asked(app, f"{address(path)}?{query}"), f"{path}?{query}")
            for name in names:
                if "{" + name + "}" in path and name != "name":
                    assert_safe(asked(app, address(path, **{name: given or "x"})), f"{path} with {name}={given}")


@pytest.mark.usefixtures("nothing_broken")
def test_methods_that_are_not_meant_do_nothing(app: Any, routes: list[tuple[str, str, Any]]) -> None:
    meant: dict[str, set[str]] = {}
    for method, path, _ in routes:
        meant.setdefault(path, set()).add(method)
    for path, methods in meant.items():
        for method in {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"} - methods:
            answer = asked(app, address(path), method=method, headers=FROM_PAGE)
            assert_safe(answer, f"{method} {path}")
            assert answer.status in (404, 405, 422), f"{method} {path}"  # 422: a wrong part of another address


def deep(n: int) -> str:
    return "[" * n + "]" * n


BODIES = (
    *("", "null", "[]", "{}", "1", '"x"', "true", "{", "\x00", "\ufeff{}", deep(100), deep(100_000), '{"a":' * 5000),
    *("NaN", "[1e999]", "9" * 5000, '{"a": "\\ud800"}', '{"__proto__": {}}', '{"a":1,"a":2}', "<xml/>", "a=b&c=d"),
)
BAD_VALUES = (
    *(None, True, -1, 10**30, 1e308, "", "x", "\x00", "../../etc/passwd", "<b>x</b>", "a" * 100_000),
    *([], [None], [[]], {}, {"a": 1}, [1e308] * 50, [{"where": "item", "kind": "Resize", "values": {"size": 10**9}}]),
)


def fields_of(endpoint: Any) -> set[str]:
    """The names that a route's JSON may hold."""
    models = [p.annotation for p in inspect.signature(endpoint).parameters.values()]
    return {name for m in models if inspect.isclass(m) and issubclass(m, BaseModel) for name in m.model_fields}


@pytest.mark.usefixtures("nothing_broken")
def test_no_body_makes_us_fail(app: Any, routes: list[tuple[str, str, Any]]) -> None:
    """Bodies that are no JSON, too deep, of huge numbers, of wrong kinds; of routes that are not written yet, too."""
    as_json = [*FROM_PAGE, ("Content-Type", "application/json"), ("Accept", "application/json")]
    for method, path, endpoint in routes:
        if method == "GET":
            continue
        bodies = list(BODIES)
        for field in sorted(fields_of(endpoint)):
            for bad in BAD_VALUES:
                bodies.append(json.dumps({**dict.fromkeys(fields_of(endpoint), 0), field: bad}))
        for body in bodies:
            answer = asked(app, address(path), method=method, headers=as_json, body=[body.encode("utf-8", "replace")])
            assert_safe(answer, f"{method} {path}: {body[:80]}")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "x" * 2000, "\xff"]
)
@pytest.mark.usefixtures("nothing_broken")
def test_no_kind_of_body_makes_us_fail(app: Any, routes: list[tuple[str, str, Any]], kind: str) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="../../x.sh"\r\n\r\n#!/bin/sh\r\n--x--\r\n'
    for method, path, _ in routes:
        if method == "POST":
            headers = [*FROM_PAGE, ("Content-Type", kind)]
            assert_safe(asked(app, address(path), method=method, headers=headers, body=[form]), f"{path} as {kind}")


# --- names that are markup --------------------------------------------------------------------------------------------


def test_names_of_classes_and_files_are_text_on_every_page(browser: Any, routes: list[tuple[str, str, Any]]) -> None:
    """A class is called `<b>box`, a file `<img src=x onerror=alert(1)>.png`."""
    named = 0
    for method, path, _ in routes:
        if method != "GET" or path in ("/", "/theme.css", "/open/{name}/clean/labels.csv"):
            continue
        answer = browser.get(address(path), accept="text/html")
        if 'http-equiv="refresh"' in answer.text:
            browser.page(address(path))
            answer = browser.get(address(path), accept="text/html")
        if answer.status_code != 200 or "html" not in answer.headers["content-type"]:
            continue
        text = answer.text
        assert "<b>box" not in text, path
        assert "<img src=x" not in text, path
        named += "box" in text
    assert named >= 2


def test_scripts_are_given_names_as_json(browser: Any) -> None:
    answer = browser.sent(f"/open/{RUN}/try/sample", {"half": 1, "place": 0})
    assert answer.headers["content-type"] == "application/json"
    assert {bar["label"] for bar in answer.json()["bars"]} == {"<b>box", "bar", "pole"}


def test_pages_in_the_address_are_only_for_get(app: Any) -> None:
    """HEAD is not spoken; it is not answered as if it were a change, either."""
    assert asked(app, f"/open/{RUN}/try", method="HEAD", headers=HEADERS).status in (200, 405)
