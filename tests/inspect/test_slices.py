"""Results by slice: by folder, column, function or value; the worst first."""

import numpy as np
import pytest
from tests.inspect.made import made_predictions

import satsuma as sm
from satsuma.data.edits import Edits
from satsuma.inspect.interpretation import Interpretation
from satsuma.inspect.scores import wilson_interval

N = 211
FOUND = made_predictions("category", N, 3)
INTERP = Interpretation(FOUND)


def accuracy_of(mask):
    return (FOUND.decided == FOUND.targets)[mask].mean()


def test_by_folder_the_worst_comes_first_and_all_last():
    table = INTERP.by_slice("folder")
    folders = np.array([name.split("/")[1] for name in FOUND.names])
    assert sorted(table.column("folder")[:-1]) == ["a", "b", "c"]
    assert table.column("accuracy")[:-1] == sorted(table.column("accuracy")[:-1])
    for folder in "abc":
        row = table.row(folder)
        assert row["samples"] == (folders == folder).sum()
        assert row["accuracy"] == pytest.approx(accuracy_of(folders == folder))
        assert row["loss"] == pytest.approx(FOUND.losses[folders == folder].mean(), rel=1e-5)
        assert row["95% from"] <= row["accuracy"] <= row["to"]
    assert table.row("all")["samples"] == N


def test_values_are_slices_and_what_is_missing_is_one_too():
    values = [["x", "y", None][i % 3] for i in range(N)]
    table = INTERP.by_slice(values)
    assert sorted(table.column("slice")) == ["(none)", "all", "x", "y"]
    assert table.row("(none)")["samples"] == N // 3
    assert len(INTERP.by_slice(values, least=N)) == 1  # only "all"


def test_many_numbers_are_cut_into_ranges():
    values = np.arange(N) * 0.1
    values[:7] = np.nan
    table = INTERP.by_slice(values, bins=3)
    counts = [row[1] for row in table.rows if row[0] not in ("(none)", "all")]
    assert sum(counts) == N - 7
    assert max(counts) - min(counts) <= 1
    assert table.row("(none)")["samples"] == 7
    few = INTERP.by_slice([i % 5 for i in range(N)])
    assert sorted(few.column("slice")) == ["0", "1", "2", "3", "4", "all"]


def test_a_column_or_a_function_reads_the_items():
    rows = [{"x": [float(i % 7), 1.0], "y": i % 2, "site": f"s{i % 3}", "age": i * 1.5} for i in range(60)]
    block = sm.DataBlock(
        blocks=(sm.TransformBlock(), sm.CategoryBlock()),
        get_x=sm.ColReader("x"),
        get_y=sm.ColReader("y"),
        splitter=sm.IndexSplitter(list(range(30, 60))),
    )
    learn = sm.Learner(block.dataloaders(rows, bs=5), sm.linear_model(2, 2), progress=False)
    interp = learn.interpret()
    right = interp.predictions.right
    table = interp.by_slice("site")
    assert table.row("s1")["samples"] == 10
    assert table.row("s1")["accuracy"] == pytest.approx(right[[i % 3 == 1 for i in range(30, 60)]].mean())
    assert interp.by_slice(lambda row: row["site"]).rows == table.rows
    assert len(interp.by_slice("age", bins=4)) == 5
    with pytest.raises(ValueError, match="no column 'sight': did you mean 'site'"):
        interp.by_slice("sight")


def test_edited_items_are_read_as_they_were_and_keep_their_keys():
    rows = [{"x": [float(i % 7), 1.0], "y": i % 2, "site": f"s{i % 3}"} for i in range(60)]

    def learned(edits=None):
        block = sm.DataBlock(
            blocks=(sm.TransformBlock(), sm.CategoryBlock()),
            get_x=sm.ColReader("x"),
            get_y=sm.ColReader("y"),
            splitter=sm.IndexSplitter(list(range(30, 60))),
            edits=edits,
        )
        return sm.Learner(block.dataloaders(rows, bs=5), sm.linear_model(2, 2), progress=False).interpret()

    before = learned()
    assert before.predictions.keys[4] == "34"
    after = learned(Edits(labels={"34": 1}, excluded=("31",)))
    assert "31" not in after.predictions.keys
    place = after.predictions.keys.index("34")
    assert (before.predictions.label(4), after.predictions.label(place)) == ("0", "1")
    assert after.by_slice("site").row("s1")["samples"] == before.by_slice("site").row("s1")["samples"] - 1


def test_a_regression_is_worst_where_its_errors_are_largest():
    found = made_predictions("regression", 30, 2)
    values = ["near", "far"] * 15
    outputs = found.outputs + np.array([[0.0, 0.0], [9.0, 9.0]] * 15, dtype=np.float32)
    table = Interpretation(made_predictions("regression", 30, 2, outputs=outputs, decided=outputs)).by_slice(values)
    assert table.column("slice") == ["far", "near", "all"]
    assert table.row("far")["mean residual"] < -8


def test_parts_of_several_labels_have_an_f1():
    metrics = pytest.importorskip("sklearn.metrics")
    found = made_predictions("multi", N, 4)
    values = np.array(["x", "y"])[np.arange(N) % 2]
    table = Interpretation(found).by_slice(values)
    for value in "xy":
        mask = values == value
        wanted = metrics.f1_score(found.targets[mask], found.decided[mask], average="micro")
        assert table.row(value)["f1"] == pytest.approx(wanted)
    assert table.row("all")["all labels right"] == pytest.approx(found.right.mean())


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("site", "no column 'site': the items are no rows"),
        (len, "a function needs the items"),
        ([1, 2, 3], "3 values for 211 samples of valid"),
    ],
)
def test_what_cannot_be_sliced_is_told(by, told):
    with pytest.raises(ValueError, match=told):
        INTERP.by_slice(by)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = rng.binomial(40, 0.83, 3000)
    ends = [wilson_interval(int(h), 40) for h in hits]
    held = np.mean([low <= 0.83 <= high for low, high in ends])
    assert 0.93 < held < 0.97
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 9)[0] == 0.0
    assert wilson_interval(9, 9)[1] == 1.0
