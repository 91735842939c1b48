"""Folders that somebody else made: links that lead out of them, and runs whose files are not what they say."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the workbench needs satsuma[workbench]")

from satsuma.errors import UserError
from satsuma.workbench.items import is_outside
from satsuma.workbench.jobs import Waiting

SECRET = "the-secret-outside-of-all-folders"
RUN = "shapes-1"
TOO_DEEP = b"[" * 100_000 + b"]" * 100_000


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linked(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data in which one file is a link to a picture outside, and one to a file that is none."""
    folder = tmp_path_factory.mktemp("linked")
    data = Path(shutil.copytree(pictures, folder / "data"))
    Image.new("RGB", (16, 16), (250, 10, 10)).save(folder / "private.png")
    (data / "bar" / "zz-link.png").symlink_to(folder / "private.png")
    return data


def test_links_out_of_the_data_are_not_shown(linked: Path, open_in_browser: Callable[[Path], Any]) -> None:
    browser = open_in_browser(linked)
    name = browser.bench.data.name
    browser.page(f"/open/{name}/augment")
    subject = browser.bench.data
    for half in subject.halves():
        items, dls = items_when_made(subject, half), subject.dls()
        found = [i for i, item in enumerate(items.names) if item.endswith("zz-link.png")]
        assert [i for i in range(len(items)) if is_outside(dls, items, i)] == found
        for i in found:
            assert browser.get(f"/open/{name}/picture/{half}/{i}?side=128").status_code == 403
            if half == 0:
                answer = browser.sent(f"/open/{name}/augment", {"place": i, "steps": []})
                assert answer.status_code == 403, answer.text
        if found:
            return
    raise AssertionError("the link is in no half")


def test_a_runs_model_does_not_look_through_links_for_the_page(
    pictures: Path, a_run: Path, tmp_path: Path, open_in_browser: Callable[[Path], Any]
) -> None:
    """Neither the heat map of such a sample, nor what the model says of it, shows what is in the file."""
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    shutil.move(data / "pole" / "03.png", tmp_path / "private.png")
    (data / "pole" / "03.png").symlink_to(tmp_path / "private.png")
    recipe = a_run / "recipe.json"
    recipe.write_text(recipe.read_text().replace(json.dumps(str(pictures))[1:-1], json.dumps(str(data))[1:-1]))
    browser = open_in_browser(a_run)
    browser.page(f"/open/{RUN}/try")
    subject = browser.bench.runs()[0]
    halves = {half: items_when_made(subject, half).names for half in (0, 1)}
    half, place = next((h, names.index("pole/03.png")) for h, names in halves.items() if "pole/03.png" in names)
    assert browser.get(f"/open/{RUN}/picture/{half}/{place}").status_code == 403
    assert browser.get(f"/open/{RUN}/heat/{half}/{place}").status_code == 403
    assert browser.sent(f"/open/{RUN}/try/sample", {"half": half, "place": place}).status_code == 403
    other = (place + 1) % len(halves[half])
    assert browser.sent(f"/open/{RUN}/try/sample", {"half": half, "place": other}).status_code == 200


def items_when_made(subject: Any, half: int) -> Any:
    """The items of a half, once they are listed."""
    while True:
        try:
            return subject.items(half)
        except Waiting:
            time.sleep(0.02)


@pytest.mark.parametrize(
    "name", ["recipe.py", "train.py", "history.jsonl", "model.safetensors", "inspect", "checkpoints"]
)
def test_a_run_that_holds_links_out_of_it_is_not_opened(
    a_run: Path, open_in_browser: Callable[[Path], Any], name: str
) -> None:
    outside = a_run.parent.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    path = a_run / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(outside if name in ("inspect", "checkpoints") else outside / "secret")
    with pytest.raises(UserError, match=f"{name} in it is a link"):
        open_in_browser(a_run)
    shutil.copytree(a_run, a_run.parent / "other-1", symlinks=True)
    (a_run.parent / "linked-1").symlink_to(a_run)
    path.unlink()
    browser = open_in_browser(a_run.parent)
    assert [run.title for run in browser.bench.runs()] == [a_run.name]
    for other in ("other-1", "linked-1"):
        assert browser.get(f"/open/{other}/run", accept="text/html").status_code == 404


