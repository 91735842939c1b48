"""The workbench as an ASGI application."""

import time
from collections.abc import Callable
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from satsuma.errors import SatsumaError
from satsuma.plots.theme import PALETTE_CSS
from satsuma.workbench.answers import (
    LANGUAGE_COOKIE,
    Json,
    answer_error,
    answer_foreseen,
    answer_http,
    answer_invalid,
    answer_outside,
    answer_too_large,
    answer_waiting,
)
from satsuma.workbench.guard import Guard, TooLargeError
from satsuma.workbench.items import OutsideError
from satsuma.workbench.jobs import JobError, Waiting
from satsuma.workbench.pages import ROUTERS
from satsuma.workbench.picture_cache import PictureCache
from satsuma.workbench.subjects import Workbench
from satsuma.workbench.texts import LANGUAGES
from satsuma.workbench.training import Training
from satsuma.workbench.watch import Watch

YEAR_S = 365 * 24 * 3600


def make_app(bench: Workbench, *, token: str, port: int) -> FastAPI:
    """The application for what is open in `bench`, on 127.0.0.1:`port`, for those who hold `token`."""
    app = FastAPI(title="Satsuma", docs_url=None, redoc_url=None, openapi_url=None, default_response_class=Json)
    app.state.bench, app.state.watch = bench, Watch()
    app.state.pictures, app.state.training, app.state.started = PictureCache(), Training(), time.time_ns()
    app.state.pages = Environment(
        loader=PackageLoader("satsuma.workbench"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(packages=[("satsuma.workbench", "static")]))
    app.add_api_route("/theme.css", theme, methods=["GET"])
    app.add_api_route("/", home, methods=["GET"])
    app.add_api_route("/retry", retry, methods=["POST"])
    app.add_api_route("/language/{code}", choose_language, methods=["POST"])
    answers: dict[type[Exception], Callable[..., Response]] = {
        Waiting: answer_waiting,
        JobError: answer_error,
        OutsideError: answer_outside,
        TooLargeError: answer_too_large,
        HTTPException: answer_http,
        RequestValidationError: answer_invalid,
        **dict.fromkeys((SatsumaError, ValueError, OSError, RecursionError), answer_foreseen),
    }
    for kind, answer in answers.items():
        app.add_exception_handler(kind, answer)
    hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    app.add_middleware(Guard, hosts=hosts, token=token, cookie=f"satsuma-{port}")
    return app


def home(request: Request) -> Response:
    bench: Workbench = request.app.state.bench
    return RedirectResponse(bench.home(), 303)


def retry(request: Request) -> Response:
    """Make anew what failed, once it is asked for again: a disk may be back."""
    bench: Workbench = request.app.state.bench
    bench.jobs.forget_failed()
    return JSONResponse({})


def choose_language(request: Request, code: str) -> Response:
    """Keep the language in a cookie."""
    if code not in LANGUAGES:
        raise HTTPException(404, "no_such_page")
    answer = JSONResponse({"language": code})
    answer.set_cookie(LANGUAGE_COOKIE, code, max_age=YEAR_S, samesite="strict", httponly=True)
    return answer


def theme() -> Response:
    """The colours of the pictures, and the pieces of pages that reports show too."""
    fragments = files("satsuma.inspect").joinpath("fragments.css").read_text(encoding="utf-8")
    return Response(PALETTE_CSS + fragments, media_type="text/css", headers={"Cache-Control": "max-age=3600"})
