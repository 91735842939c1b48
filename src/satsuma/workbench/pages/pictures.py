"""Pictures of samples: the one address of small ones, and the one of those with a heat map over them."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from satsuma.inspect.heat_map import heat_map, overlay
from satsuma.inspect.samples import picture_of, sample_batch, thumbnail
from satsuma.workbench.answers import language_of, subject_of
from satsuma.workbench.items import Items, OutsideError, refuse_outside, small_picture, source_of
from satsuma.workbench.jobs import JobError, Waiting
from satsuma.workbench.picture_cache import PictureCache
from satsuma.workbench.subjects import Subject
from satsuma.workbench.texts import translate

router = APIRouter()
SIDES = (64, 128, 256, 512, 1024)  # pixels of the longer side
HEAT_SIDE = 512
FRESH_S = 600  # a page leafed back to takes its pictures from the browser
PATIENCE_S = 3.0  # for a heat map
PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128" '
    'font-family="system-ui, sans-serif"><rect width="128" height="128" fill="#8f919c" fill-opacity=".18"/>'
    '<path d="M40 34h34l14 14v38H40zM40 86l48-52" fill="none" stroke="#8f919c" stroke-width="3"/>'
    '<text x="64" y="112" font-size="12" text-anchor="middle" fill="#7c7d86">{text}</text></svg>'
)


@router.get("/open/{name}/picture/{half}/{i}")
def picture(request: Request, name: str, half: int, i: int, side: int = 128) -> Response:
    """Sample `i` of a half as a JPEG whose longer side is `side` pixels, one of `SIDES`."""
    if side not in SIDES:
        raise HTTPException(404, f"side is one of {', '.join(map(str, SIDES))}, got {side}")
    subject = subject_of(request, name)
    items = known_items(subject, half, i)
    dls = subject.dls()
    try:
        stamp = file_stamp(source_of(dls, half, i))
        tag = tag_of(request, subject.name, half, items.keys[i], side, stamp)
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=fresh(tag))
        made = cache_of(request).made((subject.name, half, i, side, stamp), lambda: small_picture(dls, items, i, side))
    except OutsideError:
        return placeholder(request, "picture_outside", 403)
    except FileNotFoundError:
        return placeholder(request, "picture_gone", 404)
    except (ValueError, TypeError, OSError):
        return placeholder(request, "picture_broken", 422)
    return Response(made, media_type="image/jpeg", headers=fresh(tag))


@router.get("/open/{name}/heat/{half}/{i}")
def heat(request: Request, name: str, half: int, i: int) -> Response:
    """Sample `i` as the model sees it, under the heat map of what the model says of it."""
    subject = subject_of(request, name)
    if not subject.is_run:
        raise HTTPException(404, "no_such_page")
    items = known_items(subject, half, i)
    refuse_outside(subject.dls(), items, i)
    stamp = subject.weights_time()
    tag = tag_of(request, subject.name, half, items.keys[i], "heat", stamp)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=fresh(tag))
    key = (subject.name, half, i, "heat", stamp)
    kept = cache_of(request).get(key)
    if kept is None:
        try:  # one thing at a time goes through a model
            kept = patiently(
                lambda: subject.part("heat", lambda: heat_picture(subject, half, i, stamp), half, i, version=stamp)
            )
        except JobError:
            return placeholder(request, "picture_no_heat", 422)
        cache_of(request).put(key, kept)
        subject.jobs.forget((subject.name, "heat", half, i))
    return Response(kept, media_type="image/jpeg", headers=fresh(tag))


def known_items(subject: Subject, half: int, i: int) -> Items:
    """The items of a half; 404 if there is no such half, or no sample `i` in it."""
    if half not in subject.halves():
        raise HTTPException(404, "no_such_page")
    items = subject.items(half)
    if not 0 <= i < len(items):
        raise HTTPException(404, "no_such_page")
    return items


def heat_picture(subject: Subject, half: int, i: int, stamp: int) -> bytes:
    """The JPEG of a sample under its heat map. Raises `ValueError` for a model or data without such maps."""
    learn = subject.jobs.now((subject.name, "learner"), subject.read_learner, version=stamp)
    inputs = sample_batch(learn.dls, half, [i])[: learn.dls.n_inp]
    found = heat_map(learn.model, inputs)[0]
    return thumbnail(overlay(picture_of(learn.dls, half, i), found), HEAT_SIDE)


def patiently(part: Callable[[], bytes]) -> bytes:
    """A part that is there soon; `Waiting` if it takes longer than `PATIENCE_S`."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return part()
        except Waiting:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def file_stamp(source: object) -> tuple[int, int]:
    """What changes when a file does; (0, 0) for what is no file."""
    if not isinstance(source, str | Path):
        return 0, 0
    facts = Path(source).stat()
    return facts.st_mtime_ns, facts.st_size


def cache_of(request: Request) -> PictureCache:
    found: PictureCache = request.app.state.pictures
    return found


def tag_of(request: Request, *parts: object) -> str:
    """The ETag of a picture: changes with the file, and from one server to the next."""
    text = repr((request.app.state.started, *parts)).encode("utf-8", "replace")
    return f'"{hashlib.blake2b(text, digest_size=10).hexdigest()}"'


def fresh(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": f"private, max-age={FRESH_S}"}


def placeholder(request: Request, why: str, status: int) -> Response:
    """A picture that says that there is none, and why."""
    text = translate(language_of(request), why)
    return Response(PLACEHOLDER.format(text=text), status, media_type="image/svg+xml")
