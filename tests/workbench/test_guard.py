"""Who gets past the guard: whoever holds the token, at the right name, from the workbench's own pages."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the workbench needs satsuma[workbench]")

from starlette.responses import PlainTextResponse
from tests.workbench.raw import FROM_PAGE, HEADERS, Header, asked

from satsuma.workbench.guard import MAX_BODY, SAFE_HEADERS, Guard

TOKEN, COOKIE = "a-token-of-the-tests", ("Cookie", "satsuma-8123=a-token-of-the-tests")
HOST, PAGE = HEADERS[0], "http://127.0.0.1:8123"
HOSTS = frozenset(f"{name}:8123" for name in ("127.0.0.1", "localhost", "[::1]"))


async def inside(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    """What is guarded: it reads the body, and says how much it was; /broken raises, /quiet takes errors for its own."""
    if scope["path"] == "/broken":
        raise RuntimeError("what only the person at the machine should read")
    size = 0
    try:
        while True:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
    except Exception:
        if scope["path"] != "/quiet":
            raise
        await PlainTextResponse("the body cannot be read", 400)(scope, receive, send)
        return
    await PlainTextResponse(f"inside {size}")(scope, receive, send)


guard = Guard(inside, hosts=HOSTS, token=TOKEN, cookie="satsuma-8123")


def test_the_one_who_holds_the_token_gets_in() -> None:
    answer = asked(guard, "/")
    assert (answer.status, answer.body) == (200, b"inside 0")


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:8123", "LOCALHOST:8123", "[::1]:8123"])
def test_our_own_names_are_known(host: str) -> None:
    assert asked(guard, "/", headers=[("Host", host), COOKIE]).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8123", "127.0.0.1.nip.io:8123", "localhost.evil.example:8123"),
        *("127.0.0.1", "127.0.0.1:8124", "127.0.0.1:80", "127.0.0.1:8123.", "localhost.:8123", "[::1]", "::1:8123"),
        *("0.0.0.0:8123", "[::]:8123", "127.1:8123", "2130706433:8123", "0x7f000001:8123", "[::ffff:127.0.0.1]:8123"),
        *(
            "127.0.0.1:8123@evil.example",
            "evil.example, 127.0.0.1:8123",
            "127.0.0.1:8123 ",
            "",
            " ",
            "192.168.0.2:8123",
        ),
    ],
)
def test_a_name_that_was_pointed_here_is_refused(host: str) -> None:
    """DNS rebinding: the browser then asks us under the name of the page elsewhere."""
    assert asked(guard, "/", headers=[("Host", host), COOKIE]).status == 421
    assert asked(guard, f"/?token={TOKEN}", headers=[("Host", host)]).status == 421


def test_no_host_and_two_hosts_are_refused() -> None:
    assert asked(guard, "/", headers=[COOKIE]).status == 421
    assert asked(guard, "/", headers=[HOST, ("Host", "evil.example"), COOKIE]).status == 421


@pytest.mark.parametrize(
    "cookies",
    [
        *([], [("Cookie", "")], [("Cookie", "satsuma-8123=")], [("Cookie", "satsuma-8123=wrong")]),
        *([("Cookie", f"satsuma-8124={TOKEN}")], [("Cookie", f"satsuma-8123={TOKEN[:-1]}")]),
        *([("Cookie", f"satsuma-8123={TOKEN.upper()}")], [("Cookie", f"satsuma-8123={TOKEN}x")]),
        *([("Cookie", "satsuma-8123=\xff\xfe")], [("Cookie", "=;;;=\x00")], [("Authorization", f"Bearer {TOKEN}")]),
    ],
)
def test_without_the_token_nothing_is_answered(cookies: list[Header]) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT"):
        origin = [] if method in ("GET", "HEAD") else [("Origin", PAGE)]
        answer = asked(guard, "/", method=method, headers=[HOST, *origin, *cookies])
        assert answer.status == 401
        assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize("given", ["wrong", "", TOKEN[:-1], TOKEN + "%00", "%FF%FE", TOKEN.upper()])
def test_a_wrong_token_in_the_address_is_refused(given: str) -> None:
    answer = asked(guard, f"/?token={given}", headers=[HOST])
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_the_token_stands_in_the_address_once() -> None:
    """It goes into a cookie that no script can read and no other site's request carries, and out of the address."""
    answer = asked(guard, f"/open/a%20run/run?x=1&token={TOKEN}&y=a%26b", headers=[HOST])
    assert answer.status == 303
    assert answer.headers["location"] == "/open/a%20run/run?x=1&y=a%26b"
    cookie = [part.strip().lower() for part in answer.headers["set-cookie"].split(";")]
    assert cookie[0] == f"satsuma-8123={TOKEN}"
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie)
    assert not any(part.startswith("domain") for part in cookie)


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example", "///evil.example/x", "/%2fevil.example", "/%2f%2fevil.example", "/\\evil.example"),
        *("/%5cevil.example", "/%09/evil.example", "//evil.example%2f..", "/%0d%0aLocation:%20http://evil.example"),
        *("/.//evil.example", "/;//evil.example", "/@evil.example", "/%00", "/%e2%80%a8", "http://evil.example/"),
    ],
)
def test_the_first_load_leads_nowhere_else(path: str) -> None:
    from urllib.parse import urljoin, urlsplit

    answer = asked(guard, f"{path}?token={TOKEN}", headers=[HOST])
    location = answer.headers["location"]
    assert answer.status == 303
    assert urlsplit(urljoin(f"{PAGE}/", location)).netloc == "127.0.0.1:8123"
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\")
    assert not set(location) & set("\r\n\t\\")


