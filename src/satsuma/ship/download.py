"""One file over HTTP: resumed where it was cut, checked, and under its name only once it is whole."""

import contextlib
import errno
import hashlib
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from satsuma.errors import WeightsError
from satsuma.version import __version__

CHUNK = 1 << 20
TIMEOUT_S = 20.0  # without a byte
ATTEMPTS = 4  # in a row that bring nothing
PAUSE_S = 0.5  # before the second attempt; doubled for each further one
FULL = (errno.ENOSPC, errno.EDQUOT)
TRANSIENT = (408, 429, 500, 502, 503, 504)


class CutOffError(Exception):
    """The connection failed in a way that another attempt may mend."""


@dataclass(slots=True)
class Fetch:
    """A download under way. Mutable: `tag` and `total` become known with the first answer."""

    url: str
    part: Path
    tag: str = ""  # the server's mark of this version of the file, so that two versions are never joined
    total: int | None = None  # bytes


def download(url: str, path: Path, *, sha256: str | None = None) -> Path:
    """Fetch `url` to `path`, showing progress on a terminal. Nothing stands at `path` before it is whole and checked.

    What a cut connection left in `PATH.part` is resumed: within this call always, from an earlier call only where
    `sha256` will tell whether the parts belong together. Without `sha256` the file's own is written to `PATH.sha256`.
    Raises `WeightsError`: no such file, no network, another digest (the bad file is removed), a full disk.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is None:
            part.unlink(missing_ok=True)
        fetch_whole(Fetch(url, part))
        found = file_digest(part)
        fault = wrong_content(part, found, sha256)
        if fault:
            part.unlink()
            raise WeightsError(f"{url}: {fault}. It was not kept")
        if sha256 is None:
            digest_path(path).write_text(f"{found}  {path.name}\n")
        part.replace(path)
    except OSError as error:
        raise WeightsError(disk_trouble(error, path)) from error
    return path


def wrong_content(part: Path, found: str, sha256: str | None) -> str:
    """What is wrong with a whole download; nothing if it is as expected."""
    if sha256 is not None and found != sha256:
        return f"the file's SHA-256 is {found}, expected {sha256}: it is damaged, or another file"
    try:
        with safe_open(part, framework="pt"):
            return ""
    except SafetensorError as error:
        return f"not a safetensors file ({error})"


def disk_trouble(error: OSError, path: Path) -> str:
    if error.errno in FULL:
        return f"{path}: the disk is full. Make room, or set SATSUMA_CACHE to a folder on another disk"
    return f"{path}: cannot be written ({error.strerror or error}). Set SATSUMA_CACHE to a folder that can"


def fetch_whole(fetch: Fetch) -> None:
    """Attempt after attempt until the part is whole."""
    failures = 0
    with shown_progress(fetch) as advance:
        while True:
            before = part_size(fetch)
            try:
                fetch_more(fetch, advance)
                return
            except CutOffError as error:
                failures = 0 if part_size(fetch) > before else failures + 1
                if failures == ATTEMPTS:
                    raise WeightsError(f"{fetch.url}: cannot be reached, after {ATTEMPTS} attempts: {error}") from error
                time.sleep(PAUSE_S * 2 ** max(0, failures - 1))


def fetch_more(fetch: Fetch, advance: Any) -> None:
    """One request, appended to the part. Raises `CutOffError` if it stops early."""
    have = part_size(fetch)
    request = urllib.request.Request(fetch.url, headers={"User-Agent": f"satsuma/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if fetch.tag:
            request.add_header("If-Range", fetch.tag)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            resumed = answer.status == 206
            if resumed and starts_at(answer) != have:
                fetch.part.unlink()
                raise CutOffError(f"the server sends another part of the file than the one from byte {have:,} on")
            fetch.tag = "" if (answer.headers.get("ETag") or "").startswith("W/") else answer.headers.get("ETag") or ""
            length = answer.headers.get("Content-Length")
            fetch.total = None if length is None else int(length) + (have if resumed else 0)
            refuse_small_disk(fetch, have if resumed else 0)
            with fetch.part.open("ab" if resumed else "wb") as file:
                advance(have if resumed else 0)
                while chunk := next_chunk(answer):
                    file.write(chunk)
                    advance(file.tell())
                file.flush()
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        refused(fetch, error, have)
    except (http.client.HTTPException, ConnectionError, TimeoutError, urllib.error.URLError) as error:
        raise CutOffError(reason_of(error)) from error
    if fetch.total is not None and part_size(fetch) < fetch.total:
        raise CutOffError(f"the connection ended after {part_size(fetch):,} of {fetch.total:,} bytes")


def next_chunk(answer: Any) -> bytes:
    """The next bytes, none at the end. Only here does an `OSError` mean the network; elsewhere it is the disk."""
    try:
        return bytes(answer.read1(CHUNK))  # what is there: a read of CHUNK would lose it if the rest never came
    except (OSError, http.client.HTTPException) as error:
        raise CutOffError(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def starts_at(answer: Any) -> int | None:
    """The first byte that a partial answer brings; None if it does not say."""
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return int(match[1]) if match else None


def refused(fetch: Fetch, error: urllib.error.HTTPError, have: int) -> None:
    """What to make of an answer that is an error; returns if the part is whole already."""
    if error.code == 416:  # nothing follows what we have
        if (error.headers.get("Content-Range") or "") == f"bytes */{have}":
            return
        fetch.part.unlink(missing_ok=True)
        raise CutOffError("what an earlier download left does not fit the file") from error
    if error.code in TRANSIENT:
        raise CutOffError(f"the server answers {error.code} {error.reason}") from error
    meaning = {401: "not without an account", 403: "not allowed", 404: "there is no such file"}.get(error.code, "")
    raise WeightsError(f"{fetch.url}: the server answers {error.code} ({meaning or error.reason})") from error


def part_size(fetch: Fetch) -> int:
    return fetch.part.stat().st_size if fetch.part.exists() else 0


def refuse_small_disk(fetch: Fetch, have: int) -> None:
    """`OSError` (no space left) before the first byte rather than after the last that fits."""
    free = shutil.disk_usage(fetch.part.parent).free
    if fetch.total is not None and fetch.total - have > free:
        raise OSError(errno.ENOSPC, f"{fetch.total - have:,} bytes needed, {free:,} free")


def file_digest(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_path(path: Path) -> Path:
    """Where the digest of a file is written that came without one."""
    return path.with_name(f"{path.name}.sha256")


@contextlib.contextmanager
def shown_progress(fetch: Fetch) -> Iterator[Any]:
    """A function of the bytes there are; on a terminal a bar, elsewhere one line at the start."""
    if not sys.stderr.isatty():
        print(f"fetching {fetch.url}", file=sys.stderr)
        yield lambda done: None
        return
    from rich import progress
    from rich.console import Console

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
    with progress.Progress(*columns, progress.TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(fetch.part.name.removesuffix(".part"), total=None)
        yield lambda done: bar.update(task, completed=done, total=fetch.total)
