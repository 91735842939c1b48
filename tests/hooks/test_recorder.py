"""`Recorder`: the numbers of all fits, in memory and as lines of JSON."""

import json
import math

import pytest

from satsuma.hooks.recorder import Recorder
from satsuma.train.fit import EpochRow, Plan, StepRow

PLAN = Plan(epochs=2, first_epoch=0, steps_per_epoch=3, batch_size=7, has_valid=True, metrics=("accuracy",))


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def read(path):
    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


def play(recorder, epochs=2, plan=PLAN, norm=None):
    recorder.on_fit_start(None, plan)
    for epoch in range(epochs):
        for i in range(3):
            recorder.on_step(None, StepRow(epoch, epoch * 3 + i + 1, 0.1 * (i + 1), 1.0 / (epoch * 3 + i + 1), norm))
        recorder.on_epoch(None, EpochRow(epoch, 0.5, 0.25 * (epoch + 1), {"accuracy": 0.75}, 1.25, 99.0))
    recorder.on_fit_end(None)


def test_values_has_a_row_an_epoch_and_a_column_a_number():
    recorder = Recorder()
    play(recorder)
    assert recorder.values == [[0.5, 0.25, 0.75], [0.5, 0.5, 0.75]]
    assert recorder.losses == [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]
    assert recorder.lrs == pytest.approx([0.1, 0.2, 0.3] * 2)
    play(recorder, plan=Plan(2, 0, 3, 7, False, ()))
    assert recorder.values[-1] == [0.5]


def test_the_file_has_a_line_a_step_and_a_line_an_epoch(tmp_path):
    path = tmp_path / "läufe" / "history.jsonl"
    play(Recorder(path), norm=2.0)
    rows = read(path)
    assert [row["kind"] for row in rows] == ["step", "step", "step", "epoch"] * 2
    assert rows[1] == {"kind": "step", "epoch": 0, "step": 2, "lr": 0.2, "loss": 0.5, "grad_norm": 2.0}
    assert rows[3] == {
        "kind": "epoch",
        "epoch": 0,
        "train_loss": 0.5,
        "valid_loss": 0.25,
        "accuracy": 0.75,
        "time_s": 1.25,
        "samples_per_s": 99.0,
    }


def test_a_second_fit_goes_on_in_the_same_file(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    play(recorder, 1)
    play(recorder, 1)
    assert [row["step"] for row in read(recorder.path) if row["kind"] == "step"] == [1, 2, 3, 4, 5, 6]
    assert recorder.epoch_ends == [3, 6]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_null(tmp_path, value):
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.on_fit_start(None, PLAN)
    recorder.on_step(None, StepRow(0, 1, 0.1, 0.5, value))  # the first norms under float16
    recorder.on_epoch(None, EpochRow(0, 0.5, value, {"accuracy": value}, 1.0, 9.0))
    recorder.on_fit_end(None)
    step, epoch = read(recorder.path)
    assert (step["grad_norm"], epoch["valid_loss"], epoch["accuracy"]) == (None, None, None)


def test_what_was_told_is_on_disk_when_a_fit_breaks_off(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.on_fit_start(None, PLAN)
    recorder.on_step(None, StepRow(0, 1, 0.1, 0.5, None))
    recorder.on_fit_end(None)  # as `fit` does after an error
    assert len(read(recorder.path)) == 1


def test_plots_show_the_numbers():
    recorder = Recorder()
    play(recorder)
    (axes,) = recorder.plot_loss().axes
    raw, _, valid = axes.lines
    assert list(raw.get_ydata()) == recorder.losses
    assert (list(valid.get_xdata()), list(valid.get_ydata())) == ([3, 6], [0.25, 0.5])
    assert list(recorder.plot_lr().axes[0].lines[0].get_ydata()) == recorder.lrs
    (line,) = recorder.plot_metrics().axes[0].lines
    assert (line.get_label(), list(line.get_ydata())) == ("accuracy", [0.75, 0.75])


def test_validation_stands_where_its_epoch_ended_also_after_one_was_cut_short():
    recorder = Recorder()
    play(recorder, 1)
    recorder.on_fit_start(None, PLAN)
    recorder.on_step(None, StepRow(1, 1, 0.1, 0.5, None))  # then the loss became NaN
    recorder.on_fit_end(None)
    play(recorder, 1)
    assert list(recorder.plot_loss().axes[0].lines[2].get_xdata()) == [3, 7]


def test_losses_that_are_not_finite_do_not_stop_the_plot():
    recorder = Recorder()
    play(recorder, 1)
    recorder.on_fit_start(None, PLAN)
    recorder.on_epoch(None, EpochRow(1, 0.5, math.inf, {"accuracy": math.nan}, 1.0, 9.0))
    assert recorder.plot_loss().axes[0].get_ylim()[1] == pytest.approx(1.05)


def test_nothing_to_plot_is_said():
    for plot in (Recorder().plot_loss, Recorder().plot_lr, Recorder().plot_metrics):
        with pytest.raises(ValueError, match="nothing to plot yet: call fit first"):
            plot()
