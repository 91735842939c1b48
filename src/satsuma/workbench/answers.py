"""What all pages share: templates in the reader's language, and the answers to what goes otherwise than asked."""

import functools
import json
import logging
import math
import traceback
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from satsuma.errors import SatsumaError
from satsuma.version import __version__
from satsuma.workbench.guard import TooLargeError, too_large
from satsuma.workbench.items import OutsideError
from satsuma.workbench.jobs import JobError, Waiting
from satsuma.workbench.subjects import Subject, Workbench
from satsuma.workbench.texts import LANGUAGES, chosen_language, translate

LANGUAGE_COOKIE = "satsuma-language"


class Json(JSONResponse):
    """JSON of any text and number: what JSON has no word for (NaN, half of a letter) does not fail."""

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        except ValueError:
            return json.dumps(without_nan(content), separators=(",", ":")).encode()


def without_nan(value: Any) -> Any:
    """The value with null for each number that is NaN or infinite."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page(
    request: Request, template: str, *, subject: Subject | None = None, status: int = 200, **values: Any
) -> Response:
    """A page from its template, in the reader's language. Within it `t(name)` gives a text."""
    language = language_of(request)
    bench: Workbench = request.app.state.bench
    html = request.app.state.pages.get_template(template).render(
        t=functools.partial(translate, language),
        language=language,
        languages=LANGUAGES,
        subject=subject,
        here=request.url.path,
        has_runs=bench.runs_dir is not None,
        version=__version__,
        **values,
    )
    return HTMLResponse(html.encode("utf-8", "replace"), status)  # names of files need not be UTF-8


def language_of(request: Request) -> str:
    """The language that a request's answer is in."""
    return chosen_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def subject_of(request: Request, name: str) -> Subject:
    """The open thing called `name`; 404 if there is none."""
    bench: Workbench = request.app.state.bench
    try:
        return bench.subject(name)
    except KeyError:
        raise HTTPException(404, "not_open") from None


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks for a page, not a script for data or a picture."""
    return "text/html" in request.headers.get("accept", "")


# --- what goes otherwise than asked -----------------------------------------------------------------------------------


def answer_waiting(request: Request, waiting: Waiting) -> Response:
    """What is made meanwhile: the page looks again by itself."""
    if wants_page(request):
        return page(request, "waiting.html", subject=path_subject(request), what=waiting.what)
    return Json({"waiting": waiting.what}, 202, {"Retry-After": "1"})


def answer_error(request: Request, error: JobError) -> Response:
    if wants_page(request):
        return page(request, "trouble.html", subject=path_subject(request), message=str(error))
    return Json({"error": str(error)}, 409)


def answer_foreseen(request: Request, error: Exception) -> Response:
    """A file that is not as it should be, say: its message is for the person who looks, and the rest for the log."""
    if not isinstance(error, SatsumaError):
        logging.getLogger("satsuma.workbench").error("%s", "".join(traceback.format_exception(error)))
    reason = str(error) or type(error).__name__
    if wants_page(request):
        return page(request, "trouble.html", status=409, subject=path_subject(request), message=reason)
    return Json({"error": reason}, 409)


def answer_outside(request: Request, error: OutsideError) -> Response:
    return PlainTextResponse(str(error), 403)


def answer_too_large(request: Request, error: TooLargeError) -> Response:
    return too_large()


def answer_http(request: Request, error: HTTPException) -> Response:
    """A page that is not there, or a request that is not understood. `detail` is the name of a text, or a message."""
    message = str(error.detail)
    if error.status_code == 404:
        message = translate(language_of(request), "not_open" if error.detail == "not_open" else "no_such_page")
    if wants_page(request):
        return page(request, "trouble.html", status=error.status_code, message=message)
    return Json({"error": message}, error.status_code, error.headers)


def answer_invalid(request: Request, error: RequestValidationError) -> Response:
    """A request whose values are not of the kinds that they should be. What was given is not repeated."""
    found = [f"{'.'.join(map(str, fault['loc']))[:80]}: {fault['msg'][:200]}" for fault in error.errors()[:3]]
    return Json({"error": "; ".join(found)}, 422)


def path_subject(request: Request) -> Subject | None:
    """The open thing that the address names, if it names one."""
    bench: Workbench = request.app.state.bench
    try:
        return bench.subject(str(request.path_params.get("name", "")))
    except KeyError:
        return None
