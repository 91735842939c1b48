"""*Run* follows a run while it trains, stops it on request, and shows what it was made of."""

import base64
import io
import json
import os
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from satsuma.data.show import as_picture, undone
from satsuma.hooks.stop_request import STOP_FILE
from satsuma.learner.rebuilt import rebuilt_learner
from satsuma.learner.run_lock import locked_folder


@pytest.fixture
def training(a_run: Path) -> Iterator[Path]:
    """A run that stands after three of its four steps, and whose folder a process holds as one does that trains."""
    recipe = json.loads((a_run / "recipe.json").read_text())
    recipe["ends"] = []
    (a_run / "recipe.json").write_text(json.dumps(recipe))
    lines = (a_run / "history.jsonl").read_text().splitlines(keepends=True)
    (a_run / "history.jsonl").write_text("".join(lines[:4]))  # two steps, an epoch, a step
    (a_run / "model.safetensors").unlink()
    handle = locked_folder(a_run)
    assert handle is not None
    yield a_run
    os.close(handle)


def test_a_run_that_is_done_shows_its_result_recipe_and_files(browser, trained: Path) -> None:
    html = browser.page("/open/shapes-1/run")
    last = json.loads((trained / "history.jsonl").read_text().splitlines()[-1])
    assert f"<dd>{last['accuracy']:.4f}</dd>" in html
    assert unescape(html).count("fit_one_cycle(n_epoch=2, lr_max=0.01)") == 2  # in words, and in recipe.py
    assert str(trained.parent.parent / "shapes") in html
    assert 'href="/open/shapes-1/run/file/model.safetensors"' in html
    assert "<b>box" not in html
    now = browser.json("/open/shapes-1/run/now")
    assert (now["state"], now["progress"], now["stop"]) == ("done", None, None)
    assert [row[0] for row in now["table"]["rows"]] == ["0", "1"]
    assert now["table"]["kept"] == 1
    assert "table" not in browser.json("/open/shapes-1/run/now?epochs=2")


def test_a_run_is_followed_while_it_trains(training: Path, trained: Path, open_in_browser) -> None:
    browser = open_in_browser(training)
    assert 'id="stop"' in browser.page("/open/shapes-1/run")
    before = browser.json("/open/shapes-1/run/now")
    assert before["state"] == "trains"
    assert (before["progress"]["value"], before["progress"]["max"]) == (3, 4)
    assert "1 of 2 epochs done · step 3 of 4" in before["progress"]["text"]
    assert len(before["table"]["rows"]) == 1
    rest = (trained / "history.jsonl").read_text().splitlines(keepends=True)[4:]
    with (training / "history.jsonl").open("a") as file:
        file.writelines(rest)
    after = browser.json("/open/shapes-1/run/now?epochs=1")
    assert after["progress"]["value"] == 4
    assert len(after["table"]["rows"]) == 2
    assert after["versions"]["loss"] != before["versions"]["loss"]
    assert after["versions"]["metrics"] != before["versions"]["metrics"]


def test_figures_say_what_they_were_drawn_from(browser) -> None:
    versions = browser.json("/open/shapes-1/run/now")["versions"]
    for kind in ("loss", "metrics", "rate"):
        answer = browser.get(f"/open/shapes-1/run/figure/{kind}")
        assert answer.headers["X-Version"] == versions[kind]
        assert answer.text.startswith("<svg")
        assert "style=" not in answer.text
    assert browser.get("/open/shapes-1/run/figure/other").status_code == 404


def test_while_it_trains_a_figure_is_not_drawn_for_each_who_asks(training: Path, open_in_browser, monkeypatch) -> None:
    browser = open_in_browser(training)
    answers = [browser.get("/open/shapes-1/run/figure/loss")]
    with (training / "history.jsonl").open("a") as file:
        file.write('{"kind": "step", "epoch": 1, "step": 4, "lr": 0.1, "loss": 0.5}\n')
    monkeypatch.setattr("satsuma.workbench.watch.drawn", None)  # drawing again would fail
    answers += [browser.get("/open/shapes-1/run/figure/loss") for _ in range(5)]
    assert len({answer.text for answer in answers}) == 1
    assert browser.json("/open/shapes-1/run/now")["versions"]["loss"] != answers[-1].headers["X-Version"]


