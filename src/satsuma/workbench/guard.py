"""Who may speak to the workbench: this machine's browser with the token, from the workbench's own pages.

A page elsewhere must not read or change anything through the browser of the person at this machine: not by sending
requests across sites, nor under a name of its own that it has pointed to this machine (DNS rebinding).
"""

import hmac
import logging
import traceback
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 24 * 2**20  # bytes of a request: an uploaded photo
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NO_TOKEN = "This workbench opens by the address that `satsuma open` printed, which holds a token. Open that address."


class TooLargeError(Exception):
    """A request's body is larger than `MAX_BODY`; the app answers it by `too_large`."""


class Exchange:
    """One request and its answer: what is received is counted, what is sent carries `SAFE_HEADERS`.

    Once the body is too large, what the app answers is dropped, since it may take the error for its own.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive_next, self.send_next = receive, send
        self.received = 0
        self.began = self.too_large = False

    async def receive(self) -> Message:
        message = await self.receive_next()
        self.received += len(message.get("body", b""))
        if self.received > MAX_BODY:
            self.too_large = True
            raise TooLargeError
        return message

    async def send(self, message: Message) -> None:
        if self.too_large and (not self.began or message["type"] == "http.response.start"):
            return
        if message["type"] == "http.response.start":
            self.began = True
            answer = MutableHeaders(scope=message)
            for name, value in SAFE_HEADERS.items():
                answer[name] = value
            answer.setdefault("Cache-Control", "no-store")
        await self.send_next(message)


class Guard:
    """Lets a request through to `app` if its Host, its origin and its token are right; else answers it.

    `hosts`: the values of Host that are this server's, such as "127.0.0.1:8000". `token`: it comes once in the address
    and from then on in a cookie. All answers carry `SAFE_HEADERS`.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], token: str, cookie: str) -> None:
        self.app, self.hosts, self.token, self.cookie = app, hosts, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange = Exchange(receive, send)
        refusal = self.refusal(scope, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, exchange.send)
            return
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:  # told here: what is around us answers without the safe headers
            logging.getLogger("uvicorn.error").error("%s", "".join(traceback.format_exception(error)))
            if not exchange.began:
                await failed()(scope, receive, exchange.send)
        if exchange.too_large and not exchange.began:
            exchange.too_large = False
            await too_large()(scope, receive, exchange.send)

    def refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that is not let through; None for one that is."""
        named = headers.getlist("host")
        if len(named) != 1 or named[0].lower() not in self.hosts:
            return PlainTextResponse("unknown host: open the workbench by the address that it printed", 421)
        if not self.own_origin(scope, headers):
            return PlainTextResponse("requests from other sites are not answered", 403)
        if length := headers.get("content-length"):
            if not (length.isascii() and length.isdigit() and len(length) < 20):
                return PlainTextResponse("Content-Length is not a number", 400)
            if int(length) > MAX_BODY:
                return too_large()
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and scope["method"] == "GET":
            return self.first_load(scope, given)
        if not self.holds_token(headers):
            return PlainTextResponse(NO_TOKEN, 401)
        return None

    def own_origin(self, scope: Scope, headers: Headers) -> bool:
        """Whether a page of ours asks, or the person by the address bar; what changes something must say so."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin.lower() != f"http://{headers['host'].lower()}":
            return False
        if scope["method"] not in ("GET", "HEAD"):
            return origin is not None and site in (None, "same-origin")
        return site in (None, "none", "same-origin")

    def first_load(self, scope: Scope, given: str) -> Response:
        """Take the token out of the address into a cookie."""
        if not self.is_token(given):
            return PlainTextResponse(NO_TOKEN, 401)
        rest = {k: v for k, v in parse_qs(scope["query_string"].decode("latin-1")).items() if k != "token"}
        path = "/" + scope["path"].lstrip("/")  # one slash: "//elsewhere" would be another site
        answer = RedirectResponse(path + ("?" + urlencode(rest, doseq=True) if rest else ""), 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer

    def holds_token(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        held = cookies.get(self.cookie)
        return held is not None and self.is_token(held.value)

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def failed() -> Response:
    return PlainTextResponse("the workbench failed at this; what went wrong stands where it was started", 500)


def too_large() -> Response:
    return PlainTextResponse(f"the request is larger than {MAX_BODY // 2**20} MB", 413)
