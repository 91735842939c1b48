"""The journal of edits: undone and done again, by several at once, and whole whatever happens."""

import json
import multiprocessing
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satsuma.data.edit_log import read_edits
from satsuma.data.edits import Edits
from satsuma.inspect import journal as module
from satsuma.inspect.journal import Journal, State


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "runs" / "edits.jsonl", who="ann")


def rows(journal):
    return [json.loads(line) for line in journal.file.read_text().splitlines()]


def test_what_stands_in_the_file(journal):
    assert not journal.file.exists()
    journal.relabel("a.png", "dog", was="cat", why="it barks")
    journal.exclude("b.png", who="bob")
    journal.move("c.png", "valid", was="train")
    journal.undo()
    found = rows(journal)
    whens = [row.pop("when") for row in found]
    assert all(when.endswith("+00:00") and len(when) == 25 for when in whens)
    assert found == [
        {"id": 1, "who": "ann", "action": "relabel", "key": "a.png", "from": "cat", "to": "dog", "why": "it barks"},
        {"id": 2, "who": "bob", "action": "exclude", "key": "b.png", "from": None, "to": None, "why": ""},
        {"id": 3, "who": "ann", "action": "move", "key": "c.png", "from": "train", "to": "valid", "why": ""},
        {"id": 4, "who": "ann", "action": "undo", "of": 3},
    ]
    assert journal.now() == {"a.png": State(label="dog"), "b.png": State(excluded=True)}
    assert journal.edits() == read_edits(journal.file) == Edits(labels={"a.png": "dog"}, excluded=["b.png"])
    assert len(journal) == 2
    assert "edits of 1 label, 1 exclusion" in repr(journal)


def test_undo_and_redo_go_back_and_forth(journal):
    assert journal.undo() is None
    assert journal.redo() is None
    for key in "abc":
        journal.exclude(key)
    assert [journal.undo().key for _ in range(2)] == ["c", "b"]
    assert (journal.undoable().key, journal.redoable().key) == ("a", "b")
    assert journal.redo().key == "b"
    journal.exclude("d")
    assert journal.redo() is None  # c is of another past
    assert list(journal.now()) == ["a", "b", "d"]
    assert journal.undo(1).key == "a"
    assert journal.undo(1) is None
    assert journal.redo(1).key == "a"
    assert list(journal.now()) == ["a", "b", "d"]
    assert journal.include("b").key == "b"
    assert journal.include("zzz") is None
    assert list(journal.now()) == ["a", "d"]
    with pytest.raises(ValueError, match="there is no edit 99 to undo"):
        journal.undo(99)


def test_what_would_change_nothing_is_not_written(journal):
    assert journal.relabel("a", "cat", was="cat") is None
    assert journal.move("a", "train", was="train") is None
    assert not journal.file.read_bytes()
    journal.relabel("a", "dog", was="cat")
    assert journal.relabel("a", "dog", was="cat") is None
    assert journal.relabel("a", "cat", was="cat").was == "dog"
    journal.exclude("a")
    assert journal.exclude("a") is None
    assert len(rows(journal)) == 3


def test_labels_of_every_kind(journal):
    for i, label in enumerate(["x", 7, 0.5, np.int64(3), ["a", "b"], np.array([0.5, 1.5]), True, []]):
        journal.relabel(str(i), label)
    found = journal.edits().labels
    assert list(found.values()) == ["x", 7, 0.5, 3, ("a", "b"), (0.5, 1.5), True, ()]
    assert Journal(journal.file).edits().labels == found


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda j: j.relabel("", "x"), "key is missing"),
        (lambda j: j.relabel(7, "x"), "a key is text, got 7"),
        (lambda j: j.relabel("a", None), "a: a label is text"),
        (lambda j: j.relabel("a", float("nan")), "a: a label is text"),
        (lambda j: j.move("a", "test"), 'moved to "train" or "valid"'),
        (lambda j: j.exclude("a", why="x" * 2**20), "at most 1,048,576 fit in a line"),
    ],
)
def test_what_is_no_edit_is_refused_and_not_written(journal, call, message):
    with pytest.raises(ValueError, match=message):
        call(journal)
    assert not journal.file.exists() or not journal.file.read_bytes()


def test_names_that_are_no_text_come_back(journal):
    key = os.fsdecode(b"caf\xe9/<script>\n.png")
    journal.relabel(key, "日本 \u2028", why='"quoted"')
    assert Journal(journal.file).now() == {key: State(label="日本 \u2028")}


def test_a_torn_line_is_told_and_goes(journal):
    journal.exclude("a")
    journal.exclude("b")
    whole = journal.file.read_bytes()
    journal.file.write_bytes(whole[:-7])
    again = Journal(journal.file)
    assert list(again.now()) == ["a"]
    with pytest.warns(UserWarning, match="cut off while it was written is taken away"):
        again.exclude("c")
    assert [(row["id"], row["key"]) for row in rows(journal)] == [(1, "a"), (2, "c")]


