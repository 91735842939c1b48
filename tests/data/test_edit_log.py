"""The file of edits: what its lines come to, and what is refused."""

import json
import warnings

import pytest

from satsuma.data.edit_log import LONGEST_LINE, edits_left, read_edits, read_lines
from satsuma.data.edits import Edits

LABEL = {"id": 1, "when": "2026-11-21T18:30:00+00:00", "who": "ann", "action": "relabel", "key": "a.png", "to": "dog"}


def written(tmp_path, *lines):
    file = tmp_path / "edits.jsonl"
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]
    file.write_bytes(b"".join(rows))
    return file


def test_what_the_lines_come_to(tmp_path):
    file = written(
        tmp_path,
        {**LABEL, "from": "cat", "why": "it barks"},
        {"id": 2, "action": "exclude", "key": "b.png"},
        {"id": 3, "action": "move", "key": "c.png", "to": "valid"},
        {"id": 5, "action": "relabel", "key": "a.png", "to": ["x", 2, 0.5]},
        {"id": 6, "action": "undo", "of": 2},
        b"\n",
        {"id": 7, "action": "undo", "of": 5},
        {"id": 8, "action": "redo", "of": 2, "unknown": [1]},
    )
    assert read_edits(file) == Edits(labels={"a.png": "dog"}, moves={"c.png": "valid"}, excluded=["b.png"])
    assert read_edits(file, until=5).labels == {"a.png": ("x", 2, 0.5)}
    assert read_edits(file, until=6).excluded == ()
    assert read_edits(file, until=0) == Edits()
    assert [line.id for line in read_lines(file)] == [1, 2, 3, 5, 6, 7, 8]
    assert read_lines(file)[0].why == "it barks"


def test_what_comes_after_is_not_looked_into(tmp_path):
    file = written(tmp_path, LABEL, b"rubbish\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_edits(file, until=1).labels == {"a.png": "dog"}


def test_an_edit_that_is_done_again_stands_where_it_stood(tmp_path):
    file = written(
        tmp_path,
        LABEL,
        {"id": 2, "action": "relabel", "key": "a.png", "to": "cow"},
        {"id": 3, "action": "undo", "of": 1},
        {"id": 4, "action": "redo", "of": 1},
    )
    assert [line.id for line in edits_left(read_lines(file))] == [1, 2]
    assert read_edits(file).labels == {"a.png": "cow"}


def test_an_empty_file_holds_no_edits(tmp_path):
    assert read_edits(written(tmp_path)) == Edits()


@pytest.mark.parametrize("cut", [1, 20, len(json.dumps(LABEL))])
def test_a_last_line_that_was_cut_off_is_told_and_left_out(tmp_path, cut):
    file = written(tmp_path, LABEL, json.dumps({**LABEL, "id": 2, "to": "cow"}).encode()[:cut])
    with pytest.warns(UserWarning, match="edits.jsonl:2: the last line was cut off"):
        assert read_edits(file).labels == {"a.png": "dog"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"no json\n", "not a line of JSON"),
        (b"\xff\xfe{}\n", "not a line of JSON"),
        (b"[" * 100_000 + b"\n", "not a line of JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}\n", "not a line of JSON"),
        (b"[1]\n", "expected an object"),
        ({"action": "exclude", "key": "b"}, "id is a whole number above 0, got None"),
        ({"id": True, "action": "exclude", "key": "b"}, "id is a whole number"),
        ({"id": 2.0, "action": "exclude", "key": "b"}, "id is a whole number"),
        ({"id": 10**20, "action": "exclude", "key": "b"}, "id is a whole number"),
        ({"id": 1, "action": "exclude", "key": "b"}, "the id 1 does not come after 1"),
        ({"id": 2, "action": "delete", "key": "b"}, "no action 'delete'"),
        ({"id": 2, "action": "exlude", "key": "b"}, "did you mean 'exclude'"),
        ({"id": 2, "action": "exclude"}, "key is missing"),
        ({"id": 2, "action": "exclude", "key": 7}, "key is text, got 7"),
        ({"id": 2, "action": "exclude", "key": "x" * 5000}, "key is no item's"),
        ({"id": 2, "action": "exclude", "key": "a\0b"}, "key is no item's"),
        ({"id": 2, "action": "exclude", "key": "b", "of": 1}, "only undo and redo have an `of`"),
        ({"id": 2, "action": "exclude", "key": "b", "who": 7}, "who is text"),
        ({"id": 2, "action": "move", "key": "b", "to": "test"}, 'moved to "train" or "valid", got \'test\''),
        ({"id": 2, "action": "relabel", "key": "b"}, "a label is text, a number or a list of them, got None"),
        ({"id": 2, "action": "relabel", "key": "b", "to": {"x": 1}}, "a label is text"),
        ({"id": 2, "action": "relabel", "key": "b", "to": [["x"]]}, "a label is text"),
        ({"id": 2, "action": "relabel", "key": "b", "to": ""}, "a label is text"),
        ({"id": 2, "action": "relabel", "key": "b", "to": "x" * 1001}, "a label is text"),
        (b'{"id": 2, "action": "relabel", "key": "b", "to": NaN}\n', "a label is text"),
        (b'{"id": 2, "action": "relabel", "key": "b", "to": 1e400}\n', "a label is text"),
        ({"id": 2, "action": "undo", "of": 7}, "undo of 7: there is no such edit before it"),
        ({"id": 2, "action": "undo"}, "undo of nothing"),
        ({"id": 2, "action": "redo", "of": 1}, "redo of 1: it is in force already"),
        ({"id": 2, "action": "undo", "of": "1"}, "of is a whole number"),
    ],
)
def test_a_line_that_is_no_edit_is_named(tmp_path, line, message):
    file = written(tmp_path, LABEL, line)
    with pytest.raises(ValueError, match=r"edits.jsonl:2: ") as caught:
        read_edits(file)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_huge_line_is_not_read_whole(tmp_path):
    file = written(tmp_path, LABEL, b"x" * (LONGEST_LINE + 5) + b"\n", LABEL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"edits\.jsonl:2: the line is longer than 1,048,576 bytes"):
            read_edits(file)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder, expected a file of edits"):
        read_edits(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such file of edits"):
        read_edits(tmp_path / "none.jsonl")
