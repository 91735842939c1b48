"""`Progress`: lines in a file, a bar in a terminal, HTML in Jupyter."""

import os
import pty
import re
import subprocess
import sys

import pytest

from satsuma.hooks import progress
from satsuma.hooks.progress import Progress, duration, in_notebook, number, table_line
from satsuma.train.fit import EpochRow, Plan, StepRow

PLAN = Plan(epochs=2, first_epoch=3, steps_per_epoch=5, batch_size=11, has_valid=True, metrics=("accuracy", "<b>"))


def play(hook, plan=PLAN):
    """Two epochs as `fit` would tell them; the second has no numbers to show."""
    hook.on_fit_start(None, plan)
    for epoch in (3, 4):
        for step in range(5):
            hook.on_step(None, StepRow(epoch, (epoch - 3) * 5 + step + 1, 0.1, 0.7, None))
        nan = float("nan")
        values = {"accuracy": 0.9, "<b>": 1234567.0} if epoch == 3 else {"accuracy": nan, "<b>": 0.0}
        hook.on_epoch(None, EpochRow(epoch, 0.25, 0.5 if plan.has_valid else None, values, 75.2, 1000.0))
    hook.on_fit_end(None)


TABLE = """\
epoch  train_loss  valid_loss    accuracy         <b>        time
    3    0.250000    0.500000    0.900000   1.235e+06        1:15
    4    0.250000    0.500000         nan    0.000000        1:15
"""


def test_plain_lines_where_the_output_is_no_terminal(capsys):
    play(Progress())
    assert capsys.readouterr().out == TABLE


def test_without_validation_the_column_is_left_out(capsys):
    play(Progress(), Plan(2, 3, 5, 11, False, ()))
    assert capsys.readouterr().out.splitlines()[:2] == [
        "epoch  train_loss        time",
        "    3    0.250000        1:15",
    ]


def test_a_bar_when_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    hook = Progress("bar")
    play(hook)
    out = capsys.readouterr().out
    assert hook.bar is None  # stopped, and the next fit starts a new one
    for line in TABLE.splitlines():
        assert line in out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal_a_bar_runs_below_the_table():
    """Run in a real pseudo-terminal: rate and epoch are drawn, and gone at the end."""
    script = (
        "from satsuma.hooks import progress\n"
        "progress.REFRESH_S = 0\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_progress as t\n"
        "assert progress.Progress().style == 'bar'\n"
        "t.play(progress.Progress())\n"
    )
    controller, terminal = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-c", script, os.path.dirname(__file__)], stdout=terminal, stderr=terminal, env=env
    )
    os.close(terminal)
    out = b""
    try:
        while chunk := os.read(controller, 65536):
            out += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(controller)
    assert process.wait() == 0, out.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.decode())
    assert "epoch 1 of 2" in text
    assert "epoch 2 of 2" in text
    assert re.search(r"[\d,]+ samples/s", text)
    assert "    3    0.250000    0.500000    0.900000" in text


def test_an_html_table_in_jupyter_which_grows_in_one_place(fake_jupyter, monkeypatch, capsys):
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    play(Progress())
    (output,) = fake_jupyter.handles
    assert any(re.search(r"<p>epoch 1: [\d,]+ samples/s, .* left</p>", page) for page in output.pages)
    final = output.pages[-1]
    assert final.count("<tr>") == 3
    assert "<th>&lt;b&gt;</th>" in final  # a metric's name is text, not markup
    assert "<td>0.900000</td>" in final
    assert "<p>" not in final
    assert capsys.readouterr().out == ""


def test_a_notebook_is_one_that_has_a_kernel(fake_jupyter, monkeypatch):
    assert in_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: object())  # IPython in a terminal
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_one_object_serves_several_fits(capsys):
    hook = Progress()
    play(hook)
    play(hook)
    assert capsys.readouterr().out == TABLE * 2


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="force is one of bar, lines, html, got 'bars'"):
        Progress("bars")


def test_numbers_and_times():
    assert [number(v) for v in (0.0, -0.5, 99999.0, float("nan"), float("inf"))] == [
        *("0.000000", "-0.500000", "99999.000000", "nan", "inf")
    ]
    assert [duration(v) for v in (9.994, 10, 59.9, 3599.6)] == ["9.99s", "10.0s", "59.9s", "1:00:00"]
    assert table_line(["1", "2", "3"], ["epoch", "a", "a_rather_long_name"]).endswith("   3")
