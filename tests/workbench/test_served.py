"""The server itself, as `satsuma open` starts it: what it prints, and what it answers to a bare socket."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from satsuma.workbench.server import bound_socket

pytest.importorskip("uvicorn", reason="the workbench needs satsuma[workbench]")

LONGEST_S = 120


@dataclass
class Served:
    """A server in a process of its own, and all that it has said."""

    process: Any
    said: list[str] = field(default_factory=list)
    port: int = 0
    token: str = ""

    def listen(self) -> None:
        for line in self.process.stdout:
            self.said.append(line)

    def address(self) -> None:
        """Wait for the address that it prints."""
        end = time.monotonic() + LONGEST_S
        while not self.token and time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]+)", "".join(self.said)):
                self.port, self.token = int(found[1]), found[2]
            time.sleep(0.02)
        assert self.token, "".join(self.said)

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def raw(self, request: bytes) -> bytes:
        """What comes back for these bytes, until the server hangs up."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line, suppress(ConnectionError):
            line.sendall(request)
            while part := line.recv(65536):
                found += part
        return found

    @property
    def cookie(self) -> str:
        return f"satsuma-{self.port}={self.token}"


@pytest.fixture(scope="module")
def served(trained: Path) -> Iterator[Served]:
    """`satsuma open` on the run; it answers once it has printed its address."""
    command = [sys.executable, "-m", "satsuma", "open", str(trained), "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    server = Served(process)
    listener = threading.Thread(target=server.listen, daemon=True)
    listener.start()
    server.address()
    for _ in range(500):  # it listens before it is ready to answer
        try:
            server.get("/theme.css", Cookie=server.cookie).read()
            break
        except OSError:
            time.sleep(0.02)
    yield server
    process.terminate()
    process.wait(30)
    listener.join(5)


def test_the_token_opens_the_door_once_and_is_in_no_log(served: Served) -> None:
    first = served.get(f"/?token={served.token}")
    first.read()
    assert first.status == 303
    assert first.getheader("location") == "/"
    assert served.token in str(first.getheader("set-cookie"))
    home = served.get("/", Cookie=served.cookie)
    home.read()
    assert home.status == 303
    assert served.token not in str(home.getheader("location"))
    assert served.get("/runs").status == 401
    assert served.get("/runs?token=wrong-token-of-an-attacker").status == 401
    page = served.get(str(home.getheader("location")), Cookie=served.cookie, Accept="text/html")
    assert page.status == 200
    assert served.token.encode() not in page.read()
    served.raw(f"GET /?token={served.token} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    said = "".join(served.said)
    assert said.count(served.token) == 1  # the line that the person opens
    assert "wrong-token" not in said


def test_it_listens_on_this_machine_alone(served: Served) -> None:
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in (*others, "127.0.0.2"):
        with pytest.raises(OSError, match=r"refused|unreachable|timed out|assign"):
            socket.create_connection((str(address), served.port), timeout=2)


@pytest.mark.parametrize(
    "target",
    [
        *("/../../../../etc/passwd", "/static/../../../../../../etc/passwd", "/static/..%2f..%2f..%2fetc%2fpasswd"),
        *("/static/%2e%2e/%2e%2e/guard.py", "/static/..\\..\\guard.py", "/static//etc/passwd", "//etc/passwd"),
        *("http://evil.example/etc/passwd", "*", "/static/%00", "/static/\xff", "/open/../../etc/passwd/run"),
        *("/%0d%0aX-Injected:%20yes", "/static/%0d%0aX-Injected:%20yes", "/open/%0d%0aX-Injected:%20yes/run"),
    ],
)
def test_no_target_on_a_bare_line_leads_out(served: Served, target: str) -> None:
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        f"Cookie: {served.cookie}",
        "Connection: close",
    )
    answer = served.raw("\r\n".join((*lines, "", "")).encode("latin-1"))
    assert re.match(rb"HTTP/1\.1 (303|307|4\d\d) ", answer), answer[:200]
    assert b"root:x:0" not in answer
    assert b"class Guard" not in answer
    assert not re.search(rb"^x-injected", answer, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: evil.example\r\nCookie: COOKIE\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\nCookie: COOKIE\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nCookie: COOKIE\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: 127.0.0.1:PORT\r\nCookie: COOKIE\r\nConnection: close\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /language/ja HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nCookie: COOKIE\r\nOrigin: http://127.0.0.1:PORT\r\n"
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
        b"GET /runs HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_none_get_nothing(served: Served, request_: bytes) -> None:
    request_ = request_.replace(b"PORT", str(served.port).encode()).replace(b"COOKIE", served.cookie.encode())
    answer = served.raw(request_)
    statuses = {int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", answer)}
    assert statuses <= {200, 400, 421}
    assert b"<html" not in answer
    assert served.get("/runs", Cookie=served.cookie, Accept="text/html").status == 200  # it goes on answering


def test_two_hundred_requests_at_once_are_all_answered(served: Served) -> None:
    name = served.get("/", Cookie=served.cookie).getheader("location")
    paths = ("/runs", str(name), "/theme.css", "/static/base.js")

    def status(i: int) -> int:
        answer = served.get(paths[i % len(paths)], Cookie=served.cookie, Accept="text/html")
        return answer.status if answer.read() else 0

    with ThreadPoolExecutor(200) as people:
        assert set(people.map(status, range(200))) == {200}


def test_who_is_quicker_than_the_server_waits_and_is_not_refused() -> None:
    """The address is printed before the server answers: from then on connections are taken."""
    listening = bound_socket(0)
    with listening, socket.create_connection(listening.getsockname(), timeout=5) as early:
        assert early.getpeername() == listening.getsockname()
