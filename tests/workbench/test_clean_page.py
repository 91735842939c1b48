"""The *Clean* page: samples in several orders, edits that are kept at once, and training again with them."""

import csv
import io
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satsuma.errors import UserError
from satsuma.inspect.faults import Fault, Faults
from satsuma.inspect.journal import Journal
from satsuma.workbench.subjects import Subject
from satsuma.workbench.training import Training, last_lines

RUN, DATA = "/open/shapes-1/clean", "/open/shapes/clean"
EDIT = {"action": "relabel", "samples": [[0, 0]], "labels": ["pole"]}


@pytest.fixture
def shapes(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pictures as data without a run; the working folder, where its edits go, is the test's own."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(pictures, tmp_path / "shapes"))


@pytest.fixture
def cleaner(shapes: Path, open_in_browser: Callable[[Path], Any]) -> Any:
    found = open_in_browser(shapes)
    found.page(DATA)
    return found


def rows_of(browser: Any, **query: Any) -> list[dict[str, Any]]:
    asked = "&".join(f"{name}={value}" for name, value in {"size": 60, **query}.items())
    found: list[dict[str, Any]] = browser.json(f"{DATA}/items?{asked}")["items"]
    return found


def change(browser: Any, half: int, i: int) -> Any:
    return next(row["change"] for row in rows_of(browser, half=half) if row["i"] == i)


# --- looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["", "&half=0", "&half=1"])
def test_samples_come_by_loss(browser: Any, half: str) -> None:
    browser.page(RUN)
    rows = browser.json(f"{RUN}/items?order=loss&size=60{half}")["items"]
    losses = [row["loss"] for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert len(rows) == {"": 60, "&half=0": 45, "&half=1": 15}[half]
    found = browser.bench.subject("shapes-1").predictions(rows[0]["half"])
    assert rows[0]["loss"] == pytest.approx(float(found.losses[rows[0]["i"]]), abs=1e-4)
    assert rows[0]["wrong"] == bool(found.decided[rows[0]["i"]] != found.targets[rows[0]["i"]])


def test_the_least_certain_come_first(browser: Any) -> None:
    browser.page(RUN)
    rows = browser.json(f"{RUN}/items?order=uncertain&half=1&size=15")["items"]
    found = browser.bench.subject("shapes-1").predictions(1)
    clear = np.sort(found.outputs, 1)
    assert [row["i"] for row in rows] == np.argsort(clear[:, -1] - clear[:, -2], kind="stable").tolist()


def test_suspected_labels_come_first_with_what_they_may_be(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.page(RUN)
    keys = browser.bench.subject("shapes-1").items(0).keys
    suspected = tuple(
        Fault(kind="label", key=keys[i], name="", half="train", score=score, reason="why", suggestion="pole")
        for i, score in ((7, 0.9), (3, 0.8))
    )
    monkeypatch.setattr(Subject, "faults", lambda self: Faults(suspected))
    rows = browser.json(f"{RUN}/items?order=suggested&size=60")["items"]
    assert [(row["i"], row["hint"], row["why"]) for row in rows[:2]] == [(7, "pole", "why"), (3, "pole", "why")]
    assert len({row["number"] for row in rows}) == 60
    assert not any("hint" in row for row in rows[2:])
    assert browser.json(f"{RUN}/items?order=suggested&half=1&size=60")["total"] == 15


def test_pages_of_an_index_hold_every_sample_once(cleaner: Any) -> None:
    pages = [cleaner.json(f"{DATA}/items?size=25&page={page}") for page in range(3)]
    assert [len(page["items"]) for page in pages] == [25, 25, 10]
    assert {page["total"] for page in pages} == {60}
    numbers = [row["number"] for page in pages for row in page["items"]]
    assert sorted(numbers) == list(range(60))
    there = cleaner.json(f"{DATA}/items?size=25&at={numbers[30]}")
    assert there["page"] == 1
    assert there["items"] == pages[1]["items"]


def test_what_is_no_page_is_refused(cleaner: Any) -> None:
    for query in ("half=7", "size=0", "size=501", "page=-1", "page=x"):
        assert cleaner.get(f"{DATA}/items?{query}").status_code in (404, 422, 400), query


def test_without_a_model_samples_come_by_name_only(cleaner: Any) -> None:
    page = cleaner.page(DATA)
    assert 'value="name"' in page
    assert 'value="loss"' not in page
    assert cleaner.get(f"{DATA}/items?order=loss").status_code == 409
    assert "loss" not in rows_of(cleaner)[0]


# --- editing ----------------------------------------------------------------------------------------------------------


def test_an_edit_is_in_the_journal_when_it_is_answered(cleaner: Any, shapes: Path) -> None:
    first = rows_of(cleaner, half=0)[0]
    answer = cleaner.send(f"{DATA}/edit", {**EDIT, "samples": [[0, first["i"]]]}).json()
    assert answer["changed"] == [
        {"number": first["number"], "change": {"labels": ["pole"], "half": None, "excluded": False}}
    ]
    (line,) = Journal("shapes-edits.jsonl").history()
    assert (line.action, line.to, line.was) == ("relabel", "pole", first["labels"][0])
    assert (shapes / line.key).is_file()


def test_edits_survive_another_class_and_another_server(
    cleaner: Any, shapes: Path, open_in_browser: Callable[[Path], Any]
) -> None:
    i = rows_of(cleaner, half=0, label="bar")[0]["i"]
    cleaner.send(f"{DATA}/edit", {**EDIT, "samples": [[0, i]]})
    assert i in [row["i"] for row in rows_of(cleaner, half=0, label="bar")]  # where it was looked for
    assert i in [row["i"] for row in rows_of(cleaner, half=0, label="pole")]  # and where it is now
    other = open_in_browser(shapes)
    other.page(DATA)
    assert change(other, 0, i)["labels"] == ["pole"]


def test_undo_and_redo_go_through_all_edits(cleaner: Any) -> None:
    for action in ("exclude", "move"):
        cleaner.send(f"{DATA}/edit", {"action": action, "samples": [[0, 3]]})
    assert change(cleaner, 0, 3) == {"labels": None, "half": 1, "excluded": True}
    cleaner.send(f"{DATA}/undo")
    assert change(cleaner, 0, 3) == {"labels": None, "half": None, "excluded": True}
    answer = cleaner.send(f"{DATA}/undo").json()
    assert change(cleaner, 0, 3) is None
    assert answer["edits"]["count"] == 0
    assert answer["edits"]["undo"] is None
    assert cleaner.send(f"{DATA}/undo").json()["any"] is False
    assert cleaner.send(f"{DATA}/redo").json()["any"] is True
    assert change(cleaner, 0, 3)["excluded"] is True
    listed = cleaner.json(f"{DATA}/edits")["rows"]
    assert [(row["action"], row["in_force"], row["i"]) for row in listed] == [("move", False, 3), ("exclude", True, 3)]


def test_one_edit_of_many_can_be_undone(cleaner: Any) -> None:
    for i in (1, 2, 3):
        cleaner.send(f"{DATA}/edit", {"action": "exclude", "samples": [[0, i]]})
    second = cleaner.json(f"{DATA}/edits")["rows"][1]
    cleaner.send(f"{DATA}/undo", {"of": second["id"]})
    assert [change(cleaner, 0, i) is None for i in (1, 2, 3)] == [False, True, False]
    assert cleaner.send(f"{DATA}/undo", {"of": 99}).status_code == 400


def test_several_samples_are_edited_at_once(cleaner: Any) -> None:
    places = [[0, 1], [1, 0], [0, 4]]
    answer = cleaner.send(f"{DATA}/edit", {"action": "exclude", "samples": places}).json()
    assert answer["edits"]["count"] == 3
    assert all(row["change"]["excluded"] for row in answer["changed"])
    answer = cleaner.send(f"{DATA}/edit", {"action": "include", "samples": places}).json()
    assert answer["edits"]["count"] == 0
    assert not any(row["change"] for row in answer["changed"])


def test_going_back_to_the_first_label_leaves_no_edit(cleaner: Any) -> None:
    own = rows_of(cleaner, half=0)[0]
    for label in ("pole" if own["labels"] != ["pole"] else "bar", "other", own["labels"][0]):
        cleaner.send(f"{DATA}/edit", {**EDIT, "samples": [[0, own["i"]]], "labels": [label]})
    assert change(cleaner, 0, own["i"]) is None
    assert cleaner.json(f"{DATA}/edits")["count"] == 0


def test_moving_twice_is_where_it_was(cleaner: Any) -> None:
    for there in (0, None):
        cleaner.send(f"{DATA}/edit", {"action": "move", "samples": [[1, 2]]})
        found = change(cleaner, 1, 2)
        assert (None if found is None else found["half"]) == there


NO_EDITS: list[dict[str, Any]] = [
    {**EDIT, "labels": []},
    {**EDIT, "labels": ["  "]},
    {**EDIT, "labels": ["a", "b"]},
    {**EDIT, "labels": ["x" * 2000]},
    {**EDIT, "samples": []},
    {**EDIT, "samples": [[0, 999]]},
    {**EDIT, "samples": [[5, 0]]},
    {**EDIT, "samples": [[0, -1]]},
    {**EDIT, "samples": [["../x", 0]]},
    {**EDIT, "action": "delete"},
    {"key": "/etc/passwd"},
]


def test_what_is_no_edit_is_refused_and_nothing_is_written(cleaner: Any) -> None:
    for asked in NO_EDITS:
        answer = cleaner.send(f"{DATA}/edit", asked)
        assert answer.status_code in (400, 404, 422), asked
    assert not Path("shapes-edits.jsonl").exists()


def test_other_sites_cannot_edit(cleaner: Any) -> None:
    for address in ("clean/edit", "clean/undo", "again", "data/ignore"):
        assert cleaner.send(f"/open/shapes/{address}", EDIT, origin="http://evil.example").status_code == 403


def test_two_tabs_at_once_lose_no_edit(cleaner: Any) -> None:
    def leave_out(half: int, n: int) -> None:
        for i in range(n):
            assert cleaner.send(f"{DATA}/edit", {"action": "exclude", "samples": [[half, i]]}).status_code == 200

    tabs = [threading.Thread(target=leave_out, args=(half, 10)) for half in (0, 1)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert cleaner.json(f"{DATA}/edits")["count"] == 20
    assert len(Journal("shapes-edits.jsonl").now()) == 20


def test_another_tab_is_told_what_is_new_only(cleaner: Any) -> None:
    last = cleaner.json(f"{DATA}/edits")["last"]
    assert cleaner.json(f"{DATA}/edits?since={last}") == {"last": last}
    cleaner.send(f"{DATA}/edit", EDIT)
    assert cleaner.json(f"{DATA}/edits?since={last}")["count"] == 1


def test_labels_that_an_earlier_training_took_over_go_back_to_what_they_were(a_run: Path, open_in_browser: Any) -> None:
    """A run that was trained with edits has them in its data; undoing one shows what will be other next time."""
    browser = open_in_browser(a_run)
    browser.page(RUN)
    row = browser.json(f"{RUN}/items?label=pole&half=0")["items"][0]
    key = browser.bench.subject("shapes-1").items(0).keys[row["i"]]
    Journal(a_run / "edits.jsonl").relabel(key, "pole", was="bar")  # as if the data's own label were bar
    assert browser.json(f"{RUN}/items?label=pole&half=0")["items"][0]["change"] is None
    browser.send(f"{RUN}/undo")
    assert browser.json(f"{RUN}/items?label=pole&half=0")["items"][0]["change"]["labels"] == ["bar"]


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_the_corrected_labels_are_a_table(cleaner: Any) -> None:
    cleaner.send(f"{DATA}/edit", EDIT)
    cleaner.send(f"{DATA}/edit", {"action": "exclude", "samples": [[1, 0]]})
    answer = cleaner.get(f"{DATA}/labels.csv")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    keys = cleaner.bench.data.items(0).keys[0], cleaner.bench.data.items(1).keys[0]
    by_file = {row["file"]: row for row in rows}
    assert len(rows) == 59
    assert keys[1] not in by_file
    assert by_file[keys[0]]["label"] == "pole"


def test_the_command_that_trains_again_is_shown(browser: Any, cleaner: Any, shapes: Path, trained: Path) -> None:
    (line,) = re.findall(r'data-line="([^"]*)"', cleaner.page(DATA))
    assert line == f"satsuma train {shapes} --edits shapes-edits.jsonl"
    (line,) = re.findall(r'data-line="([^"]*)"', browser.page(RUN))
    assert line.startswith("satsuma train ")
    assert "--epochs 2" in line
    assert f"--edits {trained / 'edits.jsonl'}" in line


def test_training_again_needs_edits(cleaner: Any) -> None:
    answer = cleaner.send("/open/shapes/again")
    assert answer.status_code == 409
    assert "no edits" in answer.json()["error"]
    assert cleaner.json("/open/shapes/again")["state"] == "none"


def test_one_training_at_a_time_and_its_error_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "import sys, time; time.sleep(0.5); sys.exit(f'no data at {sys.argv[2]}')"
    monkeypatch.setattr("satsuma.workbench.training.COMMAND", (sys.executable, "-c", told))
    training = Training()
    assert training.state()["state"] == "none"
    folder = training.start(["train", str(tmp_path / "nothing")], tmp_path / "runs", "pets-3")
    assert folder == tmp_path / "runs" / "pets-1"
    with pytest.raises(UserError, match="being trained"):
        training.start(["train", "x"], tmp_path / "runs", "pets")
    assert training.process is not None
    training.process.wait(60)
    state = training.state()
    assert state["state"] == "failed"
    assert not state["begun"]
    assert str(state["said"]) == f"no data at {tmp_path / 'nothing'}"


@pytest.mark.skipif(sys.platform != "linux", reason="where niceness is a thread's own")
def test_training_does_not_give_way_as_the_workbench_does(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from satsuma.workbench import training
training.COMMAND = (sys.executable, "-c", "import os; print(os.nice(0))")
begun = training.Training()
before = os.nice(0)
os.nice(5)
begun.start([], Path(sys.argv[1]), "pets")
begun.process.wait(60)
sys.exit(begun.state()["said"] != str(before))
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 0


def test_the_last_lines_are_what_a_terminal_would_show(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n 10%\r 50%\r100%\n" + b"\xff odd\n\n" + b"".join(b"line %d\n" % i for i in range(10)))
    assert last_lines(log).splitlines()[:2] == ["100%", "\ufffd odd"]
    assert last_lines(log).splitlines()[-1] == "line 9"
    assert last_lines(tmp_path / "none") == ""


def test_a_page_looks_at_its_own_samples_only(cleaner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page costs does not grow with the data: there may be 50,000 samples."""
    looked: list[int] = []

    def row_of(index: Any, number: int, *rest: Any) -> dict[str, int]:
        looked.append(number)
        return {"number": number}

    monkeypatch.setattr("satsuma.workbench.pages.clean.row_of", row_of)
    cleaner.json(f"{DATA}/items?size=5&page=3")
    assert len(looked) == 5


def test_training_begins_without_a_shell_and_its_page_is_told(
    cleaner: Any, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []

    class Process:
        def __init__(self, command: list[str], **how: Any) -> None:
            begun.append((command, how))

        def poll(self) -> None:
            return None

    monkeypatch.setattr("satsuma.workbench.training.subprocess.Popen", Process)
    cleaner.send(f"{DATA}/edit", EDIT)
    assert cleaner.send("/open/shapes/again").json()["state"] == "runs"
    ((command, how),) = begun
    assert command[:3] == [sys.executable, "-m", "satsuma"]
    assert command[3:] == [
        "train",
        str(shapes),
        "--edits",
        "shapes-edits.jsonl",
        "--name",
        "shapes-1",
        "--runs-dir",
        "runs",
    ]
    assert not how.get("shell")
    assert cleaner.json("/open/shapes/again")["address"] is None
    (Path("runs") / "shapes-1").mkdir()
    (Path("runs") / "shapes-1" / "recipe.json").write_text("{}")
    assert cleaner.json("/open/shapes/again")["address"] == "/open/shapes-1/run"
    refused = cleaner.send("/open/shapes/again")
    assert refused.status_code == 409
    assert "shapes-1" in refused.json()["error"]
