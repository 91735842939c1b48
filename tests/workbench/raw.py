"""Requests as they come over the wire: no client in between that would make an address, or a header, well-formed."""

import asyncio
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

Header = tuple[str, str]
HEADERS: list[Header] = [("Host", "127.0.0.1:8123"), ("Cookie", "satsuma-8123=a-token-of-the-tests")]
FROM_PAGE: list[Header] = [*HEADERS, ("Origin", "http://127.0.0.1:8123"), ("Sec-Fetch-Site", "same-origin")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers`: by their names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """One loop for all requests: it keeps its threads."""
    return asyncio.new_event_loop()


def asked(
    app: Any, target: str, *, method: str = "GET", headers: Iterable[Header] = HEADERS, body: Iterable[bytes] = ()
) -> Answer:
    """The answer of an ASGI application to one request, whose `target` is taken apart as uvicorn does."""
    path, _, query = target.partition("?")
    chunks = [*body] or [b""]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8123),
    }
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)} for i, chunk in enumerate(chunks)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    loop().run_until_complete(app(scope, receive, send))
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, f"{method} {target}: answered {len(starts)} times"
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in starts[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    return Answer(starts[0]["status"], found, content)