@pytest.mark.parametrize(
    "headers",
    [
        *([("Origin", "http://evil.example")], [("Origin", "null")], [("Origin", "https://127.0.0.1:8123")]),
        *(
            [("Origin", "http://127.0.0.1:8124")],
            [("Origin", "http://127.0.0.1")],
            [("Origin", f"{PAGE}.evil.example")],
        ),
        *([("Origin", "http://localhost:8123")], [("Origin", "")], [("Origin", f"{PAGE}/")], [("Origin", "file://")]),
        *([("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")], [("Sec-Fetch-Site", "")]),
        [("Origin", PAGE), ("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_other_sites_get_no_answer_even_with_the_cookie(headers: list[Header]) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = asked(guard, "/", method=method, headers=[*HEADERS, *headers])
        assert answer.status == 403, method
        assert "access-control-allow-origin" not in answer.headers


def test_what_changes_something_must_say_that_it_comes_from_a_page_of_ours() -> None:
    assert asked(guard, "/", method="POST", headers=HEADERS).status == 403
    assert asked(guard, "/", method="POST", headers=[*HEADERS, ("Sec-Fetch-Site", "same-origin")]).status == 403
    assert asked(guard, "/", method="POST", headers=[*HEADERS, ("Sec-Fetch-Site", "none")]).status == 403
    assert asked(guard, "/", method="POST", headers=FROM_PAGE).status == 200
    assert asked(guard, "/", headers=[*HEADERS, ("Sec-Fetch-Site", "none")]).status == 200  # typed, or a bookmark


def test_a_token_in_the_address_does_not_let_a_change_through() -> None:
    assert asked(guard, f"/?token={TOKEN}", method="POST", headers=[HOST, ("Origin", PAGE)]).status == 401


@pytest.mark.parametrize("path", ["/", "/quiet"])
def test_too_large_a_body_is_refused_however_it_is_sent(path: str) -> None:
    declared = asked(guard, path, method="POST", headers=[*FROM_PAGE, ("Content-Length", str(MAX_BODY + 1))])
    assert declared.status == 413
    parts = [bytes(2**20)] * (MAX_BODY // 2**20)
    assert asked(guard, path, method="POST", headers=FROM_PAGE, body=parts).body == f"inside {MAX_BODY}".encode()
    answer = asked(guard, path, method="POST", headers=FROM_PAGE, body=[*parts, b"x"])
    assert answer.status == 413
    assert b"24 MB" in answer.body


@pytest.mark.parametrize("length", ["-1", "x", "1e9", "+5", "\xb2", "9" * 5000, "0x10", "1, 2"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert asked(guard, "/", method="POST", headers=[*FROM_PAGE, ("Content-Length", length)]).status in (400, 413)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/", HEADERS),
        ("/", [HOST]),
        ("/", [("Host", "evil.example")]),
        ("/", [*HEADERS, ("Origin", "null")]),
        (f"/?token={TOKEN}", [HOST]),
        ("/broken", HEADERS),
    ],
)
def test_every_answer_carries_the_safe_headers(target: str, headers: list[Header]) -> None:
    answer = asked(guard, target, headers=headers)
    assert {name: answer.headers.get(name.lower()) for name in SAFE_HEADERS} == SAFE_HEADERS
    assert answer.headers["cache-control"] == "no-store"


def test_the_policy_allows_no_script_but_our_files() -> None:
    policy = dict(part.strip().split(" ", 1) for part in SAFE_HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)


def test_a_failure_is_told_at_the_machine_and_not_in_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    answer = asked(guard, "/broken")
    assert answer.status == 500
    assert b"only the person" not in answer.body
    assert "only the person" in caplog.text
    assert TOKEN not in caplog.text


def test_web_sockets_are_not_spoken() -> None:
    import asyncio

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(guard({"type": "websocket", "headers": []}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]
