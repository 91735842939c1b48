"""A history is read as it grows, each line once, and from its beginning when it was rewritten."""

import json
import math
import os
from pathlib import Path

import pytest

from satsuma.train.checkpoint import write_whole
from satsuma.workbench.histories import History, Summaries
from satsuma.workbench.rationed import LEAST_S, LONGEST_S, SHARE, Rationed


def step(n: int, loss: float | None = 0.5) -> str:
    return json.dumps({"kind": "step", "epoch": 0, "step": n, "lr": 0.1, "loss": loss}) + "\n"


def epoch(n: int, **values: float | None) -> str:
    return json.dumps({"kind": "epoch", "epoch": n, **values, "time_s": 1.5, "samples_per_s": 7.0}) + "\n"


def test_lines_are_taken_up_as_they_come_and_a_torn_one_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history = History(file)
    history.refresh()
    assert history.version == 0
    last = step(3, 0.25)
    with file.open("w") as opened:
        opened.write(step(1) + step(2, None) + epoch(0, train_loss=0.4, valid_loss=None, accuracy=0.9) + last[:20])
        opened.flush()
        history.refresh()
        assert history.losses[0] == 0.5
        assert math.isnan(history.losses[1])
        assert history.epoch_ends == [2]
        assert history.metric_names == ["accuracy"]
        version = history.version
        history.refresh()
        assert history.version == version
        opened.write(last[20:])
        opened.flush()
        history.refresh()
    assert history.losses[2] == 0.25
    assert history.version > version
    assert history.rewritten == 1


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_file_that_was_rewritten_is_read_from_its_beginning(tmp_path: Path, steps: int) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(step(1) + step(2))
    history = History(file)
    history.refresh()
    write_whole(file, "".join(step(n, 0.125) for n in range(1, steps + 1)).encode())
    history.refresh()
    assert list(history.losses) == [0.125] * steps
    assert history.rewritten == 2
    file.unlink()
    history.refresh()
    assert len(history.losses) == 0


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"\x00\xff\n" + b"[1, 2]\n{}\n\n" + b'{"kind": "step"}\n' + step(1).encode())
    history = History(file)
    history.refresh()
    assert history.losses[-1] == 0.5
    assert len(history.losses) == 2  # that without a loss is one that was not finite


def test_speed_is_told_by_when_the_file_was_written(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history = History(file)
    for second, steps in ((100, 10), (101, 30), (102, 50)):
        with file.open("a") as opened:
            opened.writelines(step(n) for n in range(len(history.losses) + 1, steps + 1))
        os.utime(file, (second, second))
        history.refresh()
    assert history.steps_per_s() == 20.0
    with file.open("a") as opened:
        opened.write(epoch(0, train_loss=0.5))
    os.utime(file, (160, 160))
    history.refresh()
    assert history.steps_per_s() is None  # the minute was for evaluating


def test_summaries_follow_the_file(tmp_path: Path) -> None:
    summaries = Summaries()
    assert summaries.of(tmp_path).steps == 0
    file = tmp_path / "history.jsonl"
    file.write_text(step(1) + epoch(0, train_loss=0.5, valid_loss=math.nan, accuracy=0.9) + step(2))
    found = summaries.of(tmp_path)
    assert (found.steps, found.results, found.time_s) == (2, {"train_loss": 0.5, "accuracy": 0.9}, 1.5)
    assert summaries.of(tmp_path) is found
    with file.open("a") as opened:
        opened.write(epoch(1, train_loss=0.25))
    assert summaries.of(tmp_path).results == {"train_loss": 0.25}


def test_what_is_made_often_is_made_only_so_often() -> None:
    now, made = [0.0, 0.0], []

    def make() -> int:
        now[1] += 0.1  # what it costs
        made.append(len(made))
        return made[-1]

    rationed = Rationed(lambda: now[0], lambda: now[1])
    assert rationed.get("a", 1, make).value == 0
    for later, version, value in (
        (0.0, 2, 0),  # at once: the one before
        (LEAST_S, 2, 0),  # the work was a larger share of that time
        (0.1 / SHARE, 1, 0),  # nothing new
        (0.1 / SHARE, 2, 1),
    ):
        now[0] = later
        assert rationed.get("a", version, make).value == value
    assert rationed.get("a", 3, make, least_s=0).value == 2
    now[1] = 0.0
    assert rationed.get("dear", 1, lambda: now.__setitem__(1, 100.0)).cost_s == 100.0
    now[0] += LONGEST_S
    assert rationed.get("dear", 2, make).value == 3
