"""`satsuma report`: a run's folder as one page."""

import pytest
import torch

import satsuma as sm

pytestmark = pytest.mark.usefixtures("no_scripts")

X = torch.randn(23, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def run(tmp_path):
    """A run's folder, of data in memory."""
    learn = sm.Learner(sm.DataLoaders.from_arrays(X, X[:, 0]), sm.linear_model(7), run_dir=tmp_path / "a run")
    learn.fit(1)
    return tmp_path / "a run"


def test_the_report_goes_into_the_runs_folder_or_where_it_is_wanted(satsuma, run, tmp_path):
    done = satsuma("report", run)
    assert done.code == 0
    assert f"wrote {run / 'report.html'}" in done.out
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Satsuma report: a run" in page
    assert "satsuma rerun &#x27;" in page  # a name with a space is quoted
    assert satsuma("report", run, "-o", tmp_path).code == 0
    assert satsuma("report", run, "--output", tmp_path / "there" / "mine.html").code == 0
    written = [tmp_path / "report.html", tmp_path / "there" / "mine.html"]
    assert all(file.read_text(encoding="utf-8") == page for file in written)


def test_what_is_no_run_is_refused_in_words(satsuma, run, tmp_path):
    done = satsuma("report", tmp_path / "nothing")
    assert done.code == 1
    assert "no run: there is no such folder" in done.err
    (run / "history.jsonl").write_bytes(b"\xff\xfe\n[1, 2]\n")
    done = satsuma("report", run)
    assert done.code == 1
    assert "history.jsonl: holds no whole line of a step" in done.err