def test_names_that_are_no_utf8_are_shown_as_far_as_they_can_be(
    pictures: Path, tmp_path: Path, open_in_browser: Callable[[Path], Any]
) -> None:
    no_utf8 = os.fsdecode(b"caf\xe9\xff.png")
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    try:
        for i in range(10):
            (data / "bar" / f"{i}{no_utf8}").write_bytes((data / "bar" / "01.png").read_bytes() + bytes([i]))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    browser = open_in_browser(data)
    name = browser.bench.data.name
    for page in ("augment", "data", "clean"):
        browser.page(f"/open/{name}/{page}")
    names = items_when_made(browser.bench.data, 0).names
    place = next(i for i, item in enumerate(names) if item.endswith(no_utf8))
    answer = browser.sent(f"/open/{name}/augment", {"place": place, "steps": []})
    assert answer.status_code == 200, answer.text
    assert "caf" in answer.json()["name"]
    assert browser.get(f"/open/{name}/picture/0/{place}?side=128").status_code == 200


# --- hostile folders --------------------------------------------------------------------------------------------------


class Bomb:
    """What a pickle would do if anything loaded it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def pickled(run: Path) -> bytes:
    import pickle

    return pickle.dumps(Bomb(run / "it-was-run"))


def recipe_with(run: Path, **changes: Any) -> bytes:
    return json.dumps({**json.loads((run / "recipe.json").read_bytes()), **changes}).encode()


HOSTILE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "a model that is a pickle": ("model.safetensors", pickled),
    "a model cut off": ("model.safetensors", lambda run: (run / "model.safetensors").read_bytes()[:1000]),
    "a model whose header is huge": ("model.safetensors", lambda run: b"\xff" * 7 + b"\x7f{}"),
    "an empty model": ("model.safetensors", lambda run: b""),
    "a recipe that is none": ("recipe.json", lambda run: b"not json"),
    "an empty recipe": ("recipe.json", lambda run: b""),
    "a recipe that is a list": ("recipe.json", lambda run: b"[]"),
    "a recipe of nothing": ("recipe.json", lambda run: b"{}"),
    "a recipe too deep": ("recipe.json", lambda run: TOO_DEEP),
    "a recipe that is no text": ("recipe.json", lambda run: b"\xff\xfe\x00" * 100),
    "a recipe of wrong kinds": (
        "recipe.json",
        lambda run: recipe_with(run, data=[], settings=7, fits="x", versions=[]),
    ),
    "a recipe that names code": (
        "recipe.json",
        lambda run: recipe_with(run, model={"partial": {"name": "os.system"}, "args": ["true"], "kwargs": {}}),
    ),
    "a recipe of another version": ("recipe.json", lambda run: recipe_with(run, versions={"satsuma": "<b>box"})),
    "a history of noise": ("history.jsonl", lambda run: bytes(range(256)) * 50),
    "a history of wrong kinds": (
        "history.jsonl",
        lambda run: (
            b'{"kind": "epoch"}\n{"kind": "epoch", "epoch": "x", "valid_loss": []}\n[]\n1\n{"kind": "step"}\n'
            b'{"kind": "epoch", "epoch": 0, "train_loss": NaN, "valid_loss": 1e999, "time_s": "<b>box"}\n'
            b'{"kind": "step", "loss": "x", "lrs": {}}\n{"kind": "step", "loss": 1e999}\n' + b"[" * 5000
        ),
    ),
    "edits of noise": ("edits.jsonl", lambda run: bytes(range(256)) * 50),
    "edits of wrong kinds": (
        "edits.jsonl",
        lambda run: (
            b'{"id": 1, "action": "relabel", "key": ["x"], "to": {}}\n[]\n{"id": "x", "action": "undo", "of": 9}\n'
            b'{"id": 2, "action": "<b>box", "key": "../../x"}\n' + b"[" * 5000 + b"\n"
        ),
    ),
    "predictions of noise": ("inspect/train.safetensors", lambda run: bytes(range(256)) * 50),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_run_gives_pages_that_can_be_read(
    a_run: Path, open_in_browser: Callable[[Path], Any], what: str
) -> None:
    file, made = HOSTILE[what]
    content = made(a_run)
    (a_run / file).parent.mkdir(exist_ok=True)
    (a_run / file).write_bytes(content)
    browser = open_in_browser(a_run.parent)
    for page in (
        "/runs",
        *(f"/open/{RUN}/{tab}" for tab in ("run", "run/now", "data", "clean", "try", "augment", "rates")),
    ):
        answer = browser.get(page, accept="text/html")
        while 'http-equiv="refresh"' in answer.text:
            time.sleep(0.02)
            answer = browser.get(page, accept="text/html")
        assert answer.status_code < 500, f"{page}: {answer.text[:500]}"
        assert "<b>box" not in answer.text or "json" in answer.headers["content-type"], page
        assert "Traceback" not in answer.text
    assert not (a_run / "it-was-run").exists()
