"""What all pages share: templates in the reader's language, and the answers to what goes otherwise than asked."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from satsuma.version import __version__
from satsuma.workbench.guard import TooLargeError, too_large
from satsuma.workbench.items import OutsideError
from satsuma.workbench.jobs import JobError, Waiting
from satsuma.workbench.subjects import Subject, Workbench
from satsuma.workbench.texts import LANGUAGES, chosen_language, translate

LANGUAGE_COOKIE = "satsuma-language"


def page(
    request: Request, template: str, *, subject: Subject | None = None, status: int = 200, **values: Any
) -> Response:
    """A page from its template, in the reader's language. Within it `t(name)` gives a text."""
    language = language_of(request)
    bench: Workbench = request.app.state.bench
    html = request.app.state.pages.get_template(template).render(
        t=lambda name, **filled: translate(language, name, **filled),
        language=language,
        languages=LANGUAGES,
        subject=subject,
        here=request.url.path,
        has_runs=bench.runs_dir is not None,
        version=__version__,
        **values,
    )
    return HTMLResponse(html, status)


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
    return JSONResponse({"waiting": waiting.what}, 503, {"Retry-After": "1"})


def answer_error(request: Request, error: JobError) -> Response:
    if wants_page(request):
        return page(request, "trouble.html", subject=path_subject(request), message=str(error))
    return JSONResponse({"error": str(error)}, 409)


def answer_outside(request: Request, error: OutsideError) -> Response:
    return PlainTextResponse(str(error), 403)


def answer_too_large(request: Request, error: TooLargeError) -> Response:
    return too_large()


def answer_http(request: Request, error: HTTPException) -> Response:
    """A page that is not there, or a request that is not understood. `detail` is the name of a text, or a message."""
    if wants_page(request):
        name = error.detail if error.status_code == 404 and error.detail == "not_open" else "no_such_page"
        message = translate(language_of(request), name) if error.status_code == 404 else str(error.detail)
        return page(request, "trouble.html", status=error.status_code, message=message)
    return JSONResponse({"error": str(error.detail)}, error.status_code)


def path_subject(request: Request) -> Subject | None:
    """The open thing that the address names, if it names one."""
    bench: Workbench = request.app.state.bench
    try:
        return bench.subject(str(request.path_params.get("name", "")))
    except KeyError:
        return None