def test_a_damaged_file_is_refused_and_left_alone(journal):
    journal.exclude("a")
    with journal.file.open("ab") as file:
        file.write(b"{}\n")
    held = journal.file.read_bytes()
    for call in (journal.now, lambda: journal.exclude("b"), lambda: Journal(journal.file)):
        with pytest.raises(ValueError, match=r"edits\.jsonl:2: id is a whole number"):
            call()
    assert journal.file.read_bytes() == held


def test_a_write_that_fails_leaves_no_part(journal, monkeypatch):
    journal.exclude("a")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="the edit could not be written, and was not made"):
        journal.exclude("b")
    monkeypatch.undo()
    assert len(rows(journal)) == 1
    assert journal.exclude("b").id == 2


def test_threads_and_journals_of_one_file_share_it(journal):
    def write(name):
        own = Journal(journal.file)
        for i in range(5):
            (own if i % 2 else journal).exclude(f"{name}/{i}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["id"] for row in rows(journal)] == list(range(1, 21))
    assert len(journal.now()) == 20


def write_eight(file, name, begun):
    journal = Journal(file)
    begun.wait(20)
    for i in range(8):
        journal.exclude(f"{name}/{i}")


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_processes_share_it(journal):
    forked = multiprocessing.get_context("fork")  # another interpreter would take seconds to start
    begun = forked.Event()
    others = [forked.Process(target=write_eight, args=(journal.file, name, begun)) for name in "xy"]
    for other in others:
        other.start()
    begun.set()
    for i in range(8):
        journal.exclude(f"here/{i}")
    for other in others:
        other.join(30)
    assert [other.exitcode for other in others] == [0, 0]
    assert [row["id"] for row in rows(journal)] == list(range(1, 25))
    assert len(journal.now()) == 24


def test_a_lock_that_is_never_lifted_is_told(journal, monkeypatch):
    journal.exclude("a")
    monkeypatch.setattr(module, "LOCK_S", 0.0)
    with journal.file.open("ab") as held:
        module.lock(held, journal.file)
        with pytest.raises(TimeoutError, match="another process has kept it locked"):
            journal.exclude("b")
    assert journal.exclude("b") is not None


def test_a_file_that_was_replaced_is_read_anew(journal):
    journal.exclude("a")
    other = Journal(journal.file.with_name("other.jsonl"))
    other.exclude("z")
    other.file.replace(journal.file)
    assert list(journal.now()) == ["z"]
    journal.file.unlink()
    assert journal.now() == {}
    assert journal.exclude("q").id == 1


KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("relabel"), KEYS, st.sampled_from(["x", "y", 3])),
    st.tuples(st.just("exclude"), KEYS),
    st.tuples(st.just("move"), KEYS, st.sampled_from(["train", "valid"])),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
    st.tuples(st.just("include"), KEYS),
)


def done_to(states, line):
    """The oracle: the states of items after an edit, without a file."""
    was = states.get(line.key, State())
    changed = {
        "relabel": lambda: replace(was, label=line.to),
        "move": lambda: replace(was, half=line.to),
        "exclude": lambda: replace(was, excluded=True),
    }[line.action]()
    return {**states, line.key: changed}


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=12))
def test_any_steps_come_to_the_edits_that_were_not_taken_back(tmp_path_factory, steps):
    file = tmp_path_factory.mktemp("steps") / "edits.jsonl"
    journal = Journal(file, who="")
    past, future = [], []  # lines in force, lines taken back: as any editor has them
    for action, *rest in steps:
        line = getattr(journal, action)(*rest)
        if line is None:
            assert action != "undo" or not past
            assert action != "redo" or not future
        elif action in ("undo", "include"):
            past.remove(line)
            future.append(line)
        elif action == "redo":
            assert future.pop() == line
            past.append(line)
        else:
            past.append(line)
            future.clear()
        states = {}
        for kept in sorted(past, key=lambda kept: kept.id):
            states = done_to(states, kept)
        assert journal.now() == states
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Journal(file).now() == journal.now()
        assert journal.edits() == (read_edits(file) if file.exists() else Edits())


@pytest.mark.parametrize("of", [True, 0, -1, 1.0, "1"])
def test_what_is_no_id_is_refused_and_the_file_stays_whole(tmp_path: Path, of: object) -> None:
    journal = Journal(tmp_path / "edits.jsonl", who=7)  # type: ignore[arg-type]
    journal.exclude("1.png")
    with pytest.raises(ValueError, match="undo of the id of an edit, a whole number above 0"):
        journal.undo(of)  # type: ignore[arg-type]
    assert [line.who for line in Journal(journal.file).history()] == ["7"]
    assert journal.undo(np.int64(1)) is not None  # type: ignore[arg-type]
    assert len(Journal(journal.file)) == 0


def test_half_a_character_is_no_label_but_the_name_of_any_file_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "edits.jsonl")
    with pytest.raises(ValueError, match=r"a label is text, .* got '\\ud800'"):
        journal.relabel("1.png", "\ud800")
    journal.relabel("1.png", os.fsdecode(b"caf\xe9"))
    assert Journal(journal.file).edits().labels == {"1.png": os.fsdecode(b"caf\xe9")}


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder, expected a file of edits"):
        Journal(tmp_path)