def test_the_pictures_are_those_of_the_very_batch(training: Path, open_in_browser) -> None:
    browser = open_in_browser(training)
    found = browser.json("/open/shapes-1/run/batch")
    dls = rebuilt_learner(training).dls
    x, y = dls.train.one_batch(1, 1)  # three steps are done: the fourth is the second of epoch 1
    assert found["place"] == "1-1"
    assert [p["label"] for p in found["pictures"]] == [dls.vocab[i] for i in y.tolist()]
    for picture, expected in zip(found["pictures"], x, strict=True):
        jpeg = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["jpeg"]))).convert("RGB"), dtype=float)
        times = jpeg.shape[0] // 16  # small ones are enlarged
        small = jpeg.reshape(16, times, 16, times, 3).mean((1, 3))
        assert np.abs(small - as_picture(undone(dls, expected)) * 255).mean() < 12  # JPEG loses a little


def test_of_a_run_that_is_done_there_is_no_batch(browser) -> None:
    assert browser.json("/open/shapes-1/run/batch") == {"pictures": []}


def test_stopping_is_asked_for_by_a_file_and_taken_back(training: Path, open_in_browser) -> None:
    browser = open_in_browser(training)
    assert browser.json("/open/shapes-1/run/now")["stop"]["asked"] is False
    for _ in range(2):  # pressed twice does no harm
        answer = browser.send("/open/shapes-1/run/stop")
        assert answer.status_code == 200
        assert answer.json()["stop"]["asked"] is True
    assert (training / STOP_FILE).read_bytes() == b""
    assert browser.json("/open/shapes-1/run/now")["stop"]["asked"] is True
    assert browser.send("/open/shapes-1/run/go-on").json()["stop"]["asked"] is False
    assert not (training / STOP_FILE).exists()


def test_a_link_in_the_place_of_the_request_is_not_followed(training: Path, open_in_browser, tmp_path: Path) -> None:
    browser = open_in_browser(training)
    (training / STOP_FILE).symlink_to(tmp_path / "elsewhere")
    browser.send("/open/shapes-1/run/stop")
    assert not (tmp_path / "elsewhere").exists()


def test_what_does_not_train_cannot_be_stopped(trained: Path, browser) -> None:
    answer = browser.send("/open/shapes-1/run/stop")
    assert answer.status_code == 409
    assert "not training" in answer.json()["error"]
    assert not (trained / STOP_FILE).exists()


def test_other_sites_cannot_stop_a_run(training: Path, open_in_browser) -> None:
    browser = open_in_browser(training)
    assert browser.send("/open/shapes-1/run/stop", origin="http://evil.example").status_code == 403
    assert not (training / STOP_FILE).exists()


def test_scripts_are_those_that_peel_gives_and_refusals_are_told(browser, trained: Path) -> None:
    found = browser.json("/open/shapes-1/run/peel/torch")
    assert found["text"] == (trained / "train.py").read_text(encoding="utf-8")  # as it was written when the run ended
    refused = browser.json("/open/shapes-1/run/peel/numpy")
    assert "read item by item" in refused["refused"]
    assert browser.get("/open/shapes-1/run/peel/deeper").status_code == 404


def test_only_files_of_the_run_are_given_out(a_run: Path, open_in_browser, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    browser = open_in_browser(a_run)
    answer = browser.get("/open/shapes-1/run/file/recipe.json")
    assert answer.content == (a_run / "recipe.json").read_bytes()
    assert answer.headers["Content-Disposition"].startswith("attachment")
    (a_run / "metrics.png").unlink()
    (a_run / "metrics.png").symlink_to(tmp_path / "secret")
    for name in ("metrics.png", "command.json", "..%2f..%2fsecret", "%2e%2e/secret", "checkpoints", "gone.txt"):
        answer = browser.get(f"/open/shapes-1/run/file/{name}")
        assert answer.status_code == 404, name
        assert "secret" not in answer.text


def test_data_without_a_run_has_no_such_page(pictures: Path, open_in_browser) -> None:
    assert open_in_browser(pictures).get("/open/shapes/run").status_code == 404


def test_a_run_that_was_cut_off_says_how_to_go_on(a_run: Path, open_in_browser) -> None:
    recipe = json.loads((a_run / "recipe.json").read_text())
    recipe["ends"] = []
    (a_run / "recipe.json").write_text(json.dumps(recipe))
    html = open_in_browser(a_run).page("/open/shapes-1/run")
    assert f"satsuma train --resume {a_run}" in unescape(html)
